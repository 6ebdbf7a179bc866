# SPDX-License-Identifier: MPL-2.0
"""Upgrades: brokers, clients and workers of an older riposte with those of this one.

RIPOSTE_BUILD   the build to test (default: build/)
RIPOSTE_LONG=1  the older riposte is built (before.py); otherwise this build is upgraded to itself, which takes seconds
"""

import contextlib
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from support import programs  # noqa: E402
from support.fixtures import (  # noqa: E402, F401
    pytest_runtest_makereport, pytest_sessionstart, world)

import before  # noqa: E402


@pytest.fixture(scope="session")
def older():
    """A context in which the world starts the older programs."""
    folder = before.build() if os.environ.get("RIPOSTE_LONG") else programs.BUILD
    names = {"BROKER": "riposte-broker", "WORKER": "riposte-worker", "CLI": "riposte"}

    @contextlib.contextmanager
    def use():
        own = {name: getattr(programs, name) for name in names}
        for name, file in names.items():
            setattr(programs, name, folder / file)
        try:
            yield
        finally:
            for name, path in own.items():
                setattr(programs, name, path)

    return use
