# SPDX-License-Identifier: MPL-2.0
"""Questions over HTTP: /api/NAME has the same answer as the service riposte.NAME."""

import http.client
import json
import re
import socket
import threading
import time

import pytest

from support.keys import Keys
from support.programs import PATIENCE
from support.web import broker_with_http, get

#: A path, and the same as a request: the service and its body.
SAME = [
    ("/api/trace/nothing", "trace", '{"id": "nothing"}'),
    ("/api/trace/one%2Ftwo?most=3", "trace", '{"id": "one/two", "most": 3}'),
    ("/api/slow?failed=true&most=5&service=echo", "slow", '{"failed": true, "most": 5, "service": "echo"}'),
    ("/api/explain", "explain", ""),
    ("/api/explain?service=echo", "explain", '{"service": "echo"}'),
    ("/api/events", "events", ""),
    ("/api/events?since=1", "events", '{"since": 1}'),
    ("/api/config", "config", ""),
    ("/api/config?diff=true", "config", '{"diff": true}'),
    ("/api/config?diff=false", "config", '{"diff": false}'),
    ("/api/events?most=1&since=0", "events", '{"since": 0, "most": 1}'),
]
#: The same for what is wrong.
WRONG = [
    ("/api/trace", "trace", ""),
    ("/api/trace/", "trace", '{"id": ""}'),
    ("/api/slow?failed=yes", "slow", '{"failed": "yes"}'),
    ("/api/slow?failed", "slow", '{"failed": ""}'),
    ("/api/events?most=100000", "events", '{"most": 100000}'),
    ("/api/events?nothing=1", "events", '{"nothing": "1"}'),
    ("/api/events/17", "events", '{"id": "17"}'),
    ("/api/explain?service=nobody", "explain", '{"service": "nobody"}'),
]


@pytest.fixture
def broker(world):
    one = broker_with_http(world)
    world.builtin(one, "echo")
    world.builtin(one, "echo")
    return one


@pytest.mark.parametrize("path, name, body", SAME)
def test_both_ways_have_the_same_answer(world, broker, path, name, body):
    status, headers, answer = get(broker, path)
    result = world.cli(broker, "call", f"riposte.{name}", body)
    assert (status, headers["Content-Type"], result.code) == (200, "application/json", 0)
    assert answer == result.out and isinstance(json.loads(answer), dict)


@pytest.mark.parametrize("path, name, body", WRONG)
def test_both_ways_refuse_what_is_wrong_and_say_why(world, broker, path, name, body):
    status, headers, answer = get(broker, path)
    result = world.cli(broker, "call", f"riposte.{name}", body)
    assert status == 400 and headers["Content-Type"].startswith("text/plain") and result.code == 1
    assert answer.decode().strip() in result.err.decode()


@pytest.mark.parametrize("query", ["most=", "most=-1", "most=1.5", "most=x", "since=1&since=2", "=1", "%FF=1",
                                   "since=9007199254740992", "most=1%00", "x" * 40 + "=1"])
def test_parameters_that_are_none_are_refused(broker, query):
    assert get(broker, f"/api/events?{query}")[0] == 400


@pytest.mark.parametrize("name", ["%00", "echo%00", "%FF%FE", "%ED%A0%80", "a" * 10000])
def test_hostile_texts_are_refused(broker, name):
    assert get(broker, f"/api/explain?service={name}")[0] == 400
    assert get(broker, f"/api/explain/{name}")[0] == 400
    assert get(broker, "/api/explain?service=echo")[0] == 200


@pytest.mark.parametrize("path", ["/api/nothing", "/api/", "/api", "/api/event", "/api/eventss", "/explain"])
def test_what_is_no_question_is_not_found(broker, path):
    status, _, body = get(broker, path)
    assert status == 404 and b"explain" in body


def test_nothing_can_be_changed(broker):
    assert get(broker, "/api/events", "POST")[0] == 405


def test_a_token_that_may_observe_is_wanted(world):
    keys = Keys(world)
    keys.rules('role = "watcher"\n    observe = 1\nprincipal = "good"\n    observe = 1\nrole = "nothing"\n')
    keys.authorize("good")
    tokens = {}
    for role in ("watcher", "nothing"):
        result = world.run(world.cli_command(None)[0], "keys", "token", "--principal", f"p-{role}", "--role", role,
                           "--into", keys.authorized, "-o", "json")
        tokens[role] = re.search(rb"[0-9a-f]{64}", result.out)[0].decode()
    world.environment.update(keys.environment("good"))
    broker = broker_with_http(world, *keys.of_broker)
    assert get(broker, "/api/events")[0] == 401
    assert get(broker, "/api/events", Authorization=f"Bearer {tokens['nothing']}")[0] == 403
    assert get(broker, "/api/events", Authorization=f"Bearer {tokens['watcher']}")[0] == 200


def test_more_questions_than_have_room_are_refused_with_when_to_ask_again(broker):
    """All are sent before any answer is read. Which of them find no room is a matter of time; each has an
    answer."""
    held = []
    for _ in range(120):
        one = socket.create_connection(("127.0.0.1", broker.http), timeout=20 * PATIENCE)
        one.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        held.append(one)
    for one in held:
        response = http.client.HTTPResponse(one)
        response.begin()
        response.read()
        assert response.status == 200 or (response.status == 503 and response.headers["Retry-After"] == "1")
        one.close()
    assert get(broker, "/api/events")[0] == 200


def test_a_flood_of_questions_does_not_keep_requests(world, broker):
    """Readers that ask without end, and calls between them: none fails, none takes long."""
    stop = threading.Event()
    counts = {}

    def ask():
        one = http.client.HTTPConnection("127.0.0.1", broker.http, timeout=20 * PATIENCE)
        while not stop.is_set():
            one.request("GET", "/api/events?most=1000")
            response = one.getresponse()
            response.read()
            counts[response.status] = counts.get(response.status, 0) + 1
        one.close()

    readers = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
    for reader in readers:
        reader.start()
    begin = time.monotonic()
    result = world.cli(broker, "call", "echo", "x", "--count", "500", "-o", "json")
    assert result.code == 0 and time.monotonic() - begin < 20 * PATIENCE
    stop.set()
    for reader in readers:
        reader.join(30)
    assert counts.get(200, 0) > 0 and set(counts) <= {200, 503}
