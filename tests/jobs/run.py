# SPDX-License-Identifier: MPL-2.0
"""A run: clients, workers, and a broker that is killed, frozen and drained under them."""

import os
import pathlib
import pickle
import random
import statistics
import subprocess
import time

from peers import DELAY_MS, SPAWN, Shared, is_cancelled, open_peer, run_client, run_worker, terms
from support import programs, verdict
from support.peer import REPLY, STATUSES
from support.process import Process
from support.programs import PATIENCE
from support.web import free_port

LONG = os.environ.get("RIPOSTE_LONG") == "1"
SEED = int(os.environ.get("RIPOSTE_SEED", "1"))
CLIENTS = 4


def ping(endpoint, within=10.0, process=None):
    """Waits for the answer of a broker to an ordinary request; False if none came, or if its process ended."""
    end = time.monotonic() + within * PATIENCE
    while time.monotonic() < end and (process is None or process.alive()):
        peer = open_peer(endpoint, 1.0)
        if peer:
            with peer:
                peer.request(b"riposte.ping")
                message = peer.receive()
                if message and message.command == REPLY and STATUSES[message.status] == "OK":
                    return True
    return False


class Run:
    """special: the words that start the broker instead of riposte-broker; its store and endpoint are
    appended. store: a URL; otherwise it is a file. others: further faults, functions that return whether it goes
    on."""

    def __init__(self, world, jobs, special=None, store=None, others=()):
        self.world = world
        self.directory = pathlib.Path(world.directory)
        self.store = store or self.directory / "jobs.db"
        self.others = list(others)
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.special = special
        self.jobs = jobs
        self.shared = Shared(CLIENTS)
        self.chance = random.Random(SEED)
        self.ready = []  # of each start: ms until an ordinary request was answered
        self.bare = []   # the same of a broker without a store, started just before it
        self.faults = []
        self.late = []   # what a busy machine may be to blame for
        self.counts = {}
        self.workers = {}
        self.clients = []
        self.started = 0

    # ---- The broker and the workers ----------------------------------------------------------------

    def begin_broker(self):
        begin = time.monotonic()
        if self.special:
            self.started += 1
            command = [*self.special[:1], self.store, self.endpoint, self.started, *self.special[1:]]
        else:
            command = [programs.BROKER, "--store", self.store, "--bind", self.endpoint]
        self.broker = self.world.start("broker", *command)
        self.broker.handles_sigterm = not self.special
        answered = ping(self.endpoint, process=self.broker)
        self.ready.append((time.monotonic() - begin) * 1000)
        if answered:
            self.shared.generation.value += 1
        return answered

    def _down(self):
        if self.shared.generation.value % 2:
            self.shared.generation.value += 1

    def begin_worker(self, name):
        if name.startswith("echo"):
            self.workers[name] = self.world.start("worker", programs.WORKER, "-s", self.endpoint, "echo", "--builtin",
                                                  "echo", "--slots", "64")
        else:
            self.workers[name] = SPAWN.Process(target=run_worker, args=(
                name.encode(), self.endpoint, 64, self.shared, self.directory / f"starts-{name}"), daemon=True)
            self.workers[name].start()

    # ---- Faults ------------------------------------------------------------------------------------

    def kill(self):
        self.broker.kill()
        self._down()
        self._begin_bare()
        return self.begin_broker()

    def _begin_bare(self):
        endpoint = f"tcp://127.0.0.1:{free_port()}"
        begin = time.monotonic()
        bare = self.world.start("bare", programs.BROKER, "--bind", endpoint)
        assert ping(endpoint), bare.log()
        self.bare.append((time.monotonic() - begin) * 1000)
        bare.kill()

    def freeze(self):
        self.broker.freeze()
        time.sleep(0.2)
        self.broker.thaw()
        return True

    def drain(self):
        self.broker.terminate()
        code = self.broker.wait(20)
        self._down()
        if code != 0:
            self.faults.append(f"drained, the broker ended with {code}")
        return self.begin_broker()

    def kill_worker(self):
        name = self.chance.choice(sorted(self.workers))
        self.workers[name].kill()
        if not name.startswith("echo"):
            self.workers[name].join()
        kind, number = name.split("-")
        del self.workers[name]
        self.begin_worker(f"{kind}-{int(number) + 10}")
        return True

    # ---- The run -----------------------------------------------------------------------------------

    def _progress(self):
        return (sum(self.shared.accepted) + sum(self.shared.fetched)) / (2 * self.jobs)

    def go(self, kills, freezes=0, drains=0, workers=0, within=120):
        """Each fault has its place in the run, by what the clients have got. True if all is answered."""
        end = time.monotonic() + within * PATIENCE
        assert self.begin_broker(), self.broker.log()
        for name in ("echo-0", "echo-1", "raw-0", "raw-1"):
            self.begin_worker(name)
        for number in range(CLIENTS):
            client = SPAWN.Process(target=run_client, args=(
                number, self.endpoint, self.jobs // CLIENTS, self.shared, self.directory / f"client-{number}"),
                daemon=True)
            client.start()
            self.clients.append(client)
        faults = [self.kill] * kills + [self.freeze] * freezes + [self.drain] * drains + [self.kill_worker] * workers \
            + self.others
        self.chance.shuffle(faults)
        goes_on = True
        for at, fault in enumerate(faults):
            while goes_on and self._progress() < (at + 1) / (len(faults) + 1) and time.monotonic() < end \
                    and any(client.is_alive() for client in self.clients):
                goes_on = self.broker.alive()
                time.sleep(0.002)
            if not goes_on:
                break
            goes_on = fault()
        if not goes_on:
            gone = f"the broker is gone: {self.broker.log()[-300:]}"
            (self.late if self.broker.alive() else self.faults).append(gone)
        for client in self.clients:
            while goes_on and client.is_alive() and time.monotonic() < end:
                client.join(0.05)
        self._judge()
        return goes_on

    def _judge(self):
        """Puts together what the processes have seen."""
        left = sum(client.is_alive() for client in self.clients)
        self.shared.stop.value = 1
        for process in [*self.clients, *(one for one in self.workers.values() if not isinstance(one, Process))]:
            process.join(10)
        starts, times, attempts = {}, {}, 0
        for path in self.directory.glob("starts-*"):
            for line in path.read_bytes().splitlines():
                answer, at = line.split()
                job = answer[:answer.rfind(b".") + 1]  # none of the jobs with another body
                starts.setdefault(job, []).append(answer)
                times[job] = min(times.get(job, int(at)), int(at))
                attempts += 1
        dead, cancelled, ids = 0, 0, {}
        for number in range(CLIENTS):
            with open(self.directory / f"client-{number}", "rb") as file:
                seen = pickle.load(file)
            self.faults += [f"client {number}: {fault}" for fault in seen["faults"]]
            if seen["left"] and left:
                self.late.append(f"client {number}: {seen['left']} unanswered at the end")
            for at, (status, body) in seen["finals"].items():
                service, sent, most = terms(number, at)
                came = starts.get(sent, [])
                if STATUSES[status] == "WORKER_LOST" and most < 10:
                    dead += 1
                elif STATUSES[status] == "CANCELLED" and is_cancelled(at):
                    cancelled += 1
                elif STATUSES[status] != "OK":
                    self.faults.append(f"{number}-{at}: {STATUSES[status]} after {len(came)} starts")
                elif body != sent if service == b"echo" else body not in came:
                    self.faults.append(f"{number}-{at}: {body} is not the answer to it")
                if len(came) > most:
                    self.faults.append(f"{number}-{at}: {len(came)} starts of {most}")
            for at, sent in seen["sent"].items():
                first = times.get(terms(number, at)[1])
                if first and first < sent + DELAY_MS * 1000:
                    self.faults.append(f"{number}-{at}: started {first - sent} µs after it was submitted")
            for at, job in seen["jobs"].items():
                if ids.setdefault(job, (number, at)) != (number, at):
                    self.faults.append(f"{number}-{at} and {ids[job]} are both job {job}")
        self.counts = {"accepted": sum(self.shared.accepted), "fetched": sum(self.shared.fetched),
                       "starts": attempts, "started more than once": sum(len(one) > 1 for one in starts.values()),
                       "dead of one or two attempts": dead, "cancelled": cancelled}

    def report(self):
        after = self.ready[1:]
        return (f"{self.counts}; {len(after)} starts of the broker: "
                f"ready in {statistics.median(after):.0f} ms (median), {max(after):.0f} ms (longest); "
                f"without a store {statistics.median(self.bare):.0f} ms (median), "
                f"{max(self.bare):.0f} ms (longest); load {os.getloadavg()[0]:.1f}")

    def check(self):
        """Fails unless all jobs were accepted and done, and nothing was wrong."""
        print(self.report())
        verdict.hold(self.faults, self.late)
        assert self.counts["accepted"] == self.counts["fetched"] == self.jobs

    def check_ready(self):
        """100 ms to the first ordinary request, or on a busy machine half as much again as without a store."""
        bound = max(100 * PATIENCE, 1.5 * statistics.median(self.bare) + 30)
        assert statistics.median(self.ready) <= bound, (self.ready, self.bare)


def private_disk(size):
    """The words that run a command with a small file system of its own at a directory, the next word; or why
    there can be none."""
    script = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", script]
    try:
        done = subprocess.run([*words, "/mnt", "true"], capture_output=True, text=True, timeout=20, check=False)
    except OSError as error:
        return None, str(error)
    return (words, None) if done.returncode == 0 else (None, done.stderr.strip())
