# SPDX-License-Identifier: MPL-2.0
"""The log's lines about connections that fail: one each, with address and reason."""

import socket

import pytest

from support.programs import PATIENCE
from support.waiting import until


def _connect(broker):
    host, port = broker.endpoint.removeprefix("tcp://").rsplit(":", 1)
    one = socket.create_connection((host, int(port)), timeout=10 * PATIENCE)
    assert one.recv(10) == bytes.fromhex("ff00000000000000017f"), "it is accepted"
    return one, "{}:{}".format(*one.getsockname())


def _told(broker, address, reason):
    until(lambda: address in broker.log(), 6, "it is told")
    lines = [line for line in broker.log().splitlines() if address in line]
    assert len(lines) == 1 and reason in lines[0], lines


def test_a_probe_of_health_has_a_line_with_its_address(stage):
    broker = stage.broker()
    one, address = _connect(broker)
    stage.status(broker)  # by then the broker has seen the connection
    one.close()
    _told(broker, address, "it closed its connection before the handshake was done")


def test_who_breaks_the_protocol_has_a_line_with_its_address(stage):
    broker = stage.broker()
    one, address = _connect(broker)
    stage.status(broker)
    one.sendall(b"\xff" + bytes(7) + b"\1\x7f\3\0NULL" + bytes(48) + b"\4\6\5HELLO")
    _told(broker, address, "cut: ")
    one.close()


@pytest.mark.parametrize("frames", [(b"PPP01", b"\2"), (b"", b"MDPW01", b"\4")],
                         ids=["no dialect", "no session"])
def test_who_errs_at_each_heartbeat_has_few_lines_with_a_count(stage, frames):
    broker = stage.broker()
    before = broker.log()
    one = stage.raw(broker)
    for _ in range(12):
        one.send(*frames)
    until(lambda: stage.status(broker)["counters"]["unknown_peers"] == 12, 5, "all are counted")
    until(lambda: "10 times so far" in broker.log(), 5, "it is told")
    assert len(stage.lines(broker, before)) == 2


def test_a_frame_that_is_too_large_has_a_line_for_those_who_look(stage):
    broker = stage.broker("--log-level", "debug")
    one, address = _connect(broker)
    stage.status(broker)
    one.sendall(b"\xff" + bytes(7) + b"\1\x7f\3\0NULL" + bytes(48) + b"\xff" * 99)
    _told(broker, address, "ended before it began a session")
    one.close()


def test_who_says_nothing_has_a_line_with_its_address(stage):
    broker = stage.broker()
    one, address = _connect(broker)
    _told(broker, address, "said nothing that ends a ZeroMQ handshake")
    one.close()
