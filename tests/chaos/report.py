# SPDX-License-Identifier: MPL-2.0
"""The figures of a chaos run, from the histories."""

import bisect
import collections
import statistics

#: Statuses that only a fault explains; UNKNOWN and NO_BROKER come from the libraries.
TROUBLES = {"WORKER_LOST", "CONVERSATION_LOST", "UNKNOWN", "NO_BROKER", "BUSY", "DRAINING", "INVALID"}
WINDOW_US = 1_000_000   # throughput is measured over a second
STEP_US = 20_000
PATIENCE_US = 30_000_000
#: A broker that has not noticed a death after this time has missed it.
FORGOTTEN_US = 5_000_000
ENOUGH = 0.95           # share of the throughput before any fault


def read(paths, taken=None):
    """Yields every line as (µs, party, event, fields). A file's last line is left out if it is
    torn: its process was killed, or has not yet written the rest. taken: how many bytes of each
    path to leave out; those that are read are added."""
    taken = {} if taken is None else taken
    for path in paths:
        with open(path, "rb") as file:
            file.seek(taken.setdefault(path, 0))
            for line in file:
                if not line.endswith(b"\n"):
                    break
                taken[path] += len(line)
                parts = line.decode(errors="replace").rstrip("\n").split("\t")
                if len(parts) < 3:
                    continue
                yield (int(parts[0]), parts[1], parts[2],
                       dict(part.split("=", 1) for part in parts[3:] if "=" in part))


def is_native_worker(party):
    """True for a worker that the broker knows by name; Majordomo workers have no names."""
    return party.startswith("worker:") and not party.startswith("worker:mdp")


class Histories:
    """Collects from all lines what the figures need."""

    def __init__(self, paths=()):
        self._taken = {}
        self.submits = 0
        self.foreign_submits = 0
        self.finals = collections.Counter()             # of native clients
        self.foreign_finals = collections.Counter()
        self.done = collections.defaultdict(list)       # part: (µs of an OK, µs of its submit)
        self.trouble_at = []                            # (µs, status), of native clients
        self._submitted = {}                            # request: µs
        self.redeliveries = 0
        self.starts = 0
        self.kills, self.freezes = [], []               # (µs, worker's name)
        self.thaws = collections.defaultdict(list)      # worker's name: µs
        self.faults = []                                # (µs, µs of its end, name of a worker or "")
        self.sessions = {}                              # (broker, session): [name, joined, left]
        self.ends = {}                                  # broker: µs of its last line
        self.read(paths)

    def read(self, paths):
        """Takes what these files have now, and had not when they were read last."""
        for line in read(paths, self._taken):
            self._take(*line)
        for times in self.done.values():
            times.sort()
        self.of_worker = collections.defaultdict(list)  # name: (joined, left, broker)
        for (broker, _), (name, joined, left) in self.sessions.items():
            self.of_worker[name].append((joined, left, broker))

    def _take(self, at, party, event, fields):
        kind, _, name = party.partition(":")
        if kind == "client":
            self._client(at, name, event, fields)
        elif kind == "worker":
            if event == "start":
                self.starts += 1
        elif kind == "broker":
            self._broker(at, party, event, fields)
        elif event == "kill" and is_native_worker(fields["party"]):
            self.kills.append((at, fields["party"].split(":", 1)[1]))
        elif event == "fault":
            self._fault(at, fields["kind"], fields["party"].partition(":")[2], int(fields["until"]))

    def _fault(self, at, kind, name, until):
        """name: "" for the broker. A thaw ends the worker's freeze."""
        if kind == "thaw":
            self.thaws[name].append(at)
            return
        if kind == "freeze" and name:
            self.freezes.append((at, name))
        self.faults.append((at, until, name))

    def _client(self, at, name, event, fields):
        if event == "submit":
            self.submits += 1
            self.foreign_submits += name.startswith("foreign")
            self._submitted[fields["req"]] = at
        elif event == "final":
            status = fields["status"]
            foreign = name.startswith("foreign")
            (self.foreign_finals if foreign else self.finals)[status] += 1
            since = self._submitted.pop(fields["req"])
            if status == "OK":
                self.done[name.split(".")[0]].append((at, since))
            elif status in TROUBLES and not foreign:
                self.trouble_at.append((at, status))

    def _broker(self, at, party, event, fields):
        self.ends[party] = at
        if event == "join" and fields.get("role") == "worker":
            self.sessions[party, fields["session"]] = [fields["name"], at, None]
        elif event == "leave" and (party, fields["session"]) in self.sessions:
            self.sessions[party, fields["session"]][2] = at
        elif event == "dispatch" and int(fields["attempt"]) > 1:
            self.redeliveries += 1

    # ---- Workers that are gone ------------------------------------------------------------------

    def session_at(self, at, name):
        """Returns the worker's session that a broker had at this time: (joined, left, broker)."""
        for joined, left, broker in self.of_worker.get(name, ()):
            if joined < at and (left is None or left >= at) and self.ends[broker] >= at:
                return joined, left, broker
        return None

    def is_disturbed(self, at, name):
        """Returns whether the broker, or its link to this worker, had a fault at this time."""
        return any(begin - 1_000_000 <= at <= end for begin, end, whose in self.faults
                   if whose in ("", name))

    def detections(self):
        """Returns the µs from each kill -9 of a worker until its broker noticed, and the names of
        those whose broker never did. Workers without a session, and those that died during a fault
        of the broker or of the link, are left out."""
        found, missed = [], []
        for at, name in self.kills:
            session = self.session_at(at, name)
            if not session or self.is_disturbed(at, name):
                continue
            _, left, broker = session
            if left is not None:
                found.append(left - at)
            elif self.ends[broker] > at + FORGOTTEN_US:
                missed.append(name)
        return found, missed

    def missed_while_frozen(self):
        """Returns the µs from each SIGSTOP of a worker to the end of its session, if that came
        before SIGCONT."""
        found = []
        for at, name in self.freezes:
            session = self.session_at(at, name)
            thaw = next((time for time in self.thaws[name] if time > at), None)
            if session and session[1] and thaw and session[1] < thaw:
                found.append(session[1] - at)
        return found

    # ---- Throughput -----------------------------------------------------------------------------

    def rate(self, part, begin, end):
        """Returns the OK replies a second."""
        times = self.done[part]
        count = bisect.bisect_left(times, (end,)) - bisect.bisect_left(times, (begin,))
        return count * 1e6 / (end - begin)

    def recovery(self, part, since, baseline, limit):
        """Returns the µs from `since` to the first second with enough of the baseline, or None if
        there is none before the limit. Requests from before `since`, whose replies come all at
        once, do not count."""
        limit = min(limit, since + PATIENCE_US)
        times = self.done[part]
        fresh = [at for at, submitted in times[bisect.bisect_left(times, (since,)):
                                               bisect.bisect_left(times, (limit,))]
                 if submitted >= since]
        at = since
        while at + WINDOW_US <= limit:
            count = bisect.bisect_left(fresh, at + WINDOW_US) - bisect.bisect_left(fresh, at)
            if count * 1e6 / WINDOW_US >= ENOUGH * baseline:
                return at - since
            at += STEP_US
        return None


def _spread(values):
    """Returns a list of microseconds as text."""
    if not values:
        return "- (none seen)"
    return f"median {statistics.median(values) / 1000:.0f} ms, max {max(values) / 1000:.0f} ms"


def before(histories, times):
    """Returns the throughput before the first fault, by part."""
    return {part: histories.rate(part, times["calm"], times["faults"]) for part in ("steady", "remote")}


def at_the_end(histories, times):
    """Returns the throughput and the troubles of the last four seconds."""
    end = times["end"]
    # Other programs of this machine may disturb one part of them, but not each.
    return (max(histories.rate("steady", end - begin, end - begin + 2_000_000)
                for begin in (4_000_000, 3_000_000, 2_000_000)),
            collections.Counter(status for at, status in histories.trouble_at if end - 4_000_000 < at <= end))


def figures(histories, injector, times):
    """Returns the figures as a dictionary for JSON. times: µs of calm, faults, quiet, end."""
    known, unnoticed = histories.detections()
    baseline = before(histories, times)
    quiet_per_s, quiet_troubles = at_the_end(histories, times)
    recoveries = collections.defaultdict(list)
    for at, kind, part in injector.healed:
        took = histories.recovery(part, at, baseline[part], times["end"])
        recoveries[kind].append(took)
    return {
        "requests": histories.submits,
        "foreign_requests": histories.foreign_submits,
        "faults": dict(sorted(injector.counts.items())),
        "finals": dict(histories.finals.most_common()),
        "foreign_finals": dict(histories.foreign_finals.most_common()),
        "without_final": histories.submits - histories.finals.total() - histories.foreign_finals.total(),
        "starts": histories.starts,
        "redeliveries": histories.redeliveries,
        "unnoticed_deaths": unnoticed,
        "detection_us": known,
        "frozen_detection_us": histories.missed_while_frozen(),
        "baseline_per_s": baseline,
        "recovery_us": dict(recoveries),
        "quiet_per_s": quiet_per_s,
        "quiet_troubles": quiet_troubles,
    }


def text(seed, seconds, got):
    """Returns the report as text for people."""
    def counts(values):
        return ", ".join(f"{name} {count}" for name, count in values.items()) or "none"

    lines = [
        f"chaos: seed {seed}, {seconds:.0f} s",
        f"requests      {got['requests']}, of them {got['foreign_requests']} by Majordomo clients",
        f"faults        {counts(got['faults'])}",
        f"finals        {counts(got['finals'])}",
        f"Majordomo     {got['foreign_finals'].get('OK', 0)} replies, "
        f"{got['foreign_finals'].get('UNKNOWN', 0)} times no reply, and no status that says why",
        f"no final      {got['without_final']}, of clients that were killed",
        f"starts        {got['starts']}, redeliveries {got['redeliveries']}",
        f"dead workers  noticed after {_spread(got['detection_us'])} "
        f"({len(got['detection_us'])} that died while nothing else was wrong with broker and link)",
        f"frozen ones   noticed after {_spread(got['frozen_detection_us'])}",
        f"throughput    {got['baseline_per_s']['steady']:.0f} a second before, "
        f"{got['quiet_per_s']:.0f} after",
    ]
    for kind, values in sorted(got["recovery_us"].items()):
        back = [value for value in values if value is not None]
        never = len(values) - len(back)
        lines.append(f"back at 95%   {kind}: {_spread(back)}"
                     + (f", not at all {never}" if never else ""))
    return "\n".join(lines)
