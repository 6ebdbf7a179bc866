# SPDX-License-Identifier: MPL-2.0
"""The client's rules without a socket."""

import random

import pytest

from riposte import _wire as wire
from riposte._client_core import CallState, ClientCore, Terms
from riposte._status import Status

from peers import Puppet


class Client(Puppet):
    def __init__(self, *endpoints):
        super().__init__(lambda now: ClientCore(endpoints or ("tcp://127.0.0.1:5555",), "me", lambda: 1.0, now))

    def call(self, body=b"x", timeout=5.0, conversation=None, **options):
        call = CallState(Terms("echo", **options), body, timeout, self.now, conversation)
        self.core.submit(call, self.now)
        return call

    def reply(self, id, status=Status.OK, **fields):
        self.say(wire.REPLY, id=id, status=status, **{"attempt": 1, **fields})


def status(call):
    return call.reply.status if call.reply else None


def test_it_greets_and_a_call_before_the_session_waits_for_it():
    client = Client()
    call = client.call()
    hello = client.up()
    assert (hello.key, hello.flags, hello.value) == (b"me", wire.BUNDLES, 0)
    request = client.one(wire.REQUEST)
    assert (request.name, list(request.body), request.attempts, request.time) == (b"echo", [b"x"], 1, 5000)
    client.reply(request.id, body=[b"y"], time=2000000, value=1000000)
    assert (status(call), call.reply.body, call.reply.queue_time, call.reply.work_time) == (Status.OK, b"y", 2.0, 1.0)


def test_a_second_reply_to_one_call_and_one_to_none_are_ignored():
    client = Client()
    client.up()
    call = client.call()
    request = client.one(wire.REQUEST)
    client.reply(request.id, body=[b"first"])
    client.reply(request.id, body=[b"second"])
    client.reply(77)
    assert call.reply.body == b"first" and client.core._link.ignored == 2


def test_no_broker_in_time_is_NO_BROKER_at_the_deadline():
    client = Client()
    call = client.call(timeout=1.0)
    client.lose()
    client.wait(0.9)
    assert call.reply is None
    client.wait(0.2)
    assert status(call) == Status.NO_BROKER and not call.reply.may_have_run and "broke" in call.reply.text


def test_a_silent_broker_is_UNKNOWN_a_second_after_the_deadline():
    client = Client()
    client.up()
    call = client.call(timeout=1.0)
    request = client.one(wire.REQUEST)
    for _ in range(19):
        client.say(wire.HEARTBEAT)
        client.wait(0.1)
    assert call.reply is None
    client.wait(0.2)
    assert status(call) == Status.UNKNOWN and call.reply.may_have_run
    assert client.one(wire.CANCEL).id == request.id


def test_a_heartbeat_is_sent_after_an_interval_without_another_message_and_three_of_silence_end_the_session():
    client = Client()
    client.up(interval=1000)
    client.take()
    client.wait(0.95)
    assert not client.take(wire.HEARTBEAT)
    client.wait(0.1)
    assert len(client.take(wire.HEARTBEAT)) == 1
    call = client.call(timeout=60.0)
    client.wait(1.8)
    assert call.reply is None and not client.closed
    client.wait(0.2)
    assert status(call) == Status.UNKNOWN and client.closed == [1]


def test_a_heartbeat_is_answered_where_nothing_was_sent_for_half_an_interval():
    client = Client()
    client.up(interval=1000)
    client.say(wire.HEARTBEAT)
    assert not client.take(wire.HEARTBEAT)
    client.wait(0.6)
    client.say(wire.HEARTBEAT)
    client.say(wire.HEARTBEAT)
    assert len(client.take(wire.HEARTBEAT)) == 1


def test_pauses_between_attempts_to_connect_double_to_two_seconds():
    client = Client()
    times = []
    for _ in range(10):
        before = len(client.connects)
        client.lose()
        begin = client.now
        while len(client.connects) == before:
            client.wait(0.01, 0.01)
        times.append(round(client.now - begin, 2))
    assert times[:6] == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6], abs=0.011)
    assert times[6:] == pytest.approx([2.0] * 4, abs=0.011)


def test_a_lost_call_with_attempts_goes_out_again_with_one_fewer_under_a_new_id():
    client = Client()
    client.up()
    once, again = client.call(), client.call(attempts=3)
    first = client.take(wire.REQUEST)
    client.lose()
    assert status(once) == Status.UNKNOWN and again.reply is None
    client.wait(0.01)
    client.up()
    second = client.one(wire.REQUEST)
    assert second.attempts == 2 and second.id not in [request.id for request in first]
    client.reply(second.id)
    assert status(again) == Status.OK


@pytest.mark.parametrize("answer", [Status.EXPIRED, Status.NO_WORKER, Status.DENIED])
def test_that_a_lost_call_did_not_run_again_does_not_say_that_it_never_ran(answer):
    client = Client()
    client.up()
    call = client.call(attempts=3)
    client.one(wire.REQUEST)
    client.lose()
    client.wait(0.01)
    client.up()
    client.reply(client.one(wire.REQUEST).id, answer, attempt=0)
    assert status(call) == Status.UNKNOWN and call.reply.may_have_run


def test_the_retry_budget_bounds_what_goes_out_again():
    client = Client()
    client.up(window=1000)
    calls = [client.call(attempts=2) for _ in range(100)]
    client.lose()
    # A reserve of ten, and twenty for each hundred that were submitted.
    assert sum(call.reply is None for call in calls) == 30
    assert {status(call) for call in calls} == {None, Status.UNKNOWN}


def test_no_more_are_open_than_the_broker_allows_and_the_rest_follow():
    client = Client()
    client.up(window=2)
    calls = [client.call(body=b"%d" % at) for at in range(3)]
    first = client.take(wire.REQUEST)
    assert [b"".join(request.body) for request in first] == [b"0", b"1"]
    client.reply(first[0].id)
    assert b"".join(client.one(wire.REQUEST).body) == b"2"
    calls.append(client.call(timeout=0.2))
    client.say(wire.HEARTBEAT)
    client.wait(0.3)
    assert status(calls[3]) == Status.EXPIRED


def test_a_call_whose_deadline_has_passed_ends_and_those_behind_it_are_sent():
    client = Client()
    client.up()
    late = client.call(timeout=-1.0)
    behind = client.call()
    client.wait(0.01)
    assert status(late) == Status.EXPIRED and "had passed before" in late.reply.text
    client.reply(client.one(wire.REQUEST).id)
    assert status(behind) == Status.OK


def test_a_call_that_waits_is_sent_when_the_one_before_it_ends_at_its_deadline():
    client = Client()
    client.up(window=1)
    running, before, behind = client.call(), client.call(timeout=0.1), client.call()
    client.wait(0.0995)  # less than a millisecond, the unit of a deadline in a head, is left
    client.reply(client.one(wire.REQUEST).id)
    client.wait(0.01)
    assert (status(running), status(before)) == (Status.OK, Status.EXPIRED)
    client.reply(client.one(wire.REQUEST).id)
    assert status(behind) == Status.OK


def test_a_body_over_the_limit_of_the_broker_is_not_sent():
    client = Client()
    client.up()
    call = client.call(body=b"x" * 1001)
    assert status(call) == Status.TOO_LARGE and not client.take(wire.REQUEST)


def test_cancel_ends_at_once_what_was_not_sent_and_asks_the_broker_otherwise():
    client = Client()
    waiting = client.call()
    client.core.cancel(waiting, client.now)
    assert (status(waiting), waiting.reply.attempt, waiting.reply.may_have_run) == (Status.CANCELLED, 0, False)
    client.up()
    running = client.call()
    request = client.one(wire.REQUEST)
    client.core.cancel(running, client.now)
    assert client.one(wire.CANCEL).id == request.id and running.reply is None
    client.reply(request.id, Status.CANCELLED)
    assert status(running) == Status.CANCELLED and running.reply.may_have_run


def test_a_conversation_is_opened_until_it_was_answered_and_begins_anew_after_CONVERSATION_LOST():
    client = Client()
    client.up()
    talk = client.core.conversation()

    def ask(answer, **fields):
        client.call(conversation=talk)
        request = client.one(wire.REQUEST)
        client.reply(request.id, answer, **fields)
        return bool(request.flags & wire.OPEN), request.conversation
    opened, first = ask(Status.OK)
    assert opened
    assert ask(Status.WORKER_LOST) == (False, first)
    assert ask(Status.CONVERSATION_LOST) == (False, first)
    opened, second = ask(Status.OK, flags=wire.LAST)
    assert opened and second != first
    opened, third = ask(Status.OK)
    assert opened and third != second


def test_a_request_of_an_answered_conversation_is_never_sent_again():
    client = Client()
    client.up()
    talk = client.core.conversation()
    client.call(conversation=talk)
    client.reply(client.one(wire.REQUEST).id)
    call = client.call(conversation=talk, attempts=3)
    client.lose()
    assert status(call) == Status.UNKNOWN


def test_a_broker_that_drains_keeps_what_runs_while_new_calls_go_to_the_next():
    client = Client("tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
    client.up()
    running = client.call()
    request = client.one(wire.REQUEST)
    client.say(wire.DRAIN)
    assert [address for _, address in client.connects] == ["tcp://127.0.0.1:1", "tcp://127.0.0.1:2"]
    later = client.call()
    client.up()
    moved = client.one(wire.REQUEST)
    assert client.closed == []
    client.say(wire.REPLY, number=1, id=request.id, attempt=1)
    client.say(wire.REPLY, number=2, id=moved.id, attempt=1)
    client.wait(1.1)
    assert (status(running), status(later), client.closed) == (Status.OK, Status.OK, [1])


def test_DRAINING_NO_WORKER_and_BUSY_are_asked_of_the_next_broker_and_no_attempt_is_used_up():
    for answer in (Status.DRAINING, Status.NO_WORKER, Status.BUSY):
        client = Client("tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
        client.up()
        if answer == Status.DRAINING:
            client.say(wire.DRAIN)
            client.up()
            call = client.call()
            client.say(wire.REPLY, id=client.one(wire.REQUEST).id, status=answer)
            assert call.reply is None
            continue
        call = client.call()
        client.reply(client.one(wire.REQUEST).id, answer, attempt=0)
        assert call.reply is None
        client.up()
        request = client.one(wire.REQUEST)
        assert request.attempts == 1
        client.reply(request.id, answer, attempt=0)  # each broker is asked once
        assert status(call) == answer


def test_BUSY_with_attempts_left_is_asked_again_after_a_pause():
    client = Client()
    client.up()
    call = client.call(attempts=2)
    client.reply(client.one(wire.REQUEST).id, Status.BUSY, attempt=0)
    assert call.reply is None and not client.take(wire.REQUEST)
    client.wait(0.06)
    request = client.one(wire.REQUEST)
    assert request.attempts == 1
    client.reply(request.id, Status.BUSY, attempt=0)
    assert status(call) == Status.BUSY


def test_what_was_BUSY_twice_and_then_waits_in_vain_is_EXPIRED_and_never_ran():
    client = Client()
    client.up(window=1)
    call = client.call(attempts=3, timeout=5.0)
    client.reply(client.one(wire.REQUEST).id, Status.BUSY, attempt=0)
    client.wait(0.2)
    client.reply(client.one(wire.REQUEST).id, Status.BUSY, attempt=0)
    client.call(timeout=60.0)  # has the window meanwhile
    for _ in range(11):
        client.wait(0.5)
        client.say(wire.HEARTBEAT)
    assert status(call) == Status.EXPIRED and not call.reply.may_have_run


def test_a_job_ends_with_its_number_or_INVALID_where_none_are_kept():
    client = Client()
    client.up()
    call = client.call(durable=True, timeout=5.0)
    request = client.one(wire.REQUEST)
    assert request.flags & wire.DURABLE and request.time == 0
    client.say(wire.ACCEPTED, id=request.id, conversation=17, headers=[("replayed", "1")])
    assert (status(call), call.reply.job, call.reply.replayed) == (Status.OK, 17, True)
    other = Client()
    other.up(headers=())
    assert status(other.call(durable=True)) == Status.INVALID


def test_a_lost_job_is_sent_again_only_with_a_key():
    client = Client()
    client.up()
    without = client.call(durable=True)
    keyed = client.call(durable=True, headers=[("idempotency-key", "k")], attempts=1)
    client.lose()
    assert status(without) == Status.UNKNOWN and keyed.reply is None
    client.wait(0.01)
    client.up()
    assert client.one(wire.REQUEST).flags & wire.DURABLE


def test_a_key_is_sent_only_to_a_broker_that_remembers_results():
    for headers, remembers in ((), False), ((("replays", "1"),), True):
        client = Client()
        client.up(headers=headers)
        call = client.call(key="k1")
        if not remembers:
            assert status(call) == Status.INVALID and not client.take(wire.REQUEST)
            continue
        request = client.one(wire.REQUEST)
        assert request.flags & wire.KEYED and dict(request.headers) == {"idempotency-key": "k1"}
        client.reply(request.id, flags=wire.REPLAYED, body=[b"y"], conversation=9)
        assert (status(call), call.reply.body, call.reply.replayed) == (Status.OK, b"y", True)
    for key in ("", "k" * 128):
        with pytest.raises(ValueError):
            client.call(key=key)


def test_a_priority_is_sent_only_to_a_broker_that_knows_priorities():
    for headers, sent in ((), 0), ((("priorities", "1"),), 9):
        client = Client()
        client.up(headers=headers)
        client.call(priority=8)
        assert client.one(wire.REQUEST).priority == sent
    client.call(priority=4)
    assert client.one(wire.REQUEST).priority == 0, "the default is not stated"
    for priority in (-1, 10):
        with pytest.raises(ValueError):
            client.call(priority=priority)


def test_a_hedge_is_asked_of_a_broker_that_makes_hedges():
    for headers, flags in ((), 0), ((("hedging", "1"),), wire.HEDGE):
        client = Client()
        client.up(headers=headers)
        client.call(attempts=2, hedge="99.9%")
        request = client.one(wire.REQUEST)
        assert request.flags & wire.HEDGE == flags and dict(request.headers)["hedge"] == "99.9%"
    client.call(attempts=2, hedge=0.02)
    assert dict(client.one(wire.REQUEST).headers)["hedge"] == "20"
    for hedge in ("100%", "0%", "1.2345%", "20ms", 0, 86401, float("nan")):
        with pytest.raises(ValueError):
            client.call(attempts=2, hedge=hedge)
    for more in {"attempts": 1}, {"attempts": 2, "key": "k"}:
        with pytest.raises(ValueError):
            client.call(hedge="95%", **more)


def test_a_broker_that_gives_no_request_to_all_workers_is_not_asked():
    for headers in ((), (("all", "1"),)):
        client = Client()
        client.up(headers=headers)
        call = CallState(Terms("a", attempts=3, wait=2.0), b"x", 5.0, client.now)
        call.ask_all()
        client.core.submit(call, client.now)
        if not headers:
            assert call.reply.status == Status.INVALID and "to all workers" in call.reply.text
            continue
        request = client.one(wire.REQUEST)
        assert (request.flags & wire.ALL, request.attempts, request.value) == (wire.ALL, 1, 0)


def test_a_job_states_its_priority_in_a_header():
    client = Client()
    client.up(headers=(("priorities", "1"), ("jobs", "1")))
    client.call(durable=True, priority=0)
    request = client.one(wire.REQUEST)
    assert (request.priority, dict(request.headers)) == (0, {"job-priority": "0"})


def test_BYE_with_DENIED_in_the_greeting_ends_what_waits_and_what_comes():
    client = Client()
    before = client.call()
    client.core.connected(client.number, client.now)
    client.say(wire.BYE, status=Status.DENIED, text=b"no rule")
    after = client.call()
    assert (status(before), status(after)) == (Status.DENIED, Status.DENIED)


def test_a_name_is_looked_up_and_its_addresses_are_tried_in_turn():
    client = Client("tcp://broker.example:5555")
    assert client.others == [("resolve", "tcp://broker.example:5555")] and not client.connects
    client.core.resolved("tcp://broker.example:5555", ["tcp://[::1]:5555", "tcp://127.0.0.1:5555"], "", client.now)
    client.look()
    client.lose()
    assert [address for _, address in client.connects] == ["tcp://[::1]:5555", "tcp://127.0.0.1:5555"]


def test_a_message_that_breaks_the_protocol_is_ignored_and_counted():
    client = Client()
    client.up()
    for frames in ([b"junk"], [b"RB\x01\x00\x00\x00\x00\xff"], [b"RP\x02" + bytes(45)]):
        client.core.receive(client.number, frames, client.now)
    client.say(wire.REQUEST, id=1, name=b"echo")
    assert client.core._link.ignored == 4 and client.core.is_up


def test_an_OK_with_a_number_of_the_application_has_it_and_one_with_a_field_of_requests_is_ignored():
    client = Client()
    client.up()
    call = client.call()
    id = client.one(wire.REQUEST).id
    client.reply(id, attempts=1, body=[b"no"])
    assert call.reply is None and client.core._link.ignored == 1
    client.reply(id, code=7, body=[b"y"])
    assert (status(call), call.reply.code, call.reply.body) == (Status.OK, 7, b"y")


def test_what_follows_BYE_in_its_bundle_is_dropped():
    client = Client()
    client.up(flags=wire.BUNDLES)
    call = client.call()
    reply = wire.Message(wire.REPLY, flags=wire.INLINE, id=client.one(wire.REQUEST).id, attempt=1, body=[b"late"])
    bye = wire.Message(wire.BYE, status=Status.DRAINING)
    client.core.receive(client.number, [wire.bundle([wire.encode(one)[0] for one in (bye, reply)])], client.now)
    assert status(call) == Status.UNKNOWN and client.core._link.ignored == 0


def test_requests_travel_in_bundles_where_both_sides_read_them():
    for flags, sends in ((wire.BUNDLES, 1), (0, 3)):
        client = Client()
        client.up(flags=flags)
        client.take()
        for _ in range(3):
            client.call()
        client.core.flush()
        assert len(client.core.actions) == sends
        assert len(client.take(wire.REQUEST)) == 3


def test_close_says_BYE_and_ends_every_call():
    client = Client()
    client.up()
    calls = [client.call(), client.call()]
    client.core.close(client.now)
    assert [status(call) for call in calls] == [Status.CANCELLED] * 2
    assert len(client.take(wire.BYE)) == 1 and client.closed == [1]


@pytest.mark.parametrize("options", [{"attempts": 0}, {"attempts": 11}, {"headers": [("Bad Name", "x")]}])
def test_what_may_not_travel_is_refused_before_it_is_submitted(options):
    with pytest.raises(ValueError):
        Terms("echo", **options)
    for service in ("", "x" * 128, "two\nlines"):
        with pytest.raises(ValueError):
            Terms(service)


@pytest.mark.parametrize("seconds", [float("inf"), float("-inf"), float("nan"), 86400.001])
def test_times_that_no_head_can_state_are_refused(seconds):
    with pytest.raises(ValueError, match="86400"):
        CallState(Terms("echo"), b"", seconds, 1.0)
    with pytest.raises(ValueError, match="86400"):
        Terms("echo", wait=seconds)
    assert Terms("echo", wait=86400).wait_ms == wire.TIME_MAX_MS


def test_a_head_states_a_day_and_whole_attempts():
    client = Client()
    client.up()
    client.call(timeout=86400, wait=86400)
    request = client.one(wire.REQUEST)
    assert (request.time, request.value) == (86400000, 86400000)
    with pytest.raises(TypeError):
        client.call(attempts=2.5)


def test_clients_that_spread_share_the_brokers_of_a_list_and_the_addresses_of_a_name():
    places = [f"tcp://10.0.0.{number}:1" for number in range(3)]
    chance = random.Random(1)
    for endpoints in (places, ["tcp://brokers:1"]):
        begun = {place: 0 for place in places}
        for _ in range(300):
            core = ClientCore(endpoints, "me", chance.random, 0.0, spread=True)
            core.resolved(endpoints[0], places, "", 0.0)
            begun[core.actions[-1][2]] += 1
        assert all(60 <= count <= 150 for count in begun.values()), begun
