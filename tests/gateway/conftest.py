# SPDX-License-Identifier: MPL-2.0
"""The gateway: the real riposte-http between raw sockets and a real broker. The parts that these
tests share with the system tests are in tests/system/support; RIPOSTE_BUILD, RIPOSTE_SLOW, RIPOSTE_AGAIN and
RIPOSTE_LONG have the same meaning there."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from support.fixtures import pytest_runtest_makereport, pytest_sessionstart, world  # noqa: E402, F401

from house import House  # noqa: E402


@pytest.fixture(name="house")
def fixture_house(world):  # noqa: F811
    return House(world)
