# SPDX-License-Identifier: MPL-2.0
"""Compares what brokers count, as /metrics says it, with the lines of their histories.

Each reading lies between two times, and what it says between the lines before the first and those before the
second. So a reading under load is a bound from both sides; one after the last request is exact.
"""

import bisect
import collections
import http.client
import os
import re
import threading
import time

#: A reading is of a snapshot that may be so old.
SNAPSHOT_US = 250_000
#: The loop's time, which lines have, may be behind the clock by the work of one turn; and by this much on a busy
#: machine, which may let a thread stand still.
TURN_US, STALL_US = 50_000, 10_000_000
#: Seconds after the last request, in which whatever was to be counted is.
REST = 2
EACH = 1.0
OTHER = "_other"
LINE = re.compile(r'riposte_(\w+)\{(?:service="([^"]*)")?,?(?:status="(\w+)")?\} (\d+)$')
WANTED = ("requests_total", "redeliveries_total", "workers_lost_total", "finals_total")


def http_port(pid, other):
    """Returns the port at which the process listens beside the other one; None: there is none."""
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            pass
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    ports = {int(words[1].split(":")[1], 16) for words in rows
             if words[3] == "0A" and f"socket:[{words[9]}]" in inodes}
    return next(iter(ports - {other}), None)


class Reading:
    """What a broker counted between two times: {(metric, service or "", status or ""): value}."""

    def __init__(self, begin, end, text):
        self.begin, self.end = begin, end
        self.values = collections.Counter()
        for line in text.splitlines():
            found = LINE.match(line)
            if found and found[1] in WANTED:
                self.values[found[1], found[2] or "", found[3] or ""] = int(found[4])

    def of(self, metric):
        return {key[1:]: value for key, value in self.values.items() if key[0] == metric and value}


class Reader(threading.Thread):
    """Reads the metrics of whichever broker the cast has, each second."""

    def __init__(self, cast):
        super().__init__(daemon=True)
        self.cast = cast
        self.readings = collections.defaultdict(list)  # name of the broker's life: readings
        self._over = threading.Event()

    def run(self):
        while not self._over.wait(EACH):
            self.read()

    def read(self):
        """False if the broker did not answer, because it is killed or stands still."""
        broker = self.cast.broker
        try:
            begin = time.monotonic_ns() // 1000
            connection = http.client.HTTPConnection("127.0.0.1", broker.http, timeout=20)
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            body = response.read().decode()
            connection.close()
        except (OSError, http.client.HTTPException):
            return False
        if response.status == 200:
            self.readings[broker.name].append(Reading(begin, time.monotonic_ns() // 1000, body))
        return response.status == 200

    def end(self):
        """Reads once more, when all is over. False if that fails."""
        self._over.set()
        self.join()
        time.sleep(REST)
        return self.read()


class Life:
    """What one life of a broker wrote: the times at which each count went up."""

    def __init__(self, path):
        self.finals = collections.defaultdict(list)     # (service, status) of accepted requests
        self.refusals = collections.defaultdict(list)   # (service, status)
        self.statuses = collections.defaultdict(list)   # status of both
        self.deliveries = []                            # of attempts after the first, though the send failed
        self.leaves = []                                # of workers
        self.served = {}                                # service: when its first worker came
        services, workers = {}, set()
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                words = line.rstrip("\n").split("\t")
                if line[-1] == "\n" and words[-1] != "torn":
                    self._take(int(words[0]), words[2], dict(word.split("=", 1) for word in words[3:]), services,
                               workers)

    def _take(self, at, event, fields, services, workers):
        key = fields.get("session"), fields.get("id")
        if event in ("request", "accept"):
            services[key] = fields["service"]
        elif event in ("final", "refuse"):
            where = self.finals if event == "final" else self.refusals
            where[services.get(key, OTHER), fields["status"]].append(at)
            self.statuses[fields["status"]].append(at)
        elif event == "dispatch" and int(fields["attempt"]) > 1:
            self.deliveries.append(at)
        elif event == "join" and fields["role"] == "worker":
            workers.add(fields["session"])
            self.served.setdefault(fields["service"], at)
        elif event == "leave" and fields["session"] in workers:
            self.leaves.append(at)


def compare(life, reading, turn_us=TURN_US):
    """Returns what is wrong, as lines."""
    wrong = []

    def _bounds(reading, times):
        """Returns the least and the most that the reading may say, by these lines."""
        return (bisect.bisect_left(times, reading.begin - SNAPSHOT_US - turn_us),
                bisect.bisect_right(times, reading.end))

    def check(what, value, low, high):
        if not low <= value <= high:
            wrong.append(f"/metrics says {what} {value}, the history {low}" + (f" to {high}" if high != low else ""))
    requests, finals = reading.of("requests_total"), reading.of("finals_total")
    for status in set(life.statuses) | {status for _, status in (*requests, *finals)}:
        low, high = _bounds(reading, life.statuses[status])
        check(f"requests with {status}", sum(value for (_, one), value in requests.items() if one == status), low, high)
        check(f"finals with {status}", finals.get(("", status), 0), low, high)
    for service, status in set(life.finals) | set(requests):
        if service not in life.served:
            check(f"requests of {service} with {status}", requests.get((service, status), 0), 0,
                  0 if service != OTHER else sum(requests.values()))
            continue
        # Until a service has a worker, its requests count for those of no name; so do refused ones, afterwards too.
        times = life.finals[service, status]
        since = times[bisect.bisect_right(times, life.served[service]):]
        low, high = _bounds(reading, since)[0], _bounds(reading, times)[1]
        high += _bounds(reading, life.refusals[service, status])[1]
        check(f"requests of {service} with {status}", requests.get((service, status), 0), low, high)
    redeliveries = sum(reading.of("redeliveries_total").values())
    check("redeliveries", redeliveries, *_bounds(reading, life.deliveries))
    # Those that said goodbye leave too.
    check("workers lost", sum(reading.of("workers_lost_total").values()), 0, _bounds(reading, life.leaves)[1])
    return wrong


def judge(reader, cast):
    """Compares all readings. Returns what is wrong, what is wrong unless a thread stood still, and what was seen, as
    text. The last reading is of a broker at rest, which nothing explains."""
    wrong, late, count = [], [], 0
    last = reader.readings[cast.broker.name][-1]
    for name, readings in reader.readings.items():
        life = Life(cast.history(name))
        for reading in readings:
            count += 1
            if lines := [f"{name}: {line}" for line in compare(life, reading)]:
                (wrong if reading is last or compare(life, reading, STALL_US) else late).extend(lines)
    return wrong, late, (f"{count} readings of {len(reader.readings)} brokers; the last one counts "
                         f"{sum(last.of('requests_total').values())} requests")
