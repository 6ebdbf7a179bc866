# SPDX-License-Identifier: MPL-2.0
"""Clients, broker and workers on machines of their own, whose links fail.

RIPOSTE_BUILD   the build to test (default: build/)
RIPOSTE_LONG=1  links are also gone for 30 s
RIPOSTE_SLOW=1  bounds are five times as wide, for a busy machine

Where network namespaces are not allowed no test runs, and the exit code is 77.
"""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))

from network import why_not  # noqa: E402

SKIPPED = 77


def pytest_collection_finish(session):
    reason = session.items and why_not()
    if reason:
        pytest.exit(f"SKIPPED: {reason}", SKIPPED)
