# SPDX-License-Identifier: MPL-2.0
"""What every client library does, whatever its language: docs/CONTRACT.md, seen through a driver. Client and worker of
a test have the same language, but in the last one."""

import os

import pytest

from languages import LANGUAGES, Client, Worker, is_built
from support.programs import PATIENCE
from support.keys import Keys
from support.waiting import until

SOON_MS = 300 * PATIENCE  #: a deadline that passes soon, but not before the request has reached its worker
LONG = "60000"            #: a sleep that nobody waits for
MANY = 100 if os.environ.get("RIPOSTE_LONG") else 10

NEVER_RAN = {"NO_WORKER", "BUSY", "DRAINING", "DENIED", "INVALID", "TOO_LARGE", "EXPIRED", "CONVERSATION_LOST",
             "KEY_MISMATCH", "NO_BROKER"}


def check(answer, status, **members):
    """The status, what follows from it, and more."""
    assert answer["status"] == status, str(answer)
    if status != "CANCELLED":
        assert answer["may_have_run"] == (status not in NEVER_RAN), answer
    for name, value in members.items():
        assert answer.get(name) == value, (name, answer)
    return answer


# ---- Calls ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("body", [b"", b"hello", bytes(range(256)), b"x" * 200000],
                         ids=["empty", "text", "all", "large"])
def test_a_body_and_headers_come_back_as_they_were_sent(stage, body):
    headers = [["trace-id", "00-4bf9"], ["twice", "1"], ["empty", ""], ["place", "Zürich"]]
    check(stage.call("echo", body, headers=headers), "OK", body=body, headers=headers, attempt=1)


def test_many_calls_are_open_at_once_and_each_gets_its_own_reply(stage):
    stage.worker("upper", slots=16)
    numbers = {stage.client.submit("upper", f"call {at}", wait_worker_ms=5000): at for at in range(64)}
    answers = [stage.client.answer(number) for number in numbers]
    got = {answer["n"]: (answer["status"], answer["body"]) for answer in answers}
    # The queue of the broker has room for one, so some may be refused; none may get the reply of another.
    for number, at in numbers.items():
        assert got[number] in (("OK", f"CALL {at}".encode()), ("BUSY", b"")), got[number]
    assert sum(status == "OK" for status, _ in got.values()) >= 16
    assert len({answer["id"] for answer in answers}) == 64


# ---- Statuses ---------------------------------------------------------------------------------------

def test_APP_ERROR_has_the_text_and_the_number_of_the_worker(stage):
    check(stage.call("fail", b"no such page"), "APP_ERROR", text="no such page", code=7, body=b"")


def test_NO_WORKER_where_nobody_offers_the_service(stage):
    check(stage.client.call("nobody", b"x"), "NO_WORKER", attempt=0)


def test_what_the_library_says_of_its_own_ends_is_the_same_in_every_language(world, language):  # noqa: F811
    client = Client(world, language, "tcp://127.0.0.1:1")
    answer = check(client.call("x", timeout_ms=300), "NO_BROKER", attempt=0)
    assert answer["text"] == ("no broker was reached within 300 ms (tcp://127.0.0.1:1: nothing listens there, or it "
                              "cannot be reached); check that riposte-broker runs there, or name another endpoint")
    client.close()


def test_DENIED_for_a_name_of_the_broker(stage):
    check(stage.client.call("riposte.nonsense"), "DENIED", attempt=0)


def test_TOO_LARGE_over_the_limit_of_the_broker_and_the_session_goes_on(stage):
    stage.worker("echo")
    check(stage.client.call("echo", b"x" * ((1 << 20) + 1)), "TOO_LARGE", attempt=0)
    check(stage.client.call("echo", b"x" * 1000), "OK")


def test_CANCELLED_stops_the_handler_and_frees_its_place(stage):
    worker = Worker(stage.world, stage.language, stage.broker, "one-at-a-time", "sleep")
    number = stage.client.submit(worker.service, LONG, timeout_ms=60000)
    worker.wait_for_start()
    assert stage.client.do("cancel", of=number)["status"] == "OK"
    assert check(stage.client.answer(number), "CANCELLED")["attempt"] == 1
    until(lambda: worker.events("cancelled"), 5, "the handler has been stopped", worker.process)
    check(stage.client.call(worker.service, "1"), "OK", body=b"slept 1")


def test_EXPIRED_and_BUSY_behind_a_worker_that_has_no_room_and_DEADLINE_with_it(stage):
    worker = Worker(stage.world, stage.language, stage.broker, "busy", "sleep")
    held = stage.client.submit(worker.service, LONG, timeout_ms=4 * SOON_MS)
    worker.wait_for_start()
    waits = stage.client.submit(worker.service, "1", timeout_ms=SOON_MS)
    stage.world.wait_for_waiting(stage.broker, 1)
    check(stage.client.call(worker.service, "1"), "BUSY", attempt=0)  # the queue has room for one
    check(stage.client.answer(waits), "EXPIRED", attempt=0)
    check(stage.client.answer(held), "DEADLINE", attempt=1)
    until(lambda: worker.events("cancelled"), 5, "the handler has been stopped", worker.process)
    assert len(worker.starts()) == 1


def test_the_highest_priority_goes_first(world, language):  # noqa: F811
    broker = world.broker()
    Worker(world, language, broker, "line", "sleep")
    client = Client(world, language, broker.endpoint)
    held = client.submit("line", LONG, timeout_ms=60000)
    world.wait_for_running(broker, 1)
    # So long that their answers do not come at once.
    low, high = [client.submit("line", "100", timeout_ms=60000, priority=priority) for priority in (3, 7)]
    world.wait_for_waiting(broker, 2)
    assert client.do("cancel", of=held)["status"] == "OK"
    check(client.answer(low), "OK")
    check(client.answer(high), "OK")
    assert [number for number in client.answered() if number in (low, high)] == [high, low]


def test_a_hedge_gets_the_answer_of_the_faster_worker(world, language):  # noqa: F811
    broker = world.broker()
    slow = Worker(world, language, broker, "hedged", "sleep")
    client = Client(world, language, broker.endpoint)
    number = client.submit("hedged", LONG, timeout_ms=60000, attempts=2, hedge_ms=100)
    slow.wait_for_start()
    Worker(world, language, broker, "hedged", "echo")
    check(client.answer(number), "OK", body=LONG.encode(), attempt=2)
    until(lambda: slow.events("cancelled"), 10, "the slow worker is told to cancel")


def test_WORKER_LOST_at_once_when_it_is_killed(stage):
    worker = Worker(stage.world, stage.language, stage.broker, "killed", "sleep")
    number = stage.client.submit(worker.service, LONG, timeout_ms=60000)
    worker.wait_for_start()
    worker.process.kill()
    check(stage.client.answer(number, within=5), "WORKER_LOST", attempt=1)


def test_a_call_with_attempts_goes_to_another_worker_when_its_own_is_killed(stage):
    workers = [Worker(stage.world, stage.language, stage.broker, "pair", "sleep") for _ in range(2)]
    number = stage.client.submit("pair", "300", attempts=3, timeout_ms=20000)
    until(lambda: any(worker.starts() for worker in workers), 5, "one of them has begun")
    first, second = workers if workers[0].starts() else reversed(workers)
    first.process.kill()
    check(stage.client.answer(number), "OK", body=b"slept 300", attempt=2)
    assert [start["attempt"] for start in second.starts()] == [2]


# ---- Conversations ----------------------------------------------------------------------------------

def test_a_conversation_of_ten_messages_stays_with_one_worker(stage):
    first, second = (Worker(stage.world, stage.language, stage.broker, "shop", "site", slots=4) for _ in range(2))
    paths = ["/index.html", "/user", "/basket", "/settings", "/index.html"] * 2
    seen = set()
    for visit, path in enumerate(paths, 1):
        for name in ("a", "b"):  # two conversations never see each other's count
            reply = check(stage.client.call("shop", f"GET {path}", conversation=name), "OK")["body"].decode()
            assert reply.startswith(f"200 {path} visit {visit} of "), reply
            seen.add((name, reply.split()[-1]))
    assert len(seen) == 2, f"a conversation has changed its worker: {seen}"
    assert stage.client.do("end", conversation="b")["status"] == "OK"
    assert check(stage.client.call("shop", "GET /", conversation="b"), "OK")["body"].startswith(b"200 / visit 1 of ")
    check(stage.client.call("shop", "BYE", conversation="a"), "OK", body=b"200 bye")
    assert check(stage.client.call("shop", "GET /", conversation="a"), "OK")["body"].startswith(b"200 / visit 1 of ")
    for worker in (first, second):
        worker.process.kill()


def test_CONVERSATION_LOST_once_when_its_worker_is_killed_and_then_it_begins_anew(stage):
    first = Worker(stage.world, stage.language, stage.broker, "store", "site")
    assert check(stage.client.call("store", "GET /a", conversation="s"), "OK")["body"].startswith(b"200 /a visit 1 ")
    first.process.kill()
    Worker(stage.world, stage.language, stage.broker, "store", "site")
    check(stage.client.call("store", "GET /b", conversation="s"), "CONVERSATION_LOST")
    assert check(stage.client.call("store", "GET /c", conversation="s"), "OK")["body"].startswith(b"200 /c visit 1 ")


# ---- Jobs -------------------------------------------------------------------------------------------

def test_a_job_is_tried_again_until_its_worker_answers(stage):
    sent = stage.client.do("send", service="retry", body="later")
    assert sent["status"] == "OK" and not sent["replayed"], sent
    assert stage.client.do("result", job=sent["job"], wait_ms=0)["status"] == "NOT_DONE"
    waits = stage.client.ask("result", job=sent["job"], wait_ms=20000)
    worker = stage.worker("retry")
    check(stage.client.answer(waits, within=20), "OK", body=b"done at attempt 3")
    assert [(start["attempt"], start["durable"]) for start in worker.starts()] == [(1, True), (2, True), (3, True)]
    check(stage.client.do("result", job="999999", wait_ms=0), "APP_ERROR")


def test_calls_with_one_key_run_once_and_another_body_is_KEY_MISMATCH(stage):
    worker = stage.worker("echo")
    first = check(stage.call("echo", b"order", key="once"), "OK", body=b"order")
    assert not first["replayed"]
    assert check(stage.call("echo", b"order", key="once"), "OK", body=b"order")["replayed"]
    check(stage.client.call("echo", b"other", key="once"), "KEY_MISMATCH")
    assert [start["key"] for start in worker.starts() if start["key"] == "once"] == ["once"]


def test_KEY_MISMATCH_for_another_body_and_the_same_job_for_the_same(stage):
    worker = stage.worker("echo")
    one = stage.client.do("send", service="echo", body="order 1", key="k1")
    again = stage.client.do("send", service="echo", body="order 1", key="k1")
    assert (again["status"], again["job"], again["replayed"]) == ("OK", one["job"], True)
    check(stage.client.do("send", service="echo", body="order 2", key="k1"), "KEY_MISMATCH")
    check(stage.client.do("result", job=one["job"], wait_ms=5000), "OK", body=b"order 1")
    assert [start["key"] for start in worker.starts() if start["durable"]] == ["k1"]


def test_INVALID_for_a_job_where_the_broker_keeps_none(world, language):  # noqa: F811
    client = Client(world, language, world.broker().endpoint)
    check(client.do("send", service="echo", body="x"), "INVALID")
    client.close()


# ---- Comings and goings -----------------------------------------------------------------------------

def test_NO_BROKER_where_none_answers(world, language):  # noqa: F811
    client = Client(world, language, "tcp://127.0.0.1:1")
    check(client.call("echo", timeout_ms=SOON_MS), "NO_BROKER", attempt=0)
    client.close()


def test_a_worker_that_drains_finishes_what_it_has(stage):
    worker = Worker(stage.world, stage.language, stage.broker, "leaves", "sleep", slots=2)
    number = stage.client.submit(worker.service, "700")
    worker.wait_for_start()
    worker.process.terminate()
    until(lambda: stage.world.worker_of(stage.broker, worker.process)["state"] == "draining", 5, "it drains")
    check(stage.client.call(worker.service, "1"), "NO_WORKER")
    check(stage.client.answer(number), "OK", body=b"slept 700")
    assert worker.process.wait(5) == 0


def test_a_broker_that_drains_finishes_what_runs_and_refuses_the_rest(world, language):  # noqa: F811
    broker = world.broker()
    worker = Worker(world, language, broker, "naps", "sleep", slots=2)
    client = Client(world, language, broker.endpoint)
    number = client.submit("naps", "700")
    worker.wait_for_start()
    broker.terminate()
    broker.wait_for("drain")
    check(client.call("naps", "1"), "DRAINING", attempt=0)
    check(client.answer(number), "OK", body=b"slept 700")
    assert broker.wait(10) == 0
    client.close()


def test_after_a_restart_of_the_broker_client_and_worker_come_back_and_UNKNOWN_is_said_of_what_ran(
        world, language):  # noqa: F811
    broker = world.broker()
    worker = Worker(world, language, broker, "naps", "sleep", slots=2)
    client = Client(world, language, broker.endpoint)
    once, again = client.submit("naps", LONG), client.submit("naps", "400", attempts=3, timeout_ms=20000)
    worker.wait_for_start(2)
    broker.kill()
    check(client.answer(once, within=5), "UNKNOWN")
    broker = world.restart(broker)
    check(client.answer(again), "OK", body=b"slept 400")
    check(client.call("naps", "1", wait_worker_ms=10000), "OK", body=b"slept 1")
    client.close()


def test_a_list_of_brokers_is_gone_through_when_one_dies(world, language):  # noqa: F811
    brokers = [world.broker(), world.broker()]
    servers = ",".join(["tcp://127.0.0.1:1", *(broker.endpoint for broker in brokers)])
    worker = Worker(world, language, brokers[0], "echo", "echo", servers=servers)
    world.wait_for_worker(brokers[1], worker.process, "echo")  # it serves all of them at once
    client = Client(world, language, servers)
    check(client.call("echo", "one"), "OK", body=b"one")
    brokers[0].kill()
    check(client.call("echo", "two", attempts=3, timeout_ms=10000), "OK", body=b"two")
    client.close()


def test_keys_are_those_of_the_environment(world, language):  # noqa: F811
    keys = Keys(world)
    keys.rules('principal = "ada"\n    call = "*"\n    serve = "echo"\n    observe = "1"\n')
    keys.authorize("ada")
    keys.new("eve")
    broker = world.broker(*keys.of_broker)
    ada, eve = keys.environment("ada"), keys.environment("eve")
    unknown = Client(world, language, broker.endpoint, eve)
    check(unknown.call("echo", timeout_ms=5000), "DENIED", attempt=0)
    world.environment.update(ada)
    Worker(world, language, broker, "echo", "echo")
    client = Client(world, language, broker.endpoint)
    check(client.call("echo", "secret"), "OK", body=b"secret")
    refused = Worker(world, language, broker, "upper", "upper", ready=False)
    assert refused.process.wait(10) == 6  # no rule lets ada serve it
    for one in (client, unknown):
        one.close()


# ---- Together ---------------------------------------------------------------------------------------

def test_many_clients_at_once_each_get_their_own(stage):
    worker = Worker(stage.world, stage.language, stage.broker, "crowd", "site", slots=MANY)
    clients = []
    while len(clients) < MANY:  # a hundred interpreters that start at once leave none the time for its heartbeats
        fresh = [Client(stage.world, stage.language, stage.broker.endpoint, ready=False)
                 for _ in range(min(4, MANY - len(clients)))]
        for client in fresh:
            client.answer("ready", within=20)
        clients += fresh
    for visit in range(1, 4):
        numbers = [client.submit("crowd", f"GET /{at}", conversation="c", timeout_ms=20000)
                   for at, client in enumerate(clients)]
        for at, client in enumerate(clients):
            expected = f"200 /{at} visit {visit} of {worker.process.pid}".encode()
            check(client.answer(numbers[at], within=30), "OK", body=expected)
    for client in clients:
        client.close()


def test_every_language_calls_every_other(world):  # noqa: F811
    broker = world.broker()
    built = [language for language in LANGUAGES if is_built(language)]
    for language in built:
        Worker(world, language, broker, f"echo-{language}", "echo", ready=False)
    clients = [Client(world, language, broker.endpoint) for language in built]
    for client in clients:
        for language in built:
            body = f"to {language}"
            answer = client.call(f"echo-{language}", body, wait_worker_ms=10000, timeout_ms=15000)
            check(answer, "OK", body=body.encode())
    for client in clients:
        client.close()
