# SPDX-License-Identifier: MPL-2.0
"""Interoperation: peers of other protocols, written from the RFCs (peers.py), against the real
broker. The parts that these tests share with the system tests are in tests/system/support;
RIPOSTE_BUILD and RIPOSTE_SLOW have the same meaning there."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from support import programs  # noqa: E402

import peers  # noqa: E402
from stage import Shared, Stage  # noqa: E402

peers.PATIENCE = programs.PATIENCE


def pytest_sessionstart(session):
    missing = [str(path) for path in (programs.BROKER, programs.WORKER, programs.CLI)
               if not path.exists()]
    if missing:
        pytest.exit(f"not built: {', '.join(missing)}; run script/build, or set RIPOSTE_BUILD", 2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    stage = getattr(item, "stage", None)
    if stage is not None and report.failed:
        report.sections.append(("what the processes said", stage.logs()))


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    shared = Shared(lambda: tmp_path_factory.mktemp("shared"))
    yield shared
    troubles = shared.end()
    assert not troubles, troubles


@pytest.fixture
def stage(request, tmp_path, shared):
    stage = Stage(tmp_path, shared)
    request.node.stage = stage
    yield stage
    troubles = stage.end()
    assert not troubles, troubles
