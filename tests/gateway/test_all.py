# SPDX-License-Identifier: MPL-2.0
"""Requests for all workers of a service over HTTP."""

import json
import pathlib

import pytest

from support.waiting import until

from test_calls import own_worker
from test_parts import EVENTS, parse, post

ALL = ("Riposte-All", "true")
# Worker N fails when it is told to, and waits when it is told so: to the end, or for a file, and then writes much.
SCRIPT = ('read word; case $word in fail-{0}) exit 3;; wait-{0}) exec sleep 600;; bytes) printf "\\000";; '
          'big) head -c 200000 /dev/zero;; big-{0}) while test ! -e {1}/go; do sleep 0.02; done; '
          'head -c 200000 /dev/zero;; esac; echo "$word of {0}"')


@pytest.fixture
def http(house):
    http = house.start("--total-body", "60kB")  # less than the window of a reply in parts
    for number in range(2):
        house.world.worker(house.broker, "who", "sh", "-c", SCRIPT.format(number, house.world.directory), ready=False,
                           options=("--name", f"w{number}"))
    until(lambda: len(house.world.workers(house.broker, "who")) == 2, 20, "the workers are there")
    return http


def lines_of(answer):
    """The answers, and the summary."""
    assert (answer.status, answer["Content-Type"]) == (200, "application/x-ndjson"), answer
    *answers, end = map(json.loads, answer.body.decode().splitlines())
    return sorted((one["worker"], one["riposte_status"], one.get("body")) for one in answers), (
        end["riposte_status"], end.get("headers", {}).get("all-statuses"))


def ask(http, body, *headers):
    return lines_of(post(http, body, *headers, path="/call/who"))


def test_each_worker_has_a_line_and_the_last_one_is_the_summary(http):
    both = [("w0", "OK", "x of 0\n"), ("w1", "OK", "x of 1\n")]
    assert ask(http, b"x\n", ALL) == ask(http, b"x\n", ("Riposte-Quorum", "2")) == (both, ("OK", "OK=2"))
    assert ask(http, b"wait-1\n", ("Riposte-First", "1")) == ([("w0", "OK", "wait-1 of 0\n")], ("OK", "OK=1"))
    answers, end = ask(http, b"fail-1\n", ALL)
    assert [one[:2] for one in answers] == [("w0", "OK"), ("w1", "APP_ERROR")]
    assert end == ("APP_ERROR", "OK=1 APP_ERROR=1")
    answers, end = ask(http, b"wait-1\n", ALL, ("Riposte-Timeout", "1s"))
    assert answers[1] == ("w1", "DEADLINE", None) and end[0] == "DEADLINE"


def test_as_events_they_come_one_by_one(http):
    events = parse(post(http, b"bytes\n", ALL, EVENTS, path="/call/who").body)
    assert [name for name, _ in events] == ["answer", "answer", "end"]
    assert {json.loads(data)["body_base64"] for _, data in events[:2]} == {"AGJ5dGVzIG9mIDAK", "AGJ5dGVzIG9mIDEK"}
    assert json.loads(events[-1][1])["riposte_status"] == "OK"


def test_what_no_worker_gets_has_the_response_of_any_other(http):
    answer = post(http, b"", ("Riposte-Quorum", "3"), path="/call/who")
    assert (answer.status, answer.problem()["riposte_status"]) == (503, "NO_WORKER")
    assert post(http, b"", ALL, path="/call/nobody").status == 503
    assert post(http, b"x", ("Riposte-All", "false"), path="/call/who")["Content-Type"] == "application/octet-stream"
    for headers in ((("Riposte-All", "yes"),), (("Riposte-First", "0"),), (("Riposte-Quorum", "65536"),),
                    (("Riposte-First", "1"), ("Riposte-Quorum", "1")), (ALL, ("Idempotency-Key", "k")),
                    (ALL, ("Riposte-Hedge", "20ms"), ("Riposte-Attempts", "2"))):
        assert post(http, b"x", *headers, path="/call/who").problem()["riposte_status"] == "INVALID", headers
    for path in ("/jobs/who", http.request("POST", "/conversations/who", b"")["Location"]):
        assert post(http, b"x", ALL, path=path).status == 400


def test_a_peer_that_leaves_cancels_it_and_what_is_not_taken_is_bounded(house, http):
    with http.connect() as peer:
        peer.call("who", b"wait-1\n", ": ".join(ALL))
        data = b""
        while b"wait-1 of 0" not in data:
            data += peer.socket.recv(4096)
    until(lambda: house.ended("CANCELLED") == 1, 10, "the broker says CANCELLED")
    answer = post(http, b"big\n", ALL, path="/call/who")  # 267 kB as base64
    assert (answer.status, answer["Riposte-Status"]) == (500, "NO_MEMORY")
    with http.connect() as peer:
        peer.call("who", b"big-1\n", ": ".join(ALL))
        data = b""
        while b"big-1 of 0" not in data:
            data += peer.socket.recv(4096)
        (pathlib.Path(house.world.directory) / "go").touch()
        while more := peer.socket.recv(4096):
            data += more
        assert b"200 OK" in data and data.count(b'"worker":') == 1 and not data.endswith(b"\r\n0\r\n\r\n"), data


def test_an_answer_counts_until_the_peer_has_taken_all_of_it(house):
    http = house.start("--total-body", "8MiB")
    house.world.worker(house.broker, "big", "head", "-c", "4000000", "/dev/zero")  # 5.3 MB as base64
    with http.connect(receive_buffer=4096) as peer:
        peer.call("big", b"", ": ".join(ALL))
        assert peer.socket.recv(1) == b"H"
        answer = post(http, bytes(4000000), path="/call/nobody")
        assert (answer.status, answer["Riposte-Status"]) == (429, "BUSY")
    until(lambda: post(http, bytes(4000000), path="/call/nobody").status == 503, 10, "there is room again")


def test_headers_of_an_answer_are_as_the_worker_gave_them(house):
    http = house.start()
    given = {"place": "C:\\temp", "sign": "\U0001f469\u200d\U0001f4bb", "long": "x" * 4096}
    _, thread = own_worker(house, "mine", headers=[(key.encode(), value.encode()) for key, value in given.items()])
    answer = post(http, b"", ALL, path="/call/mine")
    thread.join()
    assert json.loads(answer.body.splitlines()[0])["headers"] == given
