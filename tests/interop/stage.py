# SPDX-License-Identifier: MPL-2.0
"""The world of the system tests, with peers of every protocol in it.

A service for plain REQ and REP sockets has a listener pair, whose endpoints a Stage knows by the
service's name; all other peers use the broker's one port."""

import os
import pathlib
import sys
import time

import pytest

import peers
from support.programs import PATIENCE
from support.waiting import until
from support.world import World

#: All clients and workers that are tested, by their names in README.md.
CLIENTS = [*peers.CLIENTS, "native"]
WORKERS = [*peers.WORKERS, "native"]
MDP_WORKERS = ["mdp01", "mdp02", "libmdp", "packed"]
MDP_CLIENTS = [name for name, kind in peers.CLIENTS.items() if kind.named]
PIPELINING = [name for name, kind in peers.CLIENTS.items() if kind.pipelines]
STREAMING = [name for name, kind in peers.WORKERS.items() if kind.streams]


def couples(clients, workers):
    """Parameters client and worker: with RIPOSTE_LONG each with each, otherwise two workers for each client, in turn,
    so that each worker meets clients of several kinds. It is for rules that concern one side; that everyone reaches
    everyone is in test_interop.py."""
    if os.environ.get("RIPOSTE_LONG"):
        each = [(client, worker) for client in clients for worker in workers]
    else:
        each = [(client, workers[(2 * at + step) % len(workers)])
                for at, client in enumerate(clients) for step in range(2)]
    return pytest.mark.parametrize("client,worker", each)


#: Seconds between heartbeats, in tests of heartbeats, and the limit that sets it.
INTERVAL = 0.4 * PATIENCE
FAST = {"foreign_heartbeat": f"{INTERVAL * 1000:.0f}ms"}
#: An interval so short that the worker is never taken for dead.
ALIVE = INTERVAL / 4

#: The counters of a healthy broker. All others in `riposte status` count something wrong.
HEALTHY = {"requests", "deliveries", "admin_requests", "clients_joined", "workers_joined", "probes",
           "conversations", "cancels", "clients_lost", "streams", "parts", "part_bytes"}


def pair(*protocols):
    """Returns the services that need a listener pair for these protocols: svc, or none."""
    return ("svc",) if any(name.startswith("plain-") for name in protocols) else ()


class NativeClient:
    """`riposte call`, one process for each request. It sends one frame, and writes a reply as one
    piece."""

    streams, pipelines, named, names_back = False, True, True, True

    def __init__(self, stage, broker):
        self._stage, self._broker = stage, broker
        self._calls = []

    def request(self, service, *body):
        file = self._stage.directory / f"body-{len(list(self._stage.directory.iterdir()))}"
        file.write_bytes(b"".join(body))
        self._calls.append(self._stage.start_cli(
            self._broker, "call", service.decode(), f"@{file}", "--timeout", "30s",
            "--wait-worker", "10s"))

    def reply(self, within=5.0):
        result = self._stage.finish(self._calls.pop(0), within + 5)
        assert result.code == 0, result
        return peers.Reply(None, (result.out,), False, ())

    def call(self, service, *body, within=5.0):
        self.request(service, *body)
        return self.reply(within)

    def whole(self, within=5.0):
        return [self.reply(within).body]

    def close(self):
        for call in self._calls:
            call.kill()


class NativeWorker:
    """`riposte-worker --builtin echo`."""

    streams, names, heartbeats = False, True, True

    def serve(self, count=1):
        return None  # it serves by itself

    def step(self):
        pass


class Shared:
    """Brokers that several tests use, one after the other: one for each set of listener pairs and limits."""

    def __init__(self, place):
        self._place = place  # makes a directory
        self._stages = {}

    def take(self, plain, limits):
        """Returns a broker and its pairs, once the peers of the test before have gone."""
        key = (plain, *sorted(limits.items()))
        if key not in self._stages:
            stage = Stage(self._place())
            self._stages[key] = stage, stage.interop_broker(plain=plain, **limits)
        stage, broker = self._stages[key]
        until(lambda: self._is_alone(stage.status(broker)), 10, "the peers of earlier tests have gone", broker)
        return broker, stage.pairs

    @staticmethod
    def _is_alone(status):
        gauges = status["gauges"]  # the one client is who asks
        return (status["clients"], status["workers"], gauges["waiting"], gauges["running"]) == (1, 0, 0, 0)

    def end(self):
        return [trouble for stage, _ in self._stages.values() for trouble in stage.end()]


class Stage(World):
    def __init__(self, directory, shared=None):
        super().__init__(directory)
        self.pairs = {}
        self._shared = shared

    def interop_broker(self, *options, plain=(), **limits):
        """Starts a broker with a listener pair for each service named in plain."""
        for service in plain:
            front, back = (f"ipc://{self.directory}/{service}.{end}" for end in ("front", "back"))
            self.pairs[service.encode()] = front, back
            options += ("--plain", f"{service}={front},{back}")
        return self.broker(*options, limits=limits or None)

    def shared_broker(self, plain=(), **limits):
        """Likewise, a broker that other tests have used, so its counters do not begin at 0."""
        broker, pairs = self._shared.take(plain, limits)
        self.pairs.update(pairs)
        return broker

    def pair(self, service):
        """Returns the endpoints of a service's listener pair: for REQ, for REP."""
        return self.pairs[service]

    def own(self, peer):
        """Closes the peer at the end of the test."""
        self._others.append(peer)
        return peer

    def peers(self):
        return list(self._others)

    def close_all_but(self, these):
        for peer in self._others:
            if peer not in these:
                peer.close()
        self._others = list(these)

    def client(self, broker, protocol, service=b"svc", **options):
        """Makes a client. service is for plain clients only, whose endpoint stands for it."""
        if protocol == "native":
            return self.own(NativeClient(self, broker))
        kind = peers.CLIENTS[protocol]
        endpoint = broker.endpoint if kind.named else self.pairs[service][0]
        return self.own(kind(endpoint, **options))

    def unready(self, broker, protocol, service=b"svc", **options):
        """Makes a worker that has not sent a message yet."""
        kind = peers.WORKERS[protocol]
        endpoint = broker.endpoint if kind.names else self.pairs[service][1]
        return self.own(kind(endpoint, **options))

    def offer(self, broker, protocol, service=b"svc", interval=None, **options):
        """Makes a worker, which is registered when this returns (of several REP workers, one
        is)."""
        if protocol == "native":
            self.builtin(broker, "echo", service=service.decode())
            return NativeWorker()
        named = peers.WORKERS[protocol].names
        # By address, not by count: one that a test has just closed may be counted a moment longer.
        known = self.addresses(broker, service) if named else set()
        worker = self.unready(broker, protocol, service, **options)
        worker.interval = interval
        worker.ready(service)
        until(lambda: worker.step() or self.addresses(broker, service) - known, 5,
              f"the {protocol} worker is registered")
        return worker

    def process(self, broker, role, protocol, service=b"svc"):
        """Starts a worker as a process of its own, which a test may kill. role: echo or hold."""
        kind = peers.WORKERS[protocol]
        endpoint = broker.endpoint if kind.names else self.pairs[service][1]
        known = self.addresses(broker, service)
        worker = self.start(protocol, sys.executable, pathlib.Path(peers.__file__), role, protocol,
                            endpoint, service.decode())
        worker.handles_sigterm = False
        worker.wait_for("ready")
        if kind.names:
            until(lambda: self.addresses(broker, service) - known, 5, "it is registered")
        return worker

    def raw(self, broker, **options):
        """Makes a DEALER that sends what it is given."""
        return self.own(peers.Peer(broker.endpoint, **options))

    # ---- The broker's status and log ------------------------------------------------------------

    def count(self, broker, service):
        """Returns how many workers a service has."""
        return len(self.workers(broker, service.decode()))

    def addresses(self, broker, service):
        return {worker["address"] for worker in self.workers(broker, service.decode())}

    def gauge(self, broker, name):
        return self.status(broker)["gauges"][name]

    def wrongs(self, broker):
        """Returns the sum of all counters of things that are wrong."""
        status = self.status(broker)
        return (sum(status["bad"].values())
                + sum(value for name, value in status["counters"].items() if name not in HEALTHY)
                + sum(value for name, value in status["finals"].items() if name != "OK"))

    def lines(self, broker, before):
        """Returns the log's lines since it was `before`, without those about peers that joined."""
        return [line for line in broker.log()[len(before):].splitlines() if " joined " not in line]

    # ---- Waiting --------------------------------------------------------------------------------

    @staticmethod
    def keep(workers, condition, within=5.0, what=None):
        """Waits like until; meanwhile these workers send heartbeats."""
        def kept():
            for worker in workers:
                worker.step()
            return condition()
        return until(kept, within, what)

    @staticmethod
    def pass_time(workers, seconds):
        """Lets time pass while these workers send heartbeats. Only a test of silence needs it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for worker in workers:
                worker.step()
            time.sleep(0.01)
