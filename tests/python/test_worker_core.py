# SPDX-License-Identifier: MPL-2.0
"""The worker's rules without a socket."""

import pytest

from riposte import _wire as wire
from riposte._status import Status
from riposte._worker_core import WorkerCore, clean_text

from peers import Puppet


class Worker(Puppet):
    def __init__(self, slots=2, endpoints=("tcp://127.0.0.1:5555",)):
        super().__init__(lambda now: WorkerCore(endpoints, "echo", slots, "me", lambda: 1.0, now))

    def request(self, token, **fields):
        """A request comes; returns its task."""
        self.say(wire.REQUEST, id=token, **{"time": 5000, "attempt": 1, "attempts": 1, "name": b"echo", **fields})
        assert self.others[-1][0] == "begin"
        return self.others[-1][1]

    def answer(self, task, status=Status.OK, body=b"", **options):
        self.core.answer(task, status, body, now=self.now, **options)

    def kinds(self):
        return [kind for kind, _ in self.others if kind != "begin"]


NAME = "srv:_riposte._tcp.example.org"
A, B, C = ("tcp://10.0.0.1:1", "tcp://10.0.0.2:1", "tcp://10.0.0.3:1")


class Found(Worker):
    """A worker that is registered with A and B, which a name of SRV records names."""

    def __init__(self):
        super().__init__(endpoints=(NAME,))
        self.numbers = {}
        self.wait(0.01)
        self.find(A, B)
        for place in (A, B):
            self.stand(place)

    def find(self, *places):
        """It looks the name up, and finds these."""
        assert self.others == [("resolve", NAME)]
        self.others.clear()
        self.core.resolved(NAME, places, "" if places else "there is no such name", self.now)
        self.look()
        self.numbers.update({address: number for number, address in self.connects})

    def stand(self, place):
        self.core.connected(self.numbers[place], self.now)
        self.say(wire.WELCOME, number=self.numbers[place], time=60000, value=2)

    def fail(self, place):
        self.lose(self.numbers[place])
        self.connects.clear()


def test_every_broker_of_SRV_records_is_registered_with_and_one_that_is_added_within_ten_seconds():
    worker = Found()
    assert [address for _, address in worker.connects] == [A, B]
    worker.connects.clear()
    worker.wait(8.9)
    assert worker.others == []
    worker.wait(1.2)
    worker.find(C, B)
    assert [address for _, address in worker.connects] == [C] and not worker.closed


def test_one_whose_record_is_gone_is_kept_while_it_stands_and_not_come_back_to():
    worker = Found()
    worker.wait(10.1)
    worker.find(B)
    assert not worker.closed
    worker.fail(A)
    worker.wait(1.1)
    worker.find(B)
    worker.connects.clear()
    worker.wait(5)
    assert not worker.connects and worker.core.trouble == ""


def test_a_broker_that_is_lost_has_the_records_looked_up():
    worker = Found()
    worker.fail(A)
    worker.wait(0.5)
    assert worker.others == []
    worker.wait(0.6)
    worker.find(C, B)
    assert [address for _, address in worker.connects][-1] == C


@pytest.mark.parametrize("silent", (False, True))
def test_a_broker_whose_host_does_not_resolve_has_the_records_looked_up(silent):
    host = "tcp://b1.example.org:1"
    worker = Worker(endpoints=(NAME,))
    worker.wait(0.01)
    worker.core.resolved(NAME, (host,), "", worker.now)
    worker.wait(0.1)
    if not silent:
        worker.core.resolved(host, (), "it does not resolve", worker.now)
    worker.wait(3.1 if silent else 1.1)
    assert worker.others.count(("resolve", NAME)) == 2


def test_a_name_without_records_is_told_and_looked_up_again():
    worker = Worker(endpoints=(NAME,))
    worker.wait(0.01)
    worker.core.resolved(NAME, (), "there is no such name", worker.now)
    assert worker.core.trouble == f"{NAME}: there is no such name"
    worker.wait(0.1)
    assert worker.others == [("resolve", NAME)] * 2
    worker.core.drain(worker.now)
    worker.look()
    assert worker.others[-1] == ("stopped", None)


def test_it_is_refused_only_by_all_brokers_of_the_records():
    worker = Found()
    for place in (A, B):
        assert not worker.core.stopped
        worker.say(wire.BYE, number=worker.numbers[place], status=Status.DENIED, text=b"no rule")
    assert worker.core.stopped and "no rule" in worker.others[-1][1]


def test_it_is_refused_when_the_records_name_only_brokers_that_refused_it():
    worker = Found()
    worker.say(wire.BYE, number=worker.numbers[A], status=Status.DENIED, text=b"no rule")
    worker.fail(B)
    worker.wait(1.1)
    worker.find(A)
    assert worker.core.stopped and "no rule" in worker.others[-1][1]


def test_a_broker_whose_name_comes_in_other_letters_is_the_same():
    worker = Worker(endpoints=(NAME,))
    worker.wait(0.01)
    worker.core.resolved(NAME, ("tcp://b1.example.org:1", "tcp://B1.example.org:1"), "", worker.now)
    worker.core.resolved(NAME, ("tcp://B1.example.org:1",), "", worker.now)
    worker.look()
    assert worker.others == [("resolve", NAME), ("resolve", "tcp://B1.example.org:1")]


def test_it_states_its_service_and_its_window():
    hello = Worker(slots=7).up()
    assert (hello.name, hello.key, hello.value) == (b"echo", b"me", 7) and hello.flags & wire.WORKER


def test_a_task_is_answered_under_its_token():
    worker = Worker()
    worker.up()
    task = worker.request(9, body=[b"hello"], headers=[("k", "v")], conversation=5)
    assert (task.body, task.headers, task.conversation, task.attempt) == (b"hello", (("k", "v"),), 5, 1)
    worker.answer(task, Status.APP_ERROR, b"why", headers=[("h", "1")], code=7, text="no\nsuch page")
    reply = worker.one(wire.REPLY)
    assert (reply.id, reply.status, reply.code, reply.text, list(reply.body)) == (9, 1, 7, b"no such page", [b"why"])
    assert reply.headers == (("h", "1"),)


def test_a_traced_task_says_who_answered():
    worker = Worker()
    worker.up()
    worker.answer(worker.request(9, flags=wire.TRACE))
    assert worker.one(wire.REPLY).headers == (("worker", "me"),)


def test_a_body_over_the_limit_is_APP_ERROR_that_says_so():
    worker = Worker()
    worker.up()
    worker.answer(worker.request(9), body=b"x" * 1001)
    reply = worker.one(wire.REPLY)
    assert reply.status == Status.APP_ERROR and b"1000" in reply.text and not b"".join(reply.body)


def test_a_cancelled_task_still_owes_its_reply():
    worker = Worker()
    worker.up()
    task = worker.request(9)
    worker.say(wire.CANCEL, id=9)
    worker.say(wire.CANCEL, id=9)
    worker.say(wire.CANCEL, id=10)
    assert task.cancelled and worker.kinds() == ["cancelled"]
    worker.answer(task)
    assert worker.one(wire.REPLY).id == 9


def test_after_a_lost_session_old_answers_are_dropped_and_hold_their_place_until_they_come():
    worker = Worker(slots=2)
    worker.up()
    task = worker.request(9, conversation=5)
    worker.lose()
    assert task.cancelled and worker.kinds() == ["cancelled", "ended"]
    worker.wait(0.01)
    assert worker.up().value == 1
    worker.take()
    again = worker.request(9)  # another broker may draw the same token
    worker.answer(task, body=b"old")
    assert [(message.command, message.value) for message in worker.take()] == [(wire.CREDIT, 2)]
    worker.answer(again, body=b"new")
    assert list(worker.one(wire.REPLY).body) == [b"new"]


def test_a_conversation_ends_by_END_and_by_the_answer_that_says_so_and_once():
    worker = Worker()
    worker.up()
    worker.answer(worker.request(9, conversation=5))
    worker.say(wire.END, conversation=5)
    worker.say(wire.END, conversation=5)
    assert worker.kinds() == ["ended"]
    worker.take()
    worker.answer(worker.request(10, conversation=6), last=True)
    assert worker.one(wire.REPLY).flags & wire.LAST
    worker.say(wire.END, conversation=6)
    assert worker.kinds() == ["ended", "ended"]


def test_a_drain_is_told_and_the_end_is_the_brokers_BYE():
    worker = Worker()
    worker.up()
    task = worker.request(9)
    worker.core.drain(worker.now)
    assert len(worker.take(wire.DRAIN)) == 1 and not worker.core.stopped
    worker.answer(task)
    worker.say(wire.BYE, status=Status.OK)
    assert worker.core.stopped and worker.others[-1] == ("stopped", None)


def test_a_drain_without_a_session_ends_when_nothing_runs_and_does_not_connect_again():
    worker = Worker()
    worker.up()
    task = worker.request(9)
    worker.core.drain(worker.now)
    worker.lose()
    worker.wait(3)
    assert len(worker.connects) == 1 and not worker.core.stopped
    worker.answer(task)
    worker.look()
    assert worker.core.stopped
    idle = Worker()
    idle.core.drain(idle.now)
    idle.look()
    assert idle.core.stopped


def test_a_draining_broker_is_left_at_its_BYE_and_met_again():
    worker = Worker()
    worker.up()
    task = worker.request(9)
    worker.say(wire.DRAIN)
    assert not worker.closed and not task.cancelled
    worker.say(wire.BYE, status=Status.DRAINING)
    worker.wait(0.01)
    assert task.cancelled and worker.closed == [1] and len(worker.connects) == 2


def test_it_serves_every_broker_of_the_list_and_is_refused_only_by_all():
    worker = Worker(endpoints=("tcp://127.0.0.1:1", "tcp://127.0.0.1:2"))
    assert [number for number, _ in worker.connects] == [1, 2]
    for number in (1, 2):
        worker.core.connected(number, worker.now)
    worker.say(wire.BYE, number=1, status=Status.DENIED, text=b"no rule")
    assert not worker.core.stopped
    worker.say(wire.WELCOME, number=2, time=1000, value=2)
    worker.say(wire.BYE, number=2, status=Status.DENIED, text=b"no rule")
    assert worker.core.stopped and "no rule" in worker.others[-1][1]


def test_an_answer_with_headers_that_may_not_travel_is_refused_and_the_task_still_held():
    worker = Worker()
    worker.up()
    task = worker.request(9)
    with pytest.raises(wire.WireError):
        worker.answer(task, headers=[("Bad Name", "x")])
    worker.answer(task)
    assert worker.one(wire.REPLY).id == 9


def test_a_text_is_one_line_that_ends_between_characters():
    assert clean_text("a\nb\tc") == b"a b c"
    assert clean_text("ü" * 600) == "ü".encode() * 512
    assert clean_text("x\udcff") == b"x?"


@pytest.mark.parametrize("slots", [0, 4097])
def test_slots_that_no_broker_takes_are_refused(slots):
    with pytest.raises(ValueError):
        Worker(slots=slots)
