# SPDX-License-Identifier: MPL-2.0
"""Peers that break the rules, by mistake or on purpose: the broker answers as docs/PROTOCOL.md
says, logs it with their address, counts it, and goes on serving the others. None of what is sent
here comes from Riposte's own code."""

import os
import re
import socket

import pytest
import zmq

from support.peer import (BYE, CANCEL, CREDIT, DRAIN, DURABLE, END, HEARTBEAT, HELLO, INLINE, LAST, MORE,
                          OPEN, REPLY, REQUEST, TRACE, WELCOME, WORKER, head, pack_headers)
from support.programs import PATIENCE
from support.waiting import until
from support.world import World

ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


def _begin(world):
    broker = world.broker(limits={"max_body": "4KiB", "rejoin_grace": "0s"})
    world.builtin(broker, "echo")
    return broker


def _check(world, broker):
    assert broker.alive(), "the broker is gone"
    result = world.cli(broker, "call", "echo", "still here")
    assert (result.code, result.out) == (0, b"still here"), result
    assert len(world.workers(broker, "echo")) == 1


@pytest.fixture
def broker(world):
    """A broker with a worker and a client that hostile peers must not disturb."""
    broker = _begin(world)
    yield broker
    _check(world, broker)


class House:
    """Such a broker for several tests, one after the other, whose peers all have spoken ZeroMQ. It has a successor
    before its log, which is bounded, has no room for the next fault."""

    TESTS = 8

    def __init__(self, factory):
        self._factory = factory
        self._world = None
        self._left = 0

    def broker(self):
        if self._left == 0:
            self.end()
            self._world = World(self._factory.mktemp("house"))
            self._broker = _begin(self._world)
            self._left = self.TESTS
        self._left -= 1
        until(lambda: (status := self._world.status(self._broker))["clients"] == 1 and status["workers"] == 1, 5,
              "earlier peers have gone", self._broker)
        return self._broker

    def end(self):
        if self._world:
            world, self._world = self._world, None
            self._left = 0
            _check(world, self._broker)
            troubles = world.end()
            assert not troubles, troubles


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory)
    yield house
    house.end()


def _bad(world, broker):
    """The sum of all the broker's counters of faults."""
    status = world.status(broker)
    names = ("late_replies", "unknown_cancels", "unknown_peers", "protocol_errors",
             "too_many_frames", "too_large", "hellos_refused")
    return sum(status["bad"].values()) + sum(status["counters"][name] for name in names)


def _new_lines(broker, before):
    return broker.log()[len(before):].splitlines()


def _refused(world, house, *frames, session=None):
    """Sends frames, and expects BYE with INVALID, one log line with the address, and a counter that
    rises."""
    broker = house.broker()
    peer = world.peer(broker)
    if session == "client":
        peer.hello()
    elif session == "worker":
        peer.register(b"hostile")
    before, counted = len(broker.lines()), _bad(world, broker)
    peer.send(*frames)
    bye = peer.expect(BYE)
    assert bye.status_name() == "INVALID"
    assert bye.text, "it says why"
    until(lambda: _bad(world, broker) > counted, 3, "it is counted")
    fresh = broker.lines()[before:]
    lines = [line for line in fresh if ADDRESS.search(line)]
    assert len(lines) == 1, f"one line with the address: {fresh}"
    until(lambda: [worker["service"] for worker in world.workers(broker)] == ["echo"], 3, "it is in no list")
    return bye


REQUEST_X = dict(name=b"echo", id=1, time=1000, attempts=1)

# Heads that are wrong in any state of a session.
BAD_HEADS = {
    "unknown version": head(REQUEST, version=2, **REQUEST_X),
    "version 0": head(REQUEST, version=0, **REQUEST_X),
    "unknown command": head(99, id=1),
    "command 0": head(0),
    "reserved field": head(REQUEST, reserved=1, **REQUEST_X),
    "flags that exclude each other": head(REQUEST, flags=DURABLE | MORE, **REQUEST_X),
    "unknown flag": head(REQUEST, flags=0x8000, **REQUEST_X),
    "a flag of another command": head(REQUEST, flags=LAST, **REQUEST_X),
    "a priority over 9": head(REQUEST, priority=11, **REQUEST_X),
    "a priority of a message that has none": head(HEARTBEAT, priority=1),
    "no service": head(REQUEST, id=1, time=1000, attempts=1),
    "no id": head(REQUEST, name=b"echo", time=1000, attempts=1),
    "no attempts": head(REQUEST, name=b"echo", id=1, time=1000),
    "too many attempts": head(REQUEST, name=b"echo", id=1, time=1000, attempts=11),
    "a field that is not its own": head(HEARTBEAT, id=7),
    "control character in the name": head(REQUEST, name=b"ec\nho", id=1, time=1000, attempts=1),
    "NUL in the name": head(REQUEST, name=b"echo\0", id=1, time=1000, attempts=1),
    "name too long": head(REQUEST, name=b"n" * 128, id=1, time=1000, attempts=1),
    "truncated head": head(REQUEST, **REQUEST_X)[:20],
    "truncated name": head(REQUEST, **REQUEST_X)[:-2],
    "signature only": b"RP",
    "sizes that do not add up": head(REQUEST, size=60, **REQUEST_X),
    "a size below the fixed part": head(REQUEST, size=40, **REQUEST_X),
    "header key in upper case": head(REQUEST, headers=pack_headers([(b"Key", b"v")]), **REQUEST_X),
    "header without a key": head(REQUEST, headers=pack_headers([(b"", b"v")]), **REQUEST_X),
    "header cut short": head(REQUEST, headers=pack_headers([(b"key", b"value")])[:-1], **REQUEST_X),
    "control character in a header": head(REQUEST, headers=pack_headers([(b"k", b"a\x1bb")]),
                                          **REQUEST_X),
    "headers over 8 KiB": head(REQUEST, headers=pack_headers([(b"k%d" % n, b"v" * 4000)
                                                              for n in range(3)]), **REQUEST_X),
    "65 headers": head(REQUEST, headers=pack_headers([(b"k", b"v")] * 65), **REQUEST_X),
}


@pytest.mark.parametrize("what", BAD_HEADS)
def test_a_bad_head_ends_a_session(world, house, what):
    _refused(world, house, BAD_HEADS[what], b"body", session="client")


@pytest.mark.parametrize("what", ["unknown version", "unknown command", "truncated head"])
def test_a_bad_head_of_an_outsider_is_answered(world, house, what):
    bye = _refused(world, house, BAD_HEADS[what])
    if what == "unknown version":
        assert b"speaks version 1" in bye.text


WITHOUT_HELLO = {
    "REQUEST": head(REQUEST, **REQUEST_X), "REPLY": head(REPLY, id=1),
    "CANCEL": head(CANCEL, id=1), "CREDIT": head(CREDIT, value=1), "HEARTBEAT": head(HEARTBEAT),
    "DRAIN": head(DRAIN), "END": head(END, conversation=1),
}


@pytest.mark.parametrize("what", WITHOUT_HELLO)
def test_who_did_not_say_hello_is_told_to(world, house, what):
    assert b"HELLO first" in _refused(world, house, WITHOUT_HELLO[what]).text


OUT_OF_PLACE = {
    "client: second HELLO": head(HELLO, key=b"x", time=1000),
    "client: WELCOME": head(WELCOME, key=b"x", time=1000, value=1),
    "client: REPLY": head(REPLY, id=1),
    "client: CREDIT": head(CREDIT, value=1),
    "worker: second HELLO": head(HELLO, flags=WORKER, name=b"hostile", value=1, time=1000),
    "worker: REQUEST": head(REQUEST, **REQUEST_X),
    "worker: CANCEL": head(CANCEL, id=1),
    "worker: END": head(END, conversation=1),
    "worker: credit overflow": head(CREDIT, value=4097),
    "worker: credit overflow by far": head(CREDIT, value=0xffffffff),
}


@pytest.mark.parametrize("what", OUT_OF_PLACE)
def test_what_is_out_of_place_ends_the_session(world, house, what):
    _refused(world, house, OUT_OF_PLACE[what], session=what.split(":")[0])


def test_a_worker_that_asks_for_too_much_is_refused(world, house):
    _refused(world, house, head(HELLO, flags=WORKER, name=b"greedy", value=4097, time=1000))


def test_a_worker_may_not_take_the_brokers_names(world, broker):
    for name in (b"riposte.status", b"mmi.service"):
        peer = world.peer(broker)
        peer.send(head(HELLO, flags=WORKER, name=name, value=1, time=1000))
        assert peer.expect(BYE).status_name() == "DENIED"


def test_zero_frames_and_empty_frames_are_dropped(world, broker):
    peer = world.peer(broker)
    counted = _bad(world, broker)
    for _ in range(10):
        peer.send(b"")
        peer.send(b"", b"")
        peer.send(b"not of this protocol")
    until(lambda: _bad(world, broker) >= counted + 30, 3, "each is counted")
    assert peer.receive(within=0.05) is None, "nothing to say to who speaks another language"
    peer.hello()


def test_thousands_of_frames_are_dropped(world, broker):
    outsider, client = world.peer(broker), world.peer(broker)
    client.hello()
    counted = world.status(broker)["counters"]["too_many_frames"]
    for peer in (outsider, client):
        peer.send(head(REQUEST, **REQUEST_X), *[b"x"] * 5000)
    assert client.expect(BYE).status_name() == "INVALID"
    until(lambda: world.status(broker)["counters"]["too_many_frames"] == counted + 2, 5, "counted")


def test_a_body_over_the_limit_is_too_large_and_the_session_goes_on(world, broker):
    client = world.peer(broker)
    client.hello()
    reply = client.call(b"echo", b"x" * 4097)
    assert reply.status_name() == "TOO_LARGE"
    assert b"4096" in reply.text, "it names the limit"
    client.send(head(REQUEST, name=b"echo", id=77, time=1000, attempts=1), *[b"y" * 1000] * 5)
    assert client.expect(REPLY).status_name() == "TOO_LARGE", "in several frames, too"
    assert client.call(b"echo", b"x" * 4096).body == b"x" * 4096


def test_a_frame_far_over_the_limit_cuts_the_connection_only(world, broker):
    client, other = world.peer(broker), world.peer(broker)
    client.hello()
    other.hello()
    client.request(b"echo", b"x" * (3 << 20))
    assert other.call(b"echo", b"ok").body == b"ok"
    until(lambda: world.status(broker)["clients"] == 2, 5, "its connection was cut")
    assert client.socket.poll(0) == 0, "without a word"


def test_a_reply_over_the_limit_is_an_error_of_the_worker(world, broker):
    worker, client = world.peer(broker), world.peer(broker)
    worker.register(b"big")
    client.hello()
    client.request(b"big")
    worker.reply(worker.expect(REQUEST).id, b"x" * 4097)
    reply = client.expect(REPLY)
    assert (reply.status_name(), b"4096" in reply.text) == ("APP_ERROR", True)


def test_replies_nobody_asked_for_are_dropped_and_counted(world, broker):
    worker, other, client = (world.peer(broker) for _ in range(3))
    worker.register(b"slow")
    other.register(b"slow-too")
    client.hello()
    number = client.request(b"slow")
    token = worker.expect(REQUEST).id
    late = world.status(broker)["counters"]["late_replies"]
    for guess in (1, number, 0x7fffffffffffffff):
        worker.reply(guess, b"forged")
    other.reply(token, b"stolen")
    until(lambda: world.status(broker)["counters"]["late_replies"] == late + 4, 3, "counted")
    worker.reply(token, b"genuine")
    assert client.expect(REPLY).body == b"genuine"
    worker.reply(token, b"twice")
    until(lambda: world.status(broker)["counters"]["late_replies"] == late + 5, 3, "counted")
    assert client.receive(within=0.05) is None, "one final status per id, never two"
    assert len(world.workers(broker, "slow")) == 1, "it costs the worker nothing"


def test_cancel_and_end_of_something_unknown_are_counted(world, broker):
    client = world.peer(broker)
    client.hello()
    counted = world.status(broker)["counters"]["unknown_cancels"]
    client.send(head(CANCEL, id=12345))
    client.send(head(END, conversation=999))
    until(lambda: world.status(broker)["counters"]["unknown_cancels"] == counted + 2, 3, "counted")
    assert client.call(b"echo", b"fine").body == b"fine"


def test_a_conversation_nobody_opened_is_lost(world, broker):
    client = world.peer(broker)
    client.hello()
    assert client.call(b"echo", b"x", conversation=5).status_name() == "CONVERSATION_LOST"
    assert client.call(b"echo", b"x", conversation=5, flags=OPEN).status_name() == "OK"
    world.builtin(broker, "upper")
    other = client.call(b"upper", b"x", conversation=5)
    assert other.status_name() == "INVALID", "it belongs to another service"


def test_inline_and_trace_are_understood(world, broker):
    client = world.peer(broker)
    client.hello()
    client.send(head(REQUEST, flags=INLINE | TRACE, **REQUEST_X) + b"in the head's frame")
    reply = client.expect(REPLY)
    assert reply.body == b"in the head's frame"
    assert any(key == b"worker" for key, _ in reply.headers)


def test_more_requests_open_than_allowed_are_busy(world):
    broker = world.broker(limits={"client_open": 3, "rejoin_grace": "0s"})
    client, other, worker = (world.peer(broker) for _ in range(3))
    worker.register(b"slow")
    assert client.hello().value == 3
    for _ in range(5):
        client.request(b"slow")
    refused = [client.expect(REPLY) for _ in range(2)]
    assert [reply.status_name() for reply in refused] == ["BUSY", "BUSY"]
    assert b"client_open" in refused[0].text
    other.hello()
    worker.reply(worker.expect(REQUEST).id, b"1")
    assert client.expect(REPLY).body == b"1"


def test_unknown_service_names_do_not_grow_the_broker(world):
    """The number of names is bounded, and each request ends with a status."""
    broker = world.broker(limits={"max_services": 50, "rejoin_grace": "0s"})
    client = world.peer(broker)
    client.hello()
    for number in range(200):
        client.request(b"name-%d" % number, time_ms=300, value=300)
    statuses = [client.expect(REPLY).status_name() for _ in range(200)]
    assert statuses.count("BUSY") == 150
    assert set(statuses) <= {"BUSY", "NO_WORKER", "EXPIRED"}
    until(lambda: world.services(broker) == {}, 5, "none is left")


# ---- Below the protocol: bytes on the port ------------------------------------------------------

def _connect(broker):
    host, port = broker.endpoint.removeprefix("tcp://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10 * PATIENCE)


NOT_ZEROMQ = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS": bytes.fromhex("1603010200010001fc0303") + bytes(64),
    "noise": bytes(range(256)) * 64,
    "zeros": bytes(4096),
    "a ZMTP greeting and noise": (b"\xff" + bytes(7) + b"\x01\x7f\x03\x00NULL" + bytes(48)
                                  + b"\xff" * 99),
}


@pytest.mark.parametrize("what", NOT_ZEROMQ)
def test_other_protocols_on_the_port_harm_nobody(world, broker, what):
    for _ in range(5):
        with _connect(broker) as outsider:
            try:
                outsider.sendall(NOT_ZEROMQ[what])
                outsider.shutdown(socket.SHUT_WR)
                while outsider.recv(4096):
                    pass
            except OSError:
                pass  # the broker cut the connection before that, which is right too


def test_half_open_connections_are_dropped(world, broker):
    """A peer that connects and sends nothing does not hold a descriptor for long."""
    before = broker.descriptors()
    silent = [_connect(broker) for _ in range(50)]
    for one in silent:
        assert one.recv(10) == b"\xff" + bytes(7) + b"\1\x7f", "it is accepted"
    assert world.cli(broker, "call", "echo", "meanwhile").out == b"meanwhile"
    for one in silent:
        while one.recv(100):
            pass
    until(lambda: broker.descriptors() < before + 10, 5, "they are dropped")
    for one in silent:
        one.close()


def test_noise_after_the_greeting_of_a_peer_harms_nobody(world, broker):
    """Sends random heads, most of them almost right."""
    state = int.from_bytes(os.urandom(4), "big")
    print(f"seed {state}")
    good = [head(HELLO, key=b"x", time=1000), head(REQUEST, **REQUEST_X), head(HEARTBEAT),
            head(REPLY, id=1), head(CREDIT, value=3), head(END, conversation=1)]
    peer = world.peer(broker)
    for number in range(2000):
        state = (state * 1103515245 + 12345) % (1 << 31)
        data = bytearray(good[state % len(good)])
        data[(state >> 8) % len(data)] ^= 1 << ((state >> 4) % 8)
        peer.send(bytes(data))
        if number % 100 == 99:
            # Messages may still wait for the connection to be made.
            peer.close(linger_ms=5000)
            peer = type(peer)(broker.endpoint)
    peer.close()
    until(lambda: _bad(world, broker) > 100, 5, "it was read")


def test_a_flood_of_bad_messages_is_counted_but_does_not_flood_the_log(world, broker):
    peer = world.peer(broker)
    before = broker.log()
    for _ in range(2000):
        peer.send(head(CANCEL, id=1))
    until(lambda: world.status(broker)["counters"]["unknown_peers"] >= 2000, 5, "all are counted")
    assert len(_new_lines(broker, before)) < 100


def test_a_peer_that_never_reads_is_cut_off(world):
    """The replies that wait for it are bounded; then it is cut off, and no other peer has to
    wait."""
    broker = world.broker("--log-level", "debug", limits={"connection_backlog": 1000})
    world.builtin(broker, "echo")
    deaf = world.peer(broker, deaf=True)
    deaf.hello()
    memory = broker.resident_bytes()

    def is_cut():
        try:
            for _ in range(1000):
                deaf.request(b"riposte.ping", b"x" * 4096)
        except zmq.Again:
            pass  # the broker has stopped reading, for a while or for ever
        return "it does not read what is sent to it" in broker.log()

    until(is_cut, 20, "it is cut off")
    assert broker.resident_bytes() < memory + (64 << 20)
    assert world.status(broker)["counters"]["clients_lost"] == 1
    assert world.cli(broker, "call", "echo", "ok").out == b"ok"
