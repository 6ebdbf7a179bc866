# SPDX-License-Identifier: MPL-2.0
"""A store of jobs in PostgreSQL: the real programs over a real server of Debian's package, one for all tests, with a
database for each. RIPOSTE_BUILD, RIPOSTE_LONG and RIPOSTE_SEED are those of tests/jobs."""

import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "system"))
sys.path.insert(0, str(TESTS / "jobs"))

from support.fixtures import pytest_runtest_makereport, pytest_sessionstart, world  # noqa: E402, F401

from server import Server, programs_of_postgres  # noqa: E402


@pytest.fixture(scope="session")
def server():
    folder = programs_of_postgres()
    if not folder:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    one = Server(folder)
    yield one
    one.end()


@pytest.fixture
def database(server):
    """The name of a new one with a store."""
    return server.new()
