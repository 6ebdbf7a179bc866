# SPDX-License-Identifier: MPL-2.0
"""A request whose worker dies is given to another worker if its attempts allow it, and only
then."""

from support.peer import CANCEL, REQUEST, WORKER_LOST
from support.waiting import until


def _gate_and_workers(world, broker, count):
    gate = world.gate()
    return gate, [world.worker(broker, "held", *gate.command) for _ in range(count)]


def _start(world, broker, attempts):
    return world.start_cli(broker, "call", "held", "--attempts", attempts, "--timeout", "30s", "-o",
                           "json", "-v")


def _kill_holder(world, broker, workers):
    """Kills the worker that has a request, and removes it from the list."""
    def holder():
        for one in workers:
            if world.worker_of(broker, one)["running"] and one.children():
                return one
        return None

    one = until(holder, 5, "a worker has the request")
    workers.remove(one)
    one.kill()


def test_with_attempts_left_another_worker_answers(world):
    broker = world.broker()
    gate, workers = _gate_and_workers(world, broker, 2)
    call = _start(world, broker, 3)
    until(lambda: gate.starts() == ["1"], 5, "the first worker's command has begun")
    _kill_holder(world, broker, workers)
    until(lambda: gate.starts() == ["1", "2"], 5, "the other worker has it")
    gate.open()
    result = world.finish(call)
    assert result.code == 0
    told = result.json()
    assert (told["status"], told["body"], told["attempts"]) == ("OK", "delivery 2", 2)
    assert told["worker"].endswith(f"-{workers[0].pid}")
    counters = world.status(broker)["counters"]
    assert (counters["deliveries"], counters["redeliveries"]) == (2, 1)


def test_one_attempt_is_never_redelivered(world):
    broker = world.broker()
    gate, workers = _gate_and_workers(world, broker, 2)
    call = _start(world, broker, 1)
    _kill_holder(world, broker, workers)
    result = world.finish(call, within=2)
    told = result.json()
    assert (result.code, told["status"], told["attempts"]) == (9, "WORKER_LOST", 1)
    assert gate.starts() == ["1"]
    assert world.status(broker)["counters"]["redeliveries"] == 0


def test_the_last_attempt_ends_it(world):
    broker = world.broker()
    gate, workers = _gate_and_workers(world, broker, 3)
    call = _start(world, broker, 2)
    _kill_holder(world, broker, workers)
    _kill_holder(world, broker, workers)
    told = world.finish(call).json()
    assert (told["status"], told["attempts"]) == ("WORKER_LOST", 2)
    assert gate.starts() == ["1", "2"], "starts never exceed the attempts"


def test_a_request_waits_for_a_worker_to_come_back(world):
    """The only worker dies, and a new one takes the request over."""
    broker = world.broker()
    gate, workers = _gate_and_workers(world, broker, 1)
    call = _start(world, broker, 3)
    _kill_holder(world, broker, workers)
    world.worker(broker, "held", *gate.command, ready=False)
    until(lambda: gate.starts() == ["1", "2"], 3, "the new worker has it")
    gate.open()
    assert world.finish(call).json()["body"] == "delivery 2"


def test_what_a_worker_gave_back_goes_to_another_even_if_it_has_less_room(world):
    broker = world.broker()
    roomy, small, client = (world.peer(broker) for _ in range(3))
    roomy.register(b"work", window=8)
    small.register(b"work", window=1)
    client.hello()
    client.request(b"work", b"x", attempts=3)
    roomy.reply(roomy.expect(REQUEST).id, status=WORKER_LOST, text=b"it crashed")
    task = small.expect(REQUEST)
    assert (task.attempt, task.attempts, task.body) == (2, 3, b"x")
    small.reply(task.id, b"done")
    reply = client.receive()
    assert (reply.status_name(), reply.body, reply.attempt) == ("OK", b"done", 2)


def test_a_reply_that_comes_after_its_request_ended_is_dropped(world):
    """After the client's DEADLINE the worker's late reply reaches nobody, and the worker stays."""
    broker = world.broker()
    worker, client = world.peer(broker), world.peer(broker)
    worker.register(b"slow")
    client.hello()
    client.request(b"slow", b"x", time_ms=200)
    task = worker.expect(REQUEST)
    assert client.receive().status_name() == "DEADLINE"
    assert worker.receive().command == CANCEL, "the worker is told: CANCEL"
    worker.reply(task.id, b"too late")
    until(lambda: world.status(broker)["counters"]["late_replies"] == 1, 3, "it is counted")
    client.request(b"slow", b"y")
    task = worker.expect(REQUEST)
    worker.reply(task.id, b"in time")
    reply = client.receive()
    assert (reply.status_name(), reply.body) == ("OK", b"in time")


def test_with_attempts_left_a_busy_broker_is_asked_again(world):
    broker = world.broker(limits={"service_queue": 1})
    gate = world.gate()
    world.worker(broker, "held", *gate.command)
    running = _start(world, broker, 1)
    until(gate.starts, 5, "one runs")
    waiting = _start(world, broker, 1)
    world.wait_for_waiting(broker, 1)
    refused = _start(world, broker, 1)
    assert world.finish(refused).json()["status"] == "BUSY"
    patient = _start(world, broker, 10)
    until(lambda: world.status(broker)["finals"]["BUSY"] >= 2, 5, "it was refused once")
    gate.open()
    for call in (running, waiting, patient):
        assert world.finish(call).json()["status"] == "OK"
