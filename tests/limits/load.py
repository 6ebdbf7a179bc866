# SPDX-License-Identifier: MPL-2.0
"""Load for the tests of limits, and measurements of the broker under it."""

import os
import statistics
import threading
import time

import zmq

from support.peer import BYE, REPLY, REQUEST, Message, Peer, head
from support.programs import BUILD
from support.waiting import until

LONG = bool(os.environ.get("RIPOSTE_LONG"))
CROWD = BUILD / "tests" / "crowd"


def crowd(world, *words, within=120):
    """Starts a crowd of peers, and waits until all of it is connected."""
    one = world.start("crowd", CROWD, *words)
    one.handles_sigterm = False
    until(lambda: "ready" in one.log(), within, "the crowd is there", one)
    return one


def costs_little(without, beside, turns):
    """Takes two figures in turn, without() and beside(), and says whether the second is at most 1.2 times the first;
    returns the two lists, too. In the long form, the medians are compared. A few turns are mostly noise: in the short
    form the second may not be more in nearly every pair, and while it is, turns are added, up to four times as many."""
    pairs = []

    def little():
        one, other = zip(*pairs)
        if LONG:
            return statistics.median(other) <= 1.2 * statistics.median(one)
        return sum(b > 1.2 * a for a in one for b in other) < 0.95 * len(pairs) ** 2

    while len(pairs) < turns or (not LONG and len(pairs) < 4 * turns and not little()):
        pairs.append((without(), beside()))
    return little(), *zip(*pairs)


def cpu_percent(process, seconds):
    """The percentage of one core that the process uses, over that time."""
    before, begin = process.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (process.cpu_seconds() - before) / (time.monotonic() - begin) * 100


class Thread(threading.Thread):
    """Runs step() again and again until it is stopped; stop() raises the exception that it ended
    with."""

    def __init__(self):
        super().__init__(daemon=True)
        self._stopped = threading.Event()
        self._trouble = None

    def run(self):
        try:
            while not self._stopped.is_set():
                self.step()
        except Exception as trouble:  # stop() raises it, whatever it is
            self._trouble = trouble
        finally:
            self.finish()

    def stop(self):
        self._stopped.set()
        self.join()
        if self._trouble:
            raise self._trouble

    def step(self):
        raise NotImplementedError

    def finish(self):
        pass


class BigWorker(Thread):
    """Answers each request with a large body."""

    def __init__(self, endpoint, service, size):
        super().__init__()
        self._peer = Peer(endpoint)
        self._peer.register(service, window=64, heartbeat_ms=5000)
        self._body = b"b" * size
        self._heard = time.monotonic()

    def step(self):
        message = self._peer.receive(0.1)
        if message is not None and message.command == REQUEST:
            self._peer.reply(message.id, self._body)
        elif time.monotonic() > self._heard + 1:
            self._peer.send(head(7))  # HEARTBEAT
            self._heard = time.monotonic()

    def finish(self):
        self._peer.close()


class Asker(Thread):
    """A client that sends requests at a steady rate, and either reads or never does. It connects
    anew after `life` requests, or when it was cut off."""

    def __init__(self, endpoint, service, life, pause, reads):
        super().__init__()
        self._endpoint, self._service, self._life, self._pause = endpoint, service, life, pause
        self._reads = reads
        self.lives = 0

    def step(self):
        with Peer(self._endpoint, deaf=not self._reads) as peer:
            peer.hello(heartbeat_ms=5000)
            self.lives += 1
            for _ in range(self._life):
                if self._stopped.wait(self._pause):
                    return
                try:
                    peer.request(self._service, time_ms=60000)
                except zmq.Again:
                    return
                while self._reads and peer.socket.poll(0):
                    peer.socket.recv_multipart()


class Flood(Thread):
    """A client that sends requests as fast as it can, and counts how they end. If it reads too
    slowly meanwhile and is cut off, it connects again."""

    def __init__(self, endpoint, service, size):
        super().__init__()
        self._endpoint, self._peer = endpoint, None
        self._service, self._body = service, b"f" * size
        self.asked, self.ended, self.cuts = 0, {}, -1

    def _join(self):
        self.finish()
        self._peer = Peer(self._endpoint)
        self._peer.hello(heartbeat_ms=5000)
        self.cuts += 1

    def step(self):
        if self._peer is None:
            self._join()
        try:
            for _ in range(100):
                self._peer.socket.send_multipart(
                    (head(REQUEST, name=self._service, id=self.asked + 1, time=60000, value=60000,
                          attempts=1), self._body), flags=zmq.DONTWAIT)
                self.asked += 1
        except zmq.Again:
            self._peer.socket.poll(10)
        while self._peer.socket.poll(0):
            message = Message(self._peer.socket.recv_multipart())
            if message.command == REPLY:
                name = message.status_name()
                self.ended[name] = self.ended.get(name, 0) + 1
            elif message.command == BYE:
                self._join()

    def finish(self):
        if self._peer is not None:
            self._peer.close()
