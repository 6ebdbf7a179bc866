# SPDX-License-Identifier: MPL-2.0
"""Python's package: its codec and cores without a socket, and its shells over a real broker. What they share with the
system tests is in tests/system/support; RIPOSTE_BUILD, RIPOSTE_SLOW and RIPOSTE_LONG have the same meaning there."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "system")]

from support.fixtures import pytest_runtest_makereport, pytest_sessionstart  # noqa: E402, F401
from support.world import World  # noqa: E402


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A world that the tests of a file share, with a broker."""
    world = World(tmp_path_factory.mktemp("stage"))
    world.shared = world.broker("--store", world.directory / "jobs.db", limits={
        "rejoin_grace": "0s", "service_linger": "0s", "heartbeat_max": "500ms"})
    yield world
    troubles = world.end()
    assert not troubles, troubles
