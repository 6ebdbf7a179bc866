# SPDX-License-Identifier: MPL-2.0
"""Replies in parts: as server-sent events, and as they are."""

import base64
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from support.programs import SLOW
from support.waiting import until

EVENTS = ("Accept", "text/event-stream")
AS_THEY_ARE = ("Riposte-Stream", "true")
LONG = os.environ.get("RIPOSTE_LONG") == "1"


def worker_in_parts(house, service, script):
    """A worker whose command's output comes in parts."""
    return house.world.worker(house.broker, service, "sh", "-c", script, options=("--stream",))


def obey(house):
    """A worker that does what the body says. Returns the directory in which it leaves files."""
    place = house.world.directory
    script = "\n".join((
        'read -r word; case "$word" in',
        f'steps) for n in 1 2 3; do echo "line $n"; while test ! -e {place}/step-$n; do sleep 0.02; done; done;;',
        r"bytes) printf 'a\r\n\0\377'; sleep 0.1; printf 'zwei\n\nzeilen ä';;",
        f"endless) echo $$ > {place}/endless; while :; do seq 1 20000; echo >> {place}/written; done;;",
        'half) echo half; sleep 0.1; echo "it broke" >&2; exit 7;;',
        "fail) exit 7;;",
        "quiet) echo one; exec sleep 600;;",
        "esac"))
    worker_in_parts(house, "obey", script)
    return pathlib.Path(place)


def post(http, body, *headers, path="/call/obey"):
    return http.request("POST", path, body, headers)


def parse(text):
    """Returns the events of a stream, each (name, data) as a browser has them."""
    events, name, lines = [], "message", []
    for line in text.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            lines.append(value)
        elif line == "" and lines:
            events.append((name, "\n".join(lines)))
            name, lines = "message", []
    return events


def parts_of(events):
    """The body that the events are of, and the members of the last one."""
    assert [name for name, _ in events].count("end") == 1 and events[-1][0] == "end", events
    body = b"".join(base64.b64decode(data) if name == "bytes" else data.encode() for name, data in events[:-1])
    return body, json.loads(events[-1][1])


def read_until(pipe, wanted):
    data = b""
    while wanted not in data:
        more = os.read(pipe.fileno(), 65536)
        assert more, f"it ended after {data!r}"
        data += more
    return data


@pytest.mark.parametrize("header", (EVENTS, AS_THEY_ARE), ids=("events", "as-they-are"))
def test_parts_come_as_they_are_written(house, header):
    """The worker writes its next line only when the reader has the one before."""
    http = house.start()
    place = obey(house)
    client = subprocess.Popen(
        ["curl", "-sSN", "-d", "steps\n", "-H", ": ".join(header), f"http://127.0.0.1:{http.port}/call/obey"],
        stdout=subprocess.PIPE)
    try:
        text = b""
        for number in (1, 2, 3):
            text += read_until(client.stdout, b"line %d\n" % number)
            (place / f"step-{number}").touch()
        text += client.stdout.read()
    finally:
        client.kill()
        client.wait()
    if header == AS_THEY_ARE:
        assert text == b"line 1\nline 2\nline 3\n"
        return
    events = parse(text)
    assert ("message", "line 1\n") in events
    body, end = parts_of(events)
    assert body == b"line 1\nline 2\nline 3\n"
    assert (end["riposte_status"], end["status"], end["service"], end["attempts"]) == ("OK", 200, "obey", 1)


def test_a_body_of_any_bytes_comes_whole_and_its_end_says_how(house):
    http = house.start()
    obey(house)
    whole = b"a\r\n\0\377zwei\n\nzeilen \xc3\xa4"
    answer = post(http, b"bytes\n", EVENTS)
    assert (answer.status, answer["Content-Type"], answer["Cache-Control"]) == (200, "text/event-stream", "no-store")
    events = parse(answer.body)
    assert parts_of(events)[0] == whole
    assert {name for name, _ in events} == {"bytes", "message", "end"}
    assert post(http, b"bytes\n", AS_THEY_ARE).body == post(http, b"bytes\n").body == whole
    # An end that is none: in an event, or as a body that is broken off.
    body, end = parts_of(parse(post(http, b"half\n", EVENTS).body))
    assert (body, end["riposte_status"], end["status"], end["code"]) == (b"half\n", "APP_ERROR", 422, 7)
    assert "it broke" in end["detail"] + end["body"]
    done = subprocess.run(["curl", "-sS", "-d", "half\n", "-H", "Riposte-Stream: true",
                           f"http://127.0.0.1:{http.port}/call/obey"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (18, b"half\n"), done
    # Before a part has come, the status is that of the response.
    for header in (EVENTS, AS_THEY_ARE):
        assert post(http, b"fail\n", header).status == 422
        answer = post(http, b"", header, path="/call/nobody")
        assert (answer.status, answer.problem()["riposte_status"]) == (503, "NO_WORKER")


def test_a_worker_that_writes_no_parts_answers_as_ever(house):
    http = house.start()
    house.world.worker(house.broker, "upper", "tr", "a-z", "A-Z")
    answer = post(http, b"hello", AS_THEY_ARE, path="/call/upper")
    assert (answer.body, answer["Content-Length"], answer["Riposte-Status"]) == (b"HELLO", "5", "OK")
    body, end = parts_of(parse(post(http, b"hello", EVENTS, path="/call/upper").body))
    assert (body, end["riposte_status"]) == (b"HELLO", "OK")
    assert parts_of(parse(post(http, b"", EVENTS, path="/call/upper").body))[0] == b""
    place = http.request("POST", "/conversations/upper", b"")["Location"]
    for word in (b"one", b"two"):
        assert parts_of(parse(post(http, word, EVENTS, path=place).body))[0] == word.upper()
    assert http.request("DELETE", place).status == 204


def test_a_reader_that_stops_holds_up_its_worker_and_nobody_else(house):
    """Until it is gone; then the request is cancelled."""
    http = house.start("--timeout", "10m")
    place = obey(house)
    house.world.builtin(house.broker, "echo")
    with http.connect(receive_buffer=4096) as peer:
        peer.call("obey", b"endless\n", ": ".join(EVENTS))
        written = place / "written"
        until(written.exists, 10, "the worker writes")
        sizes = []

        def stands():
            assert http.call("echo", b"x").body == b"x"
            sizes.append(written.stat().st_size)
            return len(sizes) > 20 and sizes[-20] == sizes[-1]

        until(stands, 60, "the worker waits")
        assert sizes[-1] < 50, "each is 100 KB"
        peer.socket.settimeout(60)
        taken = 0
        while written.stat().st_size < sizes[-1] + 10:  # and goes on when its reader does
            taken += len(peer.socket.recv(65536))
        assert taken > 100000
    until(lambda: house.ended("CANCELLED") == 1, 10, "the broker says CANCELLED")


def test_a_peer_that_leaves_while_nothing_comes_has_its_request_cancelled(house):
    http = house.start("--streams", "1")
    obey(house)
    with http.connect() as peer:
        peer.call("obey", b"quiet\n", ": ".join(EVENTS))
        while b"data: one" not in peer.socket.recv(4096):
            pass
        answer = post(http, b"fail\n", EVENTS)
        assert (answer.status, answer["Riposte-Status"]) == (429, "BUSY")
    until(lambda: house.ended("CANCELLED") == 1, 10, "the broker says CANCELLED")
    events = parse(until(lambda: post(http, b"quiet\n", EVENTS, ("Riposte-Idle-Timeout", f"{2 * SLOW}s")).body, 5))
    assert parts_of(events)[1]["riposte_status"] == "DEADLINE"
    for headers in ((EVENTS, ("Idempotency-Key", "k")), (("Riposte-Stream", "yes"),),
                    (EVENTS, ("Riposte-Hedge", "20ms"), ("Riposte-Attempts", "2")),
                    (EVENTS, ("Riposte-Idle-Timeout", "soon"))):
        assert post(http, b"fail\n", *headers).problem()["riposte_status"] == "INVALID"


def test_peers_that_leave_at_once_have_their_requests_cancelled(house):
    """The gateway stands still while they ask, so it submits all in one turn, in which some of them leave."""
    http = house.start()
    house.world.worker(house.broker, "silent", "sleep", "600")
    for _ in range(5):
        peers = [http.connect() for _ in range(40)]
        http.signal(signal.SIGSTOP)
        for peer in peers:
            peer.call("silent", b"x", ": ".join(AS_THEY_ARE))
        http.signal(signal.SIGCONT)
        for peer in peers:
            time.sleep(0.0001)
            peer.socket.close()
    assert http.call("nobody").status == 503  # so the broker has what was submitted before
    house.world.wait_for_waiting(house.broker, 0)
    house.running(0, "silent")


def test_replies_in_parts_count_for_the_limit_of_all_bodies(house):
    """Their windows do, and a last part, which has no window."""
    http = house.start("--total-body", "290000", "--timeout", "10m")
    house.world.worker(house.broker, "silent", "sleep", "600")
    house.world.worker(house.broker, "big", "head", "-c", "200000", "/dev/zero")
    with http.connect() as peer:
        peer.call("silent", b"x" * 100000)
        house.running(1, "silent")
        answer = post(http, b"", AS_THEY_ARE, path="/call/big")
        assert (answer.status, answer["Riposte-Status"]) == (500, "NO_MEMORY")
        with http.connect() as one, http.connect() as two:
            for other in (one, two):
                other.call("silent", b"x", ": ".join(AS_THEY_ARE))
            house.world.wait_for_waiting(house.broker, 2)
            answer = post(http, b"", AS_THEY_ARE, path="/call/big")
            assert (answer.status, answer["Riposte-Status"]) == (429, "BUSY")
    until(lambda: post(http, b"", AS_THEY_ARE, path="/call/big").body == bytes(200000), 10, "there is room again")


@pytest.mark.skipif(not LONG, reason="it waits for 15 s; RIPOSTE_LONG=1")
def test_a_silent_stream_of_events_has_comments(house):
    http = house.start()
    obey(house)
    with http.connect() as peer:
        peer.call("obey", b"quiet\n", ": ".join(EVENTS))
        text = b""
        while b":\n\n" not in text:
            text += peer.socket.recv(4096)
        assert b"data: one" in text
