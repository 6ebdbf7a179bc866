# SPDX-License-Identifier: MPL-2.0
"""Whether traces tell the truth: while everything is killed, the run asks `riposte trace` for a sample of
requests, open and ended, and compares each timeline afterwards with the lines of the broker's history."""

import collections
import json
import os
import random
import subprocess
import threading

from cast import BUILD, now_us
from report import read

CLI = BUILD / "riposte"
#: Seconds between two questions. A program is started for each, which takes some of the machine.
EVERY = 0.25
#: Bytes of the history's end from which a request is drawn: those of the last second or so.
TAIL = 1 << 16
#: Fewer answers than these show nothing.
ENOUGH = 20
#: The loop's time, which lines have, may be so far behind the clock on a busy machine, which lets it stand still within
#: a turn, µs.
STALL_US = 10_000_000

#: asked, answered: µs; broker: name of the process, whose history has the request; request: (session, id), of
#: which there was an accept line before asking.
Answer = collections.namedtuple("Answer", "asked answered broker request text traces")


def _fields(line):
    parts = line.rstrip("\n").split("\t")
    return parts[2] if len(parts) > 2 else "", dict(part.split("=", 1) for part in parts[3:] if "=" in part)


def draw(lines, chance):
    """Draws an accepted request of these lines of a history: an open one, one with several deliveries, or any.
    Returns (session, id) and a text by which trace finds it; None if there is none."""
    accepted, open_ones, names, tokens = [], {}, {}, collections.defaultdict(list)
    for event, fields in map(_fields, lines):
        request = (fields.get("session"), fields.get("id"))
        if event == "accept":
            accepted.append(request)
            open_ones[request] = True
        elif event == "request" and fields.get("req", "-") != "-":
            names[request] = fields["req"]
        elif event == "dispatch":
            tokens[request].append(fields["token"])
        elif event == "final":
            open_ones.pop(request, None)
    several = [request for request in accepted if len(tokens[request]) > 1]
    kinds = [kind for kind in (list(open_ones), several, accepted) if kind]
    if not accepted:
        return None
    request = chance.choice(chance.choice(kinds))
    texts = ["/".join(request), names.get(request), *tokens[request]]
    return request, chance.choice([text for text in texts if text])


class Sampler:
    """Asks, in a thread of its own. cast: whose broker is asked."""

    def __init__(self, cast, seed):
        self.answers = []
        self.unanswered = 0     # by brokers that were down, stood still or died meanwhile
        self.troubles = []
        self._cast = cast
        self._chance = random.Random(seed)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._environment = cast.security.environment("sampler") if cast.security else \
            {name: value for name, value in os.environ.items() if not name.startswith("RIPOSTE_")}

    def start(self):
        self._thread.start()

    def stop(self):
        self._over.set()
        self._thread.join()

    def _run(self):
        while not self._over.wait(EVERY):
            try:
                self._sample()
            except Exception as failure:  # of this thread, which nobody else would see
                self.troubles.append(f"the sampler of traces failed: {failure!r}")
                return

    def _tail(self, broker):
        path = self._cast.history(broker.name)
        if not path.exists():
            return []  # it has only just been started
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            return file.read().decode(errors="replace").split("\n")[1:-1]

    def _sample(self):
        broker = self._cast.broker
        drawn = draw(self._tail(broker), self._chance) if broker.alive() else None
        if not drawn:
            return
        request, text = drawn
        asked = now_us()
        done = subprocess.run([CLI, "--server", self._cast.endpoint, "--timeout", "2s", "trace", text, "-o", "json"],
                              capture_output=True, text=True, timeout=60, env=self._environment, check=False)
        answered = now_us()
        told = json.loads(done.stdout) if done.stdout else {}
        if self._cast.broker is not broker or not broker.alive() or \
                told.get("error", {}).get("code") in ("NO_BROKER", "UNKNOWN", "DEADLINE", "TIMED_OUT"):
            self.unanswered += 1
        elif "traces" not in told:
            self.troubles.append(f"trace {text} failed: {done}")
        else:
            self.answers.append(Answer(asked, answered, broker.name, request, text, told["traces"]))


# ---- Afterwards ---------------------------------------------------------------------------------


class Life:
    """What the history of one broker says of its requests."""

    def __init__(self, path):
        self.names = {}                                 # session: name
        self.events = collections.defaultdict(list)     # (session, id): lists of (µs, what, …), one for each use
        for at, _, event, fields in read([path]):
            self._take(at, event, fields)

    def _take(self, at, event, fields):
        if event == "join":
            self.names[fields["session"]] = fields["name"]
        request = (fields.get("session"), fields.get("id"))
        if event == "accept":
            self.events[request].append([(at, "accepted", fields["service"], int(fields["attempts"]))])
        elif event == "dispatch":
            self.events[request][-1].append(
                (at, "given", self.names[fields["worker"]], int(fields["attempt"]), fields["token"]))
        elif event == "unsent" and request in self.events and self.events[request][-1][-1][1] != "ended":
            # Of one that had ended for its client only the worker's place was still taken.
            self.events[request][-1].append((at, "back"))
        elif event == "final":
            self.events[request][-1].append((at, "ended", fields["status"]))

    def like(self, trace):
        """Returns the requests that a trace may be about."""
        return [used for (session, number), uses in self.events.items()
                if number == trace["client_request"] and self.names[session] == trace["client"] for used in uses]


def _told(trace):
    """What a trace says, as Life has it, with times since the request was accepted."""
    events = []
    for event in trace["events"]:
        if event["kind"] == "accepted":
            events.append((event["at_us"], "accepted", trace["service"]))
        elif event["kind"] == "given":
            events.append((event["at_us"], "given", event["worker"], event["attempt"]))
        elif event["kind"] in ("returned", "unsent"):
            events.append((event["at_us"], "back"))
        elif event["kind"] == "ended":
            events.append((event["at_us"], "ended", event["status"]))
    return events


def _recorded(used):
    begin = used[0][0]
    return [(at - begin, what, *more[:2 if what == "given" else 1]) for at, what, *more in used]


def _is_of(answer, trace, used):
    """Returns whether a trace tells what the history has of this request, up to a moment of the question."""
    told, recorded = _told(trace), _recorded(used)
    if trace["open"]:
        # What was recorded after the question began may or may not have been there.
        missing = used[len(told):]
        if missing and missing[0][0] < answer.asked:
            return False
        recorded = recorded[:len(told)]
    tokens = [event[4] for event in used if event[1] == "given"][:sum(event[1] == "given" for event in told)]
    # A hedge is named by the delivery that was answered, which may be the first of the two.
    hedged = any(event["kind"] == "hedged" for event in trace["events"])
    return told == recorded and (not tokens or trace["id"] in tokens[-2 if hedged else -1:]) \
        and trace["attempts"] in (0, used[0][3])


def compare(answer, life):
    """Returns what is wrong with the answer to one question, as lines."""
    wrong = []
    mine = [_recorded(used) for used in life.events[answer.request]]
    found = False
    for trace in answer.traces:
        used = [used for used in life.like(trace) if trace["omitted"] or _is_of(answer, trace, used)]
        found = found or any(_recorded(one) in mine for one in used)
        if not used:
            wrong.append(f"{answer.broker}: trace {answer.text} tells {trace['text']}, {_told(trace)}; the history has "
                         f"{[_recorded(one) for one in life.like(trace)]}")
    if not found and not wrong and len(answer.traces) < 10:  # of those with one name, only so many are told
        wrong.append(f"{answer.broker}: trace {answer.text} does not find {answer.request}, {mine}")
    return wrong


def judge(sampler, history):
    """Returns what is wrong, and what is wrong unless something stood still, as lines, and what was seen, as text.
    history: the path of a broker's history by its name."""
    lives, wrong, late, seen = {}, list(sampler.troubles), [], collections.Counter()
    for answer in sampler.answers:
        if answer.broker not in lives:
            lives[answer.broker] = Life(history(answer.broker))
        life = lives[answer.broker]
        if lines := compare(answer, life):
            (wrong if compare(answer._replace(asked=answer.asked - STALL_US), life) else late).extend(lines)
        seen.update("open" if trace["open"] else "ended" for trace in answer.traces)
        seen["lost"] += sum(any(event["kind"] == "lost" for event in trace["events"]) for trace in answer.traces)
    if len(sampler.answers) < ENOUGH or not seen["open"] or not seen["ended"]:
        late.append(f"too few traces were asked for: {len(sampler.answers)} answers, {dict(seen)}")
    said = (f"{len(sampler.answers)} questions, {sampler.unanswered} to brokers that were down; of the traces "
            f"{seen['open']} open, {seen['ended']} ended, {seen['lost']} with lost workers")
    return wrong, late, said
