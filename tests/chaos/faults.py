# SPDX-License-Identifier: MPL-2.0
"""The faults of a chaos run and their times: a plan, drawn from a seed."""

import heapq
import itertools
import random
import time

from cast import now_us

#: Workers: name, service or protocol, and whether they connect through the workers' proxy.
WORKERS = (("echo-1", "echo", False), ("echo-2", "echo", False), ("echo-3", "echo", False),
           ("echo-4", "echo", False), ("echo-5", "echo", True), ("echo-6", "echo", True),
           ("visit-1", "visit", False), ("visit-2", "visit", False), ("visit-3", "visit", True),
           ("stream-1", "stream", False), ("stream-2", "stream", True),
           ("mdp-1", "mdp01", False), ("mdp-2", "mdp02", False), ("mdp-3", "mdp02", True))
#: Loads: name, clients, requests a second of each, whether through the clients' proxy, whether
#: Majordomo. No fault ever hits the first load itself, so it shows the throughput.
LOADS = (("steady", 8, 25, False, False), ("remote", 4, 25, True, False),
         ("victim-1", 2, 25, False, False), ("victim-2", 2, 25, False, False),
         ("foreign", 2, 15, False, True), ("foreign-remote", 2, 15, True, True))
HURT_LOADS = ("victim-1", "victim-2", "foreign")

#: Seconds between the deaths of workers, and between other faults.
KILL_EVERY = 1.0
OTHER_EVERY = 1.5
#: Seconds between two faults of the broker, so that it works in between.
BROKER_PAUSE = 6.0

#: Seconds after which no message from before a link's failure is still on its way.
LINK_SLACK = 0.5

#: Kind: weight, shortest and longest duration in seconds.
OTHERS = {
    "broker kill": (6, 0.0, 1.0), "broker freeze": (6, 0.2, 2.5), "worker freeze": (6, 0.2, 3.0),
    "client kill": (6, 0.0, 0.5), "client freeze": (4, 0.2, 3.0), "reset": (4, 0, 0),
    "cut": (4, 0, 0), "delay": (4, 0.5, 3.0), "throttle": (4, 0.5, 3.0),
    "partition": (6, 0.3, 4.0),
}
#: More kinds for a run with security: the victim's key is revoked, or its rules are removed.
OF_SECURITY = {"revocation": (6, 1.5, 4.0), "rules": (6, 1.5, 4.0)}


def plan(seed, begin, end, secure=False):
    """Returns a list of (second, kind, duration, number to choose with), by time: first each kind
    once, so that even a short run has all of them, and then by weight."""
    chance = random.Random(seed)
    others = {**OTHERS, **OF_SECURITY} if secure else OTHERS
    faults = []
    at = begin
    while at < end:
        faults.append((at + chance.uniform(0, KILL_EVERY), "worker kill",
                       chance.uniform(0.0, 0.4), chance.randrange(1 << 30)))
        at += KILL_EVERY
    at, broker_at = begin, begin
    kinds, weights = list(others), [weight for weight, *_ in others.values()]
    once = chance.sample(kinds, len(kinds))
    while (at := at + chance.uniform(0, 2 * OTHER_EVERY)) < end:
        is_first = bool(once)
        kind = once.pop(0) if is_first else chance.choices(kinds, weights)[0]
        _, shortest, longest = others[kind]
        duration = chance.uniform(shortest, longest)
        if kind.startswith("broker"):
            if at < broker_at or at > end - 5:
                once += [kind] if is_first else []
                continue
            broker_at = at + duration + BROKER_PAUSE
        faults.append((at, kind, duration, chance.randrange(1 << 30)))
    return sorted(faults)


class Injector:
    """Causes the faults of the plan, and undoes each in time."""

    def __init__(self, cast, proxies):
        self.cast = cast
        self.proxies = proxies      # name: Proxy
        self.counts = {}
        self.stood_still = []       # (µs, µs) in which the broker stood still
        self.healed = []            # (µs, kind, load whose throughput shows it)
        self._troubled = set()      # names of proxies with a fault
        self._due = []
        self._order = itertools.count()

    # ---- The clock ------------------------------------------------------------------------------

    def later(self, seconds, action, *arguments):
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), action, arguments))

    def load(self, faults, zero):
        for at, kind, duration, number in faults:
            heapq.heappush(self._due, (zero + at, next(self._order), self._strike,
                                       (kind, duration, number)))

    def run(self, until):
        """Runs until this time, and until every fault is undone."""
        while self._due or time.monotonic() < until:
            at = min(self._due[0][0] if self._due else until, time.monotonic() + 0.5)
            time.sleep(max(0, at - time.monotonic()))
            self.cast.watch()
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, action, arguments = heapq.heappop(self._due)
                action(*arguments)

    # ---- Faults ---------------------------------------------------------------------------------

    def _strike(self, kind, duration, number):
        action = {
            "worker kill": self._kill_worker, "worker freeze": self._freeze_worker,
            "client kill": self._kill_client, "client freeze": self._freeze_client,
            "broker kill": self._kill_broker, "broker freeze": self._freeze_broker,
            "revocation": self._revoke, "rules": self._deny,
        }.get(kind)
        struck = action(duration, number) if action else self._hurt_network(kind, duration, number)
        if struck:
            self.counts[kind] = self.counts.get(kind, 0) + 1

    def _pick(self, parts, number):
        up = [part for part in parts if (actor := self.cast.named(part)) and not actor.frozen]
        return up[number % len(up)] if up else None

    def _kill_worker(self, duration, number):
        part = self._pick([name for name, *_ in WORKERS], number)
        if part:
            self.cast.kill(self.cast.named(part))
            self.later(duration, self.start_worker, part)
        return bool(part)

    def start_worker(self, part):
        service, far = next((service, far) for name, service, far in WORKERS if name == part)
        endpoint = self.proxies["workers"].endpoint if far else self.cast.endpoint
        if service.startswith("mdp"):
            self.cast.start_mdp_worker(part, service, endpoint)
        else:
            self.cast.start_worker(part, service, endpoint)

    def start_load(self, part):
        clients, rate, far, foreign = next(rest for name, *rest in LOADS if name == part)
        endpoint = self.proxies["clients"].endpoint if far else self.cast.endpoint
        start = self.cast.start_mdp_load if foreign else self.cast.start_load
        start(part, endpoint, clients, rate)

    def _freeze(self, part, duration):
        actor = self.cast.named(part)
        self.cast.freeze(actor, duration)
        self.later(duration, self.cast.thaw, actor)

    def _freeze_worker(self, duration, number):
        part = self._pick([name for name, *_ in WORKERS], number)
        if part:
            self._freeze(part, duration)
        return bool(part)

    def _freeze_client(self, duration, number):
        part = self._pick(HURT_LOADS, number)
        if part:
            self._freeze(part, duration)
        return bool(part)

    def _kill_client(self, duration, number):
        part = self._pick(HURT_LOADS, number)
        if part:
            self.cast.kill(self.cast.named(part))
            self.later(duration, self.start_load, part)
        return bool(part)

    def _kill_broker(self, duration, _):
        self.cast.kill(self.cast.broker)
        self.later(duration, self._restart_broker)
        return True

    def _restart_broker(self):
        self.cast.start_broker()
        self.healed.append((now_us(), "broker kill", "steady"))

    def _freeze_broker(self, duration, _):
        broker = self.cast.broker
        self.cast.freeze(broker, duration)
        self.stood_still.append((now_us(), now_us() + int((duration + 1) * 1e6)))
        self.later(duration, self._thaw_broker, broker)
        return True

    def _thaw_broker(self, broker):
        self.cast.thaw(broker)
        self.healed.append((now_us(), "broker freeze", "steady"))

    def _revoke(self, duration, _, by_key=True):
        if not self.cast.security.shut_out(self.cast.broker, by_key):
            return False
        self.later(duration, lambda: self.cast.security.let_in(self.cast.broker))
        return True

    def _deny(self, duration, number):
        return self._revoke(duration, number, by_key=False)

    def _hurt_network(self, kind, duration, number):
        name = ("clients", "workers")[number % 2]
        if name in self._troubled:
            return False
        command = {
            "delay": f"delay {10 + number % 300}", "throttle": f"throttle {20 + number % 400}",
            "partition": f"blackhole {('up', 'down', 'both')[number // 2 % 3]}",
        }.get(kind, kind)
        self.cast.record.fault(command.replace(" ", "-"), self._behind(name), duration + LINK_SLACK)
        self.proxies[name].tell(command)
        if duration:
            self._troubled.add(name)
            self.later(duration, self._heal, name, kind)
        return True

    def _behind(self, name):
        """Returns the parties that connect through this proxy."""
        far = [part for part, _, is_far in WORKERS if is_far] if name == "workers" else \
            [part for part, _, _, is_far, _ in LOADS if is_far]
        actors = [self.cast.named(part) for part in far]
        return [party for actor in actors if actor for party in actor.parties]

    def _heal(self, name, kind):
        self.proxies[name].tell("heal")
        self._troubled.discard(name)
        self.healed.append((now_us(), kind, "remote" if name == "clients" else "steady"))
