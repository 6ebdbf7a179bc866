# SPDX-License-Identifier: MPL-2.0
"""The processes of a chaos run, each with its history; and the run's own history, which records
what was done to them."""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from books import http_port  # noqa: E402
from support.process import Process  # noqa: E402
from support.programs import BROKER, BUILD, PATIENCE  # noqa: E402
from support.waiting import until  # noqa: E402

LOAD = BUILD / "tests" / "chaos_load"
WORKER = BUILD / "tests" / "chaos_worker"
#: The same in Go, with one word before the options; it is there if go/check could build it.
IN_GO = BUILD / "tests" / "chaos_go"
#: The same in Python.
IN_PYTHON = ("/usr/bin/python3", pathlib.Path(__file__).with_name("riposte_load.py"))
PROXY = BUILD / "tests" / "chaos_proxy"
MDP_LOAD = pathlib.Path(__file__).with_name("mdp_load.py")
PYTHON = "/usr/bin/python3"

WORKER_HEARTBEAT_MS = 250
CLIENT_HEARTBEAT_MS = 500
LIMITS = ("foreign_deadline=4s", "foreign_attempts=3", "foreign_heartbeat=500ms", "mdp_attempt=4s")
#: Seconds by which this program may be late to undo a fault.
SLACK = 0.5
#: Seconds after the end of the load in which every request must have ended, whatever the faults; and after which one
#: that has not will never end, however busy the machine is.
LONGEST_REQUEST, NEVER = 20, 120


def duration(text):
    match = re.fullmatch(r"(\d+)(s|m|h)", text)
    if not match:
        raise argparse.ArgumentTypeError("a number with s, m or h, such as 2m")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def now_us():
    return time.monotonic_ns() // 1000


class Record:
    """The run's own history."""

    def __init__(self, path):
        self._file = open(path, "a", buffering=1, encoding="utf-8")

    def write(self, event, party, **fields):
        text = "".join(f"\t{key}={value}" for key, value in fields.items())
        self._file.write(f"{now_us()}\tchaos\t{event}\tparty={party}{text}\n")

    def fault(self, kind, parties, seconds):
        """Records that these parties, or their links, stand still from now on, for this long at
        most."""
        until = now_us() + int(seconds * 1e6)
        for party in parties:
            self.write("fault", party, kind=kind, until=until)

    def close(self):
        self._file.close()


class Actor(Process):
    """A process, with the parties by which the histories name it."""

    apart = True
    parties = ()
    frozen = False


class Proxy:
    """chaos_proxy, and its commands."""

    def __init__(self, cast, name, target):
        self.name = name
        self._actor = cast.start(name, (PROXY, target.rsplit(":", 1)[1]), stdin=subprocess.PIPE,
                                 piped=True)
        self._actor.handles_sigterm = False
        port = self._answer().split()[1]
        self.endpoint = f"tcp://127.0.0.1:{port}"

    def _answer(self):
        return self._actor.popen.stdout.readline().decode().strip()

    def tell(self, command):
        self._actor.popen.stdin.write(f"{command}\n".encode())
        self._actor.popen.stdin.flush()
        assert self._answer() == command.split()[0], command


class Cast:
    #: Whether all processes write a history. In a run of hours these would fill a disk.
    keeps_histories = True
    #: Whether the loads in C have streams, for which there must be workers.
    has_streams = False
    worker_heartbeat_ms = WORKER_HEARTBEAT_MS
    client_heartbeat_ms = CLIENT_HEARTBEAT_MS
    #: Parts whose processes are those in Go, in Python.
    in_go = in_python = frozenset()

    def __init__(self, directory, seed, security=None):
        self.directory = pathlib.Path(directory)
        self.security = security
        self.histories = self.directory / "history"
        self.histories.mkdir(parents=True)
        self.seed = seed
        self.record = Record(self.histories / "run.hist")
        self.actors = {}    # running processes, by name
        self.troubles = []  # what must never be
        self.late = []      # what is wrong by the clock, which a busy machine explains
        self.broker = None
        self.endpoint = "tcp://127.0.0.1:*"
        self._lives = {}

    # ---- Starting -------------------------------------------------------------------------------

    def life(self, name):
        """Returns the name of the next process of this part of the run; no two have the same."""
        self._lives[name] = self._lives.get(name, 0) + 1
        return f"{name}.{self._lives[name]}"

    def start(self, name, command, parties=(), prefix=(), **more):
        if self.security:
            command = self.security.with_keys(command, name.partition(".")[0])
            more["environment"] = self.security.environment(name.partition(".")[0])
        actor = Actor(name, (*prefix, *command), self.directory, **more)
        actor.parties = parties
        self.actors[name] = actor
        return actor

    def history(self, name):
        return self.histories / f"{name}.hist" if self.keeps_histories else os.devnull

    def start_broker(self, prefix=(), address="127.0.0.1"):
        """Starts the broker, on the port that an earlier one had."""
        name = self.life("broker")
        ports = self.directory / f"{name}.ports"
        port = self.endpoint.rsplit(":", 1)[1]
        command = [BROKER, "--bind", f"tcp://{address}:{port}", "--ports-file", ports]
        if address == "127.0.0.1":
            command += ["--http", "127.0.0.1:*"]
        if address != "127.0.0.1":
            command += ["--insecure"]  # only the test's own network reaches it
        for limit in LIMITS:
            command += ["--limit", limit]
        if self.keeps_histories:
            command += ["--history", self.history(name)]
        if self.security:
            command += self.security.of_broker()
        broker = self.start(name, command, prefix=prefix)
        until(lambda: ports.exists() and ports.read_text().endswith("\n"), 60, "the broker is ready", broker)
        self.endpoint = ports.read_text().splitlines()[0].strip()
        broker.parties = ("broker",)
        #: The port of its HTTP; None: it has none.
        broker.http = http_port(broker.pid, int(self.endpoint.rsplit(":", 1)[1]))
        self.broker = broker  # whole: other threads use it
        return broker

    def start_worker(self, part, service, endpoint, prefix=()):
        name = self.life(part)
        program = self._program(part, "worker", WORKER)
        command = (*program, "--server", endpoint, "--service", service, "--name", name, "--history",
                   self.history(name), "--heartbeat", self.worker_heartbeat_ms)
        return self._interpreted(self.start(name, command, (f"worker:{name}",), prefix), part in self.in_python)

    def _program(self, part, what, in_c):
        if part in self.in_go:
            return IN_GO, what
        return (*IN_PYTHON, what) if part in self.in_python else (in_c,)

    def start_mdp_worker(self, part, protocol, endpoint, prefix=()):
        name = self.life(part)
        command = (PYTHON, MDP_LOAD, "worker", "--server", endpoint, "--name", name, "--history",
                   self.history(name), "--protocol", protocol)
        return self._interpreted(self.start(name, command, (f"worker:{name}",), prefix))

    def start_load(self, part, endpoint, clients, rate, *options, prefix=()):
        name = self.life(part)
        program = self._program(part, "load", LOAD)
        command = (*program, "--server", endpoint, "--name", name, "--history", self.history(name),
                   "--clients", clients, "--rate", rate, "--seconds", 1000000, "--seed", self.seed,
                   "--heartbeat", self.client_heartbeat_ms, *options)
        if self.has_streams and program == (LOAD,):
            command += ("--streams", 1)
        parties = tuple(f"client:{name}-{number}" for number in range(clients))
        return self._interpreted(self.start(name, command, parties, prefix, piped=True), part in self.in_python)

    def start_mdp_load(self, part, endpoint, clients, rate, prefix=()):
        name = self.life(part)
        command = (PYTHON, MDP_LOAD, "clients", "--server", endpoint, "--name", name, "--history",
                   self.history(name), "--clients", clients, "--rate", rate, "--seconds", 1000000,
                   "--seed", self.seed)
        parties = tuple(f"client:{name}-{number}" for number in range(clients))
        return self._interpreted(self.start(name, command, parties, prefix, piped=True))

    @staticmethod
    def _interpreted(actor, is_so=True):
        """An interpreter takes some time until it handles signals."""
        actor.handles_sigterm = actor.handles_sigterm and not is_so
        return actor

    # ---- Hurting --------------------------------------------------------------------------------

    def named(self, part):
        """Returns the running process of this part, or None."""
        return self.actors.get(f"{part}.{self._lives.get(part, 0)}")

    def kill(self, actor):
        for party in actor.parties:
            self.record.write("kill", party)
        actor.kill()
        self._bury(actor)

    def freeze(self, actor, seconds):
        """The process's clock goes on, so all that it has to do may be late by this much."""
        self.record.fault("freeze", actor.parties, seconds + SLACK)
        actor.freeze()
        actor.frozen = True

    def thaw(self, actor):
        if actor.alive():
            actor.thaw()
        actor.frozen = False
        self.record.fault("thaw", actor.parties, 0)

    def _bury(self, actor):
        trouble = actor.end()
        if trouble:
            self.troubles.append(trouble)
        del self.actors[actor.name]

    def watch(self):
        """Records processes that have ended by themselves, which none should."""
        for actor in list(self.actors.values()):
            if not actor.alive():
                self.troubles.append(f"{actor.name} ended by itself, exit {actor.poll()}")
                self._bury(actor)

    # ---- The end --------------------------------------------------------------------------------

    def end_load(self):
        """Has the clients send no more requests, and waits until every request has ended."""
        loads = [actor for actor in self.actors.values() if actor.parties
                 and actor.parties[0].startswith("client:")]
        for load in loads:
            load.signal(signal.SIGTERM)
        end = time.monotonic()
        for load in loads:
            try:
                out, _ = load.popen.communicate(timeout=max(0.1, end + NEVER - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.troubles.append(f"{load.name}: not every request has ended, {NEVER} s after the last")
                load.kill()
                continue
            if (took := time.monotonic() - end) > LONGEST_REQUEST * PATIENCE:
                self.late.append(f"{load.name}: the last request ended {took:.0f} s after the load")
            if load.poll() != 0 or json.loads(out or b'{"wrong": 1}')["wrong"]:
                self.troubles.append(f"{load.name} saw something wrong (exit {load.poll()})")

    def end(self):
        """Ends all processes that still run."""
        for actor in reversed(list(self.actors.values())):
            if actor.popen.stdin and not actor.popen.stdin.closed:
                actor.popen.stdin.close()
            self._bury(actor)
        self.record.close()

    def files(self):
        return sorted(str(path) for path in self.histories.glob("*.hist"))

    def logs(self):
        return sorted(self.directory.glob("*.log"), key=os.path.getmtime)
