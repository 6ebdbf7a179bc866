# SPDX-License-Identifier: MPL-2.0
"""ZMQ_PROBE_ROUTER: a socket sends an empty message on each connection, to announce itself."""

import pytest
import zmq

import peers

from support.waiting import until


@pytest.mark.parametrize("options", [{}, {"routing_id": b"me"}], ids=["", "with an id"])
@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ])
def test_a_probe_is_expected(stage, kind, options):
    broker = stage.broker("--plain", "svc=tcp://127.0.0.1:*,tcp://127.0.0.1:*", "--log-level", "info")
    front = (stage.directory / "ports-1").read_text().split()[1]
    stage.builtin(broker, "echo", service="svc")
    before = broker.log()
    Prober = type("Prober", (peers.Peer,), {"kind": kind})
    empty = (b"",) if kind == zmq.DEALER else ()
    for _ in range(3):
        one = stage.own(Prober(broker.endpoint, probe_router=1, **options))
        one.send(*empty, b"MDPC01", b"svc", b"hello")
        assert one.receive()[-1] == b"hello"
        one.close()
        plain = stage.own(Prober(front, probe_router=1))
        plain.send(*empty, b"hello")
        assert plain.receive()[-1] == b"hello"
        plain.close()
        until(lambda: stage.status(broker)["clients"] == 1, 5, "they are gone")
    status = stage.status(broker)
    assert not any(status["bad"].values()) and status["counters"]["unknown_peers"] == 0
    assert not stage.lines(broker, before)
