# SPDX-License-Identifier: MPL-2.0
"""The language matrix: every client library against a real broker. The parts that it shares with the system tests are
in tests/system/support; RIPOSTE_BUILD, RIPOSTE_SLOW and RIPOSTE_LONG have the same meaning there."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from support.fixtures import pytest_runtest_makereport, pytest_sessionstart, world  # noqa: E402, F401
from support.world import World  # noqa: E402

from languages import LANGUAGES, Client, Worker, is_built  # noqa: E402


def pytest_collection_modifyitems(items):
    """With --dist loadgroup, the tests of one language run one after the other, so that they share its processes."""
    for item in items:
        language = getattr(item, "callspec", None) and item.callspec.params.get("language")
        if language:
            item.add_marker(pytest.mark.xdist_group(language))


@pytest.fixture(params=LANGUAGES, scope="module")
def language(request):
    if not is_built(request.param):
        pytest.skip(f"the driver of {request.param} is not built")
    return request.param


class Stage:
    """A broker with a store, and of one language a client and workers, which are started when a test first asks for
    them."""

    def __init__(self, world, language):  # noqa: F811
        self.world = world
        self.language = language
        self.broker = world.broker("--store", world.directory / "jobs.db", limits={
            "rejoin_grace": "0s", "service_linger": "0s", "max_body": "1MiB", "service_queue": "1"})
        self.client = Client(world, language, self.broker.endpoint)
        self._workers = {}

    def worker(self, handler, slots=4):
        if handler not in self._workers:
            self._workers[handler] = Worker(self.world, self.language, self.broker, handler, handler, slots)
        return self._workers[handler]

    def call(self, handler, body=b"", **members):
        """Calls the shared worker with that handler."""
        self.worker(handler)
        return self.client.call(handler, body, **members)


@pytest.fixture(scope="module")
def stage(language, tmp_path_factory):
    world = World(tmp_path_factory.mktemp(language))  # noqa: F811
    try:
        one = Stage(world, language)
        yield one
        one.client.close()
    finally:
        troubles = world.end()
    assert not troubles, troubles


@pytest.fixture(autouse=True)
def logs_of_the_stage(request):
    """A failure shows what the shared processes said."""
    if "stage" in request.fixturenames and "world" not in request.fixturenames:
        request.node.world = request.getfixturevalue("stage").world
