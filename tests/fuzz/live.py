#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Sends malformed messages of every protocol to a real broker, and accounts for each of them.

live.py [--count N] [--seed S] [--churn]   RIPOSTE_BUILD is the build to test; RIPOSTE_LONG=1 makes
it a million messages, from a random seed. A seed gives the same messages on the same connections.
With --churn connections are short, and half of them are cut: what a connection leaves behind, in
the broker and among the descriptors, meets the next one (only a tenth of the messages, because
ports run out).

The broker's counters are predicted for each message (model.py) and added up. A connection that ends
in good order ends with a request that is answered, so the broker has read all that it sent, and its
predicted counts must be there. A connection that is cut may lose its last messages, so of each
count the broker may have all, a part or nothing. Some connections send no message at all: noise before or
instead of a handshake, and frames over the largest size. libzmq ends those, and only their number
is kept here.

Meanwhile healthy peers call all the time (healthy.py), and every call must be answered by its own
reply. At the end the broker lives and holds nothing of the hostile peers, every request has its
final status, the broker's memory has not grown by more than GROWTH since the first tenth of the
messages, and its log has no more lines than its limit allows."""

import argparse
import collections
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import time

import zmq

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "system"), str(HERE)]

from model import BYE, HELLO, REQUEST, Side  # noqa: E402
from noise import Noise  # noqa: E402
from support import programs  # noqa: E402
from support.peer import head  # noqa: E402
from support.programs import PATIENCE  # noqa: E402
from support.waiting import until  # noqa: E402
from support.world import World  # noqa: E402

MAX_BODY = 65536
#: Long enough that no session ends by silence while its connection is in use, whatever it sends;
#: short enough to wait for the end of the sessions that are no longer used.
BEAT = "6s" if programs.SANITIZED else "3s"
LIMITS = {"max_body": "64KiB", "rejoin_grace": "0s", "heartbeat_min": BEAT, "heartbeat_max": BEAT,
          "foreign_heartbeat": BEAT}
CONNECTIONS, FRONTS, BACKS = 48, 4, 2
#: Connections that have sent their last message, and wait for their last reply.
LEAVING_MAX = 64
#: How many messages a connection sends, and the share of the connections that is cut.
LIVES, CUT = (1, 5, 30, 300), 0.03
CHURN_LIVES, CHURN_CUT = (1, 2, 5, 30), 0.5
#: Bytes by which the broker's memory may grow. A sanitizer keeps freed memory for a while.
GROWTH = (96 if programs.SANITIZED else 24) << 20
#: Topics of log lines; of each, 20 lines pass at once and then one a second
#: (common/tool/log_limit.h).
TOPICS, BURST = 6, 20
#: The counters that are compared. "cancels" includes unknown_cancels, where a CANCEL of a
#: random id is counted.
COUNTERS = ("bad", "foreign.bad", "too_many_frames", "unknown_peers", "protocol_errors",
            "hellos_refused", "late_replies", "late_parts", "cancels", "too_large", "requests",
            "admin_requests", "clients_joined", "workers_joined")


class Connection:
    def __init__(self, context, endpoint, listener, routing_id):
        self.side = Side(listener, MAX_BODY)
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvhwm = 0
        self.socket.sndtimeo = 60000 * PATIENCE
        if routing_id:
            self.socket.routing_id = routing_id
        self.socket.connect(endpoint)
        self.last, self.said, self.heard = None, collections.deque(maxlen=4), None

    def __repr__(self):
        said = [[frame[:60] for frame in frames[:8]] for frames in self.said]
        return (f"{self.side.listener}, now {self.side.role} {self.side.dialect}, "
                f"{dict(self.side.counts)}, last said {said}, last heard {self.heard}")

    def send(self, frames):
        """Returns whether the message is wrong."""
        wrong = self.side.say(frames)
        self.said.append(frames)
        self.socket.send_multipart(frames)
        return wrong

    def read(self):
        """Reads what has come. Returns true once the last reply is among it."""
        try:
            while True:
                self.heard = self.socket.recv_multipart(zmq.NOBLOCK)
                if self.last and any(self.last in frame for frame in self.heard):
                    return True
        except zmq.Again:
            return False

    def leave(self, mark):
        """Sends a request that is answered, in the protocol of its session."""
        side = self.side
        self.last = mark
        if side.listener == "front":
            self.send((b"", mark))
            return
        if side.dialect:
            self.send((b"\0",))
        elif side.role == "worker":
            self.send((head(BYE),))
        if side.role is None:
            self.send((head(HELLO, time=60000),))
        self.send((head(REQUEST, name=b"riposte.ping", id=1, time=60000, attempts=1), mark))


class Fuzzer:
    def __init__(self, seed, count, churn, endpoints, watch):
        self.rng = random.Random(seed)
        self.noise = Noise(self.rng, MAX_BODY)
        self.count, self.endpoints, self.watch = count, endpoints, watch
        self.lives, self.cut = (CHURN_LIVES, CHURN_CUT) if churn else (LIVES, CUT)
        self.context = zmq.Context()
        self.context.max_sockets = 4096
        self.sure, self.maybe = collections.Counter(), collections.Counter()
        self.numbers = collections.Counter()
        self.leaving = []

    def _connect(self, listener):
        rng = self.rng
        routing_id = b""
        # The protocol forbids a routing id; some of these look like the broker's own.
        if listener == "open" and rng.random() < 0.2:
            routing_id = rng.choice((b"id", b"\0gate\0\0\1")) + rng.randbytes(rng.choice((16, 240)))
        one = Connection(self.context, self.endpoints[listener], listener, routing_id)
        one.left = rng.choice(self.lives)
        self.numbers["connections"] += 1
        return one

    def _end(self, one):
        """Ends a connection with a last request, or cuts it."""
        if self.rng.random() < self.cut:
            one.socket.close(linger=0)
            self._account(one, self.maybe)
            self.numbers["cut"] += 1
            return
        one.leave(b"last" + self.rng.randbytes(16))
        self.leaving.append(one)
        self._part(LEAVING_MAX)

    def _part(self, left):
        """Waits until at most this many connections wait for their last reply."""
        def parted():
            for one in list(self.leaving):
                if one.read():
                    one.socket.close(linger=0)
                    self._account(one, self.sure)
                    self.leaving.remove(one)
            return len(self.leaving) <= left
        try:
            until(parted, 60)
        except AssertionError:
            raise AssertionError(f"no last reply: {self.leaving}") from None

    def _account(self, one, to):
        to.update(one.side.counts)
        # Healthy workers answer its requests, perhaps after its session has ended.
        if one.side.listener == "front":
            self.maybe["late_replies"] += one.side.counts["requests"]

    def _no_message(self):
        """Sends noise of which libzmq makes no message."""
        rng = self.rng
        self.numbers["no messages"] += 1
        if rng.random() < 0.2:
            one = Connection(self.context, self.endpoints["open"], "open", b"")
            one.socket.send(b"\0" * (MAX_BODY + (2 << 20)))
            one.socket.close(linger=100)
            return
        host, port = self.endpoints["open"].rsplit("/", 1)[1].split(":")
        greeting = b"\xff" + b"\0" * 8 + b"\x7f\3\0NULL" + b"\0" * 48
        ready = b"\4\x19\5READY\x0bSocket-Type\0\0\0\6DEALER"
        noise = rng.randbytes(rng.randrange(1, 200))
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(rng.choice((noise, greeting[:rng.randrange(64)], greeting + noise,
                                    greeting + ready + noise)))

    def run(self):
        rng, noise = self.rng, self.noise
        listeners = ["open"] * CONNECTIONS + ["front"] * FRONTS + ["back"] * BACKS
        connections = [self._connect(listener) for listener in listeners]
        wrong = thrown = 0
        self.watch(0)
        while wrong < self.count:
            at = int(rng.random() * len(connections))
            one = connections[at]
            wrong += one.send(noise.next(one.side))
            thrown += 1
            if thrown % 4 == 0:
                one.read()
            if thrown % 2000 == 0:
                self._no_message()
            one.left -= 1
            # A connection to a plain backend gets no last reply, so it stays.
            if one.left <= 0 and listeners[at] != "back":
                self._end(one)
                connections[at] = self._connect(listeners[at])
            if wrong * 10 // self.count > self.numbers["tenths"]:
                self.numbers["tenths"] += 1
                self.watch(self.numbers["tenths"])
        self.numbers.update(wrong=wrong, thrown=thrown)
        self.stay = [one for one, listener in zip(connections, listeners) if listener == "back"]
        for one, listener in zip(connections, listeners):
            if listener != "back":
                self._end(one)
        self._part(0)
        for one in self.stay:
            self._account(one, self.sure)

    def close(self):
        for one in self.stay:
            one.socket.close(linger=0)
        self.context.term()


class Trial:
    """The broker, and what it reports about itself."""

    def __init__(self, world):
        self.world = world
        plain = [f"{name}={','.join(f'ipc://{world.directory}/{name}.{end}' for end in ends)}"
                 for name, ends in (("plain", ("front", "back")), ("odd", ("front", "back")))]
        if programs.SANITIZED:  # otherwise the sanitizer's store of freed memory hides the rest
            old = world.environment.get("ASAN_OPTIONS", "")
            world.environment["ASAN_OPTIONS"] = f"{old}:quarantine_size_mb=16"
        self.broker = world.broker("--plain", plain[0], "--plain", plain[1], limits=LIMITS)
        self.endpoints = {"open": self.broker.endpoint, "back": f"ipc://{world.directory}/odd.back",
                          "front": f"ipc://{world.directory}/plain.front"}
        self.asked = 0
        self.memory = []
        self.begun = time.monotonic()

    def ask(self, what):
        self.asked += 1
        return self.world.ask(self.broker, what)

    def count(self):
        """The broker's counters with the names of the model, less what this program's own questions
        add."""
        status = self.ask("status")
        counters = collections.Counter({
            name: value for name, value in status["counters"].items() if name in COUNTERS})
        counters["cancels"] += status["counters"]["unknown_cancels"]
        counters["bad"] = sum(status["bad"].values())
        counters["foreign.bad"] = sum(status["foreign"]["bad"].values())
        for name in ("clients_joined", "admin_requests"):
            counters[name] -= self.asked
        return counters

    def watch(self, tenth):
        assert self.broker.alive(), f"the broker is gone: {self.broker.log()[-2000:]}"
        self.memory.append(self.broker.resident_bytes())

    def start_healthy(self):
        self.world.builtin(self.broker, "echo", service="healthy-native")
        healthy = self.world.start("healthy", sys.executable, HERE / "healthy.py",
                                   self.broker.endpoint, self.endpoints["front"],
                                   f"ipc://{self.world.directory}/plain.back",
                                   stdin=subprocess.PIPE, piped=True)
        assert healthy.popen.stdout.readline() == b"ready\n", healthy.log()
        return healthy

    def stop_healthy(self, healthy):
        healthy.popen.stdin.close()
        healthy.popen.stdin = None
        out, _ = healthy.popen.communicate(timeout=60 * PATIENCE)
        assert healthy.poll() == 0 and out, f"a healthy call was not answered: {healthy.log()}"
        return json.loads(out)


def check_counters(trial, before, sure, maybe):
    """Returns a table of what was counted. The last messages of a plain backend may still be on
    their way."""
    counted = None

    def settled():
        nonlocal counted
        counted = trial.count()
        counted.subtract(before)
        return all(sure[name] <= counted[name] for name in COUNTERS)

    def table():
        return "\n".join(f"  {name:16} counted {counted[name]:8}, foretold {sure[name]:8}"
                         f" to {sure[name] + maybe[name]:8}" for name in COUNTERS)
    try:
        until(settled, 10)
    except AssertionError:
        pass
    wrong = [name for name in COUNTERS
             if not sure[name] <= counted[name] <= sure[name] + maybe[name]]
    assert not wrong, f"not accounted for: {', '.join(wrong)}\n{table()}"
    return table()


def check_rest(trial):
    """Checks that nothing of the hostile peers is left, and every request has its final status."""
    def left():
        status = trial.ask("status")
        finals, gauges = sum(status["finals"].values()), status["gauges"]
        return {"clients": status["clients"] - 1, "workers": status["workers"] - 1,
                "envelopes": status["foreign"]["envelopes"], "conversations": status["conversations"],
                "open": status["counters"]["requests"] - finals, **gauges}
    try:
        until(lambda: not any(left().values()), 20)
    except AssertionError:
        raise AssertionError(f"left behind: {left()}") from None
    grown = max(trial.memory[2:]) - trial.memory[1]
    assert grown <= GROWTH, f"the broker has grown by {grown} bytes: {trial.memory}"
    lines = len(trial.broker.log().splitlines())
    most = TOPICS * (BURST + time.monotonic() - trial.begun + 1)
    assert lines <= most, f"{lines} lines of log"
    return grown, lines


def run(world, seed, count, churn):
    trial = Trial(world)
    healthy = trial.start_healthy()
    fuzzer = Fuzzer(seed, count, churn, trial.endpoints, trial.watch)
    # With this one connected, the REP workers' session exists before the first message.
    probe = fuzzer.context.socket(zmq.DEALER)
    probe.linger = 0
    probe.connect(trial.endpoints["back"])
    until(lambda: any(one["service"] == "odd" for one in trial.ask("workers")["workers"]), 5,
          "the plain backend has a session")
    before = trial.count()
    # So far only healthy peers have sent requests; theirs are counted at the end.
    before["requests"] = 0
    started = time.monotonic()
    fuzzer.run()
    seconds = time.monotonic() - started
    told = trial.stop_healthy(healthy)
    fuzzer.sure["requests"] += told["calls"]
    table = check_counters(trial, before, fuzzer.sure, fuzzer.maybe)
    probe.close()
    fuzzer.close()
    trial.watch(10)
    grown, lines = check_rest(trial)
    numbers = fuzzer.numbers
    print(f"{numbers['wrong']} wrong messages of {numbers['thrown']} on {numbers['connections']} "
          f"connections ({numbers['cut']} cut) and {numbers['no messages']} times no message, in "
          f"{seconds:.1f} s\n{table}\nhealthy calls {told['calls']}, the longest "
          f"{told['longest'] * 1000:.0f} ms; memory {trial.memory[1] >> 10} KiB, grown by "
          f"{grown >> 10} KiB; {lines} lines of log")


def main():
    long = os.environ.get("RIPOSTE_LONG") == "1"
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--count", type=int)
    parser.add_argument("--churn", action="store_true")
    parser.add_argument("--seed", type=int, default=random.getrandbits(32) if long else 1)
    options = parser.parse_args()
    count = options.count or (20000 if not long else 100000 if options.churn else 1000000)
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        world = World(directory)
        troubles = None
        try:
            run(world, options.seed, count, options.churn)
        except BaseException:
            print(world.logs())
            raise
        finally:
            troubles = world.end()
        return "\n".join(troubles) if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
