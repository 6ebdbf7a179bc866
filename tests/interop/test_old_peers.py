# SPDX-License-Identifier: MPL-2.0
"""Peers older than ZMTP 3.0 (JeroMQ 0.3, NetMQ 4.0, libzmq 2 and 3), on plain TCP sockets. They
have no security handshake, and libzmq's timer for it once cut them after 3 s."""

import socket
import threading
import time

import pytest

from support.programs import PATIENCE
from support.waiting import until

#: Seconds that a request takes: longer than any handshake may.
JOB = 5.0

GREETINGS = {1: b"\1\0", 2: bytes.fromhex("ff00000000000000017f01") + b"%c" + b"\0\0"}
DEALER, REQ, REP = 5, 3, 4


class OldPeer:
    """One connection of ZMTP 1 or 2, without an identity. Frames have at most 254 bytes."""

    def __init__(self, endpoint, version, kind=DEALER):
        host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
        self.version = version
        self.socket = socket.create_connection((host, int(port)), timeout=10 * PATIENCE)
        self.socket.sendall(GREETINGS[version] % kind if version == 2 else GREETINGS[version])
        self._take(10)  # the signature; for ZMTP 1 an identity
        if version == 2:
            assert self._take(4)[2:] == b"\0\0"

    def _take(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            assert piece, "the broker cut the connection"
            data += piece
        return data

    def send(self, *frames):
        last = len(frames) - 1
        for index, frame in enumerate(frames):
            more = 1 if index < last else 0
            size = len(frame) + 1
            head = bytes([size, more]) if self.version == 1 else bytes([more, len(frame)])
            self.socket.sendall(head + frame)

    def receive(self):
        frames, more = [], True
        while more:
            one, two = self._take(2)
            size, more = (one - 1, two & 1) if self.version == 1 else (two, one & 1)
            frames.append(self._take(size))
        return frames

    def close(self):
        self.socket.close()


class Beating:
    """Sends a worker's heartbeats, one a second, as a thread of its own does."""

    def __init__(self, peer):
        self._peer, self._end = peer, threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._end.wait(1):
            self.send(b"", b"MDPW01", b"\4")

    def send(self, *frames):
        with self._lock:
            self._peer.send(*frames)

    def close(self):
        self._end.set()
        self._thread.join()


def _job(worker):
    """Returns the next request, without heartbeats: its address and body."""
    while True:
        frames = worker.receive()
        if frames[2] == b"\2":
            return frames[3], frames[5:]


@pytest.mark.parametrize("version", GREETINGS)
def test_an_old_worker_serves_an_old_client_for_longer_than_a_handshake(stage, version):
    broker = stage.broker()
    worker = stage.own(OldPeer(broker.endpoint, version))
    worker.send(b"", b"MDPW01", b"\1", b"svc")
    beating = stage.own(Beating(worker))
    until(lambda: stage.count(broker, b"svc") == 1, 5, "it is registered")
    client = stage.own(OldPeer(broker.endpoint, version, REQ))
    client.send(b"", b"MDPC01", b"svc", b"long job")
    address, body = _job(worker)
    assert body == [b"long job"]
    time.sleep(JOB)
    beating.send(b"", b"MDPW01", b"\3", address, b"", b"done")
    assert client.receive() == [b"", b"MDPC01", b"svc", b"done"]
    client.send(b"", b"MDPC01", b"svc", b"again")
    address, body = _job(worker)
    beating.send(b"", b"MDPW01", b"\3", address, b"", *body)
    assert client.receive()[-1] == b"again"


@pytest.mark.parametrize("version", GREETINGS)
def test_an_old_client_may_wait_before_it_asks(stage, version):
    broker = stage.broker()
    client = stage.own(OldPeer(broker.endpoint, version, REQ))
    time.sleep(JOB)
    client.send(b"", b"MDPC01", b"mmi.service", b"svc")
    assert client.receive()[-1] == b"404"


def _plain(stage, **limits):
    broker = stage.broker("--plain", "svc=tcp://127.0.0.1:*,tcp://127.0.0.1:*",
                          limits=limits or None)
    return broker, *(stage.directory / "ports-1").read_text().split()[1:]


@pytest.mark.parametrize("version", GREETINGS)
def test_old_req_and_rep_sockets_are_served_at_the_plain_endpoints(stage, version):
    broker, front, back = _plain(stage)
    rep = stage.own(OldPeer(back, version, REP))
    req = stage.own(OldPeer(front, version, REQ))
    until(lambda: stage.count(broker, b"svc") == 1, 5, "it counts as a worker")
    for body in (b"one", b"two"):
        req.send(b"", body)
        *envelope, got = rep.receive()
        assert got == body
        time.sleep(JOB if body == b"one" else 0)
        rep.send(*envelope, body)
        assert req.receive() == [b"", body]


@pytest.mark.parametrize("version", GREETINGS)
def test_an_old_rep_worker_that_goes_counts_no_more(stage, version):
    broker, _, back = _plain(stage)
    for _ in range(2):
        rep = stage.own(OldPeer(back, version, REP))
        until(lambda: stage.count(broker, b"svc") == 1, 5, "it counts as a worker")
        rep.close()
        until(lambda: stage.count(broker, b"svc") == 0, 5, "it is gone")


def test_old_clients_that_are_gone_leave_no_session_behind(stage):
    broker = stage.broker(limits={"foreign_heartbeat": "100ms"})
    for _ in range(20):
        client = OldPeer(broker.endpoint, 2, REQ)
        client.send(b"", b"MDPC01", b"mmi.service", b"svc")
        assert client.receive()[-1] == b"404"
        client.close()
    until(lambda: stage.status(broker)["clients"] <= 1, 5, "they are forgotten")


WORDS = {"nothing": b"", "a byte": b"\xff", "a signature": bytes.fromhex("ff00000000000000017f"),
         "half a greeting": GREETINGS[2][:11], "another protocol": b"GET / HTTP/1.1\r\nHost: x\r\n"}


@pytest.mark.parametrize("what", WORDS)
def test_who_does_not_end_its_handshake_is_cut(stage, what):
    broker, front, back = _plain(stage)
    for endpoint in (broker.endpoint, front, back):
        host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
        slow = stage.own(socket.create_connection((host, int(port)), timeout=6 * PATIENCE))
        slow.sendall(WORDS[what])
    for slow in stage._others:
        began = time.monotonic()
        try:
            while slow.recv(4096):
                pass
        except ConnectionResetError:
            pass
        assert time.monotonic() - began < 5 * PATIENCE


def test_who_says_and_reads_nothing_over_ipc_is_cut(stage):
    path = stage.directory / "open"
    stage.broker("--bind", f"ipc://{path}")
    slow = stage.own(socket.socket(socket.AF_UNIX))
    slow.connect(str(path))
    time.sleep(4 * PATIENCE)
    slow.settimeout(1)
    while slow.recv(4096):
        pass
