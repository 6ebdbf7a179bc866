# SPDX-License-Identifier: MPL-2.0
"""The comparison of traces with a history finds each kind of lie."""

import copy
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from traces import Answer, Life, compare, draw  # noqa: E402

HISTORY = """\
100 broker:b begin pid=1
100 broker:b join session=1 role=client name=c principal=anonymous
100 broker:b join session=8 role=worker name=w1 service=echo principal=anonymous window=1
100 broker:b join session=9 role=worker name=w2 service=echo principal=anonymous window=1
200 broker:b request session=1 id=7 req=r7 service=echo conv=0
200 broker:b accept session=1 id=7 service=echo attempts=3 deadline=9999
200 broker:b dispatch session=1 id=7 token=70 worker=8 attempt=1 conv=0 deadline=9999
300 broker:b leave session=8
300 broker:b dispatch session=1 id=7 token=71 worker=9 attempt=2 conv=0 deadline=9999
350 broker:b unsent session=1 id=7 token=71 worker=9 attempt=2
400 broker:b dispatch session=1 id=7 token=71 worker=9 attempt=2 conv=0 deadline=9999
600 broker:b answer session=1 id=7 token=71 worker=9 attempt=2 status=OK
600 broker:b final session=1 id=7 attempts=2 status=OK
650 broker:b unsent session=1 id=7 token=71 worker=9 attempt=2
660 broker:b unsent session=0 id=7 token=71 worker=9 attempt=2
900 broker:b accept session=1 id=8 service=echo attempts=1 deadline=9999
950 broker:b dispatch session=1 id=8 token=80 worker=9 attempt=1 conv=0 deadline=9999
960 broker:b accept session=1 id=9 service=echo attempts=2 deadline=9999
960 broker:b dispatch session=1 id=9 token=90 worker=8 attempt=1 conv=0 deadline=9999
970 broker:b dispatch session=1 id=9 token=91 worker=9 attempt=2 conv=0 deadline=9999
980 broker:b answer session=1 id=9 token=90 worker=8 attempt=1 status=OK
980 broker:b final session=1 id=9 attempts=2 status=OK
"""


def _event(kind, at_us, **more):
    return {"kind": kind, "at_us": at_us, "worker": "", "attempt": 0, "status": "", **more}


ENDED = {
    "id": "71", "client": "c", "client_request": "7", "service": "echo", "open": False, "status": "OK", "attempts": 3,
    "omitted": 0, "text": "", "events": [
        _event("accepted", 0), _event("given", 0, worker="w1", attempt=1), _event("lost", 100, worker="w1"),
        _event("given", 100, worker="w2", attempt=2), _event("unsent", 150, worker="w2"),
        _event("waited", 200, us=50), _event("given", 200, worker="w2", attempt=2), _event("ended", 400, status="OK")]}
RUNNING = {**ENDED, "id": "80", "client_request": "8", "open": True, "status": "", "attempts": 1, "events": [
    _event("accepted", 0), _event("given", 50, worker="w2", attempt=1), _event("runs", 70)]}
HEDGED = {**ENDED, "id": "90", "client_request": "9", "attempts": 2, "events": [
    _event("accepted", 0), _event("given", 0, worker="w1", attempt=1), _event("hedged", 10),
    _event("given", 10, worker="w2", attempt=2), _event("ended", 20, status="OK")]}
WAITING = {**RUNNING, "id": "79", "events": [_event("accepted", 0), _event("waits", 30)]}


@pytest.fixture(name="life")
def one_life(tmp_path):
    path = tmp_path / "b.hist"
    path.write_text(HISTORY.replace(" ", "\t"))
    return Life(path)


def _compare(life, trace, asked=2000, request=None):
    request = request or ("1", trace["client_request"])
    return compare(Answer(asked, asked + 9, "b", request, "text", [trace]), life)


def test_the_truth_is_no_lie(life):
    assert _compare(life, ENDED) == []
    assert _compare(life, HEDGED) == [], "the first of two deliveries was answered"
    assert _compare(life, {**HEDGED, "id": "91"}) == [], "the second was"
    assert _compare(life, {**HEDGED, "id": "80"}) != []
    assert _compare(life, RUNNING) == []
    assert _compare(life, {**ENDED, "attempts": 0}) == [], "an ordinary one that ended long ago"


def test_what_happened_after_the_question_may_lack(life):
    assert _compare(life, WAITING, asked=940) == []
    assert _compare(life, WAITING, asked=960) != []


LIES = {
    "another status": lambda trace: trace["events"][-1].update(status="APP_ERROR"),
    "another time of its end": lambda trace: trace["events"][-1].update(at_us=401),
    "another worker": lambda trace: trace["events"][3].update(worker="w1"),
    "another attempt": lambda trace: trace["events"][3].update(attempt=1),
    "another time of a delivery": lambda trace: trace["events"][3].update(at_us=99),
    "a delivery too few": lambda trace: trace["events"].pop(1),
    "a delivery too many": lambda trace: trace["events"].insert(1, _event("given", 0, worker="w1", attempt=1)),
    "no word of one that did not arrive": lambda trace: trace["events"].pop(4),
    "another service": lambda trace: trace.update(service="visit"),
    "other attempts": lambda trace: trace.update(attempts=2),
    "another client": lambda trace: trace.update(client="w1"),
    "the number of an earlier delivery": lambda trace: trace.update(id="70"),
    "that it is open": lambda trace: trace.update(open=True, events=trace["events"][:-1]),
    "nothing of its end": lambda trace: trace["events"].pop(),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found(life, lie):
    trace = copy.deepcopy(ENDED)
    LIES[lie](trace)
    assert _compare(life, trace) != []


def test_a_request_that_is_not_found_is_a_lie(life):
    assert compare(Answer(2000, 2009, "b", ("1", "7"), "r7", []), life) != []
    assert _compare(life, RUNNING, request=("1", "7")) != [], "another one than was asked for"


def test_open_ones_and_those_with_several_deliveries_are_drawn():
    lines = HISTORY.replace(" ", "\t").split("\n")
    drawn = {draw(lines, random.Random(seed)) for seed in range(200)}
    assert drawn == {(("1", "7"), text) for text in ("1/7", "r7", "70", "71")} \
        | {(("1", "8"), text) for text in ("1/8", "80")} | {(("1", "9"), text) for text in ("1/9", "90", "91")}
    assert draw(lines[:4], random.Random(1)) is None
