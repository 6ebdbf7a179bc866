# SPDX-License-Identifier: MPL-2.0
"""Checks jobs, over the histories of all brokers of one store.

The lines that prove each invariant: 2 a client's `result` and a worker's `reply`; 9 and 52 `start`; 50 `accepted` and
`result`; 51 all `accepted` and `result` of a job, whichever broker said it; 53 `result` and the brokers' `dispatch`.
"""

from broker_view import REPLIES


class Jobs:
    def __init__(self, judge):
        self.judged = judge  # of all requests
        self.problem, self.slack = judge.problem, judge.slack

    def judge(self, request, calls):
        results = sorted(request.results, key=lambda result: result.time)
        if len(request.jobs) > 1:
            self.problem(51, f"one key, and the jobs {sorted(request.jobs)}", request)
        if request.jobs and not results and request.submit.party not in self.judged.peers.killed:
            self.problem(50, "accepted, and no final outcome", request)
        for result in results[1:]:
            first = results[0]
            if (result.status, result.made, result.body) != (first.status, first.made, first.body):
                self.problem(51, f"{first.status} {first.body} after {first.made} attempts, and then "
                             f"{result.status} {result.body} after {result.made}", request)
        self.judge_starts(request, calls)
        if results:
            self.judge_result(request, results[0])
            self.judge_late(request, results[0], calls)

    def judge_starts(self, request, calls):
        """Each attempt is committed before it begins, under the epoch of the broker that has the job: so no two have
        one number."""
        numbers = [start.attempt for start in request.starts]
        if len(set(numbers)) < len(numbers):
            self.problem(52, f"the attempts that began are {sorted(numbers)}", request)
        if numbers and max(numbers) > request.submit.attempts:
            self.problem(9, f"attempt {max(numbers)} of {request.submit.attempts} began", request)
        if self.judged.brokers:
            self.judged.match_starts(request, calls)

    def judge_result(self, request, result):
        if result.status in REPLIES and (result.status == "OK" or result.body != "-"):
            tasks = {start.task for start in request.starts if start.attempt == result.made}
            if not any(task in tasks and (status, body) == (result.status, result.body)
                       for _, task, status, body in request.replies):
                self.problem(2, f"the body {result.body} is no worker's reply to attempt {result.made}", request)
        elif result.status == "WORKER_LOST" and result.made < request.submit.attempts:
            self.problem(9, f"dead after {result.made} of {request.submit.attempts} attempts", request)

    def judge_late(self, request, result, calls):
        """A broker that stood still, or was cut off from the database, may give out what it had committed before."""
        for call in calls:
            for attempt, time, _, place in call.dispatches:
                if time > result.time + self.slack and not any(
                        self.judged.faulty(result.time, time, party) for party in (call.instance.name, "database")):
                    self.problem(53, f"attempt {attempt} was given out {time - result.time} us after the final outcome "
                                 "was told", request, place)
