# SPDX-License-Identifier: MPL-2.0
"""What a broker serves over HTTP: metrics, health, and the JSON that riposte status, services and
workers print."""

import base64
import hashlib
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import urllib.parse

import pytest

from support import programs
from support.keys import Keys
from support.waiting import until
from support.web import free_port


def _broker(world, *options, **more):
    port = free_port()
    broker = world.broker("--http", f"127.0.0.1:{port}", *options, **more)
    broker.http = port
    return broker


def _get(broker, path, method="GET", **headers):
    """Returns status, headers and body."""
    one = http.client.HTTPConnection("127.0.0.1", broker.http, timeout=60)
    try:
        one.request(method, path, headers=headers)
        response = one.getresponse()
        return response.status, response.headers, response.read()
    finally:
        one.close()


def _metrics(broker):
    """Returns each value by its name and labels, as they are written."""
    status, headers, body = _get(broker, "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def _at_rest(services):
    """Without rates, which fall with time."""
    return [{key: value for key, value in service.items() if not key.endswith("_per_s")}
            for service in services]


def test_the_api_says_what_the_commands_say(world):
    broker = _broker(world)
    world.builtin(broker, "echo")
    assert world.cli(broker, "call", "echo", "x").code == 0
    services = json.loads(_get(broker, "/api/services")[2])["services"]
    assert _at_rest(services) == _at_rest(world.services(broker).values())
    assert {"rate_per_s", "failed_per_s"} < services[0].keys()
    names = {worker["name"] for worker in json.loads(_get(broker, "/api/workers")[2])["workers"]}
    assert names == {worker["name"] for worker in world.workers(broker, "echo")}
    mine, theirs = json.loads(_get(broker, "/api/status")[2]), world.status(broker)
    assert mine.keys() == theirs.keys()
    assert mine["finals"] == theirs["finals"] and mine["limits"] == theirs["limits"]


def test_the_overview_has_what_the_services_have_and_more(world):
    broker = _broker(world)
    world.builtin(broker, "echo")
    world.builtin(broker, "echo", service='a "quoted" \\ name/?')
    assert world.cli(broker, "call", "echo", "x").code == 0
    overview = json.loads(_get(broker, "/api/overview")[2])
    services = {service["name"]: service for service in json.loads(_get(broker, "/api/services")[2])["services"]}
    assert overview.keys() == json.loads(world.cli(broker, "call", "riposte.overview", "").out).keys()
    assert overview["text"].startswith("Healthy: 2 services, 2 workers, ") and overview["state"] == "ok"
    assert {service["name"]: {key: service[key] for key in services[service["name"]]}
            for service in overview["services"]} == services
    for name in services:
        one = json.loads(_get(broker, "/api/service?name=" + urllib.parse.quote(name, safe=""))[2])
        assert one["name"] == name and [worker["service"] for worker in one["worker_list"]] == [name]
    assert _get(broker, "/api/service")[0] == 400 and _get(broker, "/api/service?name=nobody")[0] == 404


def test_the_dashboard_is_one_page_that_no_other_may_frame(world):
    broker = _broker(world)
    world.builtin(broker, "echo")
    status, headers, body = _get(broker, "/")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Frame-Options"] == "DENY" and "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    for kind in ("style", "script"):
        inline = re.search(rf"<{kind}>(.*?)</{kind}>".encode(), body, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(inline).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in headers["Content-Security-Policy"]
    assert b"<bdi>echo</bdi>" in body and not re.search(rb"(src|href)=\"?(http|//)", body)


def test_metrics_count_what_was_done(world):
    broker = _broker(world)
    world.builtin(broker, "echo")
    assert world.cli(broker, "call", "echo", "x", "--count", "25", "-q").code == 0
    assert world.cli(broker, "call", "nobody", "x").code == 4
    until(lambda: _metrics(broker)['riposte_finals_total{status="OK"}'] == 25, 5, "they are counted")
    metrics = _metrics(broker)
    assert metrics['riposte_finals_total{status="NO_WORKER"}'] == 1
    assert metrics['riposte_requests_total{service="echo",status="OK"}'] == 25
    assert metrics['riposte_requests_total{service="_other",status="NO_WORKER"}'] == 1
    for name in ("request_duration", "queue_wait", "worker_duration"):
        bucket = f'riposte_{name}_seconds_bucket{{service="echo"'
        buckets = [value for key, value in metrics.items() if key.startswith(bucket)]
        assert len(buckets) == 20 and buckets == sorted(buckets) and buckets[-1] == 25
        assert metrics[f'riposte_{name}_seconds_count{{service="echo"}}'] == 25
        assert 0 <= metrics[f'riposte_{name}_seconds_sum{{service="echo"}}'] < 25
    assert metrics['riposte_workers{service="echo",state="idle"}'] == 1
    assert metrics['riposte_sessions{protocol="NATIVE",role="worker"}'] == 1
    assert sum(value for key, value in metrics.items() if key.startswith("riposte_sessions")) >= 1
    for name in ("request", "reply"):
        bucket = f'riposte_{name}_bytes_bucket{{service="echo",le='
        assert [metrics[bucket + f'"{le}"}}'] for le in ("256.0", "+Inf")] == [25, 25]
        assert metrics[f'riposte_{name}_bytes_count{{service="echo"}}'] == 25
    assert metrics['riposte_reply_bytes_sum{service="echo"}'] == 25
    turns = metrics['riposte_loop_lag_seconds_count{thread="broker"}']
    assert turns == metrics['riposte_loop_lag_seconds_bucket{thread="broker",le="+Inf"}'] > 0
    assert metrics["riposte_config_last_reload_success"] == 1
    assert 0 < metrics["riposte_loop_busy_seconds_total{thread=\"broker\"}"] < 60
    assert metrics["process_resident_memory_bytes"] > 1 << 20


def test_sizes_are_counted_up_to_their_bounds(world):
    broker = _broker(world)
    world.builtin(broker, "echo")
    for size in (256, 257, 4096, 70000):
        assert world.cli(broker, "call", "echo", "x" * size).code == 0
    metrics = _metrics(broker)
    bucket = 'riposte_reply_bytes_bucket{service="echo",le='
    assert [metrics[bucket + f'"{le}"}}'] for le in ("256.0", "4096.0", "65536.0", "1048576.0", "16777216.0", "+Inf")] \
        == [1, 3, 3, 4, 4, 4]
    assert metrics['riposte_reply_bytes_sum{service="echo"}'] == 256 + 257 + 4096 + 70000


def test_openmetrics_is_for_who_asks_for_it_and_has_the_same_values(world):
    broker = _broker(world, "--store", world.directory / "jobs.db")
    world.builtin(broker, "echo", service='a "quoted" \\ name')
    wanted = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    status, headers, body = _get(broker, "/metrics", Accept=wanted)
    assert status == 200 and headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    lines = body.decode().splitlines()
    assert lines[-1] == "# EOF" and "" not in lines
    types = dict(line.split(" ")[2:] for line in lines if line.startswith("# TYPE"))
    units = dict(line.split(" ")[2:] for line in lines if line.startswith("# UNIT"))
    assert len(types) == sum(line.startswith("# TYPE") for line in lines), "no two metrics have one name"
    assert types["riposte_requests"] == types["riposte_loop_busy_seconds"] == "counter"
    assert units["riposte_loop_busy_seconds"] == "seconds" and units["riposte_reply_bytes"] == "bytes"
    endings = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"]}
    names = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
    assert names == {name + ending for name, kind in types.items() for ending in endings[kind]} - \
        ({"riposte_bad_messages_total"} - names)
    assert {line.rsplit(" ", 1)[0] for line in lines if not line.startswith("#")} == _metrics(broker).keys()
    assert _get(broker, "/metrics", Accept="*/*")[1]["Content-Type"].startswith("text/plain; version=0.0.4")


def test_each_counter_of_the_status_is_a_metric(world):
    broker = _broker(world)
    there = set(_metrics(broker))
    of_services = {"requests", "workers_lost", "redeliveries"}
    wanted = {f"riposte_{name}_total" for name in set(world.status(broker)["counters"]) - of_services}
    assert len(wanted) > 15 and wanted <= there, wanted - there


def test_half_of_the_requests_took_p50_and_the_slowest_of_a_hundred_p99(world):
    broker = _broker(world)
    world.builtin(broker, "sleep")
    assert world.cli(broker, "call", "sleep", "0s", "--count", "50", "-q").code == 0
    assert world.cli(broker, "call", "sleep", "2s").code == 0
    service = json.loads(_get(broker, "/api/services")[2])["services"][0]
    assert 0 < service["p50_us"] < 1000000 and 1900000 < service["p99_us"] < 4000000


def test_promtool_finds_nothing_wrong_under_load(world):
    if not shutil.which("promtool"):
        pytest.skip("SKIPPED: promtool is not here; it is in Debian's package prometheus")
    broker = _broker(world)
    world.builtin(broker, "echo", service='a "quoted" \\ name')
    world.builtin(broker, "echo", "--slots", "8")
    sleeper = world.builtin(broker, "sleep")
    load = world.start_cli(broker, "bench", "echo", "--rate", "2000", "--clients", "4", "--duration", "60s", "-q")
    lost = world.start_cli(broker, "call", "sleep", "60s", "--attempts", "2", "--timeout", "60s")
    world.start_cli(broker, "call", "nobody", "x")
    world.wait_for_running(broker, 1, "sleep")
    sleeper.kill()
    world.builtin(broker, "sleep")
    until(lambda: _metrics(broker)['riposte_redeliveries_total{service="sleep"}'] == 1, 10, "it is given again",
          broker)
    answered, counted = 'riposte_requests_total{service="echo",status="OK"}', 0
    for _ in range(5):
        until(lambda: _metrics(broker)[answered] > counted, 10, "requests go on", broker)  # noqa: B023
        text = _get(broker, "/metrics")[2]
        counted = int(re.search(rb'requests_total{service="echo",status="OK"} (\d+)', text)[1])
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr, checked.stdout) == (0, b"", b"")
    assert b'riposte_workers_lost_total{service="sleep"} 1\n' in text
    for one in (load, lost):
        one.kill()


def test_health_follows_the_broker(world):
    broker = _broker(world)
    gate = world.gate()
    world.worker(broker, "slow", *gate.command)
    assert _get(broker, "/livez")[0] == _get(broker, "/readyz")[0] == 200
    running = world.start_cli(broker, "call", "slow", "x", "--timeout", "60s")
    until(gate.starts, 10, "a request runs")
    broker.signal(signal.SIGTERM)
    until(lambda: _get(broker, "/readyz")[0] == 503, 5, "a broker that drains takes nothing")
    assert _get(broker, "/readyz")[2] == b"draining\n" and _get(broker, "/livez")[0] == 200
    gate.open()
    assert running.popen.wait(20) == 0
    until(lambda: not broker.alive(), 10, "it ends")


def test_a_broker_that_stands_still_makes_nobody_wait_for_ever(world):
    """SIGSTOP stops the broker's HTTP threads too, so the answers come once it goes on, to every
    reader."""
    broker = _broker(world)
    answers = []
    broker.freeze()
    asking = threading.Thread(target=lambda: answers.append(_get(broker, "/livez")[0]))
    asking.start()
    broker.thaw()
    asking.join(10)
    assert answers in ([200], [503])
    assert _get(broker, "/livez")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(world, method):
    broker = _broker(world)
    status, headers, _ = _get(broker, "/api/status", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_what_is_not_there_is_said_with_what_is(world):
    status, _, body = _get(_broker(world), "/nothing")
    assert status == 404 and b"/metrics" in body


def test_another_host_is_refused(world):
    """The Host of a web page whose name leads to this address (DNS rebinding)."""
    broker = _broker(world)
    assert _get(broker, "/metrics", Host="evil.example")[0] == 403
    assert _get(broker, "/metrics", Host="")[0] == 403
    assert _get(broker, "/livez", Host="10.0.0.1:5580")[0] == 200, "an address leads nowhere else another time"
    config = world.directory / "hosts"
    config.write_text('http_hosts = "broker.example,,other"\n')
    named = _broker(world, "--config", config)
    for host, status in (("broker.example", 200), ("broker.example:5580", 200), ("other", 200), ("evil", 403),
                         ("", 403)):
        assert _get(named, "/metrics", Host=host)[0] == status


def test_with_security_a_token_is_wanted_and_its_rules_count(world):
    keys = Keys(world)
    keys.rules('role = "watcher"\n    observe = 1\nrole = "nothing"\n'
               'principal = "good"\n    observe = 1\n    serve = "*"\n')
    keys.authorize("good")
    tokens = {}
    for role in ("watcher", "nothing"):
        result = world.run(world.cli_command(None)[0], "keys", "token", "--principal", f"p-{role}", "--role", role,
                           "--into", keys.authorized, "-o", "json")
        assert result.code == 0, result
        tokens[role] = re.search(rb"[0-9a-f]{64}", result.out)[0].decode()
    world.environment.update(keys.environment("good"))
    broker = _broker(world, *keys.of_broker)
    assert _get(broker, "/livez")[0] == _get(broker, "/readyz")[0] == 200
    world.builtin(broker, "echo", service="good-service")
    token = {"Authorization": f"Bearer {tokens['watcher']}"}
    until(lambda: b"good-service" in _get(broker, "/", **token)[2], 5, "who has a token sees it")
    assert _get(broker, "/")[0] == 200 and b"good-service" not in _get(broker, "/")[2]
    status, headers, body = _get(broker, "/metrics")
    assert status == 401 and headers["WWW-Authenticate"].startswith("Bearer") and b"riposte keys token" in body
    assert _get(broker, "/metrics", Authorization="Bearer " + "0" * 64)[0] == 401
    assert _get(broker, "/metrics", Authorization="Bearer x")[0] == 401
    assert _get(broker, "/metrics", Authorization=f"Bearer {tokens['nothing']}")[0] == 403
    assert _get(broker, "/metrics", Authorization=f"Bearer {tokens['watcher']}")[0] == 200


def test_a_port_in_use_is_an_error_where_it_was_asked_for(world):
    first = _broker(world)
    result = world.run(world.cli_command(None)[0].parent / "riposte-broker", "--bind", "tcp://127.0.0.1:*", "--http",
                       f"127.0.0.1:{first.http}", within=10)
    assert result.code == 1 and b"--http" in result.err


def test_a_hundred_readers_cost_requests_nothing_but_their_time(world):
    """Readers that hang up, send half a request, or never read."""
    broker = _broker(world)
    world.builtin(broker, "echo")
    held = []
    for number in range(100):
        one = socket.create_connection(("127.0.0.1", broker.http))
        one.sendall((b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /met", b"")[number % 3])
        held.append(one)
        if number % 5 == 0:
            one.close()
    assert world.cli(broker, "call", "echo", "x", "--count", "200", "-q").code == 0
    assert _get(broker, "/livez")[0] == 200
    for one in held:
        one.close()


def test_readers_that_let_themselves_be_waited_for_keep_nobody_out(world):
    broker = _broker(world)
    held = []
    for number in range(300):
        one = socket.create_connection(("127.0.0.1", broker.http))
        one.sendall((b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /met", b"",
                     b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n")[number % 4])
        held.append(one)
    for _ in range(3):
        assert _get(broker, "/livez")[0] == 200
    for one in held:
        one.close()


def test_readers_leave_descriptors_for_peers(world):
    broker = _broker(world, prefix=("prlimit", "--nofile=200:200"))
    held = [socket.create_connection(("127.0.0.1", broker.http)) for _ in range(250)]
    until(lambda: len(os.listdir(f"/proc/{broker.pid}/fd")) >= 25, 5, "it takes some of them")
    assert world.cli(broker, "ping").code == 0
    for one in held:
        one.close()


@pytest.mark.bounded
def test_answers_that_nobody_reads_take_bounded_memory(world):
    broker = _broker(world)
    for number in range(10):
        world.builtin(broker, "echo", service="\u202e" * 41 + str(number))
    assert len(_get(broker, "/metrics")[2]) > 400000
    before, held = broker.resident_bytes(), []
    for _ in range(230):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", broker.http))
        one.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 12)  # the kernel keeps some
        held.append(one)
    until(lambda: _get(broker, "/metrics")[0] == 503, 10, "too much is being read")
    assert _get(broker, "/livez")[0] == 200
    if not programs.SANITIZED:
        assert broker.resident_bytes() - before < 80 << 20
    until(lambda: _get(broker, "/metrics")[0] == 200, 20, "those that read nothing are closed")
    for one in held:
        one.close()


def test_readers_get_in_again_after_there_was_no_descriptor_left(world):
    broker = _broker(world)
    assert _get(broker, "/livez")[0] == 200
    there = len(os.listdir(f"/proc/{broker.pid}/fd"))
    _, hard = resource.prlimit(broker.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(broker.pid, resource.RLIMIT_NOFILE, (there + 8, hard))
    held = [socket.create_connection(("127.0.0.1", broker.http)) for _ in range(12)]
    until(lambda: len(os.listdir(f"/proc/{broker.pid}/fd")) == there + 8, 5, "it has taken all that there are")
    broker.freeze()
    for one in held:
        one.close()
    broker.thaw()
    assert _get(broker, "/livez")[0] == 200
