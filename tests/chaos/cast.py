# SPDX-License-Identifier: MPL-2.0
"""The processes of a chaos run, each with its history; and the run's own history, which says what was
done to them."""

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

from support.process import Process  # noqa: E402
from support.programs import BROKER, BUILD, PATIENCE  # noqa: E402
from support.waiting import until  # noqa: E402

LOAD = BUILD / "tests" / "chaos_load"
WORKER = BUILD / "tests" / "chaos_worker"
PROXY = BUILD / "tests" / "chaos_proxy"
MDP_LOAD = pathlib.Path(__file__).with_name("mdp_load.py")
PYTHON = "/usr/bin/python3"

WORKER_HEARTBEAT_MS = 250
CLIENT_HEARTBEAT_MS = 500
LIMITS = ("foreign_deadline=4s", "foreign_attempts=3", "foreign_heartbeat=500ms", "mdp_attempt=4s")
#: Seconds by which what this program undoes may be late.
SLACK = 0.5
#: However a run was broken, every request has ended so long after the load was told to stop.
LONGEST_REQUEST = 20


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
        """These stand still, or their links do, from now on for so long at most."""
        until = now_us() + int(seconds * 1e6)
        for party in parties:
            self.write("fault", party, kind=kind, until=until)

    def close(self):
        self._file.close()


class Actor(Process):
    """A process, and by which parties the histories know it."""

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
    #: Whether all keep a history: in hours it would fill a disk.
    keeps_histories = True
    worker_heartbeat_ms = WORKER_HEARTBEAT_MS
    client_heartbeat_ms = CLIENT_HEARTBEAT_MS

    def __init__(self, directory, seed):
        self.directory = pathlib.Path(directory)
        self.histories = self.directory / "history"
        self.histories.mkdir(parents=True)
        self.seed = seed
        self.record = Record(self.histories / "run.hist")
        self.actors = {}    # those that are up, by name
        self.troubles = []
        self.broker = None
        self.endpoint = "tcp://127.0.0.1:*"
        self._lives = {}

    # ---- Starting -------------------------------------------------------------------------------

    def life(self, name):
        """The name of the next process in this part: no two have the same."""
        self._lives[name] = self._lives.get(name, 0) + 1
        return f"{name}.{self._lives[name]}"

    def start(self, name, command, parties=(), prefix=(), **more):
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
        for limit in LIMITS:
            command += ["--limit", limit]
        if self.keeps_histories:
            command += ["--history", self.history(name)]
        self.broker = self.start(name, command, prefix=prefix)
        until(lambda: ports.exists() and ports.read_text().endswith("\n"), 10,
              "the broker is ready", self.broker)
        self.endpoint = ports.read_text().splitlines()[0].strip()
        self.broker.parties = ("broker",)
        return self.broker

    def start_worker(self, part, service, endpoint, prefix=()):
        name = self.life(part)
        command = (WORKER, "--server", endpoint, "--service", service, "--name", name, "--history",
                   self.history(name), "--heartbeat", self.worker_heartbeat_ms)
        return self.start(name, command, (f"worker:{name}",), prefix)

    def start_mdp_worker(self, part, protocol, endpoint, prefix=()):
        name = self.life(part)
        command = (PYTHON, MDP_LOAD, "worker", "--server", endpoint, "--name", name, "--history",
                   self.history(name), "--protocol", protocol)
        return self._interpreted(self.start(name, command, (f"worker:{name}",), prefix))

    def start_load(self, part, endpoint, clients, rate, *options, prefix=()):
        name = self.life(part)
        command = (LOAD, "--server", endpoint, "--name", name, "--history", self.history(name),
                   "--clients", clients, "--rate", rate, "--seconds", 1000000, "--seed", self.seed,
                   "--heartbeat", self.client_heartbeat_ms, *options)
        parties = tuple(f"client:{name}-{number}" for number in range(clients))
        return self.start(name, command, parties, prefix, piped=True)

    def start_mdp_load(self, part, endpoint, clients, rate, prefix=()):
        name = self.life(part)
        command = (PYTHON, MDP_LOAD, "clients", "--server", endpoint, "--name", name, "--history",
                   self.history(name), "--clients", clients, "--rate", rate, "--seconds", 1000000,
                   "--seed", self.seed)
        parties = tuple(f"client:{name}-{number}" for number in range(clients))
        return self._interpreted(self.start(name, command, parties, prefix, piped=True))

    @staticmethod
    def _interpreted(actor):
        """An interpreter takes some time until it handles signals."""
        actor.handles_sigterm = False
        return actor

    # ---- Hurting --------------------------------------------------------------------------------

    def named(self, part):
        """The process that is up in this part, None if there is none."""
        return self.actors.get(f"{part}.{self._lives.get(part, 0)}")

    def kill(self, actor):
        for party in actor.parties:
            self.record.write("kill", party)
        actor.kill()
        self._bury(actor)

    def freeze(self, actor, seconds):
        """Its clock goes on, so what it has to do is late by as much as this."""
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
        """Notes what ended by itself: nothing in a run does."""
        for actor in list(self.actors.values()):
            if not actor.alive():
                self.troubles.append(f"{actor.name} ended by itself, exit {actor.poll()}")
                self._bury(actor)

    # ---- The end --------------------------------------------------------------------------------

    def end_load(self):
        """Has the clients stop asking and waits until every request has ended."""
        loads = [actor for actor in self.actors.values() if actor.parties
                 and actor.parties[0].startswith("client:")]
        for load in loads:
            load.signal(signal.SIGTERM)
        end = time.monotonic() + LONGEST_REQUEST * PATIENCE
        for load in loads:
            try:
                out, _ = load.popen.communicate(timeout=max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.troubles.append(f"{load.name}: not every request has ended, "
                                     f"{LONGEST_REQUEST} s after the last")
                load.kill()
                continue
            if load.poll() != 0 or json.loads(out or b'{"wrong": 1}')["wrong"]:
                self.troubles.append(f"{load.name} saw something wrong (exit {load.poll()})")

    def end(self):
        """Ends everything: whatever is still up."""
        for actor in reversed(list(self.actors.values())):
            if actor.popen.stdin and not actor.popen.stdin.closed:
                actor.popen.stdin.close()
            self._bury(actor)
        self.record.close()

    def files(self):
        return sorted(str(path) for path in self.histories.glob("*.hist"))

    def logs(self):
        return sorted(self.directory.glob("*.log"), key=os.path.getmtime)
