# SPDX-License-Identifier: MPL-2.0
"""The profile `cluster`, its databases, and what its clients (examples/orders.sh) say of their jobs."""

import datetime
import itertools
import json
import re
import time

from topology import Topology, run, until

PATRONI = ("docker-compose.yml", "docker-compose.patroni.yml")
_LINE = re.compile(r"order (\d+): (.*?)(?:, after (\d+) commands.*)?$")
_ACCEPTED = "accepted as job "
TOGETHER = 500  # results that one process fetches: with one for each, thousands would take a quarter of an hour


class Cluster(Topology):
    def __init__(self, directory, **more):
        super().__init__(directory, profile="cluster", ORDERS_PAUSE="0.2", **more)

    def start(self, clients):
        self.build()
        self.up("orders", orders=clients)
        until(lambda: all(results(log) for log in self.logs()), "every client has had a job done", within=240)

    def logs(self):
        return [one.logs() for one in self.containers("orders")]

    def database(self, name):
        return self.containers(name)[0]

    def state(self, name):
        """Returns what a database is; "" while its container does not run."""
        try:
            return self.database(name).execute("database", "state").strip()
        except AssertionError:
            return ""

    def states(self):
        return sorted(map(self.state, ("db1", "db2")))

    def wait_until_whole(self):
        until(lambda: self.states() == ["primary", "standby"], "one is the primary, the other its standby", within=300)

    def goes_on(self, what, within=120):
        """Waits until each client has an order done that it began after this call."""
        begin = time.monotonic()
        counts = [len(log.splitlines()) for log in self.logs()]
        until(lambda: all(_whole(log.splitlines()[count:]) for log, count in zip(self.logs(), counts)),
              f"orders go on after {what}", within)
        print(f"{what}: each client had a new job done after {time.monotonic() - begin:.1f} s")

    def standstills(self, instants):
        """Returns for how long after each of these instants, and before the next, no job was accepted from the client
        for which that was longest."""
        times = [accepted_at(run("docker", "logs", "--timestamps", one.id)) for one in self.containers("orders")]
        return [max(_longest_gap(begin, [at for at in one if begin <= at < end]) for one in times)
                for begin, end in itertools.pairwise([*instants, float("inf")])]

    def fetch(self, identities):
        """Returns the result of each of these jobs."""
        asker = self.containers("orders")[0]
        script = """printf '{"id":"%s","wait_ms":60000}\\n' "$@" | riposte call riposte.result -n -o jsonl"""
        results = {}
        for begin in range(0, len(identities), TOGETHER):
            part = identities[begin:begin + TOGETHER]
            lines = asker.execute("sh", "-c", script, "-", *part).splitlines()
            results.update(zip(part, (json.loads(line)["body"] for line in lines), strict=True))
        return results

    def assert_nothing_is_lost(self, clients):
        """Ends the clients, and asks for each result once more."""
        everything = {}
        for one in self.containers("orders"):
            one.stop()
            log = one.logs()
            jobs, done = accepted(log), results(log)
            assert not re.search(r"^order .*(NOT ACCEPTED|FAILED)", log, re.M), log[-4000:]
            # That which was being asked for at its end has no result there.
            assert set(done) <= set(jobs) and len(jobs) - len(done) <= 1
            for number, result in done.items():
                assert result == f"{one.host}-{number}".upper()
            everything.update({identity: f"{one.host}-{number}".upper() for number, identity in jobs.items()})
        assert len(everything) > clients
        self.containers("orders")[0].start()
        assert self.fetch(list(everything)) == everything
        print(f"{len(everything)} jobs were accepted, and all have their result")


def _whole(lines):
    """True if an order begins and ends in these lines."""
    begun = {line.split(":")[0] for line in lines if _ACCEPTED in line}
    return any(line.split(":")[0] in begun and ", after " in line for line in lines)


def _longest_gap(begin, times):
    return max((later - earlier for earlier, later in itertools.pairwise([begin, *times])), default=float("inf"))


def accepted_at(log):
    """Returns when each job was accepted, in seconds since 1970, of a log with timestamps."""
    return [datetime.datetime.strptime(line[:26], "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=datetime.timezone.utc)
            .timestamp() for line in log.splitlines() if _ACCEPTED in line]


def accepted(log):
    """Returns the job of each order."""
    return {found[1]: found[2].removeprefix(_ACCEPTED) for found in map(_LINE.match, log.splitlines())
            if found and found[2].startswith(_ACCEPTED)}


def results(log):
    """Returns the result of each order."""
    return {found[1]: found[2] for found in map(_LINE.match, log.splitlines()) if found and found[3]}
