# SPDX-License-Identifier: MPL-2.0
"""Jobs over the broker's HTTP: they are seen as riposte jobs shows them, and dead ones are retried and purged by who
may."""

import http.client
import json
import re

import pytest

from support import programs
from support.keys import Keys
from support.waiting import until
from support.web import free_port


def _broker(world, *options):
    port = free_port()
    broker = world.broker("--http", f"127.0.0.1:{port}", *options)
    broker.http = port
    return broker


def _with_store(world, *options):
    return _broker(world, "--store", world.directory / "jobs.db", *options)


def _ask(broker, path, method="GET", body=None, **headers):
    """Returns status and body."""
    one = http.client.HTTPConnection("127.0.0.1", broker.http, timeout=10)
    try:
        one.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = one.getresponse()
        return response.status, response.read()
    finally:
        one.close()


def _change(broker, what, params, **headers):
    body = params if isinstance(params, (bytes, str)) else json.dumps(params)
    return _ask(broker, f"/api/dead/{what}", "POST", body, **{"Content_Type": "application/json", **headers})


def _send(world, broker, service, body, *options):
    result = world.cli(broker, "send", service, body, *options)
    assert result.code == 0, result
    return result.out.decode().strip()


def _dead(world, broker, service="later", body="x", **more):
    """A job that has died: its worker said each time that it should be tried again later."""
    worker = world.worker(broker, service, "sh", "-c", "exit 75")
    job = _send(world, broker, service, body, "--attempts", "1")
    until(lambda: json.loads(_ask(broker, f"/api/jobs/{job}", **more)[1])["state"] == "dead", 10, "it is dead")
    worker.terminate()
    until(lambda: worker.poll() is not None, 5, "its worker is gone")
    return job


def test_jobs_are_told_as_the_services_tell_them_byte_for_byte(world):
    broker = _with_store(world)
    first, other = _send(world, broker, "a", "x", "--key", "k-1"), _send(world, broker, "b", "yy")
    dead = _dead(world, broker)
    for path, service, params in (
            ("/api/jobs", "jobs", {}), ("/api/jobs?service=a&state=waiting&most=1", "jobs",
                                        {"service": "a", "state": "waiting", "most": 1}),
            (f"/api/jobs?id={first}", "jobs", {"id": first}), ("/api/dead", "dead.list", {}),
            (f"/api/jobs/{dead}", "job", {"id": dead})):
        status, body = _ask(broker, path)
        assert (status, body) == (200, world.cli(broker, "call", f"riposte.{service}", json.dumps(params)).out), path
    assert [one["id"] for one in json.loads(_ask(broker, "/api/dead")[1])["jobs"]] == [dead]
    page = json.loads(_ask(broker, "/api/jobs?most=1")[1])
    assert page["more"] and json.loads(_ask(broker, f"/api/jobs?id={page['next']}")[1])["jobs"][0]["id"] == other


def test_a_body_is_shown_as_text_up_to_a_bound(world):
    broker = _with_store(world)
    body = "one\n\t<two> \u00e9 \u202e".encode() + b"\0\xff" + b"x" * 10000
    result = world.cli(broker, "send", "a", "-", stdin=body)
    path = f"/api/jobs/{result.out.decode().strip()}"
    shown = json.loads(_ask(broker, path + "?body=4096")[1])["body"]
    assert shown.startswith("one\n\t<two> \u00e9 \\xe2\\x80\\xae\\x00\\xffx") and shown.endswith("xxx")
    assert len(shown) == 4096 - len(body) + 10000 + len("one\n\t<two> \u00e9 \\xe2\\x80\\xae\\x00\\xff")
    assert "body" not in json.loads(_ask(broker, path)[1])
    assert _ask(broker, path + "?body=4097")[0] == 400


def test_a_dead_job_is_retried_and_purged(world):
    broker = _with_store(world)
    dead, gone = _dead(world, broker, body="again"), _dead(world, broker)
    status, body = _change(broker, "retry", {"id": dead})
    again = json.loads(body)
    assert (status, again["parent"]) == (200, dead)
    world.worker(broker, "later", "cat")
    assert world.cli(broker, "result", again["id"], "--wait", "20s").out == b"again"
    assert json.loads(_ask(broker, f"/api/jobs/{dead}")[1])["child"] == again["id"]
    assert _change(broker, "retry", {"id": dead}) == (404, b"there is no such dead job\n")
    assert _change(broker, "purge", {"id": "9" * 19}) == (400, b"there is no such dead job\n")  # not all of them
    assert _change(broker, "purge", {"id": gone}) == (200, b'{"purged":1,"more":false}')
    assert _ask(broker, f"/api/jobs/{gone}") == (404, b"there is no such job\n")
    assert _change(broker, "purge", {"service": "later"}) == (200, b'{"purged":0,"more":false}')
    assert _change(broker, "purge", {"all": True}) == (200, b'{"purged":0,"more":false}')
    events = [event["text"] for event in json.loads(_ask(broker, "/api/events")[1])["events"]]
    assert [text for text in events if "dead job" in text] == [
        f"anonymous retries the dead job {dead}", f"anonymous retries the dead job {dead}",
        f"anonymous purges the dead job {gone}", 'anonymous purges dead jobs of "later"',
        "anonymous purges dead jobs of all services"]


@pytest.mark.parametrize("params", ["", "[]", "{", "{}", '{"id": -1}', '{"id": "x"}', '{"id": 1, "id": 2}',
                                    '{"id": 1, "most": 3}', '{"id": ' + " " * 9000 + "1}"])
def test_what_makes_no_sense_changes_nothing(world, params):
    broker = _with_store(world)
    for what in ("retry", "purge"):
        status, body = _change(broker, what, params)
        assert status == (413 if len(params) > 8192 else 400) and body.endswith(b"\n") and len(body) > 20


def test_no_page_of_the_web_changes_anything(world):
    """A browser sends what any page wants, but says whose page it is, and asks before it sends JSON elsewhere."""
    broker = _with_store(world)
    dead = _dead(world, broker)
    here = f"127.0.0.1:{broker.http}"
    for headers, status in (({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
                            ({"Origin": f"http://{here}.evil.example"}, 403),
                            ({"Content_Type": "text/plain"}, 415), ({"Content_Type": "application/jsonx"}, 415),
                            ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
                            ({"X_Forwarded_For": "10.1.2.3"}, 403)):
        assert _change(broker, "purge", {"id": dead}, **headers)[0] == status, headers
    assert _ask(broker, "/api/dead/purge", "OPTIONS")[0] == 405 and _ask(broker, "/api/dead/purge")[0] == 405
    assert _ask(broker, f"/api/jobs/{dead}?body=10", X_Forwarded_For="10.1.2.3")[0] == 403
    assert json.loads(_ask(broker, f"/api/jobs/{dead}")[1])["state"] == "dead"
    assert _change(broker, "purge", {"id": dead}, Origin=f"http://{here}")[0] == 200


def test_with_keys_it_needs_a_token_with_admin(world):
    keys = Keys(world)
    keys.rules('role = "watcher"\n    observe = 1\nrole = "chief"\n    observe = 1\n    admin = 1\n'
               'principal = "good"\n    call = "*"\n    serve = "*"\n    observe = 1\n')
    keys.authorize("good")
    bearer = {}
    for role in ("watcher", "chief"):
        result = world.run(programs.CLI, "keys", "token", "--principal", f"p-{role}", "--role", role, "--into",
                           keys.authorized, "-o", "json")
        bearer[role] = {"Authorization": "Bearer " + re.search(rb"[0-9a-f]{64}", result.out)[0].decode()}
    world.environment.update(keys.environment("good"))
    config = world.directory / "config"
    config.write_text("http_open = 1\n")  # to read, not to change
    broker = _with_store(world, "--config", config, *keys.of_broker)
    dead = _dead(world, broker)
    for what in ("retry", "purge"):
        assert _change(broker, what, {"id": dead})[0] == 401
        assert _change(broker, what, {"id": dead}, Authorization="Bearer " + "0" * 64)[0] == 401
        status, why = _change(broker, what, {"id": dead}, **bearer["watcher"])
        assert status == 403 and b"admin" in why
    path = f"/api/jobs/{dead}"
    assert [_ask(broker, path + "?body=9", **headers)[0] for headers in ({}, bearer["watcher"], bearer["chief"])] \
        == [401, 403, 200]
    assert [_ask(broker, path, **headers)[0] for headers in ({}, bearer["watcher"])] == [200, 200]
    assert not any("the dead job" in line for line in broker.lines())
    assert _change(broker, "retry", {"id": dead}, **bearer["chief"])[0] == 200
    broker.wait_for(f"p-chief retries the dead job {dead}\n")


def test_services_say_why_their_jobs_wait_or_died(world):
    broker = _with_store(world)
    for _ in range(2):
        _send(world, broker, "later", "x")
    _send(world, broker, "tomorrow", "x", "--delay", "24h")
    _dead(world, broker, "import")
    told = json.loads(_ask(broker, "/api/job_services")[1])
    assert [(one["name"], one["state"], one["waiting"], one["running"], one["died"], one["workers"])
            for one in told["services"]] \
        == [("later", "bad", 2, 0, 0, 0), ("import", "warn", 0, 0, 1, 0), ("tomorrow", "ok", 1, 0, 0, 0)]
    assert json.loads(world.cli(broker, "call", "riposte.job_services", "").out) == told
    lines = world.cli(broker, "explain").out.decode()
    assert "later: no worker; 2 jobs wait\n" in lines and "tomorrow" not in lines
    assert "import: 1 job died in the last hour; riposte dead list shows it\n" in lines
    assert world.cli(broker, "explain", "tomorrow").out == b"tomorrow: nothing waits or fails\n"
    assert world.cli(broker, "explain", "later").out == b"later: no worker; 2 jobs wait\n"
    world.worker(broker, "later", "sleep", "30")
    until(lambda: "later: " in (text := world.cli(broker, "explain", "later").out.decode()) and "no worker" not in text,
          5, "it has a worker")


def test_a_job_is_traced_from_its_acceptance_to_its_end(world):
    broker = _with_store(world)
    job = _send(world, broker, "later", "x", "-H", "request-id:order-17")
    waits = world.cli(broker, "trace", job)
    assert waits.code == 0 and "no worker has taken it yet" in waits.out.decode()
    assert waits.out.decode().startswith("later  open") and f"job {job}" in waits.out.decode()
    worker = world.worker(broker, "later", "tr", "x", "y")
    assert world.cli(broker, "result", job, "--wait", "10s").out == b"y"
    answer = json.loads(_ask(broker, f"/api/trace/{job}")[1])
    trace = next(trace for trace in answer["traces"] if trace.get("job") == job)
    assert [event["kind"] for event in trace["events"]] == ["accepted", "waited", "given", "ended"]
    assert trace["events"][2]["worker"].endswith(f"-{worker.pid}") and trace["request_id"] == "order-17"
    told = json.loads(_ask(broker, f"/api/jobs/{job}")[1])
    assert told["events"] == trace["events"] and told["told"] == trace["text"]
    shown = world.cli(broker, "trace", job).out.decode()
    assert all(event["text"] in shown for event in trace["events"])
    assert world.cli(broker, "trace", "4711").code == 1
    assert json.loads(_ask(broker, "/api/trace/4711")[1]) == {"traces": []}
    assert _ask(broker, "/api/trace/4711?most=0")[0] == 400
    assert b"replied OK" in world.cli(broker, "trace", "order-17").out  # of its attempt


def test_without_a_store_it_says_how_to_get_one(world):
    broker = _broker(world)
    for status, body in (_ask(broker, "/api/jobs"), _ask(broker, "/api/dead"), _change(broker, "retry", {"id": 1})):
        assert status == 404 and b"--store FILE" in body
    assert json.loads(_ask(broker, "/api/overview")[1])["jobs"] is None


def test_many_who_ask_at_once_are_answered_or_put_off(world):
    broker = _with_store(world)
    for body in "ab":
        _send(world, broker, "a", body)
    connections = [http.client.HTTPConnection("127.0.0.1", broker.http, timeout=10) for _ in range(40)]
    for one in connections:
        one.request("GET", "/api/jobs")
    answers = [one.getresponse() for one in connections]
    statuses = [answer.status for answer in answers]
    assert set(statuses) <= {200, 503} and statuses.count(200) >= 4
    assert {answer.getheader("Retry-After") for answer in answers if answer.status == 503} <= {"1"}
    for one in connections:
        one.close()
    until(lambda: _ask(broker, "/api/jobs")[0] == 200, 10, "those who were put off are gone")
