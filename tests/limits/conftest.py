# SPDX-License-Identifier: MPL-2.0
"""Limits hold: what a broker does when there are too many connections, requests or bytes.

RIPOSTE_BUILD   the build to test (default: build/)
RIPOSTE_LONG=1  a million requests wait, and a client does not read for ten minutes
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from support.fixtures import (  # noqa: E402, F401
    pytest_runtest_makereport, pytest_sessionstart, world)
