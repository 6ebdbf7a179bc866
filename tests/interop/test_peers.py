# SPDX-License-Identifier: MPL-2.0
"""Tests the peers themselves, without Riposte: against a textbook broker, and through zmq_proxy."""

import threading

import pytest
import zmq

import peers
from textbook import Textbook

BODIES = [(b"one",), (b"several", b"frames", b"here"), (b"",), (b"x" * (1 << 20),)]
# The textbook broker does not keep a client's envelope (statement 11): no CORRELATE, no tags.
TEXTBOOK_CLIENTS = ["req-mdp01", "mdp02", "libmdp"]
TEXTBOOK_WORKERS = ["mdp01", "mdp02", "libmdp"]


@pytest.fixture
def textbook():
    broker = Textbook("tcp://127.0.0.1:*")
    stop = threading.Event()

    def run():
        while not stop.is_set():
            broker.turn(0.02)

    thread = threading.Thread(target=run)
    thread.start()
    yield broker
    stop.set()
    thread.join()
    broker.close()


def _exchange(client, worker):
    for body in BODIES:
        client.request(b"svc", *body)
        assert worker.serve() == [body]
        assert client.reply().body == body


@pytest.mark.parametrize("worker", TEXTBOOK_WORKERS)
@pytest.mark.parametrize("client", TEXTBOOK_CLIENTS)
def test_the_peers_agree_with_a_textbook_broker(textbook, client, worker):
    with peers.WORKERS[worker](textbook.endpoint).ready(b"svc") as serving, \
            peers.CLIENTS[client](textbook.endpoint) as asking:
        _exchange(asking, serving)


def test_a_stream_through_a_textbook_broker(textbook):
    with peers.Mdp02Worker(textbook.endpoint).ready(b"svc") as worker, \
            peers.Mdp02Client(textbook.endpoint) as client:
        client.request(b"svc", b"count")
        job = worker.job()
        worker.partial(job, b"1")
        worker.partial(job, b"2")
        worker.answer(job, b"3")
        assert client.whole() == [(b"1",), (b"2",), (b"3",)]


@pytest.mark.parametrize("client", ["plain-req", "plain-dealer"])
def test_the_plain_peers_agree_with_zmq_proxy(client):
    context = zmq.Context()
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    ends = []
    for end in (front, back):
        end.linger = 0
        end.bind("tcp://127.0.0.1:*")
        ends.append(end.last_endpoint.decode())

    def run():
        try:
            zmq.proxy(front, back)
        except zmq.ContextTerminated:
            front.close()
            back.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        with peers.PlainRep(ends[1]) as worker, peers.CLIENTS[client](ends[0]) as asking:
            _exchange(asking, worker)
    finally:
        context.term()
        thread.join()


def test_a_packed_header_is_made_of_the_bytes_that_are_known():
    header = peers.packed(1, b"MDPC02", 1, b"echo")
    assert header == b"\xAA\xA4\x01\x06MDPC02\x01\x04echo"
    assert peers.unpacked(header) == (1, b"MDPC02", 1, b"echo")
    assert peers.unpacked(b"\xAA\xA4\x08\x06MDPW02\x05") == (8, b"MDPW02", 5, None)


@pytest.mark.parametrize("worker", [name for name in peers.WORKERS if name != "plain-rep"])
def test_what_a_worker_says_is_what_the_rfc_says(worker):
    with peers.WORKERS[worker]("inproc://nobody") as one:
        ready = one.pack("READY", service=b"echo")
        final = one.pack("FINAL", b"address", (b"a", b"b"))
    expected = {
        "mdp01": ((b"", b"MDPW01", b"\1", b"echo"),
                  (b"", b"MDPW01", b"\3", b"address", b"", b"a", b"b")),
        "mdp02": ((b"MDPW02", b"\1", b"echo"), (b"MDPW02", b"\4", b"address", b"", b"a", b"b")),
        "libmdp": ((b"", b"MDPW02", b"\1", b"echo"),
                   (b"", b"MDPW02", b"\4", b"address", b"", b"a", b"b")),
        "packed": ((b"\xAA\xA4\x04\x06MDPW02\x01\x04echo",),
                   (b"\xAA\xA4\x07\x06MDPW02\x04", b"address", b"", b"a", b"b")),
    }
    assert (ready, final) == expected[worker]
