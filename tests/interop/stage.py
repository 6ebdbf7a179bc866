# SPDX-License-Identifier: MPL-2.0
"""The world of the system tests, with peers of every protocol in it.

A service that plain REQ and REP sockets are to reach has a listener pair, whose endpoints a Stage
knows by the service's name; all other peers use the broker's one port."""

import pathlib
import sys
import time

import peers
from support.programs import PATIENCE
from support.waiting import until
from support.world import World

#: Every client and every worker there is a test for, by the names of README.md.
CLIENTS = [*peers.CLIENTS, "native"]
WORKERS = [*peers.WORKERS, "native"]
MDP_WORKERS = ["mdp01", "mdp02", "libmdp", "packed"]
MDP_CLIENTS = [name for name, kind in peers.CLIENTS.items() if kind.named]
PIPELINING = [name for name, kind in peers.CLIENTS.items() if kind.pipelines]
STREAMING = [name for name, kind in peers.WORKERS.items() if kind.streams]

#: Seconds between heartbeats in tests that are about them, and the limit that says so.
INTERVAL = 0.4 * PATIENCE
FAST = {"foreign_heartbeat": f"{INTERVAL * 1000:.0f}ms"}
#: The interval of a worker that leaves nobody in doubt.
ALIVE = INTERVAL / 4

#: What a healthy broker counts. Everything else in `riposte status` is something wrong.
HEALTHY = {"requests", "deliveries", "admin_requests", "clients_joined", "workers_joined", "probes",
           "conversations", "cancels", "clients_lost"}


def pair(*protocols):
    """The services that need a listener pair for these protocols: svc, or none."""
    return ("svc",) if any(name.startswith("plain-") for name in protocols) else ()


class NativeClient:
    """`riposte call`, one process for each request. It sends one frame, and writes what it gets as
    one piece."""

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
        return None  # it does so by itself

    def step(self):
        pass


class Stage(World):
    def __init__(self, directory):
        super().__init__(directory)
        self._pairs = {}

    def interop_broker(self, *options, plain=(), **limits):
        """A broker with a listener pair for each service named in plain."""
        for service in plain:
            front, back = (f"ipc://{self.directory}/{service}.{end}" for end in ("front", "back"))
            self._pairs[service.encode()] = front, back
            options += ("--plain", f"{service}={front},{back}")
        return self.broker(*options, limits=limits or None)

    def pair(self, service):
        """The endpoints of a service's listener pair: for REQ, for REP."""
        return self._pairs[service]

    def own(self, peer):
        """Has it closed at the end."""
        self._others.append(peer)
        return peer

    def client(self, broker, protocol, service=b"svc", **options):
        """A client; service matters to plain ones only, whose endpoint stands for it."""
        if protocol == "native":
            return self.own(NativeClient(self, broker))
        kind = peers.CLIENTS[protocol]
        endpoint = broker.endpoint if kind.named else self._pairs[service][0]
        return self.own(kind(endpoint, **options))

    def unready(self, broker, protocol, service=b"svc", **options):
        """A worker that has said nothing yet."""
        kind = peers.WORKERS[protocol]
        endpoint = broker.endpoint if kind.names else self._pairs[service][1]
        return self.own(kind(endpoint, **options))

    def offer(self, broker, protocol, service=b"svc", interval=None, **options):
        """A worker, registered when this returns (of several REP workers: one of them)."""
        if protocol == "native":
            self.builtin(broker, "echo", service=service.decode())
            return NativeWorker()
        named = peers.WORKERS[protocol].names
        wanted = 1 + (self.count(broker, service) if named else 0)
        worker = self.unready(broker, protocol, service, **options)
        worker.interval = interval
        worker.ready(service)
        until(lambda: worker.step() or self.count(broker, service) >= wanted, 5,
              f"the {protocol} worker is registered")
        return worker

    def process(self, broker, role, protocol, service=b"svc"):
        """A worker as a process of its own, to be killed. role: echo or hold."""
        kind = peers.WORKERS[protocol]
        endpoint = broker.endpoint if kind.names else self._pairs[service][1]
        known = self.count(broker, service)
        worker = self.start(protocol, sys.executable, pathlib.Path(peers.__file__), role, protocol,
                            endpoint, service.decode())
        worker.handles_sigterm = False
        worker.wait_for("ready")
        if kind.names:
            until(lambda: self.count(broker, service) == known + 1, 5, "it is registered")
        return worker

    def raw(self, broker, **options):
        """A DEALER that says what it is told to."""
        return self.own(peers.Peer(broker.endpoint, **options))

    # ---- What the broker says -------------------------------------------------------------------

    def count(self, broker, service):
        """Workers of a service."""
        return len(self.workers(broker, service.decode()))

    def gauge(self, broker, name):
        return self.status(broker)["gauges"][name]

    def wrongs(self, broker):
        """Everything the broker counts of what should not be, as one number."""
        status = self.status(broker)
        return (sum(status["bad"].values())
                + sum(value for name, value in status["counters"].items() if name not in HEALTHY)
                + sum(value for name, value in status["finals"].items() if name != "OK"))

    def lines(self, broker, before):
        """What the log has since it was `before`, but for peers that came."""
        return [line for line in broker.log()[len(before):].splitlines() if " joined " not in line]

    # ---- Waiting --------------------------------------------------------------------------------

    @staticmethod
    def keep(workers, condition, within=5.0, what=None):
        """until, with these workers' heartbeats going on."""
        def kept():
            for worker in workers:
                worker.step()
            return condition()
        return until(kept, within, what)

    @staticmethod
    def pass_time(workers, seconds):
        """Lets time pass, which only a test of silence needs, with these workers' heartbeats."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for worker in workers:
                worker.step()
            time.sleep(0.01)
