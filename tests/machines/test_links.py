# SPDX-License-Identifier: MPL-2.0
"""Links between machines fail for some seconds, under load: a peer that is cut off is missed within
three heartbeat intervals, throughput is back within seconds of the link's return, and at the end
all histories are checked against the contract."""

import os
import statistics
import time

import pytest

from cast import CLIENT_HEARTBEAT_MS, WORKER_HEARTBEAT_MS, Cast, now_us
from network import Network
from report import ENOUGH, WINDOW_US, Histories, read
from run import check
from support import verdict
from support.programs import PATIENCE
from support.waiting import until

MACHINES = ("clients", "broker", "workers")
CALM = 2.0      # seconds in which throughput is measured
BACK = 5.0      # seconds after which throughput must be back
#: How late most detections may be, since the broker reads its clock at intervals; and each of them, on a busy machine.
SLACK_US, STALL_US = 250_000 * PATIENCE, 2_000_000 * PATIENCE

#: Clients of the core that are the broker itself, and lose no link.
BROKERS_OWN = ("all", "jobs", "keyed")

LINKS = [("workers", "unplugged", 1), ("workers", "silent", 1), ("clients", "silent", 1),
         ("workers", "unplugged", 5), ("workers", "down", 5), ("workers", "deaf", 5),
         ("workers", "dumb", 5), ("workers", "silent", 5), ("clients", "deaf", 5),
         ("clients", "dumb", 5), ("broker", "unplugged", 5)]
if os.environ.get("RIPOSTE_LONG"):
    LINKS += [(machine, how, 30) for machine in MACHINES
              for how in ("unplugged", "deaf", "dumb", "silent")]


class World:
    """A broker, six native workers and one of Majordomo, and native and Majordomo clients."""

    def __init__(self, directory):
        self.network = Network()
        self.cast = Cast(directory, 1)
        self.rates = []
        self._histories = Histories()
        self._sessions = []     # (µs, join or leave, fields), as the broker has written them
        self._taken = {}

    def start(self):
        for number, machine in enumerate(MACHINES, 1):
            self.network.add(machine, number)
        inside = {machine: self.network.inside(machine) for machine in MACHINES}
        cast = self.cast
        cast.start_broker(inside["broker"], self.network.addresses["broker"])
        for number in range(4):
            cast.start_worker(f"echo-{number}", "echo", cast.endpoint, inside["workers"])
        for number in range(2):
            cast.start_worker(f"visit-{number}", "visit", cast.endpoint, inside["workers"])
        cast.start_mdp_worker("mdp", "mdp02", cast.endpoint, inside["workers"])
        until(lambda: len(self.joined()) == 7, 10, "all workers are there")
        cast.start_load("steady", cast.endpoint, 8, 25, prefix=inside["clients"])
        cast.start_mdp_load("foreign", cast.endpoint, 2, 15, prefix=inside["clients"])

    def sessions(self):
        path = self.cast.history(self.cast.broker.name)
        self._sessions += [(at, event, fields) for at, _, event, fields in read([path], self._taken)
                           if event in ("join", "leave")]
        return self._sessions

    def joined(self):
        return [fields for _, event, fields in self.sessions()
                if event == "join" and fields["role"] == "worker"]

    def histories(self):
        self._histories.read(self.cast.files())
        return self._histories

    def lost_sessions(self, since, kind):
        """For each session of this kind that was open at this time: when it ended, or None if it
        did not."""
        joins, leaves = {}, {}
        for at, event, fields in self.sessions():
            if event == "join" and fields["role"] == kind and at < since \
                    and not fields["name"].startswith("MDP") and fields["name"] not in BROKERS_OWN:
                joins[fields["session"]] = fields["name"]
            elif event == "leave":
                leaves[fields["session"]] = at
        return {name: leaves.get(session) for session, name in joins.items()
                if leaves.get(session, since) >= since}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    one = World(tmp_path_factory.mktemp("machines"))
    try:
        one.start()
        yield one
    finally:
        one.cast.end()
        one.network.close()


def _wait_for_calm(world):
    """Measures throughput; returns its mean over all such measurements, in which nothing was
    wrong."""
    begin = now_us()
    time.sleep(CALM)  # this much time is measured
    world.rates.append(world.histories().rate("steady", begin, now_us()))
    return statistics.mean(world.rates)


def _limit(heartbeat_ms, hears):
    """Three intervals from the last sign of life, which came with the cut if nothing comes through
    any more. A peer that still hears the other end does so until that end gives up, after three
    intervals."""
    return 3 * heartbeat_ms * 1000 * (2 if hears else 1) + SLACK_US


def _detections(world, machine, how, since):
    """Yields how long after the cut the broker ended each session with that machine, and, where
    workers are cut off, how long after it each of them noticed."""
    kinds = {"workers": ["worker"], "clients": ["client"], "broker": ["worker", "client"]}[machine]
    heartbeats = {"worker": WORKER_HEARTBEAT_MS, "client": CLIENT_HEARTBEAT_MS}
    for kind in kinds:
        limit = _limit(heartbeats[kind], hears=how == ("dumb" if machine == "broker" else "deaf"))
        lost = world.lost_sessions(since, kind)
        assert lost, f"no {kind} was there"
        yield from _noticed(lost, since, limit)
    if "worker" in kinds:
        limit = _limit(WORKER_HEARTBEAT_MS, hears=how == ("deaf" if machine == "broker" else "dumb"))
        yield from _noticed({actor.name: _gave_up(actor, since)
                             for actor in world.cast.actors.values()
                             if actor.parties[0].startswith(("worker:echo", "worker:visit"))},
                            since, limit)


def _noticed(times, since, limit):
    assert None not in times.values(), f"not all are noticed: {times}"
    took = {name: at - since for name, at in times.items()}
    assert statistics.median(took.values()) <= limit, f"noticed after µs: {took}"
    assert max(took.values()) <= limit + STALL_US, f"noticed after µs: {took}"
    return took.values()


def _gave_up(actor, since):
    """Returns when a worker logged that it had lost its broker."""
    times = [int(line.split()[0]) for line in actor.log().splitlines() if ": lost " in line]
    return next((time for time in times if time >= since), None)


@pytest.mark.parametrize("machine, how, seconds", LINKS)
def test_a_link_fails_for_a_while(world, machine, how, seconds):
    before = _wait_for_calm(world)
    assert before > 50, "there is load"
    since = now_us()
    world.cast.record.fault(how, ["*"], seconds + 1)
    try:
        world.network.hurt(machine, how)
        time.sleep(seconds)
    finally:
        world.network.heal(machine)
    healed = now_us()
    took = []
    # A shorter cut may pass unnoticed.
    if seconds > 3:
        took = list(_detections(world, machine, how, since))

    def recovery():
        return world.histories().recovery("steady", healed, before, now_us())

    # recovery() finds nothing before this time is over.
    time.sleep(WINDOW_US / 1e6)
    until(lambda: recovery() is not None or now_us() > healed + (BACK + 3) * 1e6 * PATIENCE,
          BACK + 4, "throughput is back")
    back = recovery()
    print(f"{machine} {how} {seconds} s: noticed after {max(took, default=0) / 1000:.0f} ms at most, "
          f"{before:.0f} a second before, back at {ENOUGH:.0%} after "
          f"{-1 if back is None else back / 1000:.0f} ms")
    assert back is not None and back <= BACK * 1e6 * PATIENCE


def test_no_invariant_was_broken(world):
    """Must be the last test of this file: it ends the load, and then everything."""
    world.cast.watch()
    world.cast.end_load()
    world.cast.end()
    assert world.histories().finals["OK"] > 0
    wrong, late, _ = check(world.cast.files())
    verdict.hold(world.cast.troubles + wrong, world.cast.late + late)
