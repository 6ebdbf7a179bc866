# SPDX-License-Identifier: MPL-2.0
"""Tests of docker-compose.yml: containers on networks of their own, under load and with faults.

RIPOSTE_COMPOSE   the program to use (default: docker-compose, or docker compose)

Without a Docker engine the tests that need one do not run, and the exit code is 77. Containers and
networks are removed at the end; the images stay, as build results do.
"""

import pytest

import topology as topologies

SKIPPED = 77


def pytest_collection_finish(session):
    if not any("topology" in item.fixturenames for item in session.items):
        return
    reason = topologies.why_not()
    if reason:
        pytest.exit(f"SKIPPED: {reason}", SKIPPED)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    topology = getattr(item, "funcargs", {}).get("topology")
    if topology is not None and report.failed:
        for one in topology.containers():
            report.sections.append((f"the end of the log of {one.host}", one.logs()[-4000:]))


@pytest.fixture(scope="module")
def topology(tmp_path_factory):
    one = topologies.Topology(tmp_path_factory.mktemp("topology"))
    try:
        one.build()
        one.up()
        yield one
    finally:
        one.down()
