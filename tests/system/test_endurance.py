# SPDX-License-Identifier: MPL-2.0
"""Peers that come and go leave nothing behind: the broker's descriptors and memory stay flat. (A
sanitizer keeps freed memory for a while, so with one only descriptors are looked at.)"""

import os

from support.peer import BYE, HELLO, OPEN, WORKER, Peer, head
from support.programs import SANITIZED
from support.waiting import until

BATCH = 50
BATCHES = 40 if os.environ.get("RIPOSTE_LONG") else 5 if SANITIZED else 20


def _visit(broker, number):
    """Fifty peers connect at once, do something each, and leave, with BYE or without."""
    peers = [Peer(broker.endpoint) for _ in range(BATCH)]
    for index, peer in enumerate(peers):
        if index % 5 == 0:
            peer.send(head(HELLO, flags=WORKER, name=b"passing-%d" % index, value=1, time=1000))
        else:
            peer.send(head(HELLO, key=b"visitor-%d-%d" % (number, index), time=1000))
    for index, peer in enumerate(peers):
        assert peer.receive(10) is not None
        if index % 5:
            peer.request(b"echo", b"x" * 100, conversation=1, flags=OPEN)
    for index, peer in enumerate(peers):
        if index % 5:
            assert peer.receive(10).status_name() == "OK"
        if index % 2:
            peer.send(head(BYE))
        peer.close()


def _settle(world, broker):
    """Waits until only the permanent peers are left."""
    def settled():
        status = world.status(broker)
        return (status["clients"] <= 1 and status["workers"] == 1
                and status["conversations"] == 0)

    until(settled, 10, "all have left")


def test_many_visitors_leave_nothing_behind(world):
    broker = world.broker("--log-level", "error")
    world.builtin(broker, "echo", "--slots", "64")
    for number in range(5 if SANITIZED else 10):
        _visit(broker, number)
    _settle(world, broker)
    descriptors, memory = broker.descriptors(), broker.resident_bytes()
    for number in range(BATCHES):
        _visit(broker, number)
    _settle(world, broker)
    assert broker.descriptors() <= descriptors + 2
    assert SANITIZED or broker.resident_bytes() <= memory + BATCHES * BATCH * 1024, "not a KiB for each"


def test_many_requests_leave_nothing_behind(world):
    broker = world.broker("--limit", "trace_bytes=0")  # which fill with what has ended, up to their limit
    world.builtin(broker, "echo", "--slots", "64")

    def run():
        result = world.cli(broker, "call", "echo", "x" * 1000, "--count", "5000", "--parallel",
                           "100", "-q", within=60)
        assert result.code == 0

    run()
    descriptors, memory = broker.descriptors(), broker.resident_bytes()
    for _ in range(3):
        run()
    assert broker.descriptors() <= descriptors
    assert SANITIZED or broker.resident_bytes() <= memory + (1 << 20)


def test_workers_that_start_many_processes_leave_no_zombie_and_no_descriptor(world):
    broker = world.broker()
    worker = world.worker(broker, "true", "true", options=("--slots", "4"))
    world.cli(broker, "call", "true", "--count", "20", "--parallel", "4")
    descriptors = worker.descriptors()
    result = world.cli(broker, "call", "true", "--count", "300", "--parallel", "8", within=60)
    assert result.code == 0
    assert worker.descriptors() <= descriptors
    assert worker.children() == []
