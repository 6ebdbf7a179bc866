# SPDX-License-Identifier: MPL-2.0
"""Peers without a key at a port that wants one, as raw bytes that none of our libraries wrote."""

import socket
import struct

import pytest

from support.keys import Keys
from support.waiting import until

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00%s" + b"\x00" + bytes(31)
MECHANISMS = {"NULL": b"NULL".ljust(20, b"\0"), "PLAIN": b"PLAIN".ljust(20, b"\0"),
              "CURVE": b"CURVE".ljust(20, b"\0"), "nonsense": b"\x01" * 20}


def _property(name, value):
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value


def _ready(routing_id):
    body = b"\x05READY" + _property(b"Socket-Type", b"DEALER") + _property(b"Identity", routing_id) \
        + _property(b"User-Id", b"good") + _property(b"X-Riposte-Key", b"0" * 40)
    return b"\x04" + bytes([len(body)]) + body


@pytest.fixture
def broker(world):
    keys = Keys(world)
    keys.rules('principal = "good"\n    call = "*"\n    serve = "*"\n    observe = 1\n')
    keys.authorize("good")
    world.environment.update(keys.environment("good"))
    broker = world.broker(*keys.of_broker)
    world.builtin(broker, "echo")
    yield broker
    assert broker.alive(), "the broker is gone"
    result = world.cli(broker, "call", "echo", "still here")
    assert (result.code, result.out) == (0, b"still here"), result
    status = world.status(broker)
    assert status["counters"]["unknown_peers"] == 0 and sum(status["bad"].values()) == 0, status


def _knock(broker, *pieces):
    """Sends pieces; returns all bytes that come until the broker closes the connection."""
    host, port = broker.endpoint.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as one:
        came = b""
        try:
            for piece in pieces:
                one.sendall(piece)
            while data := one.recv(4096):
                came += data
        except ConnectionError:
            pass
        return came


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_peer_without_a_key_is_cut_whatever_security_it_claims(broker, mechanism):
    message = b"\x00\x02RP"
    came = _knock(broker, GREETING % MECHANISMS[mechanism], _ready(b""), message)
    assert b"READY" not in came and b"NULL" not in came, "no handshake without encryption ends"


def test_a_peer_of_an_older_protocol_is_cut(broker):
    for old in (b"\x01\x00", b"\xff" + bytes(7) + b"\x01\x7f\x01\x05\x00\x00", b"\xff" + bytes(7) + b"\x01\x7f\x00"):
        _knock(broker, old, b"\x01\x00\x03\x00abc")


def test_a_peer_without_a_key_cannot_claim_the_routing_id_that_libzmq_gives_next(world, broker):
    """Claiming it ends the process of a ROUTER of libzmq 4.3.4 (docs/SECURITY.md); libzmq numbers
    connections upwards from a random start. No peer without a key gets that far."""
    for number in list(range(200)) + [(1 << 31) + number for number in range(200)]:
        _knock(broker, GREETING % MECHANISMS["NULL"], _ready(b"\0" + struct.pack(">I", number)))
    until(lambda: world.cli(broker, "ping").code == 0, 5, "others come in meanwhile")
