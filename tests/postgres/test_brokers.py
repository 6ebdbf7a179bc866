# SPDX-License-Identifier: MPL-2.0
"""Several brokers on one database: each has the jobs that it accepted, any answers for all, and those of one that is
killed or frozen go on with another."""

import json
import re

from support import programs
from support.programs import PATIENCE
from support.waiting import until
from support.web import broker_with_http, get
from test_jobs import result, send

#: How long after the end of its lease the jobs of a broker are another's, s.
ADOPTED = 3


def brokers(world, server, database, count):
    return [broker_with_http(world, "--store", server.url(database)) for _ in range(count)]


def metric(broker, name):
    body = get(broker, "/metrics")[2].decode()
    return float(re.search(f"^{name} (.*)$", body, re.MULTILINE).group(1))


def forget_processes(server, database):
    """Nobody can see any more which processes have ended, as if each broker had a machine of its own."""
    server.sql("UPDATE riposte.brokers SET process = 'elsewhere 1 1 host'", database)


def adopted(server, database, number):
    """Who has the jobs of a broker."""
    return int(server.sql(f"SELECT holder FROM riposte.brokers WHERE id = {number}", database))


def check_lease(server, database, number):
    after = float(server.sql("SELECT extract (epoch FROM adopted - lease_until) FROM riposte.brokers"
                             f" WHERE id = {number}", database))
    assert 0 <= after <= ADOPTED * PATIENCE, f"adopted {after} s after the end of its lease"


def states(world, broker):
    listed = json.loads(world.cli(broker, "-o", "json", "jobs").out)["jobs"]
    return {str(job["id"]): job["state"] for job in listed}


def open_jobs(world, broker):
    return world.cli(broker, "-o", "json", "status").json()["jobs"]["open"]


def listed(world, broker):
    return json.loads(world.cli(broker, "-o", "json", "brokers").out)["brokers"]


def check_whole(world, server, database, text):
    said = world.run(programs.CLI, "store", "check", server.url(database))
    assert said.code == 0 and text.encode() in said.out, said


def test_any_broker_answers_for_all_jobs(world, server, database):
    one, two = brokers(world, server, database, 2)
    check_whole(world, server, database, "2 brokers have it")
    there = listed(world, two)
    assert [(row["id"], row["holder"], row["epoch"], row["self"]) for row in there] \
        == [(2, 2, 1, True), (1, 1, 1, False)], there
    until(lambda: [row["endpoints"] for row in listed(world, one)] == [two.endpoint, one.endpoint], 10, "real ports")
    assert there[0]["host"], there
    assert [row["id"] for row in json.loads(get(one, "/api/brokers")[2])["brokers"]] == [2, 1]
    table = world.cli(two, "brokers")
    assert table.code == 0 and b"HOLDER" in table.out and table.out.count(b"alive") == 2, table
    job = send(world, one, "echo", "hello", "--key", "k")
    waits = world.start_cli(two, "result", job, "--wait", "20s")
    world.builtin(two, "echo")
    assert world.cli(two, "job", job).code == 0, "another broker's worker gets no job of this one"
    assert states(world, two)[job] == "waiting"
    world.builtin(one, "echo")
    assert world.finish(waits).out == b"hello"
    assert result(world, two, job).out == result(world, one, job).out == b"hello"
    assert send(world, two, "echo", "hello", "--key", "k") == job, "a key is the store's"
    other = send(world, two, "echo", "other")
    assert result(world, one, other).out == b"other"
    assert set(states(world, one)) == {job, other}
    every = world.cli(f"{one.endpoint},{two.endpoint}", "jobs", "--all", "-o", "json")
    assert every.code == 0 and sorted(row["id"] for row in every.json()["jobs"]) == sorted([job, other]), every


def test_of_a_broker_with_very_many_jobs_it_is_said_that_there_are_more(world, server, database):
    one, = brokers(world, server, database, 1)
    send(world, one, "echo", "x", "--delay", "1h")
    assert listed(world, one)[0]["jobs"] == 1 and listed(world, one)[0]["more"] is False
    server.sql("INSERT INTO riposte.brokers SELECT 77, 1, now() + interval '1 hour', '', 'x', '', 0, 77, true, now();"
               "INSERT INTO riposte.open SELECT 1000000 + n, 'many'::bytea, 0, 0, true, NULL, NULL, NULL, 77"
               " FROM generate_series (1, 10001) n", database)
    assert [(row["id"], row["jobs"], row["more"]) for row in listed(world, one)] == [(77, 10000, True), (1, 1, False)]
    assert b" 10000+ " in world.cli(one, "brokers").out
    assert b",10000,true,77," in world.cli(one, "brokers", "-o", "csv").out


def test_brokers_that_are_well_keep_their_jobs_when_the_database_s_clock_is_set_forward(world, server, database):
    pair = brokers(world, server, database, 2)
    forget_processes(server, database)
    for _ in range(4):
        server.sql("UPDATE riposte.brokers SET lease_until = lease_until - interval '1 hour'", database)
        until(lambda: server.sql("SELECT count(*) FROM riposte.brokers WHERE lease_until > now()", database) == "2", 10,
              "both have renewed their leases")
    assert [adopted(server, database, number) for number in (1, 2)] == [1, 2]
    assert [metric(one, "riposte_store_fenced_total") for one in pair] == [0, 0]


def test_any_broker_ends_and_retries_all_jobs(world, server, database):
    one, two = brokers(world, server, database, 2)
    delayed = send(world, one, "echo", "later", "--delay", "1h")
    waiting = send(world, one, "nobody", "x")
    assert world.cli(two, "cancel", delayed).code == 0
    assert world.cli(two, "cancel", waiting).code == 0
    assert result(world, one, delayed).code == result(world, two, waiting).code == 130
    world.worker(one, "nobody", "sh", "-c", "echo never")
    after = send(world, one, "nobody", "y")
    assert result(world, two, after).out == b"never\n", "the broker that had the job goes on"
    assert states(world, one)[waiting] == "done"
    world.worker(one, "slow", "sh", "-c", "read x; [ $x = short ] || sleep 60; echo $x")
    runs = send(world, one, "slow", "long")
    until(lambda: states(world, two)[runs] == "running", 10, "it runs")
    waits = [send(world, one, "none", "x", "--delay", "1h") for _ in range(3)]
    for job in runs, *waits:
        assert world.cli(two, "cancel", job).code == 0
    assert result(world, one, runs).code == 130
    until(lambda: open_jobs(world, one) == 0, 10, "the broker that had them knows that they have ended")
    assert result(world, one, send(world, one, "slow", "short")).out == b"short\n", "and has stopped the worker"
    world.worker(one, "fails", "sh", "-c", "exit 75")
    dead = send(world, one, "fails", "body", "--attempts", "1")
    assert result(world, two, dead).code not in (0, 5)
    world.builtin(two, "echo", service="fails")
    again = json.loads(world.cli(two, "-o", "json", "dead", "retry", dead).out)
    assert result(world, one, str(again["id"])).out == b"body", "the new life is of the broker that was asked"
    until(lambda: server.sql("SELECT count(*) FROM riposte.open", database) == "0", 10, "all have ended")


def test_the_jobs_of_a_broker_that_was_killed_go_on_with_another(world, server, database):
    one, two, three = brokers(world, server, database, 3)
    world.worker(one, "slow", "sh", "-c", "sleep 60")
    ran = send(world, one, "slow", "ran")
    until(lambda: states(world, two)[ran] == "running", 10, "it runs")
    jobs = [send(world, one, "echo", str(number)) for number in range(20)]
    forget_processes(server, database)
    assert [(one["id"], one["state"], one["jobs"]) for one in listed(world, two)] \
        == [(3, "alive", 0), (2, "alive", 0), (1, "alive", 21)]
    one.kill()
    until(lambda: adopted(server, database, 1) != 1, 5 + ADOPTED, "another broker has its jobs")
    check_lease(server, database, 1)
    killed = listed(world, three)[2]
    assert killed["state"] == "gone" and killed["holder"] in (2, 3) and killed["jobs"] == 21, killed
    assert killed["lease_until_us"] <= killed["adopted_us"], killed
    until(lambda: [metric(one, "riposte_store_brokers") for one in (two, three)] == [2, 2], 30, "one is gone")
    for name, count in ("riposte_store_adoptions_total", 1), ("riposte_jobs_adopted_total", 21):
        until(lambda: metric(two, name) + metric(three, name) == count, 10, name)
    assert 0 < metric(two, "riposte_store_lease_seconds") <= 5 and metric(two, "riposte_store_fenced_total") == 0
    for broker in two, three:
        world.builtin(broker, "echo")
        world.builtin(broker, "echo", service="slow")
    for number, job in enumerate(jobs):
        assert result(world, two, job).out == str(number).encode()
    assert result(world, three, ran).out == b"ran", "its attempt was lost, and it is tried again"
    check_whole(world, server, database, "0 waiting, 0 running, 21 ended, 0 dead; 2 brokers have it")
    assert ("this broker has the jobs now of broker 1 (tcp://" in two.log()) \
        != ("this broker has the jobs now of broker 1 (tcp://" in three.log())


def test_a_broker_that_ends_leaves_its_jobs_to_another_at_once(world, server, database):
    one, two = brokers(world, server, database, 2)
    job = send(world, one, "echo", "hello")
    forget_processes(server, database)
    one.terminate()
    assert one.wait() == 0
    world.builtin(two, "echo")
    assert result(world, two, job).out == b"hello"
    check_lease(server, database, 1)
    send(world, two, "echo", "later", "--delay", "1h")
    two.terminate()
    assert two.wait() == 0
    three, = brokers(world, server, database, 1)
    until(lambda: metric(three, "riposte_jobs_adopted_total") == 1, 10, "what was there when it began counts too")


def test_a_broker_that_was_frozen_commits_nothing_more_and_begins_again(world, server, database):
    one, two, three = brokers(world, server, database, 3)
    opened = world.directory / "opened"
    world.worker(one, "slow", "sh", "-c", f"while ! [ -e {opened} ]; do sleep 0.1; done; echo one")
    ran = send(world, one, "slow", "x")
    until(lambda: states(world, two)[ran] == "running", 10, "it runs")
    waits = send(world, one, "echo", "hello")
    asked = [world.start_cli(one, "result", job, "--wait", "50s", "--wait-broker", "30s") for job in (ran, waits)]
    one.freeze()
    until(lambda: adopted(server, database, 1) != 1, 5 + ADOPTED, "another broker has its jobs")
    check_lease(server, database, 1)
    for broker in two, three:
        world.builtin(broker, "echo")
        world.worker(broker, "slow", "sh", "-c", "echo other")
    assert result(world, two, ran).out == result(world, three, ran).out == b"other\n"
    opened.write_text("")  # its reply waits in the frozen broker's socket
    one.thaw()
    one.wait_for("another broker has taken over the jobs of this one", 10)
    assert world.finish(asked[0]).out == b"other\n", "who waits at the broker gets the one result"
    assert world.finish(asked[1]).out == b"hello"
    assert result(world, one, ran).out == b"other\n"
    until(lambda: metric(one, "riposte_store_fenced_total") == 1, 10, "it is counted")
    world.builtin(one, "echo", service="new")
    job = send(world, one, "new", "again")
    assert result(world, one, job).out == result(world, two, job).out == b"again"
    check_whole(world, server, database, "0 waiting, 0 running, 3 ended, 0 dead; 3 brokers have it")
    assert server.sql("SELECT count(*) FROM riposte.attempts", database) == "1", "the one that was lost"
