# SPDX-License-Identifier: MPL-2.0
"""Clients of several brokers."""

import json

import pytest

from support.programs import SLOW

#: Clients that share the brokers.
CLIENTS = 300


def test_many_clients_that_spread_share_the_brokers(world):
    brokers = [world.broker() for _ in range(3)]
    servers = ",".join(broker.endpoint for broker in brokers)
    worker = world.builtin(brokers[0], "echo", endpoint=servers)
    for broker in brokers[1:]:
        world.wait_for_worker(broker, worker, "echo")
    before = [world.status(broker)["counters"]["clients_joined"] for broker in brokers]
    for spread in ((), ("--spread",)):
        result = world.cli(servers, "bench", "echo", "--clients", str(CLIENTS), "--count", str(CLIENTS), *spread)
        assert result.code == 0, result
        after = [world.status(broker)["counters"]["clients_joined"] for broker in brokers]
        joined = [now - then - 1 for then, now in zip(before, after)]  # less the one that asks
        before = after
        if not spread:
            assert joined == [CLIENTS, 0, 0]
    assert sum(joined) == CLIENTS
    assert all(CLIENTS * 20 // 100 <= count <= CLIENTS // 2 for count in joined), joined


# ---- Every broker -----------------------------------------------------------------------------------

@pytest.fixture(name="pair")
def _pair(world):
    """Two brokers with a store each, of which both have the worker of echo, and one that of upper."""
    brokers = [world.broker("--store", world.directory / f"jobs-{number}.db") for number in range(2)]
    servers = ",".join(broker.endpoint for broker in brokers)
    worker = world.builtin(brokers[0], "echo", "--slots", "2", endpoint=servers)
    world.wait_for_worker(brokers[1], worker, "echo")
    world.builtin(brokers[1], "upper")
    for broker, calls in zip(brokers, (1, 2)):
        for _ in range(calls):
            assert world.cli(broker, "call", "echo", "hi").code == 0
    return brokers, servers


def _all(world, servers, *words):
    """What a command says of all brokers, each of which answers."""
    result = world.cli(servers, *words, "--all", "-o", "json")
    assert (result.code, result.err) == (0, b""), result
    return result.json()


def test_status_of_all_brokers_adds_their_numbers_up(world, pair):
    brokers, servers = pair
    told = _all(world, servers, "status")
    assert [one["broker"] for one in told["brokers"]] == [broker.endpoint for broker in brokers]
    assert [one["counters"]["requests"] for one in told["brokers"]] == [1, 2]
    total = told["total"]
    assert (total["workers"], total["counters"]["requests"], total["finals"]["OK"]) == (3, 3, 3)
    assert "pid" not in total and "limits" not in total
    table = world.cli(servers, "status", "--all").out.decode().splitlines()
    assert table[0].split()[:2] == ["BROKER", "VERSION"] and len(table) == 4
    assert [line.split()[0] for line in table[1:]] == [*(broker.endpoint for broker in brokers), "total"]
    assert table[3].split()[-1] == "3"
    lines = world.cli(servers, "status", "--all", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["pid"] for line in lines] == [broker.pid for broker in brokers]
    sheet = world.cli(servers, "status", "--all", "-o", "csv").out.decode().splitlines()
    assert sheet[0].startswith("broker,version,") and len(sheet) == 3


def test_services_of_all_brokers_are_one_list_with_sums(world, pair):
    _, servers = pair
    told = {one["name"]: one for one in _all(world, servers, "services")["services"]}
    assert {name: (one["brokers"], one["workers"], one["requests"]) for name, one in told.items()} == {
        "echo": (2, 2, 3), "upper": (1, 1, 0)}
    single = world.services(servers.split(",")[0])["echo"]
    assert told["echo"]["window"] == 2 * single["window"] and told["echo"]["p50_us"] >= single["p50_us"]
    table = world.cli(servers, "services", "--all").out.decode().splitlines()
    assert table[0].split()[:3] == ["BROKERS", "SERVICE", "WORKERS"] and len(table) == 3
    assert "BROKERS" not in world.cli(servers, "services").out.decode()


def test_workers_and_jobs_of_all_brokers_have_the_broker_in_a_column(world, pair):
    brokers, servers = pair
    ends = [broker.endpoint for broker in brokers]
    told = _all(world, servers, "workers")["workers"]
    assert sorted((one["broker"], one["service"]) for one in told) == sorted(
        [(ends[0], "echo"), (ends[1], "echo"), (ends[1], "upper")])
    table = world.cli(servers, "workers", "--all").out.decode().splitlines()
    assert table[0].split()[:2] == ["BROKER", "WORKER"] and len(table) == 4
    assert world.cli(servers, "workers").out.decode().split()[0] == "WORKER"

    for broker in brokers:
        for _ in range(2):
            assert world.cli(broker, "send", "later", "x").code == 0
    told = _all(world, servers, "jobs", "later")["jobs"]
    assert [one["broker"] for one in told] == [ends[0], ends[0], ends[1], ends[1]]
    table = world.cli(servers, "jobs", "--all").out.decode().splitlines()
    assert table[0].split()[:2] == ["BROKER", "ID"] and len(table) == 5
    few = world.cli(servers, "jobs", "--all", "--count", "3", "-o", "jsonl")
    assert [json.loads(line)["broker"] for line in few.out.splitlines()] == [ends[0], ends[0], ends[1]]


def test_a_broker_that_does_not_answer_is_named_and_the_others_are_shown(world, pair):
    brokers, servers = pair
    brokers[0].kill()
    for command in ("status", "services", "workers", "jobs"):
        result = world.cli(servers, command, "--all", "-o", "json", "--wait-broker", f"{SLOW}s")
        assert result.code == 3, result
        assert f"no broker at {brokers[0].endpoint} (nothing listens there" in result.error()
        assert json.loads(result.out), "of the other"
        if command == "workers":
            assert {one["broker"] for one in result.json()["workers"]} == {brokers[1].endpoint}


def test_where_no_broker_answers_each_is_named_and_nothing_is_written(world):
    servers = "tcp://127.0.0.1:1,tcp://127.0.0.1:2"
    for command in ("status", "services", "workers", "jobs"):
        result = world.cli(servers, command, "--all", "-o", "json", "--wait-broker", "10ms")
        assert (result.code, result.out) == (3, b""), result
        lines = result.err.decode().splitlines()
        assert [line.split(" (")[0] for line in lines] == [f"riposte: no broker at {one}" for one in servers.split(",")]


def test_a_broker_that_is_named_twice_is_asked_once(world, pair):
    brokers, servers = pair
    port = brokers[0].endpoint.rsplit(":", 1)[1]
    told = _all(world, f"{servers},tcp://127.1:{port},{brokers[1].endpoint}", "status")
    assert [one["broker"] for one in told["brokers"]] == servers.split(",")


@pytest.mark.parametrize("words, told", [
    (("services", "extra"), "services takes no argument"), (("status", "extra"), "status takes no argument"),
    (("jobs", "one", "two"), "jobs takes one service"), (("ping",), "--all"), (("top",), "--all"),
])
def test_all_is_refused_where_it_has_no_meaning(world, words, told):
    result = world.cli("tcp://127.0.0.1:1", *words, "--all")
    assert result.code == 2 and told in result.error(), result
