# SPDX-License-Identifier: MPL-2.0
"""Brokers that keep their jobs in PostgreSQL, killed and cut off."""

import json
import time

from run import LONG, Run
from support import programs
from support.programs import PATIENCE
from support.waiting import until
from support.web import broker_with_http, get

SCALE = 20 if LONG else 1


def keep(world, server, database, user="postgres"):
    """A broker with an echo, and one that fails."""
    broker = world.broker("--store", server.url(database, user))
    world.builtin(broker, "echo")
    world.worker(broker, "fails", "sh", "-c", "exit 75")
    return broker


def send(world, broker, *words):
    sent = world.cli(broker, "send", *words)
    assert sent.code == 0, sent
    return sent.out.decode().strip()


def result(world, broker, job):
    return world.cli(broker, "result", job, "--wait", "10s")


def test_a_job_is_sent_done_listed_and_retried(world, server, database):
    broker = keep(world, server, database)
    first = send(world, broker, "echo", "hello", "--key", "k")
    assert result(world, broker, first).out == b"hello"
    assert send(world, broker, "echo", "hello", "--key", "k") == first
    assert world.cli(broker, "send", "echo", "other", "--key", "k").code != 0
    delayed = send(world, broker, "echo", "later", "--delay", "1h")
    dead = send(world, broker, "fails", "body", "--attempts", "1")
    assert result(world, broker, dead).code not in (0, 5), "it died"
    jobs = {job["state"] for job in json.loads(world.cli(broker, "-o", "json", "jobs").out)["jobs"]}
    assert jobs == {"done", "waiting", "dead"}
    assert dead in world.cli(broker, "dead", "list").out.decode()
    assert b"that was its last attempt" in world.cli(broker, "dead", "show", dead).out
    assert world.cli(broker, "dead", "retry", dead).code == 0
    until(lambda: world.cli(broker, "dead", "list", "-q").out.decode().count("fails") == 1, 10, "it died again")
    assert world.cli(broker, "cancel", delayed).code == 0
    assert result(world, broker, delayed).code == 130
    assert world.cli(broker, "dead", "purge", "fails").code == 0
    said = world.run(programs.CLI, "store", "check", server.url(database))
    assert said.code == 0 and b"0 waiting, 0 running, 3 ended, 0 dead; a broker has it" in said.out, said
    broker.terminate()
    assert broker.wait() == 0
    assert b"no broker has it" in world.run(programs.CLI, "store", "check", server.url(database)).out


def test_what_was_accepted_survives_kills_of_broker_and_server(world, server, database):
    def kill_server():
        server.kill()
        server.start()
        return True

    run = Run(world, 4_000 * SCALE, store=server.url(database), others=[kill_server] * 2 * SCALE)
    run.go(kills=3 * SCALE, freezes=SCALE, drains=SCALE, workers=SCALE, within=120 * SCALE)
    run.check()
    said = world.run(programs.CLI, "store", "check", server.url(database))
    assert b"the store is whole" in said.out, said


def is_refused(world, broker):
    sent = world.cli(broker, "send", "echo", "x", "--timeout", "5s")
    return sent.code != 0 and b"the store is not reachable" in sent.err


def is_accepted(world, broker):
    return world.cli(broker, "send", "echo", "x", "--timeout", "5s").code == 0


def check_away(world, broker, job, come_back):
    """The store is away: jobs and questions are refused, and everything else goes on; and it is back at once."""
    until(lambda: is_refused(world, broker), 5, "jobs are refused")
    asked = world.cli(broker, "result", job)
    assert asked.code not in (0, 5) and b"the store is not reachable" in asked.err, asked
    begin = time.monotonic()
    assert world.cli(broker, "call", "echo", "goes on").out == b"goes on"
    assert time.monotonic() - begin <= 1 * PATIENCE
    come_back()
    begin = time.monotonic()
    until(lambda: is_accepted(world, broker), 5, "a job is accepted again")
    assert time.monotonic() - begin <= 1.5 * PATIENCE, "back within a second"
    assert result(world, broker, job).out == b"before"
    assert "the store of jobs is not reachable" in broker.log()
    assert "the store of jobs is reachable again" in broker.log()


def figures(world, broker):
    """Whether the metrics have what only the database knows, and whether status, its table and the page say so."""
    metrics = get(broker, "/metrics")[2].decode()
    names = ("riposte_jobs{", "riposte_store_bytes ", "riposte_store_brokers ")
    told = b"the store is not reachable: these figures are of before" in world.cli(broker, "status").out
    return all(f"\n{name}" in metrics for name in names), any(f"\n{name}" in metrics for name in names), \
        world.cli(broker, "status", "-o", "json").json()["jobs"]["reachable"], not told, \
        b"the store of jobs is not reachable" not in get(broker, "/")[2]


def test_while_the_server_is_away_only_jobs_are_refused(world, server, database):
    broker = broker_with_http(world, "--store", server.url(database))
    world.builtin(broker, "echo")
    job = send(world, broker, "echo", "before")
    assert result(world, broker, job).out == b"before"
    until(lambda: all(figures(world, broker)), 15, "all figures are there")
    server.kill()
    until(lambda: not any(figures(world, broker)), 10, "figures that stand still are not told as true")
    check_away(world, broker, job, server.start)
    until(lambda: all(figures(world, broker)), 15, "all figures are there again")


def test_a_server_that_lets_nobody_write_is_away(world, server, database):
    broker = keep(world, server, database)
    job = send(world, broker, "echo", "before")
    assert result(world, broker, job).out == b"before"
    server.sql(f"ALTER DATABASE {database} SET default_transaction_read_only = on", "postgres")
    server.sql(f"SELECT pg_terminate_backend (pid) FROM pg_stat_activity WHERE datname = '{database}'", "postgres")
    check_away(world, broker, job,
               lambda: server.sql(f"ALTER DATABASE {database} RESET default_transaction_read_only", "postgres"))


def test_a_broker_starts_at_once_after_one_that_was_killed(world, server, database):
    broker = keep(world, server, database)
    job = send(world, broker, "nobody", "waits")
    took = []
    while len(took) < 3 and min(took, default=4) >= 4:  # on a busy machine, at some time
        broker.kill()
        begin = time.monotonic()
        broker = world.restart(broker, "--store", server.url(database))
        took.append(time.monotonic() - begin)
    assert min(took) < 4, "it waits for no lease"
    world.builtin(broker, "echo", service="nobody")
    assert result(world, broker, job).out == b"waits"
