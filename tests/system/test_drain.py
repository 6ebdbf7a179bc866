# SPDX-License-Identifier: MPL-2.0
"""Leaving in good order: the broker and the workers on SIGTERM."""

import time

from support.peer import BYE, DRAIN, OPEN, REQUEST
from support.programs import BRIEFLY, PATIENCE
from support.talk import Talk
from support.waiting import until


def test_an_idle_broker_says_bye_and_ends(world):
    broker = world.broker()
    client, worker = world.peer(broker), world.peer(broker)
    client.hello()
    worker.register(b"echo")
    broker.terminate()
    assert broker.wait(2) == 0
    for peer in (client, worker):
        commands = []
        while not commands or commands[-1].command != BYE:
            commands.append(peer.receive())
        assert commands[-1].status_name() == "DRAINING"


def test_a_draining_broker_lets_what_runs_finish(world):
    broker = world.broker()
    gate = world.gate()
    world.worker(broker, "held", *gate.command)
    running = world.start_cli(broker, "call", "held", "--timeout", "30s")
    until(gate.starts, 5, "it has started")
    waiting = world.start_cli(broker, "call", "held", "--timeout", "30s", "-o", "json")
    world.wait_for_waiting(broker, 1)
    broker.terminate()
    told = world.finish(waiting, within=3)
    assert (told.code, told.json()["status"]) == (7, "DRAINING"), "what only waited is given back"
    assert broker.alive()
    gate.open()
    assert world.finish(running).out == b"delivery 1"
    assert broker.wait(3) == 0


def test_the_drain_limit_ends_it_with_worker_lost(world):
    broker = world.broker("--drain-limit", "300ms")
    world.builtin(broker, "sleep")
    running = world.start_cli(broker, "call", "sleep", "60s", "--timeout", "60s", "-o", "json")
    world.wait_for_running(broker, 1)
    since = time.monotonic()
    broker.terminate()
    assert world.finish(running).json()["status"] == "WORKER_LOST"
    assert broker.wait(3) == 0
    assert 0.3 <= time.monotonic() - since < 0.3 + 5 * PATIENCE


def test_a_second_sigterm_ends_the_broker_now(world):
    broker = world.broker()
    world.builtin(broker, "sleep")
    running = world.start_cli(broker, "call", "sleep", "60s", "--timeout", "60s", "-o", "json")
    world.wait_for_running(broker, 1)
    broker.terminate()
    broker.wait_for("drain")
    assert broker.alive()
    broker.terminate()
    assert broker.wait(2) == 0
    assert world.finish(running).json()["status"] == "WORKER_LOST"


def test_a_draining_worker_finishes_its_request_and_takes_no_other(world):
    broker = world.broker(limits={"service_linger": "0s"})
    gate = world.gate()
    worker = world.worker(broker, "held", *gate.command, options=("--slots", "2"))
    running = world.start_cli(broker, "call", "held", "--timeout", "30s")
    until(gate.starts, 5, "it has started")
    worker.terminate()
    until(lambda: world.worker_of(broker, worker)["draining"], 3, "the broker knows")
    assert b"draining" in world.cli(broker, "workers").out
    told = world.cli(broker, "call", "held", "--timeout", BRIEFLY, "-o", "json").json()
    assert (told["status"], told["attempts"]) in (("NO_WORKER", 0), ("EXPIRED", 0))
    gate.open()
    assert world.finish(running).out == b"delivery 1"
    assert worker.wait(3) == 0
    assert not world.workers(broker)


def test_a_draining_worker_keeps_its_conversations_until_they_end(world):
    broker = world.broker()
    old = world.site(broker)
    talk = Talk(world, broker)
    assert "302" in talk.say(b"POST /login user=ada")
    old.terminate()
    until(lambda: world.worker_of(broker, old)["draining"], 3, "the broker knows")
    new = world.site(broker)
    for _ in range(3):
        assert world.cli(broker, "call", "site", "GET /index.html").code == 0
    assert world.worker_of(broker, old)["replies"] == 1, "the new one got all of it"
    assert world.worker_of(broker, new)["replies"] == 3
    assert "ada" in talk.say(b"GET /user"), "its state is where it was"
    assert talk.end() == 0
    assert old.wait(3) == 0
    assert new.alive()


def test_the_drain_limit_of_a_worker_ends_its_conversations(world):
    broker = world.broker()
    client = world.peer(broker)
    client.hello()
    worker = world.builtin(broker, "echo", "--drain", "200ms")
    assert client.call(b"echo", b"a", conversation=1, flags=OPEN).status_name() == "OK"
    worker.terminate()
    assert worker.wait(3) == 0
    lost = client.call(b"echo", b"b", conversation=1)
    assert (lost.status_name(), lost.attempt) == ("CONVERSATION_LOST", 0)


def test_a_second_sigterm_ends_a_worker_now(world):
    broker = world.broker()
    worker = world.worker(broker, "slow", "sleep", "60")
    running = world.start_cli(broker, "call", "slow", "--timeout", "60s", "-o", "json")
    until(worker.children, 5, "its process runs")
    worker.terminate()
    until(lambda: world.worker_of(broker, worker)["draining"], 3, "it drains")
    worker.terminate()
    worker.wait(3)
    assert world.finish(running, within=3).json()["status"] == "WORKER_LOST"


def test_a_peer_is_told_when_the_broker_drains(world):
    broker = world.broker()
    client, worker = world.peer(broker), world.peer(broker)
    worker.register(b"slow")
    client.hello()
    client.request(b"slow")
    token = worker.expect(REQUEST).id
    broker.terminate()
    assert client.expect(DRAIN).command == DRAIN
    worker.expect(DRAIN)
    worker.reply(token, b"done")
    assert client.receive().body == b"done"
    assert client.expect(BYE).status_name() == "DRAINING"
