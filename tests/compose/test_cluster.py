# SPDX-License-Identifier: MPL-2.0
"""The profile `cluster` of docker-compose.yml: a broker is killed, then the primary of its databases, and the standby
is promoted, by the commands of docs/OPERATIONS.md. Each test begins with the state that the one before left: all is
there, and clients have jobs done without end. With RIPOSTE_LONG only; that the files are valid is looked at always."""

import sys

import pytest

from orders import PATRONI, Cluster
from topology import LONG, SOURCE, until

sys.path.insert(0, str(SOURCE / "tests" / "docs"))

from blocks import block_with, steps  # noqa: E402

CLIENTS = 3
long = pytest.mark.skipif(not LONG, reason="of the long form")


@pytest.fixture(scope="module")
def topology(tmp_path_factory):
    one = Cluster(tmp_path_factory.mktemp("topology"))
    try:
        one.start(CLIENTS)
        yield one
    finally:
        one.down()


def test_the_files_are_valid_together(tmp_path):
    Cluster(tmp_path, files=PATRONI).compose("config", "--quiet")


@long
def test_every_commit_is_on_both_databases_and_each_broker_has_joined(topology):
    topology.wait_until_whole()
    assert topology.state("db1") == "primary"
    assert all(topology.database(name).attempt("database", "whole") == 0 for name in ("db1", "db2"))
    # One that was started twice is there as gone, too.
    until(lambda: topology.containers("broker1")[0].execute("riposte", "brokers", "-o", "csv").count(",alive,") == 3,
          "three brokers are alive")


@long
def test_the_brokers_role_owns_nothing_and_may_do_little(topology):
    database = topology.database("db1")
    ask = ("psql", "-XqAt", "-h", "db1", "-U", "riposte_broker", "-d", "jobs", "-c")
    assert database.execute(*ask, "SELECT count(*) > 0 FROM riposte.jobs").strip() == "t"
    for refused in ("DROP TABLE riposte.jobs", "CREATE TABLE riposte.mine ()", "SELECT rolpassword FROM pg_authid"):
        assert database.attempt(*ask, refused) != 0, refused
    assert database.attempt("env", "PGPASSFILE=", *ask, "SELECT 1") != 0, "no password, no session"


@long
def test_a_broker_that_is_killed_loses_nothing(topology):
    victim = topology.containers("broker1")[0]
    victim.kill()
    topology.goes_on("a killed broker")
    victim.start()


@long
def test_the_standby_takes_over_by_the_commands_of_the_handbook(topology):
    commands = [command.split("#")[0].split() for command, _ in steps(block_with("docs/OPERATIONS.md", "kill db1"))]
    assert [command[0] for command in commands] == ["docker-compose"] * len(commands) and len(commands) == 4
    for command in commands[:2]:
        topology.compose(*command[1:])
    topology.goes_on("a promotion")
    assert topology.state("db2") == "primary, alone"
    topology.compose(*commands[2][1:])
    until(lambda: topology.compose(*commands[3][1:]).strip() == "standby", "the old primary is the standby",
          within=300)
    topology.wait_until_whole()


@long
def test_a_living_primary_has_no_other_beside_it(topology):
    database = topology.database("db1")
    assert database.attempt("database", "promote") != 0
    topology.wait_until_whole()


@long
def test_a_frozen_primary_that_wakes_becomes_the_standby(topology):
    before = topology.database("db2")
    before.pause()
    topology.database("db1").execute("database", "promote")
    topology.goes_on("a promotion beside a frozen primary")
    before.unpause()
    topology.wait_until_whole()
    assert topology.state("db2") == "standby"


@long
def test_both_databases_may_be_stopped_and_started(topology):
    topology.compose("stop", "db1", "db2")
    topology.compose("start", "db1", "db2")
    topology.wait_until_whole()
    assert topology.state("db1") == "primary"


@long
def test_a_primary_goes_on_alone_when_it_is_told_to(topology):
    standby = topology.database("db2")
    standby.kill()
    assert topology.database("db1").execute("database", "alone")
    topology.goes_on("a lost standby")
    standby.start()
    topology.wait_until_whole()


@long
def test_a_standby_that_is_refused_at_first_joins_later(topology):
    primary, standby = topology.database("db1"), topology.database("db2")
    right = "ALTER SYSTEM ON PARAMETER synchronous_standby_names"
    ask = ("psql", "-XqAt", "-h", "/database", "-U", "postgres", "-d", "postgres", "-c")
    standby.kill()
    primary.execute("database", "alone")
    primary.execute(*ask, f"REVOKE {right} FROM replicator")
    standby.start()
    until(lambda: "permission denied" in standby.logs(), "the standby was refused")
    assert topology.state("db1") == "primary, alone"
    primary.execute(*ask, f"GRANT {right} TO replicator")
    topology.wait_until_whole()


@long
def test_all_that_was_accepted_is_fetched(topology):
    topology.assert_nothing_is_lost(CLIENTS)
