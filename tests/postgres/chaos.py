#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""The chaos run over several brokers on one store: three of them, a primary and its synchronous standby, jobs and
ordinary requests, faults of all from a seed, and all histories checked against the contract."""

import argparse
import collections
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "chaos"), str(TESTS / "system")]

from cast import PYTHON, Cast, duration  # noqa: E402
from run import check  # noqa: E402
from support import verdict  # noqa: E402
from support.programs import BROKER, CLI  # noqa: E402
from support.waiting import until  # noqa: E402
from support.web import free_port  # noqa: E402

from fault_proxy import FaultProxy  # noqa: E402
from pair import Pair  # noqa: E402
from server import programs_of_postgres  # noqa: E402

JOB_LOAD = pathlib.Path(__file__).with_name("job_load.py")
BROKERS = 3
#: Seconds before the first fault.
CALM = 3
#: By which whoever waits for something may be late, ms: the machine is shared.
SLACK_MS = 5000
#: What the run records of the database's faults, and how long after one a broker may still have to do with it, s.
DATABASE, AFTER = "database", 10

#: Kind: weight, and the shortest and longest time that it lasts, s. A lease is 5 s.
FAULTS = {"broker kill": (6, 0.0, 1.0), "broker freeze": (3, 6.0, 8.0), "commit cut": (8, 0, 0), "cut": (3, 0, 0),
          "failover": (3, 0.0, 2.0), "slow commit": (2, 1.0, 6.0), "worker kill": (4, 0.0, 0.5)}
#: Seconds between two faults, on average.
EVERY = 2.0


class Chaos:
    def __init__(self, directory, seed):
        self.cast = Cast(directory, seed)
        self.chance = random.Random(seed)
        self.counts = collections.Counter()
        self.pair = Pair(programs_of_postgres())
        self.proxies = [FaultProxy(server.port) for server in self.pair.servers]
        self.database = self.pair.new()
        self.url = self.pair.url(self.database, [proxy.host for proxy in self.proxies])
        self.endpoints = [f"tcp://127.0.0.1:{free_port()}" for _ in range(BROKERS)]
        self.rebuilding = None  # the thread that makes the old primary the new one's standby
        self.healing = []       # (when, what): faults that are to be undone

    # ---- Starting -----------------------------------------------------------------------------------

    def start(self):
        for number in range(BROKERS):
            self.start_broker(number)
        every = ",".join(self.endpoints)
        for part, service in (("echo-1", "echo"), ("echo-2", "echo"), ("visit-1", "visit"), ("mdp-1", "mdp")):
            self.start_worker(part, service)
        time.sleep(1)
        self.cast.start_load("requests", every, 2, 10)
        name = self.cast.life("jobs")
        self.cast.start(name, (PYTHON, JOB_LOAD, "--server", every, "--name", name, "--history",
                               self.cast.history(name), "--clients", 2, "--rate", 10, "--seed", self.cast.seed),
                        ("client:" + name,), piped=True).handles_sigterm = False

    def start_broker(self, number):
        name = self.cast.life(f"broker-{number}")
        broker = self.cast.start(name, (BROKER, "--bind", self.endpoints[number], "--http", "off", "--store", self.url,
                                        "--history", self.cast.history(name)))
        until(lambda: "ready in" in broker.log(), 60, "the broker is ready", broker)

    def start_worker(self, part, service="echo"):
        self.cast.start_worker(part, service, ",".join(self.endpoints))

    # ---- Faults -------------------------------------------------------------------------------------

    def later(self, seconds, action, *arguments):
        self.healing.append((time.monotonic() + seconds, action, arguments))

    def strike(self):
        """Draws a fault that is possible now."""
        kinds = list(FAULTS)
        kind = self.chance.choices(kinds, [FAULTS[kind][0] for kind in kinds])[0]
        action = getattr(self, "_" + kind.replace(" ", "_"))
        if action(self.chance.uniform(*FAULTS[kind][1:])):
            self.counts[kind] += 1

    def _well(self):
        """The brokers that run, with the numbers of their lives, by which the checker knows them."""
        actors = [self.cast.named(f"broker-{number}") for number in range(BROKERS)]
        well = [actor for actor in actors if actor and not actor.frozen]
        for actor in well:
            with open(self.cast.history(actor.name), encoding="utf-8") as file:
                words = file.readline().split("\t")
            actor.parties = words[1:2]
        return well

    def _broker_kill(self, seconds):
        well = self._well()
        if len(well) < 2 or self.is_away():
            return False
        broker = self.chance.choice(well)
        if self.chance.randrange(2):  # nobody can see that its process has ended, as if it were another machine's
            self.pair.primary.sql("UPDATE riposte.brokers SET process = 'elsewhere 1 1 host'", self.database)
        self.cast.kill(broker)
        self.later(seconds, self._restart, int(broker.name.split(".")[0][-1]))
        return True

    def _restart(self, number):
        if self.is_away():  # a broker that starts needs the database
            self.later(0.5, self._restart, number)
        else:
            self.start_broker(number)

    def _broker_freeze(self, seconds):
        well = self._well()
        if len(well) < 2:
            return False
        broker = self.chance.choice(well)
        self.cast.freeze(broker, seconds)
        self.later(seconds, self._thaw, broker)
        return True

    def _thaw(self, broker):
        self.cast.thaw(broker)
        self.cast.record.fault("thawed", broker.parties, AFTER)

    def _worker_kill(self, seconds):
        part = self.chance.choice(("echo-1", "echo-2"))
        worker = self.cast.named(part)
        if worker:
            self.cast.kill(worker)
            self.later(seconds, self.start_worker, part)
        return bool(worker)

    def _proxy(self):
        return self.proxies[self.pair.servers.index(self.pair.primary)]

    def _commit_cut(self, _):
        self.cast.record.fault("commit-cut", (DATABASE,), AFTER)
        self._proxy().cut_commits(self.chance.randint(1, 3))
        return True

    def _cut(self, _):
        self.cast.record.fault("cut", (DATABASE,), AFTER)
        self._proxy().cut()
        return True

    def is_away(self):
        """The database has no primary, or is about to have none, or its standby is not one yet."""
        return self.rebuilding is not None

    def _slow_commit(self, seconds):
        """The standby stands still, and with it all commits."""
        if self.is_away():
            return False
        self.cast.record.fault("slow-commit", (DATABASE,), seconds + AFTER)
        self.pair.standby.freeze()
        self.rebuilding = "frozen"
        self.later(seconds, self._hurry)
        return True

    def _hurry(self):
        self.pair.standby.thaw()
        self.rebuilding = None

    def _failover(self, seconds):
        if self.is_away():
            return False
        self.cast.record.fault("failover", (DATABASE,), seconds + 2 * AFTER)
        self.rebuilding = "without a primary"
        self.pair.primary.kill_hard()
        self.later(seconds, self._promote)
        return True

    def _promote(self):
        """In a thread, since both take seconds, and faults go on meanwhile."""
        def run():
            try:
                self.pair.promote()
                self.pair.follow()
            except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                self.cast.late.append(f"the failover: {error}")
            self.rebuilding = None
        self.rebuilding = threading.Thread(target=run)
        self.rebuilding.start()

    def heal_due(self):
        due = [one for one in self.healing if one[0] <= time.monotonic()]
        for one in due:
            self.healing.remove(one)
            one[1](*one[2])

    # ---- The run ------------------------------------------------------------------------------------

    def run(self, seconds):
        self.start()
        time.sleep(CALM)
        end = time.monotonic() + seconds
        at = time.monotonic()
        while self.healing or self.is_away() or time.monotonic() < end:
            time.sleep(0.05)
            self.cast.watch()
            self.heal_due()
            if at <= time.monotonic() < end:
                at += self.chance.random() * 2 * EVERY
                self.strike()
        for proxy in self.proxies:
            proxy.cut_commits(0)
        self.cast.end_load()

    def check_store(self):
        """Returns what is wrong, as lines."""
        def sql(text):
            return self.pair.primary.sql(text, self.database)
        done = subprocess.run([CLI, "store", "check", self.pair.url(self.database)], capture_output=True, text=True,
                              check=False)
        wrong = [] if done.returncode == 0 and "0 waiting, 0 running" in done.stdout else [done.stdout + done.stderr]
        twice = sql("SELECT count(*) FROM (SELECT key FROM riposte.jobs GROUP BY key HAVING count(*) > 1) k")
        if twice != "0":
            wrong.append(f"{twice} keys have two jobs")
        print(f"store         {done.stdout.strip()}")
        return wrong

    def end(self):
        self.cast.end()
        for proxy in self.proxies:
            proxy.end()
        self.pair.end()


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__)
    parser.add_argument("--duration", type=duration, default=60, help="of the faults, such as 60s or 10m")
    parser.add_argument("--long", type=duration, help="duration instead, if RIPOSTE_LONG is set")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the faults")
    parser.add_argument("--keep", type=pathlib.Path, help="keep histories and logs in this new folder")
    arguments = parser.parse_args()
    if arguments.long and os.environ.get("RIPOSTE_LONG"):
        arguments.duration = arguments.long
    directory = arguments.keep or pathlib.Path(tempfile.mkdtemp(prefix="riposte-brokers-"))
    chaos = Chaos(directory, arguments.seed)
    wrong, late = [], []
    try:
        chaos.run(arguments.duration)
        wrong += chaos.check_store()
    except Exception as error:  # all that it started is ended
        traceback.print_exc()
        late.append(f"the run broke off: {error}")
    except KeyboardInterrupt:
        late.append("interrupted")
    chaos.end()
    broken, slow, said = check(chaos.cast.files(), "--slack", str(SLACK_MS))
    wrong += chaos.cast.troubles + broken
    late += chaos.cast.late + slow
    print(f"faults        {', '.join(f'{name} {count}' for name, count in sorted(chaos.counts.items()))}; "
          f"{sum(proxy.done for proxy in chaos.proxies)} commits cut")
    print("checked       " + "\n              ".join(said))
    if wrong or late:
        print("\n".join(verdict.lines(wrong, late)[:60]))
        print(f"FAILED; seed {arguments.seed}; histories and logs are in {directory}")
        return 1
    if not arguments.keep:
        shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
