# SPDX-License-Identifier: MPL-2.0
"""Jobs survive: brokers and workers are killed, frozen and drained, disks are full, power is lost.

RIPOSTE_BUILD   the build to test (default: build/)
RIPOSTE_LONG=1  250 kills of the broker within 1,000,000 jobs, instead of 5 within 20,000
RIPOSTE_SEED=N  another order of faults
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from support.fixtures import (  # noqa: E402, F401
    pytest_runtest_makereport, pytest_sessionstart, world)
