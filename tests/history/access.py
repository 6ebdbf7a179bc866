# SPDX-License-Identifier: MPL-2.0
"""Checks who could do what, and when: 14 (no delivery without a rule), 15 (no DENIED without a
missing rule) and 16 (no session outlives its key).

The truth comes from outside: lines of `chaos` tell which rules are in force, the principal of each
party, and whose key is revoked. Without such lines nothing is checked.
"""


class Rules:
    """The actions that are allowed from one time on, as (rule, principal, service)."""
    __slots__ = ("begin", "allowed")

    def __init__(self, begin, fields):
        self.begin = begin
        self.allowed = {(rule, *pair.split(":")) for rule in ("call", "serve")
                        for pair in fields[rule].split(",") if pair}


class Access:
    def __init__(self, problems):
        self.problems = problems
        self.changes = []  # Rules, by time
        self.principals = {}  # by party
        self.revoked = []  # (time, party, place)

    def on_rules(self, place, time, party, fields):
        self.changes.append(Rules(time, fields))

    def on_principal(self, place, time, party, fields):
        self.principals[fields["party"]] = fields["name"]

    def on_revoked(self, place, time, party, fields):
        self.revoked.append((time, fields["party"], place))

    def judge(self, brokers, calls, requests):
        for broker in brokers:
            self.judge_sessions(broker)
            self.judge_revoked(broker)
        if self.changes:
            for of_one in calls.values():
                for call in of_one:
                    self.judge_call(call, requests.get(call.request))

    def at(self, time):
        """Returns the rules in force at this time; at the time of a change, those before and after
        it."""
        found = []
        for index, rules in enumerate(self.changes):
            end = self.changes[index + 1].begin if index + 1 < len(self.changes) else None
            if rules.begin <= time and (end is None or time <= end):
                found.append(rules)
        return found

    def judge_call(self, call, request):
        """An execution for a key is a delivery to those who asked."""
        client = self.whose(call.instance, call.session)
        if request and request.submit and request.submit.key and not call.keyed:
            client = self.principals.get(request.submit.party)
        for _, time, worker, _ in call.dispatches:
            server = self.whose(call.instance, worker)
            service = call.service.name
            if not any({("call", client, service), ("serve", server, service)} <= rules.allowed
                       for rules in self.at(time)):
                self.problem(14, f"{server}'s worker is given a request of {client} for {service}, and no "
                             "rule allows it", call)
        if call.final == "DENIED" and not call.admin \
                and all(("call", client, call.name) in rules.allowed
                        for rules in self.at(call.final_time)):
            self.problem(15, f"{client} may call {call.name}, and is denied it", call)

    def judge_sessions(self, broker):
        for number, session in broker.sessions.items():
            if session.principal not in (None, self.whose(broker, number)):
                self.problems.add(14, f"a session of {self.whose(broker, number)} is taken for one of "
                                  f"{session.principal} ({broker.name})", None, [session.place])

    def judge_revoked(self, broker):
        for time, party, place in self.revoked:
            if not broker.began <= time < broker.time:
                continue
            role, name = party.split(":", 1)
            for session in broker.named.get((role, name), ()):
                if session.joined < time and (session.left is None or session.left > time):
                    self.problems.add(16, f"the session of {party} outlives its key ({broker.name})", None,
                                      [session.place, place])

    def whose(self, broker, number):
        session = broker.sessions.get(number)
        if session is None:
            return None
        return self.principals.get(f"{session.role}:{session.name}", session.principal)

    def problem(self, invariant, text, call):
        self.problems.add(invariant, f"{text} ({call.instance.name})", call.request, call.places)
