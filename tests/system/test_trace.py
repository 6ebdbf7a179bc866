# SPDX-License-Identifier: MPL-2.0
"""Where is my request, and why does it wait? riposte trace, slow and explain, over real processes."""

import csv
import io
import json
import re

from support.keys import Keys
from support.peer import DRAIN, OPEN, REPLY, REQUEST
from support.waiting import until

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"traceparent:00-{TRACE_ID}-00f067aa0ba902b7-01"
#: Longer than any of these tests.
LONG = ("--timeout", "60s")
BEAT = 20000


def _traces(world, broker, request):
    """The requests with this id, as JSON."""
    result = world.cli(broker, "trace", request, "-o", "json")
    traces = result.json()["traces"]
    assert result.code == (0 if traces else 1), result
    return traces


def _trace(world, broker, request):
    """The only request with this id."""
    traces = _traces(world, broker, request)
    assert len(traces) == 1, traces
    return traces[0]


def _kinds(trace):
    return [event["kind"] for event in trace["events"]]


def _causes(world, broker, service):
    result = world.cli(broker, "explain", service, "-o", "json")
    assert result.code == 0, result
    (said,) = result.json()["services"]
    assert said["name"] == service
    return said["causes"]


def _cause(world, broker, service, kind):
    """The cause of this kind, once it is there."""
    def cause():
        return [cause for cause in _causes(world, broker, service) if cause["kind"] == kind]
    return until(cause, 5, f"{service} has the cause {kind}")[0]


def _call(world, broker, service, request_id, *options):
    return world.start_cli(broker, "call", service, "x", "-H", f"request-id:{request_id}", *LONG, *options)


# ---- trace --------------------------------------------------------------------------------------


def test_an_ordinary_request_has_a_timeline_of_three_lines(world):
    broker = world.broker()
    worker = world.builtin(broker, "upper")
    call = world.cli(broker, "call", "-v", "upper", "hi", "-H", "request-id:order-17", "-H", PARENT)
    assert call.code == 0
    name = world.worker_of(broker, worker)["name"]
    result = world.cli(broker, "trace", "order-17")
    title, *lines = result.out.decode().splitlines()
    assert re.match(rf"upper  OK  .* ago  id \d+  client \S+/\d+  request-id order-17  trace-id {TRACE_ID}$", title)
    assert [re.sub(r"^ *[\d.]+ (µs|ms|s)  ", "", line) for line in lines[:2]] == \
        ["accepted", f"given to {name} (attempt 1)"]
    assert re.search(r"replied OK after [\d.]+ (µs|ms|s)$", lines[2]) and len(lines) == 3


def test_a_request_is_found_by_each_of_its_ids(world):
    broker = world.broker()
    world.builtin(broker, "upper")
    call = world.cli(broker, "call", "-v", "upper", "hi", "-H", "request-id:order-17", "-H", PARENT)
    assert world.cli(broker, "call", "upper", "other").code == 0
    shown = re.search(r"  id (\S+)  ", call.err.decode()).group(1)
    told = _trace(world, broker, "order-17")
    assert shown == f"{told['client']}/{told['client_request']}", "-v shows the id that trace takes"
    ids = {trace["events"][-1]["text"] for request in (shown, told["id"], TRACE_ID, PARENT.split(":")[1])
           for trace in [_trace(world, broker, request)]
           if (trace["id"], trace["request_id"]) == (told["id"], "order-17")}
    assert ids == {told["events"][-1]["text"]}
    assert (told["trace_id"], told["status"], told["open"]) == (TRACE_ID, "OK", False)


def test_what_nobody_asked_is_not_found(world):
    broker = world.broker()
    world.builtin(broker, "upper")
    assert world.cli(broker, "call", "upper", "hi").code == 0
    for request in ("order-17", "1", "0/4711", TRACE_ID, "x" * 200):
        result = world.cli(broker, "trace", request)
        assert (result.code, result.out) == (1, b"")
        assert f'the broker knows no request "{request}"' in result.error()
        assert _traces(world, broker, request) == []


def test_a_request_says_how_long_it_waited_and_for_whom(world):
    broker = world.broker()
    gate = world.gate()
    for _ in range(2):
        world.worker(broker, "resize", *gate.command)
    calls = [_call(world, broker, "resize", f"r{number}") for number in range(3)]
    world.wait_for_running(broker, 2, "resize")
    world.wait_for_waiting(broker, 1)
    waits, = [trace for number in range(3) for trace in [_trace(world, broker, f"r{number}")]
              if _kinds(trace)[-1] == "waits"]
    assert waits["open"] and waits["status"] == ""
    assert re.search(r"^accepted · waiting for [\d.]+ (ms|s): all 2 workers of resize were busy$", waits["text"])
    runs = [trace for number in range(3) for trace in [_trace(world, broker, f"r{number}")]
            if _kinds(trace) == ["accepted", "given", "runs"]]
    assert len(runs) == 2
    gate.open()
    for call in calls:
        assert world.finish(call).code == 0
    told = _trace(world, broker, waits["request_id"])
    assert _kinds(told) == ["accepted", "waited", "given", "ended"]
    waited = told["events"][1]
    assert (waited["wait"], waited["workers"], waited["us"]) == ("busy", 2, told["queue_us"])
    assert "all 2 workers of resize were busy · given to" in told["text"]


def test_a_killed_worker_is_in_the_timeline_with_the_next_attempt(world):
    broker = world.broker()
    gate = world.gate()
    worker = world.worker(broker, "held", *gate.command)
    first = world.worker_of(broker, worker)["name"]
    call = _call(world, broker, "held", "order-17", "--attempts", "2", "--wait-worker", "30s")
    world.wait_for_running(broker, 1, "held")
    token = _trace(world, broker, "order-17")["id"]
    worker.kill()
    until(lambda: _kinds(_trace(world, broker, "order-17"))[-1] == "waits", 5, "it waits again")
    assert "waiting for" in _trace(world, broker, "order-17")["text"]
    other = world.worker(broker, "held", *gate.command)
    second = world.worker_of(broker, other)["name"]
    gate.open()
    assert world.finish(call).code == 0
    told = _trace(world, broker, "order-17")
    assert _kinds(told) == ["accepted", "given", "lost", "waited", "given", "ended"]
    assert (told["attempt"], told["attempts"], told["worker"], told["status"]) == (2, 2, second, "OK")
    assert re.fullmatch(
        rf"accepted · given to {first} \(attempt 1\) · lost after [\d.]+ (ms|s): its connection broke · "
        rf"waited [\d.]+ (ms|s): held had no worker · given to {second} \(attempt 2\) · "
        r"replied OK after [\d.]+ (µs|ms|s)", told["text"]), told["text"]
    assert _trace(world, broker, token)["request_id"] == "order-17", "by the number of its first delivery"


def test_a_request_that_nobody_answered_says_why(world):
    broker = world.broker()
    worker = world.builtin(broker, "sleep")
    assert world.cli(broker, "call", "nobody", "x", "-H", "request-id:none", "--wait-worker", "50ms", *LONG).code == 4
    call = world.start_cli(broker, "call", "sleep", "60s", "-H", "request-id:killed", *LONG)
    world.wait_for_running(broker, 1, "sleep")
    worker.kill()
    assert world.finish(call).code == 9
    assert re.search(r"^accepted · waited [\d.]+ (ms|s): nobody had no worker · ended with NO_WORKER: ",
                     _trace(world, broker, "none")["text"])
    assert re.search(r"ended with WORKER_LOST after [\d.]+ (ms|s): its connection broke$",
                     _trace(world, broker, "killed")["text"])
    assert _trace(world, broker, "killed")["work_us"] > 0


def test_several_requests_with_one_id_are_told_the_latest_first(world):
    broker = world.broker()
    world.builtin(broker, "upper")
    for _ in range(3):
        assert world.cli(broker, "call", "upper", "x", "-H", "request-id:same").code == 0
    traces = _traces(world, broker, "same")
    ages = [trace["accepted_us_ago"] for trace in traces]
    assert len(traces) == 3 and ages == sorted(ages)
    asked = world.cli(broker, "call", "riposte.trace", '{"id": "same", "most": 2}').json()
    assert [trace["id"] for trace in asked["traces"]] == [trace["id"] for trace in traces[:2]]
    lines = world.cli(broker, "trace", "same", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [trace["id"] for trace in traces]
    rows = list(csv.DictReader(io.StringIO(world.cli(broker, "trace", "same", "-o", "csv").out.decode())))
    assert [row["kind"] for row in rows] == 3 * ["accepted", "given", "ended"]
    assert {row["id"] for row in rows} == {trace["id"] for trace in traces}


def test_wrong_parameters_say_what_is_wanted(world):
    broker = world.broker()
    for service, body, text in (
            ("trace", "", '"id" has to be the id of a request'),
            ("trace", '{"id": 7}', '"id" has to be a text'),
            ("trace", '{"id": "x", "most": 101}', '"most" has to be a number from 1 to 100'),
            ("trace", '{"id": "x", "most": "0"}', '"most" has to be a number from 1 to 100'),
            ("trace", '{"id": "x", "ids": "y"}', 'trace has no parameter "ids"'),
            ("trace", "[]", "the parameters have to be a JSON object"),
            ("slow", '{"service": "' + "x" * 9000 + '"}', "the parameters are over 8 KiB"),
            ("slow", '{"failed": "yes"}', '"failed" has to be true or false'),
            ("slow", '{"service": ""}', '"service" has to be the name of a service'),
            ("explain", '{"service": "uper"}', 'the broker knows no service "uper"')):
        result = world.cli(broker, "call", f"riposte.{service}", body)
        assert (result.code, result.out) == (1, b"") and text in result.error(), result
    for good in ('{"failed": "true", "most": "5", "service": "x"}', '{"failed": false, "most": 5}', "{}", ""):
        assert world.cli(broker, "call", "riposte.slow", good).json() == {"traces": []}


# ---- slow ---------------------------------------------------------------------------------------


def test_slow_lists_what_took_longest_first(world):
    broker = world.broker()
    world.builtin(broker, "sleep")
    world.builtin(broker, "fail")
    for time in ("1ms", "300ms", "60ms"):
        assert world.cli(broker, "call", "sleep", time).code == 0
    assert world.cli(broker, "call", "fail", "x").code == 1
    traces = world.cli(broker, "slow", "sleep", "-o", "json").json()["traces"]
    times = [trace["total_us"] for trace in traces]
    assert len(times) == 3 and times == sorted(times, reverse=True) and times[0] >= 300000
    assert {trace["service"] for trace in traces} == {"sleep"}
    failed = world.cli(broker, "slow", "--failed", "-o", "json").json()["traces"]
    assert [(trace["service"], trace["status"]) for trace in failed] == [("fail", "APP_ERROR")]
    table = world.cli(broker, "slow", "--count", "2").out.decode().splitlines()
    assert table[0].split() == ["TOTAL", "QUEUE", "WORK", "STATUS", "SERVICE", "ATTEMPT", "WORKER", "CLIENT", "AGO",
                                "ID"]
    assert len(table) == 3 and table[1].split()[-1] == traces[0]["id"]
    nothing = world.cli(broker, "slow", "nobody")
    assert (nothing.code, nothing.out) == (0, b"") and "no such request" in nothing.error()
    assert "--count of slow is at most 100" in world.cli(broker, "slow", "--count", "101").error()


# ---- explain ------------------------------------------------------------------------------------


def test_nothing_waits_or_fails(world):
    broker = world.broker()
    world.builtin(broker, "upper")
    assert world.cli(broker, "explain").out == b"nothing waits or fails\n"
    assert world.cli(broker, "explain", "upper").out == b"upper: nothing waits or fails\n"
    assert world.cli(broker, "explain", "-o", "json").json() == {"services": []}
    unknown = world.cli(broker, "explain", "uper")
    assert unknown.code == 1
    assert 'the broker knows no service "uper": it has no worker, and no request waits for it' in unknown.error()


def test_a_queue_before_busy_workers_is_explained_the_worst_service_first(world):
    broker = world.broker()
    gate = world.gate()
    for service, count in (("few", 2), ("many", 3)):
        world.worker(broker, service, *gate.command)
        for number in range(count):
            _call(world, broker, service, f"{service}-{number}")
    world.wait_for_running(broker, 2)
    world.wait_for_waiting(broker, 3)
    cause = _cause(world, broker, "many", "busy")
    assert (cause["weight"], cause["waiting"], cause["workers"], cause["concerned"]) == (2, 2, 1, 1)
    assert cause["since_us"] >= cause["oldest_us"] > 0
    assert re.match(r"queue (growing )?for [\d.]+ (ms|s): the one worker is busy", cause["text"])
    said = world.cli(broker, "explain", "-o", "json").json()["services"]
    assert [service["name"] for service in said] == ["many", "few"]
    lines = world.cli(broker, "explain").out.decode().splitlines()
    assert [line.split(": ")[0] for line in lines] == ["many", "few"]
    row = next(csv.DictReader(io.StringIO(world.cli(broker, "explain", "-o", "csv").out.decode())))
    assert (row["service"], row["kind"], row["waiting"]) == ("many", "busy", "2")


def test_a_service_without_workers_is_explained(world):
    broker = world.broker()
    call = _call(world, broker, "nobody", "r1", "--wait-worker", "60s")
    world.wait_for_waiting(broker, 1)
    assert re.match(r"no worker; for [\d.]+ (µs|ms|s) 1 request has waited$",
                    _cause(world, broker, "nobody", "no_worker")["text"])
    call.interrupt()
    world.finish(call)


def test_workers_that_leave_are_explained(world):
    broker = world.broker()
    gate = world.gate()
    worker = world.worker(broker, "held", *gate.command)
    _call(world, broker, "held", "r1")
    world.wait_for_running(broker, 1, "held")
    worker.terminate()
    until(lambda: world.worker_of(broker, worker)["draining"], 5, "it drains")
    _call(world, broker, "held", "r2", "--wait-worker", "60s")
    world.wait_for_waiting(broker, 1)
    assert _cause(world, broker, "held", "draining")["text"] == \
        "the one worker is leaving, and 1 request waits for another"


def test_a_worker_that_cannot_start_is_explained(world):
    broker = world.broker()
    with world.peer(broker) as worker:
        worker.register(b"upper", window=0, name=b"host-1", heartbeat_ms=BEAT)
        _call(world, broker, "upper", "r1")
        world.wait_for_waiting(broker, 1)
        assert _cause(world, broker, "upper", "closed")["text"] == \
            "the one worker, host-1, takes no requests: window 0; look at its log"


def test_conversations_that_wait_for_their_worker_are_explained(world):
    broker = world.broker()
    with world.peer(broker) as worker, world.peer(broker) as talker, world.peer(broker) as other:
        worker.register(b"chat", name=b"host-1", heartbeat_ms=BEAT)
        talker.hello(heartbeat_ms=BEAT)
        other.hello(heartbeat_ms=BEAT)
        talker.request(b"chat", time_ms=60000, flags=OPEN, conversation=1)
        worker.reply(worker.expect(REQUEST).id)
        talker.expect(REPLY)
        other.request(b"chat", time_ms=60000)  # takes the only place
        worker.expect(REQUEST)
        talker.request(b"chat", time_ms=60000, conversation=1)
        world.wait_for_waiting(broker, 1)
        assert _cause(world, broker, "chat", "pinned")["text"] == \
            "1 request waits for the one worker that may have it, host-1"


def test_lost_workers_are_explained(world):
    broker = world.broker()
    gate = world.gate()
    worker = world.worker(broker, "held", *gate.command)
    world.worker(broker, "held", *gate.command)
    calls = [_call(world, broker, "held", f"r{number}") for number in range(2)]
    world.wait_for_running(broker, 2, "held")
    worker.kill()
    assert _cause(world, broker, "held", "lost")["text"] == \
        "1 request ended with WORKER_LOST of late: a worker was lost that had it"
    gate.open()
    assert sorted(world.finish(call).code for call in calls) == [0, 9]


def test_a_broker_that_drains_is_explained(world):
    broker = world.broker()
    gate = world.gate()
    world.worker(broker, "held", *gate.command)
    with world.peer(broker) as client:
        client.hello(heartbeat_ms=BEAT)
        client.request(b"held", time_ms=60000)
        world.wait_for_running(broker, 1, "held")
        broker.terminate()
        client.expect(DRAIN)
        said = json.loads(client.call(b"riposte.explain").body)["services"]
        assert said[0]["causes"][0]["kind"] == "stopping"
        assert said[0]["text"] == "the broker drains and takes no new requests"
        gate.open()
        client.expect(REPLY)


def test_rules_are_explained_and_only_observers_may_ask(world):
    keys = Keys(world)
    keys.rules('principal = "ops"\n    observe = 1\nprincipal = "bob"\nprincipal = "sam"\n    serve = "upper"\n')
    for name in ("ops", "bob", "sam"):
        keys.authorize(name)
    world.environment.update(keys.environment("ops"))
    broker = world.broker(*keys.of_broker)
    world.worker(broker, "upper", options=("--builtin", "upper", *keys.of("sam")))
    for _ in range(2):
        assert world.cli(broker, "call", "upper", "x", *keys.of("bob")).code == 6
    assert _cause(world, broker, "upper", "rules")["text"] == \
        "2 requests of late were DENIED: no rule allows the clients to call"
    for command in (("trace", "x"), ("slow",), ("explain",), ("explain", "upper")):
        denied = world.cli(broker, *command, *keys.of("bob"))
        assert (denied.code, denied.out) == (6, b"") and "ask for: observe" in denied.error()


def test_services_show_rates_and_times(world):
    broker = world.broker()
    world.builtin(broker, "upper")
    world.builtin(broker, "sleep")
    for _ in range(3):
        assert world.cli(broker, "call", "upper", "x").code == 0
    assert world.cli(broker, "call", "sleep", "60s", "--timeout", "1s").code == 5
    services = world.services(broker)
    assert services["upper"]["rate_per_s"] > services["sleep"]["rate_per_s"] > 0
    assert services["sleep"]["failed_per_s"] > services["upper"]["failed_per_s"] == 0
    header, *rows = world.cli(broker, "services").out.decode().splitlines()
    assert header.split()[5:9] == ["RATE", "P50", "P99", "ERRORS"]
    assert any(re.search(r"[\d.]+/s +[\d.]+ (µs|ms) +[\d.]+ (µs|ms) +- ", row) for row in rows)
