# SPDX-License-Identifier: MPL-2.0
"""Titanic (9/TSP) over the broker's store: clients and workers of Majordomo, which know nothing of jobs, and the
four faults of earlier Titanics as statements that do not hold: a UUID that is not one, long work that runs more
than once, a reply that says 200 before the request is on disk, a slow service that stops the others."""

import re
import time

import pytest

from stage import MDP_CLIENTS, STREAMING
from support import peer as native
from support.waiting import until

SERVICES = (b"titanic.request", b"titanic.reply", b"titanic.close")
UNKNOWN = (b"400", b"APP_ERROR", b"there is no such job")


class Titanic:
    """A client as 9/TSP has it: a status in the first frame, and nothing of its text is significant."""

    def __init__(self, client):
        self.call = lambda *frames: client.call(*frames).body

    def request(self, service, *body):
        """Returns the UUID."""
        status, uuid = self.call(b"titanic.request", service, *body)
        assert status == b"200" and re.fullmatch(b"[0-9A-F]{32}", uuid), (status, uuid)
        return uuid

    def reply(self, uuid):
        return self.call(b"titanic.reply", uuid)

    def close(self, uuid):
        status, = self.call(b"titanic.close", uuid)
        return status

    def result(self, uuid, step=lambda: None):
        """Asks until there is a reply, as the guide's ticlient does but for its pauses."""
        def answer():
            step()
            said = self.reply(uuid)
            return said if said != (b"300",) else None
        return until(answer, 10, "there is a reply")


def _broker(stage, **more):
    store = stage.directory / "jobs.db"
    return stage.interop_broker("--store", store, **more)


def _again(stage, broker):
    """Kills the broker, and starts another one at the same endpoint with the same store."""
    broker.kill()
    return stage.restart(broker, "--store", stage.directory / "jobs.db")


def _titanic(stage, broker, protocol="req-mdp01"):
    return Titanic(stage.client(broker, protocol))


def _echo(stage, broker, service):
    return stage.builtin(broker, "echo", service=service.decode())


def test_a_client_of_each_protocol_does_as_the_guides_client_does(stage):
    broker = _broker(stage)
    worker = stage.offer(broker, "mdp01", b"echo")
    for protocol in MDP_CLIENTS:
        titanic = _titanic(stage, broker, protocol)
        for body in ((b"Hello world",), (b"",), (b"", b"a", b""), (bytes(range(256)) * 100, b"b")):
            uuid = titanic.request(b"echo", *body)
            assert worker.serve() == [body]
            assert titanic.result(uuid) == (b"200", *body), protocol
            assert titanic.reply(uuid) == (b"200", *body), "as often as one likes"
            assert titanic.reply(uuid.lower()) == (b"200", *body)
            assert [titanic.close(uuid), titanic.close(uuid)] == [b"200", b"200"], "known or not"
            assert titanic.reply(uuid) == UNKNOWN
    status = stage.status(broker)
    assert status["gauges"]["open_bytes"] == 0 and stage.cli(broker, "jobs", "-q").out == b""


def test_without_a_body_a_worker_gets_an_empty_frame(stage):
    broker = _broker(stage)
    worker = stage.offer(broker, "mdp02", b"echo")
    titanic = _titanic(stage, broker)
    uuid = titanic.request(b"echo")
    assert worker.serve() == [(b"",)]
    assert titanic.result(uuid) == (b"200", b"")


def _answer_in_parts(worker):
    job = worker.job()
    worker.partial(job, b"one")
    worker.partial(job, b"two")
    worker.answer(job, b"three")


@pytest.mark.parametrize("protocol", STREAMING)
def test_a_reply_in_parts_is_one_result(stage, protocol):
    broker = _broker(stage)
    worker = stage.offer(broker, protocol, b"echo")
    titanic = _titanic(stage, broker)
    uuid = titanic.request(b"echo", b"x")
    _answer_in_parts(worker)
    assert titanic.result(uuid, worker.step) == (b"200", b"one", b"two", b"three")


@pytest.mark.parametrize("protocol", STREAMING)
def test_a_reply_in_parts_is_remembered_by_a_key(stage, protocol):
    broker = _broker(stage)
    worker = stage.offer(broker, protocol, b"echo")
    key = native.pack_headers([(b"idempotency-key", b"k")])
    with native.Peer(broker.endpoint) as client:
        client.hello()
        client.request(b"echo", b"x", flags=native.KEYED, headers=key)
        _answer_in_parts(worker)
        first = client.expect(native.REPLY)
        again = client.call(b"echo", b"x", flags=native.KEYED, headers=key)
    assert [(reply.status_name(), reply.body) for reply in (first, again)] == 2 * [("OK", b"onetwothree")]
    assert again.flags & native.REPLAYED


# ---- The four faults -----------------------------------------------------------------------------


def test_what_is_no_uuid_or_anothers_is_unknown(stage):
    broker = _broker(stage)
    titanic = _titanic(stage, broker)
    uuid = titanic.request(b"nobody", b"x")
    guesses = [b"", b"x", b"../../etc/passwd", b"%s" * 16, b"G" * 32, b"F" * 32, b"\0" * 32, bytes(40000),
               b"0" * 32, b"0" * 31 + b"1",
               uuid[:31], uuid + b"0", b"1" + uuid[1:], uuid[:31] + (b"0" if uuid[31:] != b"0" else b"1")]
    for guess in guesses:
        assert titanic.reply(guess)[0] == b"400", guess
        assert titanic.close(guess) == b"200", guess
    assert titanic.reply(uuid) == (b"300",), "closing a guess has closed nothing"


def test_long_work_runs_once_however_often_one_asks(stage):
    """The work takes longer than clients of the guide wait for one reply; `foreign_deadline`, which ends ordinary
    requests, does not end this one."""
    broker = _broker(stage, foreign_deadline="200ms")
    worker = stage.offer(broker, "mdp01", b"long")
    titanic = _titanic(stage, broker)
    uuid = titanic.request(b"long", b"x")
    work = worker.job()
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        assert titanic.reply(uuid) == (b"300",)
    worker.answer(work, b"done")
    assert titanic.result(uuid) == (b"200", b"done")
    assert stage.status(broker)["counters"]["deliveries"] == 1


def test_a_request_that_was_told_200_outlives_the_broker(stage):
    broker = _broker(stage)
    titanic = _titanic(stage, broker)
    uuids = [titanic.request(b"echo", b"%d" % number) for number in range(20)]
    broker = _again(stage, broker)  # at once after the last 200
    assert {titanic.reply(uuid) for uuid in uuids} == {(b"300",)}
    _echo(stage, broker, b"echo")
    results = [(b"200", b"%d" % number) for number in range(20)]
    assert [titanic.result(uuid) for uuid in uuids] == results
    assert titanic.close(uuids[0]) == b"200"
    _again(stage, broker)
    assert [titanic.reply(uuid) for uuid in uuids] == [UNKNOWN, *results[1:]]


def test_a_slow_service_stops_no_other(stage):
    broker = _broker(stage)
    slow = stage.offer(broker, "mdp01", b"slow")
    titanic = _titanic(stage, broker)
    waiting = [titanic.request(b"slow", b"%d" % number) for number in range(20)]
    work = slow.job()
    _echo(stage, broker, b"fast")
    assert titanic.result(titanic.request(b"fast", b"x")) == (b"200", b"x")
    assert {titanic.reply(uuid) for uuid in waiting} == {(b"300",)}
    slow.answer(work, b"0")
    assert slow.serve(19) == [(b"%d" % number,) for number in range(1, 20)]
    assert [titanic.result(uuid) for uuid in waiting] == [(b"200", b"%d" % number) for number in range(20)]


# ---- What goes wrong -----------------------------------------------------------------------------


def test_a_worker_that_is_killed_leaves_the_work_to_another(stage):
    broker = _broker(stage)
    first = stage.process(broker, "hold", "mdp01", b"svc")
    titanic = _titanic(stage, broker)
    uuid = titanic.request(b"svc", b"x")
    first.wait_for("took")
    first.kill()
    _echo(stage, broker, b"svc")
    assert titanic.result(uuid) == (b"200", b"x")


def test_work_that_kills_every_worker_ends_with_500_and_stays_for_the_operator(stage):
    broker = _broker(stage, foreign_attempts=1)
    worker = stage.process(broker, "hold", "mdp01", b"svc")
    titanic = _titanic(stage, broker)
    uuid = titanic.request(b"svc", b"x")
    worker.wait_for("took")
    worker.kill()
    status, name, text = titanic.result(uuid)
    assert (status, name) == (b"500", b"WORKER_LOST") and b" " in text
    assert titanic.close(uuid) == b"200"
    dead = stage.cli(broker, "dead", "list", "-o", "json").json()["jobs"]
    assert [job["service"] for job in dead] == ["svc"]


def test_an_error_of_a_workers_own_is_500_with_what_it_said(stage):
    broker = _broker(stage)
    stage.worker(broker, "fails", "sh", "-c", "echo no such thing >&2; exit 3")
    titanic = _titanic(stage, broker)
    said = titanic.result(titanic.request(b"fails", b"x"))
    assert said[:2] == (b"500", b"APP_ERROR") and b"no such thing" in b" ".join(said[2:])


@pytest.mark.parametrize("runs", [False, True])
def test_an_open_request_that_is_closed_is_withdrawn(stage, runs):
    broker = _broker(stage)
    titanic = _titanic(stage, broker)
    worker = stage.offer(broker, "mdp01", b"svc") if runs else None
    uuid = titanic.request(b"svc", b"x")
    if runs:
        worker.job()
    assert titanic.close(uuid) == b"200"
    assert titanic.reply(uuid) == UNKNOWN
    assert stage.cli(broker, "jobs", "-q").out == b""


def test_a_request_without_a_service_is_refused_for_good(stage):
    broker = _broker(stage)
    titanic = _titanic(stage, broker)
    for frames in ((b"",), (b"", b"x"), (b"a\nb", b"x"), (b"s" * 128, b"x"), (b"mmi.service", b"x"),
                   (b"riposte.reload",), *((name, b"x") for name in SERVICES)):
        status, name, text = titanic.call(b"titanic.request", *frames)
        assert (status, name) == (b"400", b"INVALID") and b"name of a service" in text, frames
    assert stage.cli(broker, "jobs", "-q").out == b""


@pytest.mark.parametrize("errors", [0, 1])
def test_without_room_there_is_a_500_and_nothing_is_counted_as_untold(stage, errors):
    broker = _broker(stage, jobs=1, max_body="1KiB", foreign_errors=errors)
    titanic = _titanic(stage, broker)
    first = titanic.request(b"svc", b"x")
    for _ in range(2):
        status, name, text = titanic.call(b"titanic.request", b"svc", b"y")
        assert (status, name) == (b"500", b"BUSY") and b"limit jobs" in text
    assert titanic.close(first) == b"200"
    titanic.request(b"svc", b"y")
    assert titanic.call(b"titanic.request", b"svc", bytes(2000))[:2] == (b"400", b"TOO_LARGE")
    assert not any(stage.status(broker)["unanswered"].values()) and "is not told" not in broker.log()


def test_rules_are_asked_for_the_service_that_does_the_work(stage):
    rules = stage.directory / "rules"
    rules.write_text("principal = anonymous\n    call = echo\n    serve = *\n", encoding="utf-8")
    broker = stage.interop_broker("--store", stage.directory / "jobs.db", "--rules", rules)
    worker = stage.unready(broker, "mdp01")
    worker.ready(b"echo")
    titanic = _titanic(stage, broker)
    uuid = titanic.request(b"echo", b"x")
    assert worker.serve() == [(b"x",)]
    assert titanic.result(uuid) == (b"200", b"x")
    status, name, _ = titanic.call(b"titanic.request", b"secret", b"x")
    assert (status, name) == (b"400", b"DENIED")


# ---- Whose the names are -------------------------------------------------------------------------


def test_with_a_store_the_names_are_the_brokers(stage):
    broker = _broker(stage)
    client = stage.client(broker, "req-mdp01")
    for name in SERVICES:
        assert client.call(b"mmi.service", name).body == (b"200",)
        worker = stage.unready(broker, "mdp01")
        worker.ready(name)
        assert worker.hears("DISCONNECT")
        with native.Peer(broker.endpoint) as other:
            other.send(native.head(native.HELLO, flags=native.WORKER, name=name, value=1, time=10000))
            bye = other.receive()
            assert bye.command == native.BYE and b"run no Titanic beside it" in bye.text
    with native.Peer(broker.endpoint) as other:
        other.hello(heartbeat_ms=60000)
        reply = other.call(b"titanic.request", b"x")
        assert reply.status_name() == "INVALID" and b"for clients of Majordomo" in reply.text
        reply = other.call(b"titanic.request", b"x", flags=native.DURABLE)
        assert reply.status_name() == "INVALID"


def test_without_a_store_a_titanic_of_workers_is_served_as_ever(stage):
    broker = stage.interop_broker()
    client = stage.client(broker, "req-mdp01")
    assert client.call(b"mmi.service", b"titanic.request").body == (b"404",)
    worker = stage.offer(broker, "mdp01", b"titanic.request")
    assert client.call(b"mmi.service", b"titanic.request").body == (b"200",)
    client.request(b"titanic.request", b"echo", b"x")
    assert worker.serve(answer=lambda body: (b"200", b"uuid")) == [(b"echo", b"x")]
    assert client.reply().body == (b"200", b"uuid")
