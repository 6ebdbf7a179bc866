# SPDX-License-Identifier: MPL-2.0
"""The fixtures that every folder of tests with real processes imports into its conftest.py."""

import pytest

from support import programs
from support.world import World


def pytest_sessionstart(session):
    missing = [str(path) for path in (programs.BROKER, programs.WORKER, programs.CLI, programs.SITE,
                                      programs.CONVERSATIONS) if not path.exists()]
    if missing:
        pytest.exit(f"not built: {', '.join(missing)}; run script/build, or set RIPOSTE_BUILD", 2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    world = getattr(item, "world", None)
    if world is not None and report.failed:
        report.sections.append(("what the processes said", world.logs()))


@pytest.fixture
def world(request, tmp_path):
    world = World(tmp_path)
    request.node.world = world
    yield world
    troubles = world.end()
    assert not troubles, troubles
