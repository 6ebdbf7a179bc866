#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Checks histories against the invariants of docs/CONTRACT.md.

check.py [--slack MS] [--json] FILE...

The files are those of all clients, workers and brokers of one run (docs/RELIABILITY.md describes
the lines); a broker that was killed and started again has one history for each of its lives. Time and
memory are linear in the number of lines.

Exit code 0: all hold; 1: some do not, and the requests and the lines that show it are printed; 2: a file
cannot be read.
"""

import argparse
import collections
import gc
import json
import sys

from broker_view import Broker
from lines import Files, Problems, Unreadable
from peers_view import GRACE, Peers

SHOWN = 20  # problems that are printed


class Check:
    def __init__(self, paths, slack=1000000):
        """slack: us by which a process may be late, on a busy machine."""
        self.files = Files(paths)
        self.slack = slack
        self.problems = Problems()
        self.peers = Peers(self.problems)
        self.brokers, self.calls = {}, {}

    def run(self):
        gc.disable()  # nothing of what a line leaves is garbage, and looking for some takes a sixth of the time
        try:
            return self._run()
        finally:
            gc.enable()

    def _run(self):
        brokers, peer_line = self.brokers, self.peers.line
        for place, time, party, event, fields in self.files.read():
            try:
                if party.startswith("broker:"):
                    broker = brokers.get(party)
                    if broker is None:
                        broker = brokers[party] = Broker(party, self.problems, self.calls)
                    broker.line(place, time, event, fields)
                else:
                    peer_line(place, time, party, event, fields)
            except (KeyError, ValueError) as error:
                text = f"{event}: a field that is missing or wrong: {error}"
                self.problems.add("format", text, fields.get("req"), [place])
        for broker in brokers.values():
            broker.finish(GRACE + self.slack)
        self.peers.finish(list(brokers.values()), self.calls, self.slack)
        return not self.problems.counts

    def summary(self):
        finals, outcomes = collections.Counter(), collections.Counter()
        for request in self.peers.requests.values():
            if request.submit and request.submit.job:
                outcomes[request.results[0].status if request.results else "none"] += bool(request.jobs)
            else:
                finals[request.final.status if request.final else "none"] += 1
        calls = [call for of_one in self.calls.values() for call in of_one]
        redelivered = sum(1 for call in calls for one in call.dispatches if one[0] > 1)
        return {
            "lines": self.files.count, "torn": self.files.torn,
            "requests": finals.total(), "finals": dict(sorted(finals.items())),
            "jobs": outcomes.total(), "outcomes": dict(sorted(outcomes.items())),
            "starts": self.peers.starts, "cancels": self.peers.cancels,
            "replays": sum(1 for one in self.peers.requests.values() if one.final and one.final.replayed),
            "killed": len(self.peers.killed), "brokers": len(self.brokers),
            "brokers_killed": sum(not broker.ended for broker in self.brokers.values()),
            "tries": len(calls), "redeliveries": redelivered,
            "late_replies": sum(broker.late for broker in self.brokers.values()),
            "scrapes": sum(broker.scrapes for broker in self.brokers.values()),
            "problems": {str(key): count for key, count in self.problems.counts.items()},
        }

    def show(self, out):
        for problem in self.problems.kept[:SHOWN]:
            number = problem.invariant
            rule = f"invariant {number}" if isinstance(number, int) else number
            out.write(f"{rule}: {problem.request or '-'}: {problem.text}\n")
            for _, line in self.files.find(problem.places):
                out.write(f"    {line}\n")
        more = sum(self.problems.counts.values()) - min(SHOWN, len(self.problems.kept))
        if more > 0:
            out.write(f"and {more} more\n")


def tell(summary, out):
    out.write("{lines} lines, {torn} torn; {brokers} brokers, {brokers_killed} of them killed\n"
              .format(**summary))
    finals = ", ".join(f"{count} {status}" for status, count in summary["finals"].items())
    out.write(f"{summary['requests']} requests: {finals or 'none'}\n")
    if summary["jobs"]:
        outcomes = ", ".join(f"{count} {status}" for status, count in summary["outcomes"].items())
        out.write(f"{summary['jobs']} jobs accepted: {outcomes}\n")
    out.write("{tries} tries, {starts} starts, {redeliveries} redeliveries, {late_replies} late "
              "replies, {replays} replays, {cancels} cancels, {scrapes} scrapes\n".format(**summary))
    if not summary["brokers"]:
        out.write("no broker's history: 6, 8, 10, 11, 14 to 16, 18 and 19 are not looked at, others only in part\n")
    if summary["problems"]:
        broken = ", ".join(f"{key} ({count})" for key, count in summary["problems"].items())
        out.write(f"BROKEN: {broken}\n")
    else:
        out.write("all invariants hold\n")


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--slack", type=int, default=1000, metavar="MS",
                        help="by which whoever waits for something may be late (default 1000)")
    parser.add_argument("--json", action="store_true", help="the summary as one JSON object")
    options = parser.parse_args()
    check = Check(options.files, options.slack * 1000)
    try:
        good = check.run()
    except (Unreadable, OSError) as error:
        print(f"check.py: {error}", file=sys.stderr)
        return 2
    check.show(sys.stderr if options.json else sys.stdout)
    if options.json:
        json.dump(check.summary(), sys.stdout)
        print()
    else:
        tell(check.summary(), sys.stdout)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
