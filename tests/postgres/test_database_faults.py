# SPDX-License-Identifier: MPL-2.0
"""Brokers whose database breaks connections within a commit, is slow, full, or lets nobody write."""

import time

import pytest

from fault_proxy import FaultProxy
from run import LONG, Run
from support import programs
from support.programs import PATIENCE
from support.waiting import until
from test_brokers import brokers, forget_processes
from test_jobs import check_away, keep, result, send

SCALE = 20 if LONG else 1
#: How long a commit takes in a slow database, s; a second more or less, so that the brokers do not keep time.
SLOW = 5


@pytest.fixture
def proxy(pair):
    one = FaultProxy(pair.primary.port)
    yield one
    one.end()


def test_commits_whose_answers_are_cut_are_found_out(world, pair, proxy):
    """Guessing done would lose jobs, and guessing not done would give one key two jobs: the clients find both."""
    cuts = 6 * SCALE
    database = pair.new()
    run = Run(world, 1_000 * SCALE, store=pair.url(database, [proxy.host]),
              others=[lambda: proxy.cut_commits() or True] * cuts)
    run.go(kills=1, within=120 * SCALE)
    print(proxy.done, "commits cut")
    run.check()
    assert proxy.done > 0
    said = world.run(programs.CLI, "store", "check", pair.url(database))
    assert b"the store is whole" in said.out, said


def make_slow(server, database):
    """Each commit of a broker takes long, with its locks held, as on a disk that takes long to sync."""
    server.sql("CREATE FUNCTION slow () RETURNS trigger LANGUAGE plpgsql AS"
               " $f$ BEGIN IF coalesce (current_setting ($$slow.done$$, true), $$$$) = $$$$ THEN"
               " PERFORM set_config ($$slow.done$$, $$yes$$, true);"
               f" PERFORM pg_sleep ({SLOW} - 1 + 2 * random ()); END IF; RETURN NULL; END $f$;"
               " CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON riposte.brokers DEFERRABLE INITIALLY DEFERRED"
               " FOR EACH ROW EXECUTE FUNCTION slow ()", database)


def said_of(world, server, database):
    return world.run(programs.CLI, "store", "check", server.url(database)).out.decode().strip()


def test_a_slow_database_makes_jobs_slow_and_nothing_else(world, pair):
    """Nobody who is well loses jobs for it, however many brokers there are."""
    server, database = pair.primary, pair.new()
    three = brokers(world, server, database, 3)
    for broker in three:
        world.builtin(broker, "echo")
    forget_processes(server, database)
    make_slow(server, database)
    begin = time.monotonic()
    sent = [world.start_cli(broker, "send", "echo", "slow", "--timeout", "60s") for broker in three]
    call = time.monotonic()
    assert all(world.cli(broker, "call", "echo", "quick").out == b"quick" for broker in three)
    assert time.monotonic() - call < SLOW * PATIENCE
    jobs = [world.finish(one, 60) for one in sent]
    assert all(job.code == 0 for job in jobs), jobs
    took = time.monotonic() - begin
    assert took >= SLOW - 1
    jobs = [job.out.decode().strip() for job in jobs]
    for job in jobs:
        until(lambda: result(world, three[0], job).out == b"slow", 60, "it is done")
    print(f"accepted within {took:.1f} s, all done within {time.monotonic() - begin:.1f} s")
    server.sql("DROP FUNCTION slow CASCADE", database)
    assert not [broker.name for broker in three if "taken over" in broker.log() or "has the jobs now" in broker.log()]
    until(lambda: said_of(world, server, database).endswith("0 waiting, 0 running, 3 ended, 0 dead; 3 brokers have it"),
          10, "each has its lease, and all is done")


def test_a_database_that_is_made_read_only_under_open_connections_is_away(world, pair):
    server, database = pair.primary, pair.new()
    broker = keep(world, server, database)
    job = send(world, broker, "echo", "before")
    assert result(world, broker, job).out == b"before"
    pair.configure("SET default_transaction_read_only = on")
    # A session that states what it wants may change it back.
    check_away(world, broker, job, lambda: server.run(
        "psql", "-X", "-q", "-h", server.directory, "-p", server.number(), "-U", "postgres", "-d",
        "dbname=postgres options=-cdefault_transaction_read_only=off",
        "-c", "ALTER SYSTEM RESET default_transaction_read_only", "-c", "SELECT pg_reload_conf()", prefix=()))


def test_a_full_database_refuses_jobs_and_takes_ends(world, pair):
    server, database = pair.primary, pair.new()
    broker = keep(world, server, database)
    gate = world.gate()
    world.worker(broker, "slow", *gate.command)
    runs = send(world, broker, "slow", "x")
    until(gate.starts, 10, "it runs")
    server.sql("CREATE FUNCTION full_disk () RETURNS trigger LANGUAGE plpgsql AS"
               " $f$ BEGIN RAISE EXCEPTION USING ERRCODE = $$53100$$, MESSAGE = $$no space$$; END $f$;"
               " CREATE TRIGGER full_disk BEFORE INSERT ON riposte.jobs FOR EACH ROW EXECUTE FUNCTION full_disk ()",
               database)
    refused = world.cli(broker, "send", "echo", "x", "--timeout", "5s")
    assert refused.code != 0 and b"the store is full" in refused.err, refused
    gate.open()
    assert result(world, broker, runs).out == b"delivery 1", "what it has goes on to its end"
    assert world.cli(broker, "call", "echo", "goes on").out == b"goes on"
    server.sql("DROP FUNCTION full_disk CASCADE", database)
    begin = time.monotonic()
    until(lambda: world.cli(broker, "send", "echo", "x", "--timeout", "5s").code == 0, 5, "a job is accepted again")
    assert time.monotonic() - begin <= 1.5 * PATIENCE
