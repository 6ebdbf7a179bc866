# SPDX-License-Identifier: MPL-2.0
"""A store of jobs in PostgreSQL: the real programs over real servers of Debian's package, one for all tests and a pair
of two for those of failover, with a database for each. RIPOSTE_BUILD, RIPOSTE_LONG and RIPOSTE_SEED are those of
tests/jobs."""

import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "system"))
sys.path.insert(0, str(TESTS / "jobs"))

from support.fixtures import pytest_runtest_makereport, pytest_sessionstart, world  # noqa: E402, F401

from pair import Pair  # noqa: E402
from server import Server, programs_of_postgres  # noqa: E402


@pytest.fixture(scope="session")
def folder():
    """That of PostgreSQL's programs."""
    found = programs_of_postgres()
    if not found:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    return found


@pytest.fixture(scope="session")
def server(folder):
    one = Server(folder).make()
    yield one
    one.end()


@pytest.fixture(scope="session")
def pair(folder):
    """A primary and its synchronous standby."""
    both = Pair(folder)
    yield both
    both.end()


@pytest.fixture
def database(server):
    """The name of a new one with a store."""
    return server.new()
