# SPDX-License-Identifier: MPL-2.0
"""Events: riposte events, riposte.events and the stream /events."""

import csv
import datetime
import io
import json
import re
import signal
import socket

import pytest

from support.keys import Keys
from support.programs import PATIENCE, SANITIZED
from support.waiting import until
from support.web import Stream, broker_with_http, get


def _events(world, broker, *options):
    result = world.cli(broker, "events", "--no-follow", *options)
    assert result.code == 0, result
    return [json.loads(line) for line in result.out.splitlines()]


def _texts(events):
    return [event["text"] for event in events]


class Following:
    """riposte events as it runs."""

    def __init__(self, world, broker, *options):
        self.process = world.start_cli(broker, "events", *options)
        self.out = self.process.popen.stdout
        self.world = world

    def next(self):
        return json.loads(self.out.readline())

    def end(self, how=signal.SIGINT):
        self.process.signal(how)
        return self.world.finish(self.process)


# ---- riposte events ------------------------------------------------------------------------------


def test_joins_and_losses_are_events(world):
    broker = world.broker()
    worker = world.builtin(broker, "echo")
    worker.kill()
    until(lambda: len(_events(world, broker)) >= 2, 5, "its loss is an event")
    joined, lost = _events(world, broker)[:2]
    assert joined["number"] == 1 and joined["topic"] == "worker" and joined["level"] == "info"
    assert joined["service"] == "echo" and joined["peer"].startswith("127.0.0.1:")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", joined["time"])
    assert lost["number"] == 2 and lost["topic"] == "lost" and lost["level"] == "warning"


def test_what_is_kept_does_not_depend_on_the_log_level(world):
    broker = world.broker("--log-level", "error")
    world.builtin(broker, "echo")
    assert "joined" in _texts(_events(world, broker))[0]
    assert "joined" not in broker.log()


def test_reloads_and_drains_are_events(world):
    config = world.directory / "config"
    config.write_text("")
    broker = world.broker("--config", config)
    broker.signal(signal.SIGHUP)
    until(lambda: any("reloaded" in text for text in _texts(_events(world, broker))), 5, "a reload is an event")
    gate = world.gate()
    world.worker(broker, "slow", *gate.command)
    running = world.start_cli(broker, "call", "slow", "x", "--timeout", "60s")
    until(gate.starts, 10, "a request runs")
    latest = _events(world, broker)[-1]
    following = Following(world, broker, "--since", str(latest["number"] - 1))
    assert following.next() == latest, "it follows"
    broker.signal(signal.SIGTERM)
    assert "draining" in following.next()["text"]
    gate.open()
    assert world.finish(running).code == 0


def test_it_begins_after_the_number_that_it_is_given(world):
    broker = world.broker()
    for _ in range(3):
        world.builtin(broker, "echo")
    assert [event["number"] for event in _events(world, broker, "--since", "1")] == [2, 3]
    assert not _events(world, broker, "--since", "3")


def test_new_events_are_followed_until_a_signal(world):
    broker = world.broker()
    world.builtin(broker, "echo")
    following = Following(world, broker)
    assert following.next()["number"] == 1
    world.builtin(broker, "echo")
    assert following.next()["number"] == 2
    result = following.end()
    assert (result.code, result.out, result.err) == (130, b"", b"")


def test_it_ends_when_its_reader_has_left(world):
    """At the latest when the next event comes; no event comes here."""
    broker = world.broker()
    world.builtin(broker, "echo")
    following = Following(world, broker)
    following.next()
    following.out.close()
    assert following.process.popen.wait(10 * PATIENCE) in (0, 1)
    assert following.process.path.read_bytes() == b""


@pytest.mark.parametrize("output", ["table", "csv", "json", "jsonl"])
def test_each_output_has_every_event(world, output):
    broker = world.broker()
    world.builtin(broker, "echo")
    world.builtin(broker, "echo")
    out = world.cli(broker, "events", "--no-follow", "-o", output).out.decode()
    if output == "table":
        assert re.fullmatch(r'(\S+Z info worker: 127\.0\.0\.1:\d+: worker \S+ joined "echo" .*\n){2}', out)
    elif output == "csv":
        assert [row["number"] for row in csv.DictReader(io.StringIO(out))] == ["1", "2"]
    elif output == "json":
        assert [event["number"] for event in json.loads(out)] == [1, 2]
    else:
        assert [json.loads(line)["number"] for line in out.splitlines()] == [1, 2]


def test_a_broker_that_was_started_again_is_followed_and_told(world):
    broker = world.broker()
    for _ in range(3):
        world.builtin(broker, "echo")
    following = Following(world, broker)
    assert [following.next()["number"] for _ in range(3)] == [1, 2, 3]
    broker.kill()
    world.restart(broker)
    assert following.next()["number"] == 1  # the workers come back
    result = following.end()
    assert result.code == 130 and b"another broker" in result.err


def test_events_want_the_right_to_observe(world):
    keys = Keys(world)
    keys.rules('principal = "good"\n    observe = 1\nprincipal = "other"\n    call = "*"\n')
    for name in ("good", "other"):
        keys.authorize(name)
    broker = world.broker(*keys.of_broker)
    assert world.cli(broker, "events", "--no-follow", environment=keys.environment("good")).code == 0
    denied = world.cli(broker, "events", "--no-follow", environment=keys.environment("other"))
    assert denied.code == 6 and b"observe" in denied.err
    told = world.cli(broker, "events", "--no-follow", environment=keys.environment("good"))
    event = json.loads(told.out.splitlines()[-1])
    assert event["topic"] == "denied" and event["principal"] == "other"


def test_a_flood_is_held_back_and_counted(world):
    """As in the log: a burst of a topic, then one a second, which says how many there were."""
    broker = world.broker()
    bench = world.cli(broker, "bench", "echo", "--workers", "100", "--clients", "1", "--count", "1", "-q", within=60)
    assert bench.code == 0
    events = _events(world, broker)
    first, last = (datetime.datetime.fromisoformat(events[at]["time"].replace("Z", "+00:00")) for at in (0, -1))
    assert 20 <= len(events) <= 20 + (last - first).total_seconds() + 20 and {event["topic"] for event in events} == {
        "worker"}
    until(lambda: world.builtin(broker, "echo").terminate() or sum(
        1 + event.get("more", 0) for event in _events(world, broker)) >= 100, 10, "the next ones say how many were not")


# ---- The stream ----------------------------------------------------------------------------------


@pytest.fixture
def broker(world):
    return broker_with_http(world)


@pytest.fixture
def follow(broker):
    streams = []

    def start(**headers):
        streams.append(Stream(broker, **headers))
        return streams[-1]

    yield start
    for stream in streams:
        stream.close()


def test_a_stream_tells_the_overview_and_new_events(world, broker, follow):
    world.builtin(broker, "echo")
    stream = follow()
    assert stream.response.headers["Content-Type"] == "text/event-stream"
    assert stream.response.headers["Cache-Control"] == "no-store"
    until(lambda: stream.got, 5, "the overview comes at once")
    world.builtin(broker, "echo")
    until(lambda: stream.events(), 5, "a new event comes")
    assert stream.numbers() == [2]
    assert stream.events()[0] == _events(world, broker)[1]
    until(lambda: [data for kind, data in stream.got if kind == "overview"][-1]["workers"] == 2, 5, "it follows")


def test_a_stream_goes_on_where_its_reader_was(world, broker, follow):
    for _ in range(4):
        world.builtin(broker, "echo")
    whole = follow(Last_Event_ID="0")
    until(lambda: whole.numbers() == [1, 2, 3, 4], 5, "all that is kept comes")
    later = follow(Last_Event_ID=whole.ids[1])
    until(lambda: later.numbers() == [3, 4], 5, "the others come")
    assert later.ids == whole.ids[2:]


@pytest.mark.parametrize("last", ["another-broker.3", "3", "", "x" * 1000, "%s.99", "%s.-1", "%s.x"])
def test_a_place_of_another_broker_is_the_start(world, broker, follow, last):
    for _ in range(2):
        world.builtin(broker, "echo")
    instance = world.status(broker)["instance"]
    stream = follow(Last_Event_ID=last.replace("%s", instance))
    until(lambda: stream.numbers() == [1, 2], 5, "all that is kept comes")


def test_streams_are_bounded_and_one_that_leaves_makes_room(broker, follow):
    streams = [follow() for _ in range(16)]
    assert {stream.status for stream in streams} == {200}
    status, headers, _ = get(broker, "/events")
    assert status == 503 and headers["Retry-After"]
    streams[0].close()
    until(lambda: follow().status == 200, 5, "its place is free")


@pytest.mark.bounded  # so that the release build says what it costs
def test_a_reader_that_reads_nothing_costs_nothing_much(world, broker):
    one = socket.create_connection(("127.0.0.1", broker.http))
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    one.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n")
    before = broker.resident_bytes()
    for _ in range(5):
        world.builtin(broker, "echo").kill()
    until(lambda: len(_events(world, broker)) == 10, 10, "they came and went")
    assert get(broker, "/livez")[0] == 200
    assert SANITIZED or broker.resident_bytes() - before < 16 << 20  # a sanitizer keeps what was freed
    one.close()


def test_a_stream_ends_with_the_broker(broker, follow):
    stream = follow()
    broker.terminate()
    assert broker.wait(10) == 0
    assert stream.ended.wait(5 * PATIENCE)


def test_a_stream_is_only_read(broker):
    assert get(broker, "/events", "POST")[0] == 405
    assert get(broker, "/events", "HEAD")[0] == 200
    assert get(broker, "/livez")[0] == 200


def test_a_stream_ends_when_its_token_is_taken_back(world):
    keys = Keys(world)
    keys.rules('role = "watcher"\n    observe = 1\nprincipal = "good"\n    observe = 1\n')
    keys.authorize("good")
    result = world.run(world.cli_command(None)[0], "keys", "token", "--principal", "reader", "--role", "watcher",
                       "--into", keys.authorized, "-o", "json")
    token = re.search(rb"[0-9a-f]{64}", result.out)[0].decode()
    world.environment.update(keys.environment("good"))
    broker = broker_with_http(world, *keys.of_broker)
    assert Stream(broker).status == 401
    stream = Stream(broker, Authorization=f"Bearer {token}")
    until(lambda: len(stream.got) > 1, 5, "it is told")
    keys.rules('role = "watcher"\nprincipal = "good"\n    observe = 1\n')
    broker.signal(signal.SIGHUP)
    assert stream.ended.wait(5 * PATIENCE)
    assert Stream(broker, Authorization=f"Bearer {token}").status == 403
