# SPDX-License-Identifier: MPL-2.0
"""The reports of the clients (examples/visits.sh with RIPOSTE_OUTPUT=jsonl), and what must be true
of them whatever was killed, paused or cut off meanwhile."""

import json
from collections import namedtuple

#: One round of one client: its lines about the conversation (talk) and about the request (call).
Visit = namedtuple("Visit", "client number user talk call talk_code call_code")
#: One request that did not get its reply; worker is None if no reply named one.
Failure = namedtuple("Failure", "visit service status worker")

CONVERSATION = 5  # requests in examples/site.talk
#: The exit code of each final status.
CODES = {"OK": 0, "NO_BROKER": 3, "UNKNOWN": 3, "NO_WORKER": 4, "EXPIRED": 5, "DEADLINE": 5,
         "BUSY": 7, "DRAINING": 7, "WORKER_LOST": 9, "CONVERSATION_LOST": 9}


class Account:
    """The lines of one client, as they come."""

    def __init__(self, client):
        self.client = client
        self.visits = []
        self.told = None  # how many rounds there were, from its last line
        self.complaints = []
        self._replies = []  # since the last round

    def add(self, line):
        try:
            entry = json.loads(line)
        except ValueError:
            self.complaints.append(f"{self.client} says {line!r}")
            return
        if self.told is not None:
            self.complaints.append(f"{self.client} goes on after its last line: {line!r}")
        elif "visits" in entry:
            self.told = entry["visits"]
        elif "visit" in entry:
            self._finish(entry)
        else:
            self._replies.append(entry)

    def _finish(self, entry):
        # The request to upper is the last of a round.
        visit = Visit(self.client, entry["visit"], entry["user"], self._replies[:-1],
                      self._replies[-1:], entry["talk"], entry["call"])
        if visit.number != len(self.visits) + 1:
            self.complaints.append(f"{self.client}: round {visit.number} "
                                   f"after {len(self.visits)} rounds")
        self.visits.append(visit)
        self.complaints += wrong(visit)
        self._replies = []

    def end(self):
        """Returns what is wrong with an account that has ended."""
        if self.told is None:
            return self.complaints + [f"{self.client} ended without a last line"]
        if self.told != len(self.visits) or self._replies:
            return self.complaints + [f"{self.client} says that it made {self.told} rounds, and "
                                      f"showed {len(self.visits)}"]
        return self.complaints


def status_of(entry):
    """Returns the final status of one request. If no broker was reached, it is in an error."""
    return entry.get("status") or entry.get("error", {}).get("code")


def host_of(entry):
    """Returns the container of the worker that replied; workers are named HOST-PID."""
    return entry.get("worker", "").rsplit("-", 1)[0] or None


def wrong(visit):
    """Returns what must never be, whatever happened: a request without a final status or with two,
    an exit code that says something else, a reply of another client's conversation."""
    found = []

    def expect(condition, what):
        if not condition:
            found.append(f"{visit.client}, round {visit.number}: {what}: {visit}")

    for entry in visit.talk + visit.call:
        expect(status_of(entry) in CODES, "a request without a final status")
    if found:
        return found
    statuses = [status_of(entry) for entry in visit.talk]
    expect(statuses, "a conversation without a word")
    expect(len(visit.call) == 1, "not one final status for one request to upper")
    if found:
        return found
    expect([entry.get("number", 1) for entry in visit.talk] == list(range(1, len(statuses) + 1)),
           "not one final status for each request")
    expect(set(statuses[:-1]) <= {"OK"}, "it went on after a failure")
    expect(statuses[-1] != "OK" or len(statuses) == CONVERSATION, "it ended too early")
    expect(visit.talk_code == CODES[statuses[-1]], "not the exit code of its final status")
    hosts = {entry["worker"] for entry in visit.talk if status_of(entry) == "OK"}
    expect(len(hosts) <= 1, "more than one worker in one conversation")
    for entry in visit.talk[1:]:
        expect(status_of(entry) != "OK" or f"<p>User: {visit.user}</p>" in entry["body"],
               "a page of another conversation")
    call = visit.call[0]
    expect(visit.call_code == CODES[status_of(call)], "not the exit code of its final status")
    expect(status_of(call) != "OK" or call["body"] == visit.user.upper(), "not its own reply")
    return found


def failures(visits):
    """Returns the requests that did not end with a reply."""
    found = []
    for visit in visits:
        for service, entries in (("site", visit.talk), ("upper", visit.call)):
            status = status_of(entries[-1])
            if status != "OK":
                host = host_of(entries[-1]) or host_of(entries[0])
                found.append(Failure(visit, service, status, host))
    return found
