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


@pytest.fixture(scope="module")
def topology(tmp_path_factory):
    one = Cluster(tmp_path_factory.mktemp("topology"), files=PATRONI)
    try:
        one.start(CLIENTS)
        yield one
    finally:
        one.down()


class Load:
    """Sends batches of jobs without end, each once the last of the one before is done, and keeps their ids."""

    def __init__(self, container):
        self.accepted = set()
        self.batches = 0
        self._container = container
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            script = (f"ids=$(seq {BATCH} | riposte send upper -n --parallel 16 --key batch-{self.batches}); code=$?\n"
                      'ids=$(echo $ids); echo "$ids"\n'
                      '[ $code = 0 ] && riposte result "${ids##* }" --wait 60s > /dev/null')
            done = subprocess.run(
                ["docker", "exec", self._container.id, "sh", "-c", script], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=600, check=False)
            self.accepted.update(done.stdout.split())
            if done.returncode == 0:
                self.batches += 1
            else:
                time.sleep(0.5)

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
        return {one["Member"]: one["Role"] for one in said if one["State"] == "running"}
    return {}


def whole(topology):
    """Returns the leader's name once the other is its synchronous standby, otherwise None."""
    roles = {role: name for name, role in members(topology).items()}
    return roles.get("Leader") if "Sync Standby" in roles else None


def test_killing_the_leader_ten_times_loses_nothing(topology):
    (sender, *_) = topology.containers("orders")
    load = Load(sender)
    took = []
    try:
        for number in range(KILLS):
            leader = until(lambda: whole(topology), "there is a leader with a synchronous standby", within=180)
            before = load.batches
            until(lambda before=before: load.batches > before + 1, "jobs are accepted")
            victim, begin = topology.database(leader), time.monotonic()
            victim.kill()
            until(lambda leader=leader: members(topology).get(leader) != "Leader" and "Leader" in
                  members(topology).values(), "the other is the leader")
            topology.goes_on(f"kill {number + 1}, of {leader}")
            took.append(time.monotonic() - begin)
            victim.start()
        until(lambda: whole(topology), "there is a leader with a synchronous standby", within=180)
    finally:
        load.end()
    print(f"{KILLS} leaders killed; until every client had a new job done: {min(took):.0f} to {max(took):.0f} s")
    print(f"{len(load.accepted)} jobs accepted in {load.batches} batches")
    (asker, *_) = topology.containers("orders")
    script = 'for id; do riposte result "$id" --wait 60s > /dev/null || echo "$id"; done'
    ids = sorted(load.accepted)
    lost = [line for begin in range(0, len(ids), 100)
            for line in asker.execute("sh", "-c", script, "-", *ids[begin:begin + 100]).splitlines()]
    assert lost == []
    topology.assert_nothing_is_lost(CLIENTS)
