# SPDX-License-Identifier: MPL-2.0
"""How a request over HTTP is passed on, and the response to each final status."""

import re
import threading

import pytest

from support.peer import REQUEST, pack_headers
from support.programs import BRIEFLY, CLI, SLOW
from support.waiting import until

from house import HTTP

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def own_worker(house, service, **reply):
    """A worker that answers one request with these fields; returns the list that gets the request."""
    peer = house.world.peer(house.broker)
    peer.register(service.encode())
    got = []

    def serve():
        message = peer.expect(REQUEST)
        got.append(message)
        body = reply.pop("body", b"")
        headers = pack_headers(reply.pop("headers", []))
        peer.reply(message.id, body, headers=headers, **reply)

    thread = threading.Thread(target=serve)
    thread.start()
    return got, thread


# ---- The status map --------------------------------------------------------------------------------------------

def test_ok_is_200_with_the_body_and_its_times(house):
    http = house.start()
    house.world.builtin(house.broker, "upper")
    answer = http.call("upper", b"hello")
    assert (answer.status, answer.body, answer["Riposte-Status"]) == (200, b"HELLO", "OK")
    assert answer["Riposte-Attempts"] == "1"
    times = dict(re.findall(r"(\w+);dur=([\d.]+)", answer["Server-Timing"]))
    assert set(times) == {"queue", "work", "total"}
    assert float(times["total"]) >= float(times["work"]) > 0
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_app_error_is_422_with_its_code_and_body(house):
    http = house.start()
    house.world.worker(house.broker, "broken", "sh", "-c", "echo half; exit 7")
    answer = http.call("broken")
    assert (answer.status, answer.body, answer["Riposte-Code"]) == (422, b"half\n", "7")
    assert answer["Riposte-Status"] == "APP_ERROR"


def test_app_error_without_a_body_is_a_problem(house):
    http = house.start()
    house.world.worker(house.broker, "broken", "sh", "-c", "exit 7")
    answer = http.call("broken")
    members = answer.problem()
    assert (answer.status, members["code"], members["service"]) == (422, 7, "broken")


def test_no_worker_is_503_with_a_hint(house):
    http = house.start(limits={"rejoin_grace": "0s", "service_linger": "0s"})
    house.world.builtin(house.broker, "upper")
    answer = http.call("uper")
    members = answer.problem()
    assert (answer.status, answer["Retry-After"]) == (503, "1")
    assert (members["riposte_status"], members["hint"], members["attempts"]) == ("NO_WORKER", "upper", 0)
    assert members["type"] == "urn:riposte:status:NO_WORKER"


def test_busy_is_429(house):
    http = house.start(limits={"service_queue": 1})
    gate = house.world.gate()
    house.world.worker(house.broker, "held", *gate.command)
    with http.connect() as first, http.connect() as second:
        first.call("held")
        house.running(1)
        second.call("held")
        house.world.wait_for_waiting(house.broker, 1)
        answer = http.call("held")
        assert (answer.status, answer["Retry-After"], answer["Riposte-Status"]) == (429, "1", "BUSY")
        assert "service_queue" in answer.problem()["detail"]
        gate.open()
        assert first.read().status == second.read().status == 200


def test_denied_is_403(house):
    rules = house.world.directory / "rules"
    rules.write_text('principal = "anonymous"\n    call = "other"\n    serve = "*"\n')
    house.broker = house.world.broker("--rules", rules)
    http = house.gateway()
    answer = http.call("upper")
    assert (answer.status, answer["Riposte-Status"]) == (403, "DENIED")
    assert answer.problem()["riposte_status"] == "DENIED"


def test_the_brokers_own_services_are_denied_but_for_the_list(house):
    http = house.start()
    for name in ("riposte.status", "riposte.reload", "mmi.service", "riposte%2Ereload"):
        for path in (f"/call/{name}", f"/conversations/{name}"):
            answer = http.request("POST", path, b"")
            assert (answer.status, answer["Riposte-Status"]) == (403, "DENIED"), path


def test_too_large_for_the_broker_is_413(house):
    http = house.start(limits={"max_body": "64KiB"})
    house.world.builtin(house.broker, "echo")
    answer = http.call("echo", b"x" * 65537)
    assert (answer.status, answer["Riposte-Status"]) == (413, "TOO_LARGE")
    assert http.call("echo", b"x" * 65536).status == 200


@pytest.mark.parametrize("name, value", [
    ("Riposte-Timeout", "5"), ("Riposte-Timeout", "0s"), ("Riposte-Timeout", "25h"), ("Riposte-Timeout", "soon"),
    ("Riposte-Attempts", "0"), ("Riposte-Attempts", "11"), ("Riposte-Attempts", "two"),
    ("Riposte-Header-", "x"), ("Riposte-Header-" + "x" * 64, "x"), ("Riposte-Header-a!b", "x"),
    ("Riposte-Header-x", "x" * 4097), ("Riposte-Header-x", "a\tb"), ("traceparent", "\x7f"),
])
def test_a_wrong_header_is_400_and_names_itself(house, name, value):
    http = house.start()
    answer = http.request("POST", "/call/echo", b"", [(name, value)])
    if name in ("Riposte-Header-", "Riposte-Header-" + "x" * 64):
        assert answer.status in (400, 503)  # this is no Riposte header, so it is not passed on
        return
    assert (answer.status, answer["Riposte-Status"]) == (400, "INVALID"), answer
    assert name.lower() in answer.problem()["detail"].lower()


def test_expired_and_deadline_are_504(house):
    http = house.start()
    gate = house.world.gate()
    house.world.worker(house.broker, "held", *gate.command)
    with http.connect() as first:
        first.call("held", b"", f"Riposte-Timeout: {BRIEFLY}")
        house.running(1)
        answer = http.call("held", Riposte_Timeout="100ms")
        assert (answer.status, answer["Riposte-Status"]) == (504, "EXPIRED")
        answer = first.read()
        assert (answer.status, answer["Riposte-Status"]) == (504, "DEADLINE")


def test_worker_lost_is_502(house):
    http = house.start()
    gate = house.world.gate()
    worker = house.world.worker(house.broker, "held", *gate.command)
    with http.connect() as peer:
        peer.call("held", b"", "Riposte-Timeout: 30s")
        until(gate.starts, 5, "it has started")
        worker.kill()
        answer = peer.read()
    assert (answer.status, answer["Riposte-Status"]) == (502, "WORKER_LOST")
    assert answer.problem()["attempts"] == 1


def test_attempts_allow_another_worker(house):
    http = house.start()
    gate = house.world.gate()
    first = house.world.worker(house.broker, "held", *gate.command)
    with http.connect() as peer:
        peer.call("held", b"", "Riposte-Timeout: 30s", "Riposte-Attempts: 2")
        until(gate.starts, 5, "it has started")
        house.world.worker(house.broker, "held", *gate.command)
        gate.open()
        first.kill()
        answer = peer.read()
    assert (answer.status, answer.body) == (200, b"delivery 2") or answer.body == b"delivery 1"


@pytest.mark.parametrize("value, status", [("0", 200), ("9", 200), ("10", 400), ("high", 400)])
def test_a_priority_is_0_to_9(house, value, status):
    http = house.start()
    house.world.builtin(house.broker, "upper")
    answer = http.call("upper", b"hello", Riposte_Priority=value)
    assert answer.status == status
    assert status == 200 or "Riposte-Priority wants" in answer.problem()["detail"]


@pytest.mark.parametrize("value, attempts, status", [("95%", "2", 200), ("20ms", "2", 200), ("95%", "1", 400),
                                                     ("soon", "2", 400)])
def test_a_hedge_is_a_time_or_a_percentile(house, value, attempts, status):
    http = house.start()
    house.world.builtin(house.broker, "upper")
    answer = http.call("upper", b"hello", Riposte_Hedge=value, Riposte_Attempts=attempts)
    assert answer.status == status, answer
    assert status == 200 or "hedge" in answer.problem()["detail"].lower()


def test_no_broker_is_503_and_not_ready(house):
    house.broker = house.world.broker()
    endpoint = house.broker.endpoint
    house.broker.kill()
    http = house.gateway(server=endpoint, ready=False)
    ready = http.get("/readyz")
    assert (ready.status, ready["Riposte-Status"], ready["Retry-After"]) == (503, "NO_BROKER", "1")
    assert http.get("/livez").status == 200
    answer = http.call("upper", Riposte_Timeout="200ms")
    assert (answer.status, answer["Riposte-Status"]) == (503, "NO_BROKER")
    house.world.restart(house.broker)
    until(lambda: http.get("/readyz").status == 200, 5, "it has found the broker")


# ---- Resources ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("method, path, status", [
    ("GET", "/", 404), ("POST", "/call", 404), ("POST", "/call/", 404), ("POST", "/call/a/b", 404),
    ("POST", "/call/a%00b", 404), ("POST", "/call/a%zz", 404), ("POST", "/call/a%0ab", 404),
    ("POST", "/call/" + "x" * 128, 404), ("POST", "//call/a", 404), ("GET", "/call/a", 405), ("PUT", "/call/a", 405),
    ("GET", "/conversations/a", 405), ("POST", "/services", 405), ("OPTIONS", "/call/a", 405),
    ("POST", "/conversations/a/0123", 404), ("PATCH", "/conversations/a/" + "0" * 32, 405),
])
def test_what_is_not_there(house, method, path, status):
    http = house.start()
    answer = http.request(method, path, b"")
    assert answer.status == status, answer
    assert answer.problem()["type"] == "about:blank"
    assert (answer["Allow"] is not None) == (status == 405)


def test_a_service_with_any_name_is_reached_percent_encoded(house):
    http = house.start()
    house.world.builtin(house.broker, "echo", service="a/b c%é")
    answer = http.call("a%2Fb%20c%25%C3%A9", b"x")
    assert (answer.status, answer.body) == (200, b"x")
    assert http.call("a%2fb%20c%25%c3%a9?query=1", b"y").body == b"y"


def test_services_are_listed_as_the_command_does(house):
    http = house.start()
    house.world.builtin(house.broker, "upper")
    answer = http.get("/services")
    assert (answer.status, answer["Content-Type"]) == (200, "application/json")
    assert b'"name":"upper"' in answer.body
    head = http.request("HEAD", "/services")
    assert (head.status, head.body) == (200, b"")
    assert int(head["Content-Length"]) > 0


# ---- Headers -----------------------------------------------------------------------------------------------------

def test_headers_travel_to_the_worker_unchanged(house):
    http = house.start()
    got, thread = own_worker(house, "mine")
    http.call("mine", b"x", traceparent=TRACEPARENT, tracestate="a=1,b=2", X_Request_Id="Abc-1/2",
              Content_Type="text/plain; charset=utf-8", Riposte_Header_Colour="Red", Cookie="secret", Accept="*/*",
              Riposte_Header_Empty="")
    thread.join()
    assert sorted(got[0].headers) == sorted([
        (b"traceparent", TRACEPARENT.encode()), (b"tracestate", b"a=1,b=2"), (b"request-id", b"Abc-1/2"),
        (b"content-type", b"text/plain; charset=utf-8"), (b"colour", b"Red"), (b"empty", b"")])


def test_headers_of_a_reply_come_back_and_none_of_them_frames_it(house):
    http = house.start()
    _, thread = own_worker(house, "mine", body=b"<p>", headers=[
        (b"content-type", b"text/html"), (b"content-type", b"text/plain"), (b"traceparent", TRACEPARENT.encode()),
        (b"request-id", b"7"), (b"colour", b"red"), (b"content-length", b"99"), (b"transfer-encoding", b"chunked"),
        (b"connection", b"close"), (b"set-cookie", b"a=b"), (b"riposte-status", b"BUSY")])
    answer = http.call("mine")
    thread.join()
    assert (answer.status, answer.body) == (200, b"<p>")
    assert answer["Content-Type"] == "text/html"
    assert (answer["traceparent"], answer["X-Request-Id"]) == (TRACEPARENT, "7")
    assert answer["Riposte-Header-Colour"] == "red"
    assert (answer["Content-Length"], answer["Riposte-Header-Content-Length"]) == ("3", "99")
    assert answer["Transfer-Encoding"] is None and answer["Connection"] is None and answer["Set-Cookie"] is None
    assert answer["Riposte-Status"] == "OK"


def test_a_type_of_a_reply_without_a_body_does_not_hide_the_problems(house):
    http = house.start()
    _, thread = own_worker(house, "mine", status=1, code=5, text=b"no", headers=[(b"content-type", b"text/html")])
    answer = http.call("mine")
    thread.join()
    assert answer.status == 422
    assert answer.problem()["code"] == 5


# ---- Conversations -----------------------------------------------------------------------------------------------

def begin(http, service):
    answer = http.request("POST", f"/conversations/{service}", b"")
    assert answer.status == 201, answer
    assert re.fullmatch(rf"/conversations/{service}/[0-9a-f]{{32}}", answer["Location"])
    return answer["Location"]


def test_a_conversation_keeps_to_one_worker_and_to_its_order(house):
    http = house.start()
    for _ in range(3):
        house.world.worker(house.broker, "who", "sh", "-c", "cat; printf ' %s' $PPID")
    place = begin(http, "who")
    with http.connect() as peer:
        # All requests are sent at once on one connection.
        for number in range(10):
            peer.send(f"POST {place} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n{number}")
        answers = [peer.read() for _ in range(10)]
    assert [answer.status for answer in answers] == [200] * 10
    words = [answer.body.decode().split() for answer in answers]
    assert [number for number, _ in words] == [str(number) for number in range(10)]
    assert len({worker for _, worker in words}) == 1
    assert house.world.status(house.broker)["conversations"] == 1
    assert http.request("DELETE", place).status == 204
    until(lambda: house.world.status(house.broker)["conversations"] == 0, 5, "the broker has none")
    gone = http.request("POST", place, b"x")
    assert (gone.status, gone["Riposte-Status"]) == (410, "CONVERSATION_LOST")
    assert http.request("DELETE", place).status == 410


def test_a_conversation_is_of_its_service_and_nobody_guesses_it(house):
    http = house.start()
    house.world.builtin(house.broker, "echo")
    place = begin(http, "echo")
    assert http.request("POST", place.replace("echo", "upper"), b"x").status == 410
    assert http.request("POST", place[:-1] + ("0" if place[-1] != "0" else "1"), b"x").status == 410
    assert http.request("POST", place, b"x").body == b"x"
    assert begin(http, "echo") != place


def test_a_conversation_that_nobody_uses_ends_and_one_with_an_open_request_does_not(house):
    http = house.start("--conversation-idle", f"{SLOW}s")
    house.world.builtin(house.broker, "sleep", "--slots", "2")
    idle, used = begin(http, "sleep"), begin(http, "sleep")
    assert http.request("POST", idle, b"0s").status == 200
    assert http.request("POST", used, b"%dms" % (2500 * SLOW), [("Riposte-Timeout", "60s")]).status == 200
    assert http.request("POST", idle, b"0s").status == 410
    assert http.request("POST", used, b"0s").status == 200


def test_conversations_have_a_limit(house):
    http = house.start("--conversations", "2")
    first = begin(http, "echo")
    begin(http, "echo")
    answer = http.request("POST", "/conversations/echo", b"")
    assert (answer.status, answer["Riposte-Status"]) == (429, "BUSY")
    assert http.request("DELETE", first).status == 204
    begin(http, "echo")


def test_a_conversation_whose_worker_is_lost_is_410_once(house):
    http = house.start()
    worker = house.world.builtin(house.broker, "echo")
    place = begin(http, "echo")
    assert http.request("POST", place, b"1").status == 200
    worker.kill()
    until(lambda: http.request("POST", place, b"2").status == 410, 5, "it is told")
    house.world.builtin(house.broker, "echo")
    assert http.request("POST", place, b"3").body == b"3", "begun anew"


# ---- Who may call ------------------------------------------------------------------------------------------------

def make_token(house, role, name="ada"):
    directory = house.world.directory / "authorized"
    result = house.world.run(CLI, "keys", "token", "--principal", name, "--role", role, "--into", directory)
    assert result.code == 0, result
    return result.out.decode().split()[0], directory / "tokens"


def test_tokens_let_in_whose_role_is_call(house):
    token, file = make_token(house, "call")
    other, _ = make_token(house, "observer")
    http = house.start("--tokens", file)
    house.world.builtin(house.broker, "echo")
    for wrong in (None, "", "Bearer", "Bearer x", f"Basic {token}", f"Bearer {token}x", f"Bearer {'0' * 64}", token):
        answer = http.request("POST", "/call/echo", b"x", [("Authorization", wrong)] if wrong is not None else [])
        assert (answer.status, answer["WWW-Authenticate"]) == (401, 'Bearer realm="riposte"'), wrong
        answer.problem()
    assert http.call("echo", b"x", Authorization=f"Bearer {other}").status == 403
    assert http.call("echo", b"x", Authorization=f"bearer {token}").body == b"x"
    assert http.get("/services").status == http.get("/openapi.json").status == http.get("/nothing").status == 401
    assert http.get("/livez").status == http.get("/readyz").status == 200
    assert http.get("/services", Authorization=f"Bearer {token}").status == 200


def test_tokens_are_read_anew_and_a_mistake_leaves_them(house):
    token, file = make_token(house, "call")
    http = house.start("--tokens", file)
    later, _ = make_token(house, "call", "eve")
    assert http.get("/services", Authorization=f"Bearer {later}").status == 401
    http.signal(1)
    http.wait_for("2 tokens are known")
    assert http.get("/services", Authorization=f"Bearer {later}").status == 200
    file.write_text("token = 1\n")
    http.signal(1)
    http.wait_for("a token is its SHA-256")
    assert http.get("/services", Authorization=f"Bearer {token}").status == 200
    file.write_text("")
    http.signal(1)
    http.wait_for("0 tokens are known")
    assert http.get("/services", Authorization=f"Bearer {token}").status == 401


def test_a_file_of_tokens_that_others_can_read_is_refused(house):
    _, file = make_token(house, "call")
    file.chmod(0o644)
    result = house.world.run(HTTP, "--listen", "127.0.0.1:*", "--tokens", file)
    assert result.code == 1
    assert "chmod 600" in result.error()


def test_beyond_the_loopback_interface_it_wants_tokens_or_leave(house):
    result = house.world.run(HTTP, "--listen", "*:0")
    assert result.code == 2
    assert "--tokens" in result.error() and "--insecure" in result.error()
    _, file = make_token(house, "call")
    http = house.start("--tokens", file, listen="0.0.0.0:0")
    assert http.get("/livez", Host="riposte.example").status == 200
    assert http.get("/services", Host="riposte.example").status == 401


@pytest.mark.parametrize("headers, status", [
    ({}, 200), ({"Host": "localhost"}, 200), ({"Host": "127.0.0.1:80"}, 200), ({"Host": "a.localhost:80"}, 200),
    ({"Host": "[::1]"}, 200), ({"Host": "evil.example"}, 403), ({"Host": "localhost.evil.example"}, 403),
    ({"Host": "127.0.0.1.evil.example"}, 403), ({"Host": ""}, 403), ({"Host": "localhost@evil.example"}, 403),
    ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403),
    ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 200),
    ({"Host": "localhost:1", "Origin": "http://localhost:2"}, 403),
])
def test_pages_of_other_hosts_are_refused(house, headers, status):
    http = house.start()
    assert http.request("GET", "/services", None, list(headers.items())).status == status


def test_it_calls_with_a_key_and_with_a_context(house):
    world = house.world
    place = world.directory
    for name in ("broker", "web"):
        assert world.run(CLI, "keys", "new", name, "--dir", place).code == 0
    assert world.run(CLI, "keys", "authorize", place / "web.key", "--principal", "web", "--into",
                     place / "authorized").code == 0
    (place / "rules").write_text('principal = "web"\n    call = "*"\n    serve = "*"\n    observe = 1\n')
    house.broker = world.broker("--key-file", place / "broker.key_secret", "--rules", place / "rules")
    keys = ("--key-file", place / "web.key_secret", "--server-key", place / "broker.key")
    world.worker(house.broker, "echo", options=(*keys, "--builtin", "echo"), ready=False)
    http = house.gateway(*keys)
    until(lambda: http.call("echo", b"x").body == b"x", 5, "it is called")
    assert world.cli(house.broker, "context", "add", "web", *keys).code == 0
    assert house.gateway("--context", "web").call("echo", b"x").body == b"x"
    keyless = house.gateway(ready=False)
    until(lambda: b"key" in keyless.get("/readyz").body, 5, "it says what is missing")
    assert keyless.call("echo", b"x", Riposte_Timeout="300ms").status in (403, 503)
    result = world.run(HTTP, "--listen", "127.0.0.1:*", "--key-file", place / "web.key_secret")
    assert (result.code, "--server-key" in result.error()) == (2, True)


def test_no_variable_of_it_is_one_that_kubernetes_sets(house):
    told = house.world.run(HTTP, "--help").out.decode()
    names = re.findall(r"\[(RIPOSTE_[A-Z_]+)\]", told)
    assert len(names) > 15
    for name in names:
        assert not re.search(r"_(PORT|SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_\w+)$", name), name
    # Kubernetes sets these in every container beside a service "riposte-http"; they do no harm.
    done = house.world.run(HTTP, "--listen", "nowhere", environment={
        "RIPOSTE_HTTP_PORT": "tcp://10.0.0.1:8080", "RIPOSTE_HTTP_SERVICE_HOST": "10.0.0.1",
        "RIPOSTE_HTTP_PORT_8080_TCP": "tcp://10.0.0.1:8080", "RIPOSTE_PORT": "tcp://10.0.0.1:5555"})
    assert '--listen "nowhere" has no port' in done.error()


# ---- Idempotency keys ------------------------------------------------------------------------------------------

def test_the_same_key_gets_the_same_response_and_is_told_so(house):
    http = house.start()
    house.world.worker(house.broker, "say", "sh", "-c", 'echo $$ "$RIPOSTE_KEY"; cat')
    first, again = (http.call("say", b"a", Idempotency_Key=key) for key in ('"order 1"', "order 1"))
    assert (first.status, first["Idempotency-Replayed"]) == (200, None)
    assert (again.status, again["Idempotency-Replayed"]) == (200, "true")
    assert first.body == again.body and b"order 1" in first.body
    other = http.call("say", b"b", Idempotency_Key="order 1")
    assert (other.status, other.problem()["riposte_status"]) == (422, "KEY_MISMATCH")
    assert http.call("say", b"a", Idempotency_Key="order 2").body != first.body
    assert http.call("say", b"a")["Idempotency-Replayed"] is None


def test_a_peer_that_hangs_up_may_ask_again_with_its_key(house):
    http = house.start()
    gate = house.world.gate()
    house.world.worker(house.broker, "held", *gate.command)
    with http.connect() as peer:
        peer.call("held", b"a", "Idempotency-Key: k")
        until(gate.starts, 5, "it runs")
    gate.open()
    until(lambda: house.world.status(house.broker)["replays"]["results"] == 1, 5, "it has ended")
    again = http.call("held", b"a", Idempotency_Key="k")
    assert (again.body, again["Idempotency-Replayed"]) == (b"delivery 1", "true")
    assert len(gate.starts()) == 1


def test_a_conversation_takes_no_key(house):
    http = house.start()
    house.world.builtin(house.broker, "upper")
    place = http.request("POST", "/conversations/upper", b"")["Location"]
    answer = http.request("POST", place, b"a", [("Idempotency-Key", "k")])
    assert answer.status == 400 and "conversations" in answer.problem()["detail"]
