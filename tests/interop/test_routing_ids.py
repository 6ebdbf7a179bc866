# SPDX-License-Identifier: MPL-2.0
"""Two peers that chose the same routing id. libzmq never lets a ROUTER hear the second."""

import socket
import struct
import time

import pytest

import peers

from support.waiting import until

# Three heartbeat intervals of the broker's default.
SERVED_WITHIN = 7.5


def serve_until_replied(worker, client, within):
    """Serves as a worker does: sends heartbeats, answers, and sends READY again after DISCONNECT,
    until the client has a reply. Returns its body, or None if none came. A worker that takes over
    the id of another may get a request that was meant for the other, whose client is not told."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        word = worker.next(within=0.1)
        if word is None:
            worker.heartbeat()
        elif word.command == "DISCONNECT":
            worker.ready(b"svc")
        elif word.command == "REQUEST":
            worker.answer(word, *word.body)
        if reply := client.reply(within=0.1):
            return reply.body
    return None


def keep_asking(client, service, body, within):
    """Repeats a request, as clients do that get no reply. Returns whether a reply came."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        client.request(service, body)
        try:
            if client.reply(within=0.5):
                return True
        except AssertionError:
            pass
    return False


@pytest.mark.parametrize("Client", [peers.Mdp01DealerClient, peers.Mdp02Client, peers.PlainDealer])
def test_the_second_client_is_told_of_and_served_once_the_first_has_gone(stage, Client):
    broker = stage.broker("--plain", "svc=tcp://127.0.0.1:*,tcp://127.0.0.1:*")
    stage.builtin(broker, "echo", service="svc")
    endpoint = broker.endpoint
    if Client is peers.PlainDealer:
        endpoint = (stage.directory / "ports-1").read_text().split()[1]
    first = stage.own(Client(endpoint, routing_id=b"the same"))
    assert first.call(b"svc", b"one")
    before = broker.log()
    second = stage.own(Client(endpoint, routing_id=b"the same"))
    second.request(b"svc", b"two")
    until(lambda: "another connection had the same routing id" in broker.log()[len(before):], 10,
          "the log tells of it")
    assert first.call(b"svc", b"three")  # the first client is not disturbed
    first.close()
    assert keep_asking(second, b"svc", b"four", SERVED_WITHIN)


def test_a_worker_that_restarts_at_once_with_its_id_is_served_again(stage):
    broker = stage.broker()
    client = stage.own(peers.Mdp01DealerClient(broker.endpoint))
    for _ in range(40):
        worker = stage.own(peers.Mdp01Worker(broker.endpoint, routing_id=b"worker one"))
        worker.ready(b"svc")
        client.request(b"svc", b"job")
        assert serve_until_replied(worker, client, SERVED_WITHIN) == (b"job",)
        worker.close()


def test_a_peer_with_an_id_that_has_not_spoken_yet_is_left_alone(stage):
    broker = stage.broker()
    stage.builtin(broker, "echo", service="svc")
    other = stage.own(peers.Mdp01DealerClient(broker.endpoint, routing_id=b"another"))
    assert other.call(b"svc", b"one")
    silent = stage.own(peers.Mdp01DealerClient(broker.endpoint, routing_id=b"mine"))
    time.sleep(4)
    assert "routing id" not in broker.log()
    assert silent.call(b"svc", b"two")


def test_a_silent_peer_with_heartbeats_of_libzmq_is_left_alone(stage):
    broker = stage.broker()
    stage.builtin(broker, "echo", service="svc")
    other = stage.own(peers.Mdp01DealerClient(broker.endpoint, routing_id=b"one"))
    assert other.call(b"svc", b"one")
    silent = stage.own(peers.Mdp01DealerClient(broker.endpoint, heartbeat_ivl=300))
    time.sleep(8)
    assert "routing id" not in broker.log()
    assert silent.call(b"svc", b"two")


def by_hand(endpoint, routing_id):
    """A DEALER of ZMTP 3.0 without libzmq, which would refuse such a routing id."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    peer = socket.create_connection((host, int(port)))
    peer.sendall(b"\xff" + bytes(8) + b"\x7f\3\0" + b"NULL".ljust(20, b"\0") + bytes(32))
    ready = b"\5READY"
    for name, value in ((b"Socket-Type", b"DEALER"), (b"Identity", routing_id)):
        ready += bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
    peer.sendall(b"\6" + struct.pack(">Q", len(ready)) + ready)
    peer.settimeout(SERVED_WITHIN)
    greeting_and_ready = 64 + 2 + len(b"\5READY\x0bSocket-Type....ROUTER\x08Identity....")
    while greeting_and_ready > 0:
        greeting_and_ready -= len(peer.recv(greeting_and_ready))
    return peer


@pytest.mark.parametrize("way", ["own", "own, like another listener's", "plain"])
@pytest.mark.parametrize("size", [256, 5000, 65536, 1 << 20])
def test_a_routing_id_over_255_bytes_ends_its_connection_and_nothing_else(stage, way, size):
    broker = stage.broker("--plain", "svc=tcp://127.0.0.1:*,tcp://127.0.0.1:*")
    stage.builtin(broker, "echo", service="svc")
    start = b"\0gate\0\0\1" if way.startswith("own,") else b"z"
    endpoint = broker.endpoint
    if way == "plain":
        endpoint = (stage.directory / "ports-1").read_text().split()[1]
    peer = by_hand(endpoint, start.ljust(size, b"z"))
    peer.sendall(b"\1\0\0\5hello")
    assert peer.recv(1) == b""
    assert stage.own(peers.Mdp02Client(broker.endpoint)).call(b"svc", b"x")
