# SPDX-License-Identifier: MPL-2.0
"""docker-compose.patroni.yml: Patroni and etcd replace the primary by themselves. The leader is killed ten times under
load, and each job that was accepted has its result. With RIPOSTE_LONG only."""

import json
import subprocess
import threading
import time

import pytest

from orders import PATRONI, Cluster
from topology import LONG, until

pytestmark = pytest.mark.skipif(not LONG, reason="of the long form")

CLIENTS = 2
KILLS = 10
BATCH = 100  # jobs that are sent together, and again until all are accepted
PAUSE = 0.5  # seconds between two batches


@pytest.fixture(scope="module")
def topology(tmp_path_factory):
    one = Cluster(tmp_path_factory.mktemp("topology"), files=PATRONI)
    try:
        one.start(CLIENTS)
        yield one
    finally:
        one.down()


class Load:
    """Sends batches of jobs without end, each once the last of the one before is done. A batch that was not accepted
    whole is sent again with the same idempotency keys."""

    def __init__(self, container):
        self.results = {}  # what each job that was accepted is to have as its result
        self.batches = 0
        self._container = container
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def send(self):
        """Sends the next batch. Returns True if it was accepted whole, and its last job is done."""
        script = (f"ids=$(seq {BATCH} | riposte send upper -n --parallel 16 --key batch-{self.batches}); code=$?\n"
                  'ids=$(echo $ids); echo "$ids"\n'
                  '[ $code = 0 ] && riposte result "${ids##* }" --wait 60s > /dev/null')
        done = subprocess.run(
            ["docker", "exec", self._container.id, "sh", "-c", script], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=600, check=False)
        self.results.update({identity: f"{number}\n" for number, identity in enumerate(done.stdout.split(), 1)
                             if identity != "-"})
        self.batches += done.returncode == 0
        return done.returncode == 0

    def _run(self):
        while not self._stop.is_set():
            self.send()
            self._stop.wait(PAUSE)

    def end(self):
        self._stop.set()
        self._thread.join()


def members(topology):
    """Returns the role of each running member, as a living one of them says; {} if none does."""
    for name in ("db1", "db2"):
        try:
            said = json.loads(topology.database(name).execute(
                "patronictl", "-c", "/etc/patroni.yml", "list", "-f", "json"))
        except (AssertionError, ValueError):
            continue
        return {one["Member"]: one["Role"] for one in said if one["State"] in ("running", "streaming")}
    return {}


def leader_of(roles):
    """Returns the leader's name; None: there is none."""
    return next((name for name, role in roles.items() if role == "Leader"), None)


def whole(roles):
    """Returns the leader's name if each commit is on the other one, too."""
    return leader_of(roles) if "Sync Standby" in roles.values() else None


def wait_until_whole(topology):
    return until(lambda: whole(members(topology)), "there is a leader with a synchronous standby", within=300)


def kill_leader(topology, load):
    """Kills the leader under load, and brings it back once jobs are done again. Returns when it was killed, and what
    to print of it."""
    name = wait_until_whole(topology)
    before = load.batches
    until(lambda: load.batches > before + 1, "jobs are done under load", within=180)
    victim, instant, begin = topology.database(name), time.time(), time.monotonic()
    victim.kill()
    until(lambda: leader_of(members(topology)) not in (None, name), f"not {name} is the leader", within=180)
    heir = time.monotonic() - begin
    topology.goes_on(f"the death of {name}", within=180)
    begin = time.monotonic()
    victim.start()
    wait_until_whole(topology)
    return instant, (f"{name} killed: another leader after {heir:.1f} s, back as its standby in "
                     f"{time.monotonic() - begin:.1f} s")


def test_killing_the_leader_ten_times_loses_nothing(topology):
    load = Load(topology.containers("orders")[-1])
    try:
        kills = [kill_leader(topology, load) for _ in range(KILLS)]
    finally:
        load.end()
    for (_, words), still in zip(kills, topology.standstills([instant for instant, _ in kills])):
        print(f"{words}; jobs stood still for {still:.1f} s")
    until(load.send, "a batch is accepted whole", within=180)
    assert len(load.results) == load.batches * BATCH, "a key has two jobs"
    assert topology.fetch(list(load.results)) == load.results
    print(f"{len(load.results)} jobs were accepted in {load.batches} batches, and all have their result")
    topology.assert_nothing_is_lost(CLIENTS)
