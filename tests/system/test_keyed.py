# SPDX-License-Identifier: MPL-2.0
"""Ordinary requests with an idempotency key: one execution, and one result for all who ask."""

import pytest

from support.peer import (
    BYE, CANCEL, KEYED, REPLAYED, REPLY, REQUEST, WORKER_LOST, head, pack_headers)
from support.programs import SLOW
from support.waiting import until


class Service:
    """Workers of "slow", which answer with a number of their own and their input, while the gate is open."""

    def __init__(self, world, broker):
        self.world, self.broker = world, broker
        self._runs, self._gate = world.directory / "runs", world.directory / "gate"
        program = world.script(f"echo run >> {self._runs}\n"
                               f"while test ! -e {self._gate}; do sleep 0.02; done\necho $$\ncat\n")
        self.worker = world.worker(broker, "slow", program, options=("--slots", "4"))
        self.program = program

    def open(self):
        self._gate.touch()

    def runs(self):
        return len(self._runs.read_text().split()) if self._runs.exists() else 0

    def _arguments(self, body, options, key):
        return ("call", "slow", body, "--key", key, "--timeout", "20s", *options)

    def call(self, body="x", *options, key="k"):
        return self.world.cli(self.broker, *self._arguments(body, options, key))

    def begin(self, body="x", *options, key="k"):
        """Starts a call, and waits until the broker has it."""
        before = self._asked()
        call = self.world.start_cli(self.broker, *self._arguments(body, options, key))
        until(lambda: self._asked() > before, 5, "it waits", call)
        return call

    def _asked(self):
        return self.world.status(self.broker)["counters"]["keyed_requests"]

    def figures(self):
        return self.world.status(self.broker)["replays"]


@pytest.fixture(name="slow")
def _slow(world):
    return Service(world, world.broker())


# ---- One result -----------------------------------------------------------------------------------


def test_asked_again_the_reply_is_the_same_and_said_to_be(world, slow):
    slow.open()
    first = slow.call("hello", "-v")
    again = slow.call("hello", "-v")
    assert first.code == again.code == 0 and first.out == again.out and first.out.endswith(b"hello")
    assert slow.runs() == 1
    number = first.err.decode().split("execution keyed/")[1].split()[0]
    assert f"execution keyed/{number} (of an earlier request)" in again.err.decode()
    assert world.cli(slow.broker, "trace", f"keyed/{number}").code == 0
    assert [slow.call("hello", "-o", "json", key=key).json()["replayed"] for key in ("k", "other")] == [True, False]
    figures = slow.figures()
    assert (figures["executed"], figures["replayed"], figures["results"], figures["running"]) == (2, 2, 2, 0)


def test_two_at_once_share_one_execution(world, slow):
    calls = [slow.begin(), slow.begin()]
    slow.open()
    results = [world.finish(call) for call in calls]
    assert [result.code for result in results] == [0, 0] and results[0].out == results[1].out
    assert slow.runs() == 1


def test_with_another_body_it_is_refused_and_never_run(slow):
    slow.open()
    assert slow.call("one").code == 0
    other = slow.call("two")
    assert (other.code, other.out) == (2, b"")
    assert "belongs to a request with another body" in other.error() and "another key" in other.error()
    assert slow.runs() == 1


def test_each_of_many_has_a_key_of_its_own(world, slow):
    slow.open()
    first = world.cli(slow.broker, "call", "slow", "--lines", "--key", "batch", stdin=b"a\nb\nc\n")
    again = world.cli(slow.broker, "call", "slow", "--lines", "--key", "batch", stdin=b"a\nb\nc\n")
    assert first.code == 0 and sorted(first.out.splitlines()) == sorted(again.out.splitlines())
    assert slow.runs() == 3
    key = "k" * 128
    assert world.cli(slow.broker, "call", "slow", "x", "--key", key).code == 2
    assert world.cli(slow.broker, "call", "slow", "x", "--key", "").code == 2


# ---- Losses ---------------------------------------------------------------------------------------


def test_whoever_is_killed_takes_nothing_from_another_and_may_ask_again(world, slow):
    first, second = slow.begin(), slow.begin()
    first.kill()
    second.kill()
    slow.open()
    until(lambda: slow.figures()["results"] == 1, 5, "the result is there")
    assert slow.call().code == 0
    assert slow.runs() == 1


def test_an_interrupt_withdraws_one_and_not_the_other(world, slow):
    first, second = slow.begin(), slow.begin()
    first.interrupt()
    assert world.finish(first).code == 130
    slow.open()
    assert world.finish(second).code == 0
    assert slow.runs() == 1


def test_a_deadline_is_that_of_one(world, slow):
    hasty = slow.begin("x", "--timeout", f"{3 * SLOW}s")  # it is not over before the other has begun
    patient = slow.begin()
    assert world.finish(hasty).code == 5
    slow.open()
    assert world.finish(patient).code == 0
    assert slow.runs() == 1


def test_a_lost_worker_is_told_to_both_and_the_next_request_runs_anew(world, slow):
    calls = [slow.begin(), slow.begin()]
    until(lambda: slow.runs() == 1, 5, "it runs")
    slow.worker.kill()
    assert [world.finish(call).code for call in calls] == [9, 9]
    slow.open()
    world.worker(slow.broker, "slow", slow.program)
    assert slow.call().code == 0
    assert slow.runs() == 2


def test_with_attempts_another_worker_answers_both(world, slow):
    calls = [slow.begin("x", "--attempts", "2"), slow.begin()]
    until(lambda: slow.runs() == 1, 5, "it runs")
    world.worker(slow.broker, "slow", slow.program)
    slow.worker.kill()
    slow.open()
    results = [world.finish(call) for call in calls]
    assert [result.code for result in results] == [0, 0] and results[0].out == results[1].out
    assert slow.runs() == 2


def test_the_memory_ends_with_the_broker(world, slow):
    slow.open()
    assert slow.call().code == 0
    slow.broker.kill()
    slow.broker = world.restart(slow.broker)
    world.wait_for_worker(slow.broker, slow.worker, "slow", within=10)
    assert slow.call().code == 0
    assert slow.runs() == 2


def test_a_broker_that_drains_answers_those_who_wait(world, slow):
    calls = [slow.begin(), slow.begin()]
    slow.broker.terminate()
    slow.broker.wait_for("draining")
    slow.open()
    assert [world.finish(call).code for call in calls] == [0, 0]


def test_at_the_drain_limit_each_who_waits_is_told(world):
    slow = Service(world, world.broker(limits={"drain_limit": "300ms"}))
    calls = [slow.begin(), slow.begin()]
    slow.broker.terminate()
    assert [world.finish(call).code for call in calls] == [9, 9]


def test_a_broker_that_remembers_nothing_is_asked_for_nothing(world):
    slow = Service(world, world.broker(limits={"replay_bytes": "0"}))
    slow.open()
    refused = slow.call()
    assert refused.code == 2 and "remembers no results by their keys" in refused.error()
    assert slow.runs() == 0
    assert world.status(slow.broker)["replays"] is None


# ---- The protocol ---------------------------------------------------------------------------------


def _keyed(client, body=b"x", key=b"k", **fields):
    return client.request(b"upper", body, flags=KEYED, headers=pack_headers([(b"idempotency-key", key)]), **fields)


def test_what_a_peer_sees(world):
    broker = world.broker()
    with world.peer(broker) as worker, world.peer(broker) as client, world.peer(broker) as other:
        worker.register(b"upper", window=4)
        assert (b"replays", b"1") in client.hello().headers
        other.hello()
        first = _keyed(client)
        request = worker.expect(REQUEST)
        second = _keyed(other)
        until(lambda: world.status(broker)["counters"]["keyed_requests"] == 2, 5, "both wait")
        assert request.flags & KEYED == 0 and request.headers == [(b"idempotency-key", b"k")]
        assert request.time > 86_000_000, "another may come that waits longer"
        worker.reply(request.id, b"X", code=7, headers=pack_headers([(b"a", b"1"), (b"a", b"2")]))
        replies = [client.expect(REPLY), other.expect(REPLY)]
        assert [reply.id for reply in replies] == [first, second]
        assert [reply.flags & REPLAYED for reply in replies] == [0, REPLAYED]
        for field in ("status", "code", "headers", "body", "conversation", "attempt", "time", "value"):
            assert getattr(replies[0], field) == getattr(replies[1], field), field
        assert replies[0].conversation != 0
        _keyed(client, b"y")
        assert client.expect(REPLY).status_name() == "KEY_MISMATCH"
        # One withdraws, and the other still waits.
        third, fourth = _keyed(client, key=b"k2"), _keyed(other, key=b"k2")
        request = worker.expect(REQUEST)
        until(lambda: world.status(broker)["counters"]["keyed_requests"] == 5, 5, "both wait")
        client.send(head(CANCEL, id=third))
        assert client.expect(REPLY).status_name() == "CANCELLED"
        other.send(head(CANCEL, id=fourth))
        assert other.expect(REPLY).status_name() == "CANCELLED"
        assert worker.expect(CANCEL).id == request.id
        client.send(head(CANCEL, id=third))
        until(lambda: world.status(broker)["counters"]["unknown_cancels"] == 1, 5, "it is counted")
        # Two under one id, and a key that is none.
        _keyed(client, key=b"k3", id=9)
        _keyed(client, key=b"k4", id=9)
        assert client.expect(REPLY).status_name() == "INVALID"
        client.request(b"upper", b"x", flags=KEYED)
        assert client.expect(REPLY).status_name() == "INVALID"


def test_what_breaks_the_protocol(world):
    broker = world.broker()
    with world.peer(broker) as worker, world.peer(broker) as client:
        worker.register(b"upper")
        client.hello()
        client.request(b"upper", b"x")
        request = worker.expect(REQUEST)
        worker.reply(request.id, b"X", flags=REPLAYED)
        bye = worker.expect(BYE)
        assert bye.status_name() == "INVALID" and b"REPLAYED" in bye.text
        assert client.expect(REPLY).status == WORKER_LOST
        _keyed(client, conversation=3)
        assert client.expect(BYE).status_name() == "INVALID"
