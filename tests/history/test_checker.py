# SPDX-License-Identifier: MPL-2.0
"""The checker of histories: good ones pass, and every fault is found.

Wrong histories are made in two ways: by a core with a bug (bugs.c), and by changing a line of a
good history. A bug that is not found fails the suite.
"""

import os
import re
import subprocess
import sys

import pytest

from check import Check
from lines import Unreadable

SLACK = 10000  # us; nothing in the world's own time is late by chance

# The invariants that each bug of a core breaks; it is enough to find one of them.
BREAKS = {
    "drop-reply": {7}, "forget-final": {1}, "lose-request": {1}, "late-final": {7}, "swap-replies": {2},
    "reply-twice": {3}, "final-twice": {3}, "deliver-twice": {9}, "redeliver-attempts-1": {4},
    "too-many-starts": {9}, "never-given": {5}, "accept-late": {6}, "accept-forged": {6},
    "other-client": {7}, "after-deadline": {8}, "wrong-attempt": {9}, "miscount-waiting": {10},
    "miscount-finals": {10}, "idle-worker": {11}, "forget-conversation": {12},
    "move-conversation": {12}, "ignore-cancel": {"cancel"}, "made-up-answer": {2},
    "ignore-rule": {14}, "made-up-denial": {15}, "other-principal": {14}, "keep-rules": {14, 15},
    "keep-revoked": {16}, "forget-result": {17}, "other-replay": {2}, "run-mismatch": {5},
    "invert-priority": {18}, "ignore-priority": {18}, "never-age": {18},
    "age-at-once": {18},
}


def check(files):
    one = Check(files, SLACK)
    one.run()
    return one


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_good_history_holds(world, seed):
    files, _ = world.run(seed)
    one = check(files)
    assert not one.problems.counts, [problem.text for problem in one.problems.kept]
    summary = one.summary()
    assert summary["requests"] > 1000 and summary["redeliveries"] > 3
    assert summary["finals"]["OK"] > 500 and summary["finals"]["CONVERSATION_LOST"] > 5
    assert summary["finals"]["KEY_MISMATCH"] > 0 and summary["replays"] > 5


def test_lives_of_a_broker_that_was_killed_are_told_apart(world):
    files, _ = world.run(1)
    summary = check(files).summary()
    assert summary["brokers"] > 1
    assert summary["brokers_killed"] == summary["brokers"] - 1 == summary["torn"]
    assert summary["finals"]["UNKNOWN"] > 0 and summary["tries"] > summary["requests"]


def test_the_order_of_the_files_does_not_matter(world):
    files, _ = world.run(2)
    assert not check(files).problems.counts
    assert not check(reversed(files)).problems.counts


def test_there_are_enough_bugs(world):
    assert set(world.bugs()) == set(BREAKS)
    assert len(BREAKS) >= 15


def test_a_bug_in_the_core_is_found(world, bug):
    found, wanted = 0, 3 if os.environ.get("RIPOSTE_LONG") else 1
    for seed in range(1, 30):
        files, bites = world.run(seed, bug)
        if not bites:
            continue
        counts = check(files).problems.counts
        assert BREAKS[bug] & counts.keys(), f"{bug} with seed {seed}: {counts}"
        found += 1
        if found == wanted:
            return
    raise AssertionError(f"{bug} never came about")


# ---- Lines that were changed --------------------------------------------------------------------


class Recording:
    """A good history as lines that can be changed."""

    def __init__(self, files):
        self.files = {file: file.read_text().splitlines(keepends=True) for file in files}
        self.peers = next(file for file in files if file.name == "peers.history")
        # The last broker ended in good order, so its history is complete.
        self.broker = max((file for file in files if file != self.peers),
                          key=lambda file: (any("\tend\n" in line for line in self.files[file])))
        assert self.files[self.broker][-1].endswith("\tend\n")

    def find(self, file, pattern, where=None):
        """Returns the numbers of the lines that match."""
        expression = re.compile(pattern)
        return [number for number, line in enumerate(self.files[file])
                if expression.search(line) and (where is None or where(line))]

    def first(self, file, pattern, where=None):
        found = self.find(file, pattern, where)
        assert found, f"no line has {pattern}"
        return found[len(found) // 2]

    def value(self, file, number, key):
        return re.search(rf"\t{key}=([^\t\n]*)", self.files[file][number]).group(1)

    def change(self, file, number, key, value):
        self.files[file][number] = re.sub(rf"\t{key}=[^\t\n]*", f"\t{key}={value}",
                                          self.files[file][number], count=1)

    def delay(self, file, number, us):
        line = self.files[file].pop(number)
        time, rest = line.split("\t", 1)
        self.files[file].append(f"{int(time) + us}\t{rest}")

    def alone(self):
        """Returns the line of a final status OK whose request was started once."""
        starts = {}
        for number in self.find(self.peers, "\tstart\t"):
            name = self.value(self.peers, number, "req")
            starts[name] = starts.get(name, 0) + 1
        return self.first(self.peers, "\tfinal\t.*status=OK",
                          lambda line: starts.get(line.split("req=")[1].split("\t")[0]) == 1)

    def start_of(self, number):
        name = self.value(self.peers, number, "req")
        return self.first(self.peers, f"\tstart\treq={name}\t")

    def check(self):
        for file, lines in self.files.items():
            file.write_text("".join(lines))
        return check(list(self.files))


def lose_a_final(one):
    number = one.alone()
    del one.files[one.peers][number]


def end_too_late(one):
    one.delay(one.peers, one.alone(), 60000000)


def end_twice(one):
    number = one.alone()
    one.files[one.peers].append(one.files[one.peers][number])


def change_a_body(one):
    one.change(one.peers, one.alone(), "body", "nobody's")


def take_the_body_of_another(one):
    number = one.alone()
    other = next(other for other in one.find(one.peers, "\tfinal\t.*status=OK") if other != number)
    one.change(one.peers, number, "body", one.value(one.peers, other, "body"))


def start_twice(one):
    number = one.start_of(one.alone())
    one.files[one.peers].insert(number, one.files[one.peers][number].replace("task=", "task=x"))


def say_that_it_never_ran(one):
    one.change(one.peers, one.alone(), "status", "BUSY")


def say_that_it_expired(one):
    one.change(one.peers, one.alone(), "status", "EXPIRED")


def give_it_to_another_client(one):
    number = one.alone()
    line = one.files[one.peers][number]
    one.files[one.peers][number] = re.sub(r"client:c\d+", "client:c77", line)


def tell_another_number_of_attempts(one):
    one.change(one.peers, one.alone(), "made", "7")


def start_with_another_number(one):
    one.change(one.peers, one.start_of(one.alone()), "attempt", "5")


def start_elsewhere(one):
    number = one.start_of(one.alone())
    line = one.files[one.peers][number]
    party = line.split("\t")[1]
    other = next(other.split("\t")[1] for other in one.files[one.peers]
                 if other.split("\t")[1].startswith("worker:") and other.split("\t")[1] != party)
    one.files[one.peers][number] = line.replace(party, other)


def swap_two_starts_of_a_conversation(one):
    talks = {}
    seen = {}
    for number in one.find(one.peers, "\tsubmit\t.*conv=c"):
        talks[one.value(one.peers, number, "req")] = one.value(one.peers, number, "conv")
    for number in one.find(one.peers, "\tstart\t"):
        line = one.files[one.peers][number]
        talk = talks.get(one.value(one.peers, number, "req")), line.split("\t")[1]
        if talk[0] and talk in seen:
            other = seen[talk]
            lines = one.files[one.peers]
            lines[number], lines[other] = lines[other], line
            return one.value(one.peers, number, "req")  # which begins late now
        seen[talk] = number
    raise AssertionError("no conversation has two starts")


def commit_to_another_delivery(one):
    number = one.first(one.broker, "\tanswer\t")
    one.change(one.broker, number, "token", "12345")


def commit_of_another_worker(one):
    number = one.first(one.broker, "\tanswer\t")
    one.change(one.broker, number, "worker", "12345")


def commit_twice(one):
    number = one.first(one.broker, "\tanswer\t")
    one.files[one.broker].insert(number, one.files[one.broker][number])


def dispatch_after_the_deadline(one):
    number = one.first(one.broker, "\tdispatch\t")
    key = one.files[one.broker][number].split("\t")[3:5]
    accept = one.first(one.broker, "\taccept\t" + "\t".join(key))
    one.change(one.broker, accept, "deadline", one.files[one.broker][number].split("\t")[0])


def count_wrong(one):
    number = one.first(one.broker, "\tscrape\t")
    one.change(one.broker, number, "accepted",
               int(one.value(one.broker, number, "accepted")) + 1)


def count_both_sides_wrong(one):
    number = one.first(one.broker, "\tscrape\t")
    for key in ("accepted", "finals"):
        one.change(one.broker, number, key, int(one.value(one.broker, number, key)) + 1)


def leave_a_late_reply_out(one):
    del one.files[one.broker][one.find(one.broker, "\tlate\t")[0]]


def forget_an_end_in_the_broker(one):
    del one.files[one.broker][one.first(one.broker, "\tfinal\t")]


def redeliver_although_none_is_left(one):
    number = one.first(one.broker, "\tdispatch\t")
    one.change(one.broker, number, "attempt", "4")


def leave_a_replay_unmarked(one):
    begun = {one.value(one.peers, number, "req") for number in one.find(one.peers, "\tstart\t")}
    number = one.first(one.peers, "\tfinal\t.*replayed=1",
                       lambda line: line.split("req=")[1].split("\t")[0] not in begun)
    one.change(one.peers, number, "replayed", "0")


def come_in_parts(one, parts=3, told=3, task=None, size=10, status="OK"):
    """Makes a reply one in parts, as the broker tells and the client has them; task: None: of the right start. size: of
    the client's parts."""
    for number in one.find(one.peers, f"\tfinal\t.*status={status}"):
        name = one.value(one.peers, number, "req")
        requests = one.find(one.broker, f"\trequest\t.*req={name}\t")
        if len(requests) == 1 and len(one.find(one.peers, f"\tstart\treq={name}\t")) == 1 \
                and "\tkeyed=1" not in one.files[one.broker][requests[0]]:
            break
    session, key = (one.value(one.broker, requests[0], field) for field in ("session", "id"))
    final = one.first(one.broker, f"\tfinal\tsession={session}\tid={key}\t")
    task = task or one.value(one.peers, one.start_of(number), "task")
    for file, line, more in ((one.broker, final, f"\tparts={told}\tpart_bytes=10"),
                             (one.peers, number, f"\tparts={parts}\tpart_bytes={size}\ttask={task}")):
        one.files[file][line] = one.files[file][line].rstrip("\n") + more + "\n"


def test_parts_that_the_broker_passed_on_are_those_of_the_client(world):
    files, _ = world.run(3)
    recording = Recording(files)
    come_in_parts(recording)
    assert not recording.check().problems.counts


def lose_a_part(one):
    come_in_parts(one, parts=2)


def make_up_a_part(one):
    come_in_parts(one, parts=4)


def have_more_of_a_part_than_came(one):
    come_in_parts(one, parts=2, size=11, status="DEADLINE")


def mix_the_parts_of_two_starts(one):
    come_in_parts(one, task="another")


CHANGES = [
    (lose_a_final, 1), (end_too_late, 1), (end_twice, 3), (change_a_body, 2),
    (take_the_body_of_another, 2), (start_twice, 9), (say_that_it_never_ran, 5),
    (say_that_it_expired, 5), (give_it_to_another_client, 7), (tell_another_number_of_attempts, 9),
    (start_with_another_number, 9), (start_elsewhere, 9), (swap_two_starts_of_a_conversation, 12),
    (commit_to_another_delivery, 6), (commit_of_another_worker, 7), (commit_twice, 6),
    (dispatch_after_the_deadline, 8), (count_wrong, 10), (count_both_sides_wrong, 10),
    (leave_a_late_reply_out, 10), (forget_an_end_in_the_broker, 1),
    (redeliver_although_none_is_left, 9), (leave_a_replay_unmarked, 17),
    (lose_a_part, 45), (make_up_a_part, 45), (have_more_of_a_part_than_came, 45), (mix_the_parts_of_two_starts, 46),
]


@pytest.mark.parametrize("change, invariant", CHANGES,
                         ids=[change.__name__ for change, _ in CHANGES])
def test_a_line_that_was_changed_is_found(world, change, invariant):
    files, _ = world.run(3)
    recording = Recording(files)
    change(recording)
    one = recording.check()
    assert invariant in one.problems.counts, one.problems.counts


def as_from_a_foreign(one):
    """Makes a request one of a protocol without headers. Returns the line of its start."""
    number = one.alone()
    start = one.start_of(number)
    name = one.value(one.peers, number, "req")
    submit = one.first(one.peers, f"\tsubmit\treq={name}\t")
    one.files[one.peers][submit] = one.files[one.peers][submit].rstrip("\n") + "\tnamed=0\n"
    one.change(one.peers, submit, "attempts", "1")
    one.change(one.peers, start, "attempt", "0")
    for file in one.files:
        for request in one.find(file, f"\trequest\t.*req={name}\t"):
            one.change(file, request, "req", "-")
    return start


def test_requests_without_a_header_are_held_to_what_is_known_of_them(world):
    files, _ = world.run(3)
    recording = Recording(files)
    start = as_from_a_foreign(recording)
    assert not recording.check().problems.counts
    line = recording.files[recording.peers][start]
    recording.files[recording.peers].insert(start, line.replace("task=", "task=x"))
    assert 4 in recording.check().problems.counts


def test_a_lost_request_of_a_conversation_may_begin_after_a_later_one(world):
    files, _ = world.run(3)
    recording = Recording(files)
    name = swap_two_starts_of_a_conversation(recording)
    final = recording.first(recording.peers, f"\tfinal\treq={name}\t")
    recording.change(recording.peers, final, "status", "UNKNOWN")
    assert 12 not in recording.check().problems.counts


# ---- The output ---------------------------------------------------------------------------------


def run(*arguments):
    command = [sys.executable, check.__globals__["__file__"].replace("test_checker", "check")]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True,
                          check=False)


def test_what_is_broken_is_named_with_its_lines(world):
    files, _ = world.run(3)
    recording = Recording(files)
    number = recording.alone()
    name = recording.value(recording.peers, number, "req")
    recording.change(recording.peers, number, "body", "nobody's")
    recording.check()
    done = run("--slack", 10, *files)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"invariant 2: {name}: the body nobody's is no worker's")
    shown = [line.split("\t")[2] for line in lines[1:] if line.startswith("    ")]
    assert shown[0] == "submit" and shown[-1] == "final" and "start" in shown
    assert lines[-1] == "BROKEN: 2 (1)"


def test_the_exit_code_says_whether_all_holds(world, tmp_path):
    files, _ = world.run(4)
    done = run("--slack", 10, *files)
    assert done.returncode == 0 and done.stdout.endswith("all invariants hold\n")
    assert run(tmp_path / "absent").returncode == 2


def test_what_is_no_line_is_not_read(world):
    files, _ = world.run(5)
    with open(files[0], "r+", encoding="utf-8") as file:
        file.write("what?\n")
    with pytest.raises(Unreadable):
        check(files)
