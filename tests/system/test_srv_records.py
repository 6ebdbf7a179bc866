# SPDX-License-Identifier: MPL-2.0
"""Brokers that are found by SRV records, of a name server of the test's own."""

import time

import pytest

from support import programs
from support.name_server import A, NAME, SERVER, SRV, fixture_server  # noqa: F401
from support.names import SILENT, cli, fixture_names, port  # noqa: F401
from support.programs import PATIENCE, SLOW
from support.waiting import until


@pytest.fixture(name="brokers")
def fixture_brokers(world):
    brokers = [world.broker() for _ in range(3)]
    for broker in brokers:
        world.builtin(broker, "echo")
    return brokers


def srv(broker, priority=10, weight=0, host="b1.example.org"):
    return priority, weight, int(port(broker.endpoint)), host


def joined(world, brokers):
    return [world.status(broker)["counters"]["clients_joined"] for broker in brokers]


def bench(world, names, *options):
    """A hundred clients, each with an order of its own."""
    result = cli(world, names, SERVER, "bench", "echo", "--clients", "100", "--count", "100", *options)
    assert result.code == 0, result


def test_the_host_and_the_port_are_those_of_the_record(world, names, server, brokers):
    server.records[NAME, SRV] = [srv(brokers[1])]
    result = cli(world, names, SERVER, "status", "-o", "json")
    assert (result.code, result.json()["pid"]) == (0, brokers[1].pid), result
    assert server.asked[0] == (NAME, SRV) and ("b1.example.org", A) in server.asked


def test_brokers_of_the_lowest_priority_share_the_clients_by_weight(world, names, server, brokers):
    server.records[NAME, SRV] = [srv(brokers[0], 20, 100), srv(brokers[1], 10, 80), srv(brokers[2], 10, 20)]
    for spread in ((), ("--spread",)):
        before = joined(world, brokers)
        bench(world, names, *spread)
        after = [now - then - 1 for then, now in zip(before, joined(world, brokers))]  # less the one that asks
        assert after[0] == 0 and sum(after) == 100 and after[1] >= 60 and after[2] >= 1, after


def test_the_next_broker_is_tried_when_one_is_down_and_the_next_priority_when_all_are(world, names, server, brokers):
    server.records[NAME, SRV] = [srv(brokers[0], 10, 1), srv(brokers[1], 10, 1), srv(brokers[2], 20, 1)]
    for broker in brokers[:2]:
        broker.kill()
    result = cli(world, names, SERVER, "status", "-o", "json")
    assert (result.code, result.json()["pid"]) == (0, brokers[2].pid), result
    brokers[2].kill()
    error = cli(world, names, SERVER, "ping", "--wait-broker", "2s").error()
    for broker in brokers:
        assert f"{SERVER} at 127.0.0.1:{port(broker.endpoint)}: nothing listens there" in error, error
    assert error.endswith("; start one: riposte-broker")


def test_the_records_are_looked_up_again_when_all_brokers_have_failed(world, names, server, brokers):
    brokers[0].kill()
    server.records[NAME, SRV] = [srv(brokers[0])]
    ping = world.start("ping", *names.prefix, programs.CLI, "-s", SERVER, "ping", "--count", "1",
                       "--wait-broker", "30s")
    while len(server.asked) < 3:
        time.sleep(0.01)
    server.records[NAME, SRV] = [srv(brokers[1])]
    assert ping.wait(20) == 0
    assert server.asked.count((NAME, SRV)) > 1


def test_many_records_come_over_tcp_and_all_brokers_are_asked(world, names, server, brokers):
    gone = [(5, 0, 1, f"b{number}.example.org") for number in range(8)]
    server.records[NAME, SRV] = gone + [srv(broker, host="b7.example.org") for broker in brokers]
    result = cli(world, names, SERVER, "services", "--all", "-o", "json", "--wait-broker", f"{SLOW}s")
    assert result.code == 3 and "no broker at tcp://127.0.0.1:1 " in result.error()
    assert [(one["name"], one["brokers"]) for one in result.json()["services"]] == [("echo", 3)]


@pytest.mark.parametrize("records, told", [
    ([], "it has no SRV record that names a host"),
    ([(0, 0, 1, ".")], "it has no SRV record that names a host"),
    (None, "there is no such name"),
    ([(0, 0, 1, "nowhere.example.org")], "host nowhere.example.org does not resolve: "),
])
def test_what_names_no_broker_is_told_as_such(world, names, server, records, told):
    if records is not None:
        server.records[NAME, SRV] = records
    result = cli(world, names, SERVER, "ping", "--wait-broker", f"{SLOW}s")
    assert result.code == 3
    assert result.error().startswith(f"riposte: no broker at {SERVER} (") and told in result.error(), result
    assert result.error().endswith("; check the name, or write an address in its place")


def test_a_silent_name_server_holds_nobody_up(world, names):
    names.write("resolv.conf", f"nameserver {SILENT[0]}\noptions timeout:30 attempts:1\n")
    begin = time.monotonic()
    result = cli(world, names, SERVER, "--timeout", "1s", "--wait-broker", "1s", "ping")
    assert result.code == 3 and time.monotonic() - begin < 5 * PATIENCE


@pytest.mark.parametrize("server", ["srv:", "srv:a b", "srv:_riposte._tcp.example.org:5555", "srv://a"])
def test_a_name_that_no_record_has_is_refused(world, server):
    result = world.cli(server, "ping")
    assert result.code == 2 and "--server wants endpoints" in result.error()


def start_worker(world, names):
    return world.start("worker", *names.prefix, programs.WORKER, "-s", SERVER, "echo", "--builtin", "echo")


def test_a_worker_registers_with_every_broker_and_finds_another_when_one_is_lost(world, names, server):
    first, second, third = (world.broker() for _ in range(3))
    server.records[NAME, SRV] = [srv(first), srv(second, 20)]
    worker = start_worker(world, names)
    for broker in (first, second):
        world.wait_for_worker(broker, worker, "echo")
    assert world.workers(third) == []
    server.records[NAME, SRV] = [srv(second, 20), srv(third)]
    first.kill()
    world.wait_for_worker(third, worker, "echo")
    assert world.worker_of(second, worker)
    worker.terminate()
    assert worker.wait() == 0


def test_a_worker_goes_on_looking_for_records_and_says_so(world, names, server):
    broker = world.broker()
    worker = start_worker(world, names)
    why = f"cannot reach {SERVER}: {NAME} does not resolve: there is no such name"
    until(lambda: why in worker.log(), 5, "it says so")
    server.records[NAME, SRV] = [srv(broker)]
    world.wait_for_worker(broker, worker, "echo")


def test_nobody_binds_to_records(world):
    result = world.run(programs.BROKER, "--bind", SERVER)
    assert result.code == 2 and "does not begin with tcp:// or ipc://" in result.error(), result
