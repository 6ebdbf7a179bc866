# SPDX-License-Identifier: MPL-2.0
"""Checks what clients and workers wrote, by request, against each other and against the brokers.

The lines that prove each invariant: 1 and 3 `submit` and `final` of the client; 2 its `final` and a
worker's `reply`; 4 and 9 `submit`, `start`, and the brokers' `dispatch`; 5 `final` and `start`; 7
`final` of client and broker; 12 `submit` and `start`; 45 `final` of client and broker; 46 `final`, and `reply`
of the worker.
"""

from access import Access
from broker_view import GIVEN, NEVER_GIVEN, REPLIES
from jobs_view import Jobs
from keys import Keys

GRACE = 1000000  # RP_DEADLINE_GRACE_MS of common/wire/limits.h, in us
LOCAL = frozenset(("NO_BROKER",))  # as with NEVER_GIVEN, no worker has started it
LOST = frozenset(("WORKER_LOST", "CONVERSATION_LOST", "UNKNOWN", "NO_BROKER"))


class Request:
    """jobs, results: of a job, its ids and what was told of its final outcome."""
    __slots__ = ("name", "submit", "final", "starts", "replies", "finals", "ended", "places", "jobs", "results")

    def __init__(self, name):
        self.name = name
        self.submit = self.final = None
        self.finals = 0
        self.ended = False  # its reply ended the conversation
        self.starts, self.replies, self.places = [], [], []
        self.jobs, self.results = set(), []


class Submit:
    """named: the broker knows the name; it does not if the protocol has no headers (MDP). key: stands for
    principal, service and idempotency key; None: it has none. job: it is one, with results instead of a final
    status."""
    __slots__ = ("time", "party", "service", "deadline", "attempts", "talk", "seq", "named", "key", "job")


class Final:
    """parts: of its reply that the client has read, and their bytes; None if it does not say. task: of the start that
    wrote them."""
    __slots__ = ("time", "party", "status", "made", "body", "replayed", "place", "parts", "task")


class Start:
    """attempt: 0 if the worker's protocol does not tell it."""
    __slots__ = ("time", "party", "attempt", "task", "order", "place")

    def __init__(self, time, party, attempt, task, order, place):
        self.time, self.party, self.attempt, self.task = time, party, attempt, task
        self.order, self.place = order, place


class Peers:
    def __init__(self, problems):
        self.problems = problems
        self.requests = {}
        self.killed = set()
        self.faults = []  # (begin, end, party)
        self.parties = set()
        self.starts = self.cancels = 0
        self.access = access = Access(problems)
        self.handlers = {"submit": self.on_submit, "final": self.on_final, "start": self.on_start,
                         "reply": self.on_reply, "cancel": self.on_cancel, "kill": self.on_kill,
                         "fault": self.on_fault, "cancelled": self.on_nothing,
                         "accepted": self.on_accepted, "result": self.on_result,
                         "rules": access.on_rules, "principal": access.on_principal,
                         "revoked": access.on_revoked, "end": self.on_nothing}

    def line(self, place, time, party, event, fields):
        handler = self.handlers.get(event)
        if not handler:
            self.problems.add("format", f"an event {event!r} that no {party} writes", None, [place])
            return
        handler(place, time, party, fields)

    def request(self, name, place):
        one = self.requests.get(name)
        if one is None:
            one = self.requests[name] = Request(name)
        one.places.append(place)
        return one

    def problem(self, invariant, text, request, *places):
        self.problems.add(invariant, text, request.name, [*request.places, *places])

    # ---- Lines ----------------------------------------------------------------------------------

    def on_submit(self, place, time, party, fields):
        request = self.request(fields["req"], place)
        if request.submit:
            self.problem("format", "one name for two requests", request)
            return
        submit = request.submit = Submit()
        submit.time, submit.party, submit.service = time, party, fields["service"]
        submit.deadline, submit.attempts = int(fields["deadline"]), int(fields["attempts"])
        submit.named = fields.get("named", "1") == "1"
        submit.key, submit.job = fields.get("key"), fields.get("job") == "1"
        talk = fields.get("conv", "-")
        submit.talk = None if talk in ("-", "0", "") else talk
        submit.seq = int(fields.get("seq") or 0) if submit.talk else 0
        self.parties.add(party)

    def on_final(self, place, time, party, fields):
        request = self.request(fields["req"], place)
        request.finals += 1
        if request.final:
            self.problem(3, "a second final status", request)
            return
        request.final = self.final(place, time, party, fields)

    def on_accepted(self, place, time, party, fields):
        self.request(fields["req"], place).jobs.add(fields["id"])

    def on_result(self, place, time, party, fields):
        self.request(fields["req"], place).results.append(self.final(place, time, party, fields))

    @staticmethod
    def final(place, time, party, fields):
        final = Final()
        final.time, final.party, final.status = time, party, fields["status"]
        made = fields.get("made", "-")
        final.made = int(made) if made.isdigit() else None
        final.body, final.place = fields.get("body", "-"), place
        final.replayed = fields.get("replayed") == "1"
        final.parts = (int(fields["parts"]), int(fields["part_bytes"])) if "parts" in fields else None
        final.task = fields.get("task")
        return final

    def on_start(self, place, time, party, fields):
        request = self.request(fields["req"], place)
        self.starts += 1
        request.starts.append(Start(time, party, int(fields["attempt"]), fields["task"], self.starts,
                                    place))
        self.parties.add(party)

    def on_reply(self, place, time, party, fields):
        request = self.request(fields["req"], place)
        request.replies.append((party, fields["task"], fields["status"], fields.get("body", "-")))
        request.ended = request.ended or fields.get("last") == "1"

    def on_cancel(self, place, time, party, fields):
        self.request(fields["req"], place)
        self.cancels += 1

    def on_kill(self, place, time, party, fields):
        self.killed.add(fields["party"])

    def on_fault(self, place, time, party, fields):
        self.faults.append((time, int(fields["until"]), fields["party"]))

    def on_nothing(self, place, time, party, fields):
        pass

    # ---- The end of the lines -------------------------------------------------------------------

    def finish(self, brokers, calls, slack):
        Judge(self, brokers, calls, slack).judge()
        self.access.judge(brokers, calls, self.requests)


class Judge:
    """Looks at every request and at every conversation once."""

    def __init__(self, peers, brokers, calls, slack):
        self.peers, self.calls, self.slack = peers, calls, slack
        self.problem = peers.problem
        self.brokers = brokers
        self.talks = {}
        self.keys, self.jobs = Keys(self), Jobs(self)
        self.faults = sorted(peers.faults)
        self.latest = []  # the latest end of the faults so far
        for _, end, _ in self.faults:
            self.latest.append(max(end, self.latest[-1] if self.latest else end))

    def judge(self):
        for request in self.peers.requests.values():
            calls = self.calls.get(request.name, ())
            if not request.submit:
                self.problem("format", "a request that no client submitted", request)
                continue
            if request.submit.job:
                self.jobs.judge(request, calls)
                continue
            self.judge_end(request)
            self.judge_starts(request, calls)
            if request.submit.key:
                self.keys.add(request)
                continue
            if request.final:
                self.judge_status(request, calls)
                if self.brokers and request.submit.named:
                    self.judge_word(request, calls)
            self.judge_deadline(request, calls)
            if request.submit.talk:
                talk = request.submit.party, request.submit.talk
                self.talks.setdefault(talk, []).append(request)
        for talk, requests in self.talks.items():
            self.judge_talk(talk, requests)
        self.keys.judge()

    def faulty(self, begin, end, party=None):
        """Returns whether there was a fault in this time, of this party or, without one, of any."""
        for index in range(len(self.faults) - 1, -1, -1):
            if self.latest[index] < begin:
                return False
            first, last, whose = self.faults[index]
            if first <= end and last >= begin and (party is None or whose in (party, "*")):
                return True
        return False

    def judge_end(self, request):
        """1: one final status, in time; to the client that asked."""
        submit, final = request.submit, request.final
        if not final:
            if submit.party not in self.peers.killed:
                self.problem(1, "no final status", request)
            return
        if final.party != submit.party:
            self.problem(7, f"{final.party} got the end of a request of {submit.party}", request)
        late = final.time - submit.deadline - GRACE
        if late > self.slack and not self.faulty(submit.time, final.time, submit.party):
            self.problem(1, f"the final status came {late} us after the deadline and the grace",
                         request)

    def judge_starts(self, request, calls):
        """4 and 9; and every start belongs to a delivery of its own."""
        submit, starts = request.submit, request.starts
        if submit.attempts == 1 and len(starts) > 1:
            self.problem(4, f"attempts = 1, and {len(starts)} starts", request)
        # A slow link may delay a try, so that it comes in after the next one. One of which the broker says that it
        # never ran costs no attempt.
        accepted = sorted((call for call in calls if call.accepted), key=lambda call: -call.attempts)
        number = 0
        for call in accepted:
            if call.attempts > submit.attempts - number:
                self.problem(9, f"the broker was allowed {call.attempts} attempts by the "
                             f"{number + 1}. try of {submit.attempts}", request, *call.places)
            number += call.final not in NEVER_GIVEN
        if not self.brokers or not submit.named:
            if len(starts) > submit.attempts:
                self.problem(9, f"{len(starts)} starts of {submit.attempts} attempts", request)
            return
        self.match_starts(request, calls)

    def match_starts(self, request, calls):
        """9: each start is one that a broker gave out."""
        left = [(attempt, time, call.instance.sessions.get(worker))
                for call in calls for attempt, time, worker, _ in call.dispatches]
        for start in sorted(request.starts, key=lambda start: start.time):
            for one in left:
                if start.attempt in (0, one[0]) and one[1] <= start.time + self.slack \
                        and self.is_party(one[2], start.party):
                    left.remove(one)
                    break
            else:
                self.problem(9, f"the start of attempt {start.attempt} at {start.party} is none "
                             "that a broker gave out", request,
                             *(place for call in calls for place in call.places))

    def judge_deadline(self, request, calls):
        """8: the broker's deadline is the client's, plus the time on the way."""
        submit = request.submit
        for call in calls:
            late = call.deadline - submit.deadline if call.accepted else 0
            if late > self.slack and not self.faulty(submit.time, call.time):
                self.problem(8, f"the broker takes the deadline for {late} us later than it is",
                             request, *call.places)

    def is_party(self, session, party):
        """Returns whether this worker's session may be this party's; an unnamed one may be any
        party's."""
        name = "worker:" + session.name if session else None
        return name not in self.peers.parties or name == party

    def judge_status(self, request, calls):
        """2: the body is a worker's. 5: a status that says that no worker had the request is
        true."""
        status = request.final.status
        body = request.final.body
        # A broker may end a request with APP_ERROR too, without a body: its reply was too large.
        if status == "OK" or (status == "APP_ERROR" and body != "-"):
            mine = [reply for reply in request.replies if reply[2:] == (status, body)]
            if not mine:
                self.problem(2, f"the body {body} is no worker's reply to it", request)
            elif request.final.parts and request.final.parts[0] and request.final.task not in (one[1] for one in mine):
                self.problem(46, f"the parts are of the start {request.final.task}, and the reply is not", request)
            elif self.brokers and request.submit.named:
                self.judge_replier(request, request, mine)
        elif status in NEVER_GIVEN or status in LOCAL:
            if request.starts:
                self.problem(5, f"{status}, and a worker started it", request)
        elif status in GIVEN and self.brokers and request.submit.named \
                and not any(call.delivered for call in calls):
            self.problem(5, f"{status}, and no worker was given it", request)

    def judge_replier(self, request, begun, replies):
        """6: it is the reply of the delivery whose reply was committed. begun: the request by whose name a worker
        was given it; another one if both have one key."""
        calls = self.calls.get(begun.name, ())
        attempts = {(start.party, start.task): start.attempt for start in begun.starts}
        for call in calls:
            if call.answered == request.final.status and call.committed:
                attempt, _, worker, _ = call.committed
                session = call.instance.sessions.get(worker)
                if any(self.is_party(session, party)
                       and attempts.get((party, task)) in (0, None, attempt)
                       for party, task, _, _ in replies):
                    return
        self.problem(6, "the reply is not that of the delivery whose reply was committed", request,
                     *(place for call in calls for place in call.places))

    def judge_word(self, request, calls):
        """7: the client got the status that the broker sent, and no other."""
        final, submit = request.final, request.submit
        told = [call for call in calls if call.final]
        places = [place for call in calls for place in call.places]
        if final.status in REPLIES or final.status in GIVEN:
            said = [call for call in told if call.final == final.status
                    and call.final_time <= final.time + self.slack]
            if not said:
                self.problem(7, f"{final.status}, which no broker said", request, *places)
            elif final.made is not None and final.made != said[-1].final_attempts:
                self.problem(9, f"the client is told of {final.made} attempts, and the broker made "
                             f"{said[-1].final_attempts}", request, *places)
            elif not self.is_client(said[-1], submit.party):
                self.problem(7, "the request came from another client's session", request, *places)
            elif final.parts is not None:
                self.judge_parts(request, said[-1])
        elif final.status == "UNKNOWN":
            for call in told:
                if self.was_heard(call, submit, final):
                    self.problem(7, f"the broker said {call.final}, and the client heard nothing",
                                 request, *places)
                    break

    def judge_parts(self, request, call):
        """45: of the parts of its reply the client has those that the broker passed on."""
        got, told = request.final.parts, call.final_parts
        if got != told if request.final.status in REPLIES else got[0] > told[0] or got[1] > told[1]:
            self.problem(45, f"the client has {got[0]} parts of {got[1]} bytes, and the broker passed on {told[0]} of "
                         f"{told[1]}", request, *call.places)

    def is_client(self, call, party):
        session = call.instance.sessions.get(call.session)
        name = "client:" + session.name if session else None
        return name not in self.peers.parties or name == party

    def was_heard(self, call, submit, final):
        """Returns whether the client must have got the broker's status: its session went on for a
        while, and there was no fault."""
        session = call.instance.sessions.get(call.session)
        until = call.final_time + self.slack
        gone = session is None or (session.left is not None and session.left < until)
        return until < final.time and until < call.instance.time and not gone \
            and not self.faulty(submit.time, final.time)

    def judge_talk(self, talk, requests):
        """12: each worker gets the requests in order, and the worker that answered gets all, until
        something is lost."""
        requests.sort(key=lambda request: request.submit.seq)
        latest = {}
        home = None
        for request in requests:
            status = request.final.status if request.final else None
            lost = status is None or status in LOST
            for start in sorted(request.starts, key=lambda start: start.attempt):
                before, earlier = latest.get(start.party, (None, None))
                if before and before.order > start.order:
                    self.problem(12, f"in the conversation {talk[1]} a later request started first",
                                 request, *earlier.places)
                # One that was lost with a session may begin at any time: it is in the hands of a thread of the worker.
                if not lost:
                    latest[start.party] = start, request
                if home and start.party != home:
                    self.problem(12, f"the conversation {talk[1]} moved from {home} to "
                                 f"{start.party}, and nothing was lost", request)
            if lost or request.ended:
                home = None
            elif status in REPLIES and request.starts:
                home = max(request.starts, key=lambda start: start.attempt).party
