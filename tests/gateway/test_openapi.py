# SPDX-License-Identifier: MPL-2.0
"""The description of the interface is right: a running gateway gives a response for each path, method
and status in it, and no response that is not in it."""

import json
import re

import pytest

from support.programs import CLI, SOURCE
from support.waiting import until

DOCUMENT = json.loads((SOURCE / "gateway" / "openapi.json").read_text())
JOBS = (("POST", "/jobs/a"), ("GET", "/jobs/1"), ("DELETE", "/jobs/1"))
METHODS = ("get", "post", "delete", "put", "patch")
#: A worker's command that does as the body says.
OBEY = ("sh", "-c", 'read -r word; case "$word" in fail) exit 7;; hold) sleep 60;; *) echo "$word";; esac')


def described():
    """Returns (method, path, status) of each response in the document."""
    return {(method, path, int(status)) for path, item in DOCUMENT["paths"].items()
            for method in METHODS if method in item for status in item[method]["responses"]}


def resolve(item):
    while "$ref" in item:
        target = DOCUMENT
        for part in item["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        item = target
    return item


class Walk:
    """Records which responses have come, and checks each against the document."""

    def __init__(self):
        self.seen = set()

    def note(self, method, template, answer):
        self.seen.add((method, template, answer.status))
        responses = DOCUMENT["paths"][template][method]["responses"]
        assert str(answer.status) in responses, f"{method} {template} said {answer}"
        response = resolve(responses[str(answer.status)])
        types = response.get("content", {})
        if answer.body:
            assert answer["Content-Type"] in types or "*/*" in types, answer
        for name, header in response.get("headers", {}).items():
            assert answer[name] is not None, f"{method} {template}: {name} is missing in {answer}"
            if resolve(header).get("schema", {}).get("type") == "integer":
                int(answer[name])
        if answer["Content-Type"] == "application/problem+json":
            members = answer.problem()
            schema = DOCUMENT["components"]["schemas"]["problem"]
            assert set(members) <= set(schema["properties"]), members
            kinds = {"string": str, "integer": int}
            for name, value in members.items():
                assert isinstance(value, kinds[schema["properties"][name]["type"]]), members
        return answer


def begin(walk, http, service):
    template = "/conversations/{service}"
    answer = walk.note("post", template, http.request("POST", f"/conversations/{service}", b""))
    return answer["Location"]


def send(walk, http, place, body=b"", headers=()):
    template = "/call/{service}" if place.startswith("/call/") else "/conversations/{service}/{id}"
    return walk.note("post", template, http.request("POST", place, body, headers))


def hold(walk, house, http, place):
    """Sends a request that runs until its peer closes its sending half."""
    template = "/call/{service}" if place.startswith("/call/") else "/conversations/{service}/{id}"
    with http.connect() as peer:
        peer.send(f"POST {place} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhold\n")
        house.running(1)
        peer.socket.shutdown(1)
        walk.note("post", template, peer.read())
    house.running(0)


def walk_requests(walk, house, http, fresh):
    """fresh: returns a path for the next request."""
    service = "obey"
    worker = house.world.worker(house.broker, service, *OBEY)
    assert send(walk, http, fresh(service), b"x\n").status == 200
    assert send(walk, http, fresh(service), b"fail\n").status == 422
    assert send(walk, http, fresh(service), b"", [("Riposte-Timeout", "soon")]).status == 400
    assert send(walk, http, fresh(service), b"", [("Origin", "http://evil.example")]).status == 403
    assert send(walk, http, fresh(service), b"x" * 100001).status == 413
    assert send(walk, http, fresh(service), b"hold\n", [("Riposte-Timeout", "500ms")]).status == 504
    house.running(0)
    hold(walk, house, http, fresh(service))
    with http.connect() as running, http.connect() as waiting:
        for count, peer in enumerate((running, waiting)):
            peer.send(f"POST {fresh(service)} HTTP/1.1\r\nHost: localhost\r\nRiposte-Timeout: 60s\r\n"
                      "Content-Length: 5\r\n\r\nhold\n")
            house.running(1)
            house.world.wait_for_waiting(house.broker, count)
        assert send(walk, http, fresh(service), b"x\n").status == 429
        waiting.socket.shutdown(1)
        waiting.read()
        worker.kill()
        template = "/call/{service}" if "call" in fresh(service) else "/conversations/{service}/{id}"
        assert walk.note("post", template, running.read()).status == 502
    assert send(walk, http, fresh("nobody"), b"").status == 503
    assert send(walk, http, fresh(service).replace("obey", "a%00b")).status == 404


def walk_jobs(walk, house, http, narrow):
    """http: its broker keeps one job at a time. narrow: its broker keeps none."""
    template = "/jobs/{name}"

    def post(place, body=b"", *headers):
        return walk.note("post", template, http.request("POST", place, body, headers))

    def get(place, *headers):
        return walk.note("get", template, http.request("GET", place, None, headers))

    def delete(place):
        return walk.note("delete", template, http.request("DELETE", place))

    held = post("/jobs/idle", b"a", ("Idempotency-Key", "k"))
    assert held.status == 202
    assert post("/jobs/idle").status == 429
    assert get(held["Location"]).status == 202
    assert delete(held["Location"]).status == 200
    assert get(held["Location"]).status == 499
    assert post("/jobs/idle", b"b", ("Idempotency-Key", "k")).status == 422
    house.world.worker(house.broker, "obey", *OBEY)
    for word, status in ((b"x\n", 200), (b"fail\n", 422)):
        assert get(post("/jobs/obey", word)["Location"], ("Prefer", "wait=30")).status == status
    place = post("/jobs/idle", b"", ("Riposte-Deadline", "500ms"))["Location"]
    assert get(place, ("Prefer", "wait=30")).status == 504
    evil = ("Origin", "http://evil.example")
    assert post("/jobs/a", b"", ("Riposte-Delay", "5")).status == 400
    assert post("/jobs/a", b"", evil).status == 403
    assert post("/jobs/a", b"x" * 100001).status == 413
    assert post("/jobs/%0a").status == get("/jobs/0").status == delete("/jobs/4711").status == 404
    for method in ("GET", "DELETE"):
        assert walk.note(method.lower(), template, http.request(method, place, None, [evil])).status == 403
        assert walk.note(method.lower(), template, narrow.request(method, place)).status == 400


def test_each_response_that_is_described_comes_and_no_other(house):
    walk = Walk()
    http = house.start("--max-body", "100kB", broker=("--store", house.world.directory / "jobs.db"), limits={
        "service_queue": 1, "rejoin_grace": "0s", "service_linger": "0s", "jobs": 1})
    for path in ("/livez", "/readyz", "/openapi.json", "/services"):
        assert walk.note("get", path, http.get(path)).status == 200
    walk_requests(walk, house, http, lambda service: f"/call/{service}")
    walk_requests(walk, house, http, lambda service: begin(walk, http, service))

    place = begin(walk, http, "obey")
    template = "/conversations/{service}/{id}"
    assert walk.note("delete", template, http.request("DELETE", place)).status == 204
    assert walk.note("delete", template, http.request("DELETE", place)).status == 410
    assert send(walk, http, place).status == 410
    assert walk.note("delete", template, http.request("DELETE", place[:-1])).status == 404
    assert walk.note("post", "/conversations/{service}",
                     http.request("POST", "/conversations/%0a", b"")).status == 404
    evil = [("Origin", "http://evil.example")]
    for path in ("/services", "/openapi.json"):
        assert walk.note("get", path, http.request("GET", path, None, evil)).status == 403
    assert walk.note("delete", template, http.request("DELETE", place, None, evil)).status == 403
    assert walk.note("post", "/conversations/{service}",
                     http.request("POST", "/conversations/a", b"", evil)).status == 403
    assert walk.note("post", "/conversations/{service}",
                     http.request("POST", "/conversations/a", b"x" * 100001)).status == 413

    walk_jobs(walk, house, http, house.gateway(server=house.world.broker().endpoint))

    narrow = house.gateway("--conversations", "1")
    begin(walk, narrow, "a")
    assert walk.note("post", "/conversations/{service}",
                     narrow.request("POST", "/conversations/a", b"")).status == 429

    result = house.world.run(CLI, "keys", "token", "--principal", "ada", "--role", "call", "--into",
                             house.world.directory)
    assert result.code == 0
    closed = house.gateway("--tokens", house.world.directory / "tokens")
    for path in ("/services", "/openapi.json"):
        assert walk.note("get", path, closed.get(path)).status == 401
    for method, path, template in (("POST", "/call/a", "/call/{service}"),
                                   ("POST", "/conversations/a", "/conversations/{service}"),
                                   ("POST", "/jobs/a", "/jobs/{name}"),
                                   ("GET", "/jobs/1", "/jobs/{name}"),
                                   ("DELETE", "/jobs/1", "/jobs/{name}"),
                                   ("POST", place, "/conversations/{service}/{id}"),
                                   ("DELETE", place, "/conversations/{service}/{id}")):
        assert walk.note(method.lower(), template, closed.request(method, path)).status == 401

    endings(walk, house, http)
    assert walk.seen == described()


def endings(walk, house, http):
    """The responses without a broker, and while the gateway drains."""
    impatient = house.gateway("--timeout", "500ms")
    gate = house.world.gate()
    house.broker.freeze()
    assert walk.note("get", "/services", impatient.get("/services")).status == 502
    for method, place in JOBS:
        assert walk.note(method.lower(), "/jobs/{name}", impatient.request(method, place)).status == 502
    house.broker.thaw()
    until(lambda: impatient.get("/services").status == 200, 60, "it answers again")
    house.world.worker(house.broker, "held", *gate.command)  # only now: the others may have lost the broker
    with http.connect() as running, http.connect() as resting:
        resting.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").read()
        running.call("held", b"", "Riposte-Timeout: 60s")
        house.running(1)
        http.terminate()
        http.wait_for("draining: ")
        answer = resting.send("POST /conversations/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").read()
        assert walk.note("post", "/conversations/{service}", answer).status == 503
        gate.open()
        assert running.read().status == 200
    house.broker.kill()
    until(lambda: walk.note("get", "/readyz", impatient.get("/readyz")).status == 503, 10, "it has no broker")
    assert walk.note("get", "/services", impatient.get("/services")).status == 503
    for method, place in JOBS:
        assert walk.note(method.lower(), "/jobs/{name}", impatient.request(method, place)).status == 503


def test_the_document_is_what_is_served_and_of_this_version(house):
    http = house.start()
    assert json.loads(http.get("/openapi.json").body) == DOCUMENT
    version = house.world.run(CLI, "--version").out.decode().split()[1]
    assert DOCUMENT["info"]["version"] == version
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_each_reference_leads_to_something_and_each_part_is_used():
    text = json.dumps(DOCUMENT)
    used = set(re.findall(r'"\$ref": "#/components/([^"]+)"', text))
    there = {f"{kind}/{name}" for kind, items in DOCUMENT["components"].items() for name in items
             if kind != "securitySchemes"}
    assert used == there
    names = [item[method]["operationId"] for item in DOCUMENT["paths"].values() for method in METHODS
             if method in item]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", sorted(DOCUMENT["paths"]))
def test_each_parameter_of_a_path_is_described(path):
    item = DOCUMENT["paths"][path]
    for method in METHODS:
        if method in item:
            parameters = [resolve(one) for one in item.get("parameters", []) + item[method].get("parameters", [])]
            assert {one["name"] for one in parameters if one["in"] == "path"} == set(re.findall(r"{(\w+)}", path))
