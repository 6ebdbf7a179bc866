# SPDX-License-Identifier: MPL-2.0
"""Jobs over HTTP: what is sent, asked for and cancelled, with a broker that has a store."""

import datetime
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.programs import CLI, PATIENCE
from support.waiting import until

from house import unread


@pytest.fixture(name="http")
def _http(house):
    return house.start(broker=("--store", house.world.directory / "jobs.db"))


def send(http, service, body=b"x", **headers):
    return http.request("POST", f"/jobs/{service}", body,
                        [(name.replace("_", "-"), value) for name, value in headers.items()])


def accepted(answer):
    """Returns the path of the job."""
    assert answer.status == 202 and answer["Content-Type"] == "application/json", answer
    assert answer["Location"] == f"/jobs/{json.loads(answer.body)['id']}"
    assert answer["Riposte-Status"] is None, "it has not ended"
    return answer["Location"]


def told(answer, status):
    assert (answer.status, answer["Content-Type"]) == (status, "application/json"), answer
    return json.loads(answer.body)


def result(http, place, wait=30):
    return http.get(place, Prefer=f"wait={wait}")


def in_(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).isoformat()


# ---- Sent, and asked for ------------------------------------------------------------------------------------------

def test_a_job_waits_for_its_worker_and_its_final_is_there_for_ever_after(house, http):
    place = accepted(send(http, "upper", b"hello"))
    early = http.get(place)
    job = told(early, 202)
    assert (job["state"], job["service"], early["Retry-After"]) == ("waiting", "upper", "1")
    assert early["Riposte-Job"] is None and early["Preference-Applied"] is None
    house.world.worker(house.broker, "upper", "tr", "a-z", "A-Z")
    for _ in range(2):
        answer = result(http, place)
        assert (answer.status, answer.body, answer["Riposte-Status"]) == (200, b"HELLO", "OK")
        assert answer["Content-Type"] == "application/octet-stream"
        assert (answer["Riposte-Job"], answer["Riposte-Attempts"]) == (place.rsplit("/", 1)[1], "1")
        assert answer["Preference-Applied"] == "wait=30"
    assert http.request("HEAD", place).status == 200


def test_bodies_are_byte_for_byte(house, http):
    house.world.builtin(house.broker, "echo")
    for body in (b"", bytes(range(256)) * 4096):
        assert result(http, accepted(send(http, "echo", body))).body == body


def test_headers_go_to_the_worker(house, http):
    house.world.worker(house.broker, "say", "sh", "-c", 'printf "%s %s" "$RIPOSTE_KEY" "$RIPOSTE_DURABLE"')
    assert result(http, accepted(send(http, "say", Idempotency_Key='"a\\"b"'))).body == b'a"b 1'
    assert http.call("say", Idempotency_Key="order-7").body == b"order-7 0"


def test_the_final_is_that_of_calls(house, http):
    house.world.worker(house.broker, "broken", "sh", "-c", "echo half; exit 7")
    place = accepted(send(http, "broken"))
    answer = result(http, place)
    assert (answer.status, answer.body, answer["Riposte-Code"]) == (422, b"half\n", "7")
    assert answer["Riposte-Status"] == "APP_ERROR" and answer["Riposte-Job"]


def test_what_was_accepted_outlives_broker_and_gateway(house, http):
    place = accepted(send(http, "upper", b"late"))
    http.kill()
    house.broker.kill()
    house.broker = house.world.restart(house.broker, "--store", house.world.directory / "jobs.db")
    house.world.builtin(house.broker, "upper")
    assert result(house.gateway(), place).body == b"LATE"


def test_there_is_no_such_job(http):
    for place in ("/jobs/4711", "/jobs/0", "/jobs/01", "/jobs/x", "/jobs/" + "9" * 20, "/jobs/1/2", "/jobs"):
        for method in ("GET", "DELETE"):
            answer = http.request(method, place)
            assert answer.status == 404 and answer.problem()["title"] == "Not Found", (method, place, answer)
    answer = http.request("PUT", "/jobs/1")
    assert (answer.status, answer["Allow"]) == (405, "GET, POST, DELETE")


# ---- Once ---------------------------------------------------------------------------------------------------------

def test_a_key_makes_one_job_of_several_requests(house, http):
    first = send(http, "upper", b"a", Idempotency_Key='"order 1"')
    place = accepted(first)
    assert first["Idempotency-Replayed"] is None
    again = send(http, "upper", b"a", Idempotency_Key="order 1")  # the same, without quotes
    assert accepted(again) == place and again["Idempotency-Replayed"] == "true"
    assert accepted(send(http, "upper", b"a", Idempotency_Key="order 2")) != place
    other = send(http, "upper", b"b", Idempotency_Key="order 1")
    assert (other.status, other["Riposte-Status"]) == (422, "KEY_MISMATCH")
    assert other.problem()["type"] == "urn:riposte:status:KEY_MISMATCH"


def test_two_keys_are_refused(http):
    with http.connect() as peer:
        peer.send("POST /jobs/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nIdempotency-Key: a\r\n"
                  "Idempotency-Key: b\r\n\r\n")
        answer = peer.read()
    assert (answer.status, "twice" in answer.problem()["detail"]) == (400, True)


# ---- Terms --------------------------------------------------------------------------------------------------------

def test_terms_are_those_of_the_job(http):
    place = accepted(send(http, "nobody", Riposte_Delay="1h", Riposte_Attempts="3", Riposte_Backoff="2s",
                          Riposte_Keep="7d", Riposte_Attempt_Timeout="10s", Riposte_Deadline="3h"))
    job = told(http.get(place), 202)
    assert job["attempts"] == 3
    assert job["due_us"] - job["accepted_us"] == pytest.approx(3600e6, abs=1e6)
    assert job["deadline_us"] - job["accepted_us"] == pytest.approx(3 * 3600e6, abs=60e6)
    job = told(http.get(accepted(send(http, "nobody", Riposte_Not_Before=in_(7200)))), 202)
    assert job["attempts"] == 5, "those of a job, not those of a call"
    assert job["due_us"] - job["accepted_us"] == pytest.approx(7200e6, abs=60e6)


def test_a_job_that_nobody_begins_in_time_is_expired(http):
    place = accepted(send(http, "nobody", Riposte_Deadline=in_(1.0)))
    answer = result(http, place)
    assert (answer.status, answer["Riposte-Status"]) == (504, "EXPIRED")
    assert answer.problem()["riposte_status"] == "EXPIRED" and answer["Riposte-Job"]


@pytest.mark.parametrize("name, value", [
    ("Riposte-Delay", "5"), ("Riposte-Delay", "367d"), ("Riposte-Not-Before", "tomorrow"),
    ("Riposte-Not-Before", "5m"), ("Riposte-Deadline", "2027-02-30T00:00:00Z"), ("Riposte-Deadline", "0s"),
    ("Riposte-Backoff", "6m"), ("Riposte-Backoff", "100d"), ("Riposte-Attempts", "11"), ("Riposte-Keep", "367d"),
    ("Riposte-Attempt-Timeout", "0s"), ("Idempotency-Key", ""), ("Idempotency-Key", '"a'), ("Idempotency-Key", '""'),
    ("Idempotency-Key", "x" * 128), ("Idempotency-Key", "a\tb"), ("Riposte-Timeout", "soon"),
])
def test_a_wrong_term_is_400_and_names_itself(http, name, value):
    answer = http.request("POST", "/jobs/a", b"", [(name, value)])
    assert (answer.status, answer["Riposte-Status"]) == (400, "INVALID"), answer
    assert name in answer.problem()["detail"]


# ---- Waiting ------------------------------------------------------------------------------------------------------

def test_a_wait_ends_with_the_state_and_is_a_minute_at_most(http):
    place = accepted(send(http, "nobody"))
    began = time.monotonic()
    answer = http.get(place, Prefer="respond-async, wait=1")
    assert told(answer, 202)["state"] == "waiting"
    assert answer["Preference-Applied"] == "wait=1" and time.monotonic() - began >= 0.9
    for ignored in ("wait", "wait=soon", "awaits=9", "handling=strict"):
        answer = http.get(place, Prefer=ignored)
        assert answer.status == 202 and answer["Preference-Applied"] is None
    told(http.request("DELETE", place), 200)
    assert http.get(place, Prefer="wait=99999999999")["Preference-Applied"] == "wait=60"


def test_many_wait_at_once_in_one_thread(house, http):
    places = [accepted(send(http, "upper", b"a%d" % number)) for number in range(40)]
    with ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(result, http, place) for place in places]
        house.world.builtin(house.broker, "upper")
        assert [one.result().body for one in waiting] == [b"A%d" % number for number in range(40)]


def wait_on(peer, place):
    return peer.send(f"GET {place} HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n\r\n")


def test_whoever_hangs_up_while_he_waits_leaves_nothing_open(house, http):
    place = accepted(send(http, "nobody"))
    for _ in range(20):
        with http.connect() as peer:
            wait_on(peer, place)
    with http.connect() as peer:
        wait_on(peer, place)
        until(lambda: unread(http) == 0, 10, "it is read; not read yet, it would be refused")
        peer.socket.settimeout(10 * PATIENCE)
        peer.socket.shutdown(1)
        assert peer.read().status in (202, 499)
    http.terminate()
    assert http.wait(10) == 0, "it would wait for a minute otherwise"


def test_a_drain_ends_waits_and_not_jobs(house, http):
    place = accepted(send(http, "upper", b"hello"))
    spare = house.gateway()
    with http.connect() as peer:
        wait_on(peer, place)
        until(lambda: unread(http) == 0, 10, "it is read; not read yet, it would be refused")
        http.terminate()
        answer = peer.read()
        assert told(answer, 202)["state"] == "waiting" and answer["Retry-After"] == "1"
    assert http.wait(10) == 0
    house.world.builtin(house.broker, "upper")
    assert result(spare, place).body == b"HELLO"


def test_a_second_signal_ends_it_while_peers_wait(http):
    place = accepted(send(http, "nobody"))
    with http.connect() as peer:
        wait_on(peer, place)
        until(lambda: unread(http) == 0, 10, "it is read")
        http.terminate()
        http.terminate()
        assert http.wait(10) in (0, 130)


# ---- Cancelled ----------------------------------------------------------------------------------------------------

def test_a_job_that_waits_is_cancelled(http):
    place = accepted(send(http, "nobody"))
    for _ in range(2):  # the second changes nothing
        job = told(http.request("DELETE", place), 200)
        assert job["status"] == "CANCELLED"
    answer = http.get(place)
    assert (answer.status, answer["Riposte-Status"], bool(answer["Riposte-Job"])) == (499, "CANCELLED", True)


def test_a_job_that_has_ended_is_left_as_it_is(house, http):
    house.world.builtin(house.broker, "upper")
    place = accepted(send(http, "upper", b"a"))
    assert result(http, place).body == b"A"
    assert told(http.request("DELETE", place), 200)["status"] == "OK"
    assert result(http, place).body == b"A"


# ---- Who may, and who cannot --------------------------------------------------------------------------------------

def test_a_broker_without_a_store_keeps_no_jobs(house):
    http = house.start()
    for method, place in (("POST", "/jobs/a"), ("GET", "/jobs/1"), ("DELETE", "/jobs/1")):
        answer = http.request(method, place)
        assert (answer.status, answer["Riposte-Status"]) == (400, "INVALID"), answer
        assert "--store" in answer.problem()["detail"]


def test_too_many_jobs_are_429(house):
    http = house.start(broker=("--store", house.world.directory / "jobs.db"), limits={"jobs": 1})
    accepted(send(http, "nobody"))
    answer = send(http, "nobody")
    assert (answer.status, answer["Riposte-Status"], answer["Retry-After"]) == (429, "BUSY", "1")


def test_tokens_and_names_are_as_for_calls(house, http):
    for name in ("riposte.status", "mmi.service"):
        answer = send(http, name)
        assert (answer.status, answer["Riposte-Status"]) == (403, "DENIED")
    house.world.run(CLI, "keys", "token", "--principal", "ada", "--role", "call", "--into", house.world.directory)
    closed = house.gateway("--tokens", house.world.directory / "tokens")
    for method, place in (("POST", "/jobs/a"), ("GET", "/jobs/1"), ("DELETE", "/jobs/1")):
        assert closed.request(method, place).status == 401
        assert http.request(method, place, None, [("Origin", "http://evil.example")]).status == 403


def test_a_rule_of_the_broker_is_403(house):
    rules = house.world.directory / "rules"
    rules.write_text('principal = "anonymous"\n    call = "other"\n    serve = "*"\n')
    http = house.start(broker=("--store", house.world.directory / "jobs.db", "--rules", rules))
    refused, sent = send(http, "upper"), send(http, "other")
    assert (refused.status, sent.status) == (403, 202)
    assert http.get(sent["Location"]).status == 202, "its own"


def test_a_body_over_the_limit_is_413(house):
    http = house.start("--max-body", "100kB", broker=("--store", house.world.directory / "jobs.db"))
    assert send(http, "a", b"x" * 100001).status == 413
    accepted(send(http, "a", b"x" * 100000))
    until(lambda: http.get("/readyz").status == 200)
