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

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "system"), str(TESTS / "postgres")]

from support import programs  # noqa: E402
from support.fixtures import (  # noqa: E402, F401
    pytest_runtest_makereport, pytest_sessionstart, world)

import before  # noqa: E402
from server import Server, programs_of_postgres  # noqa: E402


def older_programs(first):
    """A context in which the world starts the older programs."""
    folder = before.build(first) if os.environ.get("RIPOSTE_LONG") else programs.BUILD
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


@pytest.fixture(scope="session")
def older():
    return older_programs(before.FIRST)


@pytest.fixture(scope="session")
def older_shared():
    """The same, of one that knows stores in PostgreSQL."""
    return older_programs(before.FIRST_SHARED)


@pytest.fixture(scope="session")
def server():
    """A server of PostgreSQL."""
    folder = programs_of_postgres()
    if not folder:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    one = Server(folder).make()
    yield one
    one.end()
