# SPDX-License-Identifier: MPL-2.0
"""Endpoints with host names."""

import socket
import time

import pytest

from support import programs
from support.names import HOSTS, SILENT, cli, fixture_names, port  # noqa: F401
from support.programs import PATIENCE, SLOW
from support.waiting import until


@pytest.fixture(name="silent_name_server")
def fixture_silent_name_server(names):
    """A name server that reads queries and never answers."""
    names.write("nsswitch.conf", "hosts: files dns\n")
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        server.bind(SILENT)
    except OSError as error:
        server.close()
        pytest.skip(f"{SILENT[0]} cannot be had: {error}")
    with server:
        yield server


@pytest.fixture(name="six")
def fixture_six():
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError as error:
            pytest.skip(f"there is no IPv6: {error}")


def endpoints(world):
    """The endpoints on which the world's broker listens."""
    return (world.directory / "ports-1").read_text().split()


def serves(world, names, broker, name):
    """Checks that a worker and a client reach the broker by this name."""
    worker = world.start("worker", *names.prefix, programs.WORKER, "-s", name, "echo",
                         "--builtin", "echo")
    world.wait_for_worker(broker, worker, "echo")
    result = cli(world, names, name, "call", "echo", "hello")
    assert (result.code, result.out) == (0, b"hello"), result
    worker.wait_for(f"registered with {name}")
    assert "cannot reach" not in worker.log()


def test_a_name_with_an_ipv6_address_only_is_reached(world, names, six):
    broker = world.broker("--bind", "tcp://[::1]:*")
    serves(world, names, broker, f"tcp://six:{port(endpoints(world)[1])}")


def test_of_a_name_with_two_addresses_the_one_that_listens_is_found(world, names):
    broker = world.broker("--bind", "tcp://127.0.0.2:*")
    for address in endpoints(world):  # each port is open at one of the two
        serves(world, names, broker, f"tcp://two:{port(address)}")


def test_bench_reaches_the_second_address_for_another_protocol(world, names):
    broker = world.broker("--bind", "tcp://127.0.0.2:*")
    world.builtin(broker, "echo")
    for address in endpoints(world):
        result = cli(world, names, f"tcp://two:{port(address)}", "bench", "echo", "--protocol", "mdp01",
                     "--count", "100")
        assert result.code == 0, result


def test_of_a_name_that_is_down_each_address_is_named_with_its_cause(world, names):
    gone = world.broker()
    gone.kill()
    name = f"tcp://two:{port(gone.endpoint)}"
    error = cli(world, names, name, "ping", "--wait-broker", f"{SLOW}s").error()
    for address in ("127.0.0.1", "127.0.0.2"):
        assert f"{name} at {address}: nothing listens there" in error
    assert error.endswith("; start one: riposte-broker")


def test_a_name_that_does_not_resolve_is_told_as_such(world, names):
    told = "host nowhere does not resolve: "
    result = cli(world, names, "tcp://nowhere:5555", "ping", "--wait-broker", f"{SLOW}s")
    assert result.code == 3
    assert result.error().startswith(f"riposte: no broker at tcp://nowhere:5555 ({told}")
    assert result.error().endswith("; check the name, or write an address in its place")
    worker = world.start("worker", *names.prefix, programs.WORKER, "-s", "tcp://nowhere:5555", "echo",
                         "--builtin", "echo")
    worker.wait_for(f"cannot reach tcp://nowhere:5555: {told}")


def test_a_name_is_looked_up_anew_for_each_attempt(world, names):
    broker = world.broker()
    late = f"tcp://late:{port(broker.endpoint)}"
    worker = world.start("worker", *names.prefix, programs.WORKER, "-s", late, "echo",
                         "--builtin", "echo")
    worker.wait_for("host late does not resolve")
    names.write("hosts", HOSTS + "127.0.0.1 late\n")
    world.wait_for_worker(broker, worker, "echo")


def test_a_client_looks_a_name_up_again_when_all_its_addresses_have_failed(world, names):
    broker = world.broker()
    moved = f"tcp://moved:{port(broker.endpoint)}"
    names.write("hosts", HOSTS + "127.0.0.2 moved\n127.0.0.3 moved\n")
    with socket.create_server(("127.0.0.3", int(port(broker.endpoint)))) as former:
        former.settimeout(10 * PATIENCE)
        ping = world.start("ping", *names.prefix, programs.CLI, "-s", moved, "ping", "--count", "1",
                           "--wait-broker", "30s")
        former.accept()[0].close()  # the other address has nobody
        names.write("hosts", HOSTS + "127.0.0.1 moved\n")
    assert ping.wait(20) == 0


@pytest.fixture(name="three")
def fixture_three(world, names):
    """Three brokers behind one name, of which one is behind an address of IPv6 too, and the name."""
    brokers = [world.broker()]
    number = port(brokers[0].endpoint)
    brokers.append(world.broker("--bind", f"tcp://127.0.0.2:{number}", "--bind", f"tcp://[::1]:{number}"))
    brokers.append(world.broker("--bind", f"tcp://127.0.0.3:{number}"))
    names.write("hosts", HOSTS + "".join(f"{one} three\n" for one in ("127.0.0.1", "127.0.0.2", "127.0.0.3", "::1")))
    for broker in brokers:
        world.builtin(broker, "echo")
    return brokers, f"tcp://three:{number}"


def test_clients_that_spread_share_the_addresses_of_a_name(world, names, six, three):
    brokers, name = three
    result = cli(world, names, name, "bench", "echo", "--clients", "100", "--count", "100", "--spread")
    assert result.code == 0, result
    joined = [world.status(broker)["counters"]["clients_joined"] for broker in brokers]
    assert sum(joined) >= 100 and min(joined) >= 10, joined  # of four addresses, one broker has two


def test_all_asks_every_address_of_a_name_and_a_broker_with_two_once(world, names, six, three):
    brokers, name = three
    result = cli(world, names, name, "status", "--all", "-o", "json")
    assert (result.code, result.err) == (0, b""), result
    assert sorted(one["pid"] for one in result.json()["brokers"]) == sorted(broker.pid for broker in brokers)
    result = cli(world, names, "tcp://nowhere:5555," + name, "workers", "--all", "-o", "json")
    assert result.code == 3 and len(result.json()["workers"]) == 3
    assert "no broker at tcp://nowhere:5555 (host nowhere does not resolve: " in result.error()


def test_a_silent_name_server_holds_nobody_up(world, names, silent_name_server):
    begin = time.monotonic()
    result = cli(world, names, "tcp://slow.test:5555", "--timeout", "1s", "--wait-broker", "1s", "ping")
    assert result.code == 3
    assert time.monotonic() - begin < 5 * PATIENCE
    assert "tcp://slow.test:5555" in result.error()
    assert result.error().endswith(
        "no name server answered; check the name servers, or write an address in the place of the name")
    silent_name_server.settimeout(5)
    assert b"slow" in silent_name_server.recv(1000), "it was asked"


def test_behind_a_silent_name_server_the_other_brokers_are_served(world, names, silent_name_server):
    broker = world.broker()
    both = f"tcp://slow.test:5555,{broker.endpoint}"
    worker = world.start("worker", *names.prefix, programs.WORKER, "-s", both, "echo", "--builtin", "echo")
    world.wait_for_worker(broker, worker, "echo")
    result = cli(world, names, both, "call", "echo", "hello")
    assert (result.code, result.out) == (0, b"hello")
    silent_name_server.settimeout(5)
    assert b"slow" in silent_name_server.recv(1000), "it was asked"
    worker.terminate()
    assert worker.wait() == 0


# ---- Binding ---------------------------------------------------------------------------------------

def bind(world, names, *options):
    """Starts a broker without other endpoints; returns it and the endpoints that it reports."""
    ports = world.directory / "ports"
    broker = world.start("broker", *names.prefix, programs.BROKER, "--ports-file", ports, "--insecure",
                         *options)
    until(lambda: ports.exists() and ports.read_text().endswith("\n"), 5, "the broker is ready", broker)
    return broker, ports.read_text().split()


def test_a_name_is_bound_and_the_log_says_which_address(world, names):
    broker, (bound, front, back) = bind(
        world, names, "--bind", "tcp://localhost:*",
        "--plain", "hello=tcp://localhost:*,tcp://two:*")
    for endpoint in (bound, front, back):
        assert endpoint.startswith("tcp://127.0.0.")
    broker.wait_for("security off (loopback only)")
    assert bound in broker.log()
    assert cli(world, names, f"tcp://localhost:{port(bound)}", "ping").code == 0


def test_a_name_of_which_another_broker_has_the_port_is_not_bound_elsewhere(world, names):
    _, (bound,) = bind(world, names, "--bind", "tcp://two:*")
    result = world.run(*names.prefix, programs.BROKER, "--bind", f"tcp://two:{port(bound)}", "--insecure")
    assert result.code == 1
    assert "the port is in use" in result.error()


@pytest.mark.parametrize("name, told", [
    ("nowhere", "nowhere is no interface of this machine, and no name that resolves"),
    ("elsewhere", "this machine does not have that address"),
])
def test_a_name_that_cannot_be_bound_is_told_with_the_reason(world, names, name, told):
    result = world.run(*names.prefix, programs.BROKER, "--bind", f"tcp://{name}:5555", "--insecure")
    assert result.code == 1
    assert told in result.error()


@pytest.mark.parametrize("endpoint", ["tcp://*:*", "tcp://lo:*", "tcp://[::1]:*", "tcp://[::]:*"])
def test_a_star_an_interface_and_ipv6_are_bound_as_ever(world, names, six, endpoint):
    _, (bound,) = bind(world, names, "--bind", endpoint)
    assert cli(world, names, f"tcp://{'[::1]' if '[' in endpoint else '127.0.0.1'}:{port(bound)}",
               "ping").code == 0


def test_a_collector_whose_name_server_is_silent_holds_nothing_up(world, names, silent_name_server):
    broker = world.broker("--otlp", "http://collector.example:4318/v1/traces", prefix=names.prefix)
    world.builtin(broker, "echo")
    header = "traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert world.cli(broker, "call", "--header", header, "echo", "x").code == 0
    silent_name_server.settimeout(10 * PATIENCE)
    assert b"collector" in silent_name_server.recv(512)  # the broker asks, and waits
    assert world.cli(broker, "call", "--header", header, "echo", "x").code == 0
    since = time.monotonic()
    broker.terminate()
    assert broker.wait(10) == 0
    assert time.monotonic() - since < 1 + 1 + 3 * PATIENCE
