# SPDX-License-Identifier: MPL-2.0
"""Checks requests with idempotency keys: those with one key share its executions and its result.

An execution has the name of the request that began it, in the lines of the workers and of the broker, where it
is a request of the broker's own client. What a broker remembers ends with it, so a key has one result in each of
its lives. A key stands for principal, service and what the client calls its key.

2: a result is a worker's reply to a request with the key. 5: KEY_MISMATCH: no worker had this one. 17: all
results are the same, and whoever did not begin the execution is told that its result is a replay.
"""

from broker_view import GIVEN, NEVER_GIVEN, REPLIES

MISMATCH = "KEY_MISMATCH"
NOT_YET = NEVER_GIVEN | {"NO_BROKER"}


class Keys:
    def __init__(self, judge):
        self.judged = judge  # of all requests
        self.problem, self.slack = judge.problem, judge.slack
        self.groups = {}  # requests, by key

    def add(self, request):
        self.groups.setdefault(request.submit.key, []).append(request)

    def judge(self):
        for group in self.groups.values():
            results = {}  # by life of a broker: the first request that got one
            for request in sorted((one for one in group if one.final), key=lambda one: one.final.time):
                if request.final.status in REPLIES:
                    self.judge_result(request, group)
                    self.judge_same(request, results)
                else:
                    self.judge_failure(request, group)

    def executions(self, requests):
        return [call for request in requests for call in self.judged.calls.get(request.name, ()) if not call.keyed]

    def judge_result(self, request, group):
        final = request.final
        found = [(other, [reply for reply in other.replies if reply[2:] == (final.status, final.body)])
                 for other in group]
        found = [(other, replies) for other, replies in found if replies]
        if not found and (final.status == "OK" or final.body != "-"):
            self.problem(2, f"the body {final.body} is no worker's reply to a request with its key", request)
            return
        begun = [other for other, _ in found]
        if begun and not final.replayed and request not in begun:
            self.problem(17, f"the result of {begun[0].name} is not marked as a replay", request, *begun[0].places)
        if not self.judged.brokers:
            return
        for other, replies in found:
            self.judged.judge_replier(request, other, replies)
        said = [call for call in self.executions(begun or group)
                if call.final == final.status and call.final_time <= final.time + self.slack]
        if not said:
            self.problem(7, f"{final.status}, which no broker said", request)
        elif final.made is not None and all(call.final_attempts != final.made for call in said):
            self.problem(9, f"the client is told of {final.made} attempts, and the broker made others", request)

    def judge_same(self, request, results):
        final = request.final
        asked = [call for call in self.judged.calls.get(request.name, ()) if call.keyed and call.time <= final.time]
        if not asked:
            return
        first = results.setdefault(max(asked, key=lambda call: call.time).instance, request)
        if (final.status, final.body, final.made) != (first.final.status, first.final.body, first.final.made):
            self.problem(17, f"{first.name} has the same key, and another result", request, *first.places)

    def judge_failure(self, request, group):
        status = request.final.status
        if status == MISMATCH:
            if request.starts:
                self.problem(5, f"{status}, and a worker started it", request)
        elif status in NOT_YET:
            for start in request.starts:
                if not any(self.may_wait(other, start) for other in group if other is not request):
                    self.problem(5, f"{status}, and a worker started it, though nobody else waited", request)
        elif status in GIVEN and self.judged.brokers and not any(call.delivered for call in self.executions(group)):
            self.problem(5, f"{status}, and no worker was given a request with its key", request)

    def may_wait(self, request, start):
        """Returns whether a request may have waited when a worker started the execution."""
        submit, final = request.submit, request.final
        # What a lost client asked waits on until its deadline.
        until = max(final.time, submit.deadline) if final and final.status == "UNKNOWN" else final and final.time
        return submit.time <= start.time + self.slack and (until is None or until + self.slack >= start.time)
