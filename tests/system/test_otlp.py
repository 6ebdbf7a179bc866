# SPDX-License-Identifier: MPL-2.0
"""The spans of requests, at a collector over HTTP; and that a collector in trouble is nobody else's."""

import json
import re
import secrets
import signal
import time

import pytest

from support import programs
from support.collector import Collector, attributes
from support.programs import PATIENCE, SANITIZED
from support.waiting import until
from support.web import free_port


@pytest.fixture(name="collector")
def fixture_collector():
    one = Collector()
    yield one
    one.close()


def parent(sampled=True):
    """A traceparent, its trace id and its span id."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return f"00-{trace}-{span}-{'01' if sampled else '00'}", trace, span


def call(world, broker, traceparent, service, *arguments):
    return world.cli(broker, "call", "--header", f"traceparent:{traceparent}", service, *arguments)


def arrived(collector, count):
    until(lambda: len(collector.spans()) >= count, 10, f"{count} spans have arrived")
    spans = collector.spans()
    assert len(spans) == count, spans
    return spans


def counts(world, broker):
    return world.status(broker)["spans"]


def test_a_sampled_request_is_two_spans_of_its_trace(world, collector):
    broker = world.broker("--otlp", collector.url)
    worker = world.builtin(broker, "sleep")
    header, trace, span = parent()
    before = time.time_ns()
    result = call(world, broker, header, "sleep", "100ms", "-o", "json")
    after = time.time_ns()
    assert result.code == 0
    queue, work = arrived(collector, 2)
    assert (queue["name"], work["name"]) == ("queue sleep", "work sleep")
    for one in (queue, work):
        assert (one["traceId"], one["parentSpanId"]) == (trace, span)
        assert re.fullmatch("[0-9a-f]{16}", one["spanId"]) and one["spanId"] != span
        assert one["attributes"]["messaging.system"] == "riposte"
        assert one["attributes"]["messaging.destination.name"] == "sleep"
        assert "status" not in one
    assert queue["spanId"] != work["spanId"]
    times = [int(one[name]) for one in (queue, work) for name in ("startTimeUnixNano", "endTimeUnixNano")]
    assert before <= times[0] <= times[1] == times[2] < times[3] <= after
    assert times[3] - times[2] == result.json()["work_us"] * 1000 >= 100_000_000
    assert work["attributes"]["riposte.worker"].endswith(f"-{worker.pid}")
    assert (work["attributes"]["riposte.attempt"], work["attributes"]["riposte.status"]) == ("1", "OK")
    _, path, headers, document = collector.requests[0]
    assert (path, headers["Content-Type"]) == ("/v1/traces", "application/json")
    resource = attributes(document["resourceSpans"][0]["resource"])
    status = world.status(broker)
    assert resource == {"service.name": "riposte-broker", "service.version": status["version"],
                        "service.instance.id": status["instance"]}
    assert status["spans"] == {"exported": 2, "dropped": 0, "failed": 0}


def test_the_worker_gets_the_traceparent_unchanged(world, collector):
    broker = world.broker("--otlp", collector.url)
    peer = world.peer(broker)
    peer.register(b"echo")
    header, _, _ = parent()
    running = world.start_cli(broker, "call", "--header", f"traceparent:{header}", "echo", "x", "--timeout", "10s")
    request = peer.receive()
    assert request.headers == [(b"traceparent", header.encode())]
    peer.reply(request.id, b"y")
    assert world.finish(running).out == b"y"
    arrived(collector, 2)


def test_what_is_not_sampled_is_not_exported(world, collector):
    broker = world.broker("--otlp", collector.url)
    world.builtin(broker, "echo")
    good = parent()[0]
    for header in (parent(sampled=False)[0], good[:-3], good.upper(), good + "-more", "ff" + good[2:], "no", ""):
        assert call(world, broker, header, "echo", "x").code == 0
    assert world.cli(broker, "call", "echo", "x").code == 0
    last, trace, _ = parent()
    assert call(world, broker, last, "echo", "x").code == 0
    assert {span["traceId"] for span in arrived(collector, 2)} == {trace}


def test_each_attempt_has_a_span(world, collector):
    broker = world.broker("--otlp", collector.url)
    gate = world.gate()
    first = world.worker(broker, "held", *gate.command)
    header, _, _ = parent()
    running = world.start_cli(broker, "call", "--attempts", "2", "--timeout", "60s", "--header",
                              f"traceparent:{header}", "held")
    until(gate.starts, 10, "it has begun")
    second = world.worker(broker, "held", *gate.command)
    first.kill()
    until(lambda: len(gate.starts()) == 2, 10, "it has begun again")
    gate.open()
    assert world.finish(running).code == 0
    until(lambda: len(collector.spans()) >= 3, 10, "its spans have arrived")
    spans = collector.spans()
    lost, done = [span for span in spans if span["name"] == "work held"]
    assert lost["attributes"]["riposte.worker"].endswith(f"-{first.pid}")
    assert done["attributes"]["riposte.worker"].endswith(f"-{second.pid}")
    assert lost["status"]["code"] == 2 and lost["status"]["message"]
    assert lost["attributes"]["error.type"] == "WORKER_LOST" and "riposte.status" not in lost["attributes"]
    assert "status" not in done and done["attributes"]["riposte.status"] == "OK"
    assert int(lost["endTimeUnixNano"]) <= int(done["startTimeUnixNano"])
    assert {span["parentSpanId"] for span in spans} == {header.split("-")[2]}


def test_a_failure_is_an_error_of_the_span_in_which_it_ends(world, collector):
    broker = world.broker("--otlp", collector.url)
    worker = world.worker(broker, "fails", "false")
    assert call(world, broker, parent()[0], "fails").code == 1
    queue, work = arrived(collector, 2)
    assert "status" not in queue
    assert (work["status"]["code"], work["attributes"]["error.type"]) == (2, "APP_ERROR")
    worker.terminate()
    assert worker.wait() == 0
    assert call(world, broker, parent()[0], "fails", "--wait-worker", "100ms").code == 4
    alone = arrived(collector, 3)[2]
    assert (alone["name"], alone["status"]["code"]) == ("queue fails", 2)
    assert alone["attributes"]["error.type"] == alone["attributes"]["riposte.status"] == "NO_WORKER"
    assert alone["attributes"]["riposte.wait"] == "no_worker"


def test_spans_go_in_batches_over_one_connection(world, collector):
    broker = world.broker("--otlp", collector.url)
    world.builtin(broker, "echo", "--slots", "64")
    result = call(world, broker, parent()[0], "echo", "x", "--count", "3000", "--parallel", "64", "-q")
    assert result.code == 0
    spans = arrived(collector, 6000)
    assert len({span["spanId"] for span in spans}) == 6000
    sizes = [len(scope["spans"]) for _, _, _, document in collector.requests
             for resource in document["resourceSpans"] for scope in resource["scopeSpans"]]
    assert max(sizes) <= 512 and len(sizes) < 600
    assert collector.connections == 1
    assert counts(world, broker) == {"exported": 6000, "dropped": 0, "failed": 0}


def test_an_answer_that_is_too_long_is_not_read(world, collector):
    broker = world.broker("--otlp", collector.url)
    world.builtin(broker, "echo")
    collector.answer = b" " * 300_000 + b'{"partialSuccess": {"rejectedSpans": "1"}}'
    for exported in (2, 4):
        call(world, broker, parent()[0], "echo", "x")
        until(lambda: counts(world, broker) == {"exported": exported, "dropped": 0, "failed": 0}, 10, "they are taken")
    assert collector.connections == 1


def test_a_secret_in_the_query_is_not_in_the_log(world, collector):
    broker = world.broker("--otlp", collector.url + "?token=s3cret")
    world.builtin(broker, "echo")
    collector.status = 401
    call(world, broker, parent()[0], "echo", "x")
    broker.wait_for("it answers with status 401")
    assert "s3cret" not in broker.log()
    assert collector.requests[0][1] == "/v1/traces?token=s3cret"


def test_what_a_collector_refuses_is_counted_and_told_once(world, collector):
    broker = world.broker("--otlp", collector.url)
    world.builtin(broker, "echo")
    collector.answer = b'{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "no"}}'
    call(world, broker, parent()[0], "echo", "x")
    until(lambda: counts(world, broker) == {"exported": 1, "dropped": 0, "failed": 1}, 10, "one was refused")
    collector.status = 400
    for failed in (3, 5):
        call(world, broker, parent()[0], "echo", "x")
        until(lambda: counts(world, broker)["failed"] == failed, 20, "a batch was refused")
    broker.wait_for("spans:")
    told = [line for line in broker.lines() if "spans:" in line]
    assert len(told) == 1 and "status 400" in told[0] and collector.url in told[0], told
    collector.status, collector.answer = 200, b"{}"
    call(world, broker, parent()[0], "echo", "x")
    broker.wait_for("takes them again; lost meanwhile: 4", within=20)
    assert counts(world, broker) == {"exported": 3, "dropped": 0, "failed": 5}


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_collector_that_has_no_time_gets_them_again(world, collector, status):
    collector.status = status
    broker = world.broker("--otlp", collector.url)
    world.builtin(broker, "echo")
    header, trace, _ = parent()
    call(world, broker, header, "echo", "x")
    until(lambda: len(collector.requests) >= 2, 20, "it was asked again")
    broker.wait_for(f"it answers with status {status}")
    collector.status = 200
    assert {span["traceId"] for span in arrived(collector, 2)} == {trace}
    broker.wait_for("takes them again; lost meanwhile: 0")
    assert counts(world, broker) == {"exported": 2, "dropped": 0, "failed": 0}
    assert broker.log().count("spans:") == 2


def test_a_collector_that_comes_later_gets_what_has_waited(world):
    port = free_port()
    broker = world.broker("--otlp", f"http://127.0.0.1:{port}/v1/traces")
    world.builtin(broker, "echo")
    header, trace, _ = parent()
    assert call(world, broker, header, "echo", "x").code == 0
    broker.wait_for("does not take them: ")
    late = Collector(port)
    try:
        assert {span["traceId"] for span in arrived(late, 2)} == {trace}
    finally:
        late.close()


# ---- Trouble ------------------------------------------------------------------------------------

def _trouble(collector, kind):
    """Returns the URL of a collector in this trouble."""
    collector.silent = kind == "is silent"
    collector.status = 503 if kind == "has no time" else 200
    if kind != "is not there":
        return collector.url
    return f"http://127.0.0.1:{free_port()}/v1/traces"


TROUBLES = ["is silent", "has no time", "is not there"]


def _p99(world, broker):
    result = call(world, broker, parent()[0], "echo", "x", "--count", "300", "-o", "jsonl")
    assert result.code == 0
    times = sorted(json.loads(line)["total_us"] for line in result.out.splitlines())
    return times[len(times) * 99 // 100]


@pytest.mark.skipif(SANITIZED, reason="it measures time")
@pytest.mark.bounded
@pytest.mark.parametrize("kind", TROUBLES)
def test_a_collector_in_trouble_slows_no_call(world, collector, kind):
    plain, exports = world.broker(), world.broker("--otlp", _trouble(collector, kind))
    for broker in (plain, exports):
        world.builtin(broker, "echo")
        call(world, broker, parent()[0], "echo", "x")
    # Other programs of this machine disturb some of the rounds, and both halves of one alike.
    rounds = [(_p99(world, plain), _p99(world, exports)) for _ in range(4)]
    least, exported = min(rounds, key=lambda pair: pair[1] / pair[0])
    print(f"{kind}: p99 {exported} µs, without --otlp {least} µs")
    assert exported <= 2 * least + 3000 * PATIENCE, rounds


@pytest.mark.parametrize("kind", TROUBLES)
def test_what_a_collector_in_trouble_has_no_room_for_is_dropped_and_counted(world, collector, kind):
    broker = world.broker("--otlp", _trouble(collector, kind))
    world.builtin(broker, "echo", "--slots", "64")
    result = call(world, broker, parent()[0], "echo", "x", "--count", "12000", "--parallel", "64", "-q")
    assert result.code == 0
    assert world.status(broker)["finals"]["OK"] == 12000
    spans = until(lambda: (one := counts(world, broker))["dropped"] and one, 10, "spans are dropped")
    assert spans["exported"] == spans["failed"] == 0
    # 8192 requests wait, and at most a batch is with the collector
    assert 24000 - 2 * 8192 - 512 <= spans["dropped"] <= 24000 - 2 * 8192 + 1024
    assert broker.resident_bytes() < 128 << 20


@pytest.mark.parametrize("kind", TROUBLES)
def test_the_end_waits_a_second_for_a_collector_in_trouble(world, collector, kind):
    broker = world.broker("--otlp", _trouble(collector, kind))
    world.builtin(broker, "echo")
    call(world, broker, parent()[0], "echo", "x")
    since = time.monotonic()
    broker.signal(signal.SIGTERM)
    assert broker.wait(10) == 0
    assert time.monotonic() - since < 1 + 1 + 3 * PATIENCE  # the drain's quiet, the export, and slack
    assert "spans: 2 were dropped at the end" in broker.log()


def test_the_end_sends_what_is_left(world, collector):
    broker = world.broker("--otlp", collector.url)
    worker = world.builtin(broker, "echo", "--slots", "64")
    assert call(world, broker, parent()[0], "echo", "x", "--count", "500", "--parallel", "64", "-q").code == 0
    broker.terminate()
    assert broker.wait() == 0
    assert len(collector.spans()) == 1000
    worker.terminate()


# ---- Settings -----------------------------------------------------------------------------------

@pytest.mark.parametrize("url, words", [
    ("127.0.0.1:4318", "is no URL"), ("http://", "is no URL"), ("ftp://h/v1/traces", "wants http:// or https://"),
    ("http://127.0.0.1:4318", "wants a path; that of a collector is /v1/traces"),
    ("http://user:word@h/v1/traces", "must not have a user")])
def test_a_wrong_url_is_refused_with_words(world, url, words):
    result = world.run(programs.BROKER, "--otlp", url, "--check-config")
    assert result.code == 2 and words in result.error() and "--otlp" in result.error()


def test_without_its_library_spans_are_refused_with_words(world):
    (world.directory / "libcurl.so.4").touch()
    result = world.run("env", f"LD_LIBRARY_PATH={world.directory}", programs.BROKER, "--otlp", "http://h/v1/traces",
                       "--check-config")
    assert result.code == 2 and "apt-get install libcurl4" in result.error()
    result = world.run("env", f"LD_LIBRARY_PATH={world.directory}", programs.BROKER, "--check-config")
    assert result.code == 0, "whoever exports none needs none"


def test_off_is_the_default_and_can_be_said(world, collector):
    for options in ((), ("--otlp", "off")):
        broker = world.broker(*options)
        world.builtin(broker, "echo")
        assert call(world, broker, parent()[0], "echo", "x").code == 0
        assert counts(world, broker) == {"exported": 0, "dropped": 0, "failed": 0}
    assert collector.requests == []
