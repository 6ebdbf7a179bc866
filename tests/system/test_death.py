# SPDX-License-Identifier: MPL-2.0
"""How soon the broker knows that a worker is gone: at once if it died, after three heartbeat
intervals if it only became silent; and which peers must not be taken for dead."""

import threading
import time

from support.peer import HEARTBEAT, head
from support.programs import PATIENCE, SLOW
from support.waiting import until

INTERVAL = 0.2 * SLOW
SILENCE = 3 * INTERVAL
FAST = ("--heartbeat", f"{200 * SLOW}ms")
#: Seconds in which a worker is gone whose connection has ended: milliseconds, but the machine may be busy; without that
#: the broker would wait for three heartbeats, three seconds.
SOON = 2.5 * PATIENCE


def _seconds_until_gone(world, broker, since):
    """Waits until `riposte workers` shows none; returns the seconds since `since`."""
    until(lambda: not world.workers(broker), 10, "the worker is gone from the list")
    return time.monotonic() - since


def test_an_idle_worker_killed_is_gone_at_once(world):
    broker = world.broker()
    worker = world.builtin(broker, "echo")
    since = time.monotonic()
    worker.kill()
    assert _seconds_until_gone(world, broker, since) < SOON
    assert world.status(broker)["counters"]["workers_lost"] == 1


def test_a_busy_worker_killed_is_gone_at_once_and_its_request_ends(world):
    broker = world.broker()
    worker = world.builtin(broker, "sleep")
    call = world.start_cli(broker, "call", "sleep", "60s", "--timeout", "60s")
    world.wait_for_running(broker, 1)
    since = time.monotonic()
    worker.kill()
    assert world.finish(call, within=5).code == 9
    assert _seconds_until_gone(world, broker, since) < SOON


def test_a_killed_client_leaves_nothing_behind(world):
    """The dead client's waiting requests are withdrawn, and its running ones are cancelled."""
    broker = world.broker()
    worker = world.worker(broker, "slow", "sleep", "60")
    running, waiting = (world.start_cli(broker, "call", "slow", "--timeout", "60s")
                        for _ in range(2))
    world.wait_for_running(broker, 1)
    world.wait_for_waiting(broker, 1)
    running.kill()
    waiting.kill()
    until(lambda: not worker.children(), 5, "the process of the request is gone")
    until(lambda: world.worker_of(broker, worker)["abandoned"] == 0, 5, "the worker is free")
    gauges = world.status(broker)["gauges"]
    assert (gauges["waiting"], gauges["running"]) == (0, 0)


def test_a_frozen_worker_is_lost_after_three_intervals(world):
    broker = world.broker()
    worker = world.builtin(broker, "echo", *FAST)
    since = time.monotonic()
    worker.freeze()
    took = _seconds_until_gone(world, broker, since)
    assert took > SILENCE - INTERVAL, "it was given its three intervals"
    assert took < SILENCE + 2 * PATIENCE
    worker.thaw()
    world.wait_for_worker(broker, worker, "echo")
    assert world.cli(broker, "call", "echo", "again").out == b"again"


def test_a_partition_is_noticed_at_both_ends_and_heals(world):
    broker = world.broker()
    proxy = world.proxy(broker)
    worker = world.builtin(broker, "sleep", *FAST, endpoint=proxy.endpoint)
    call = world.start_cli(broker, "call", "sleep", "60s", "--timeout", "60s")
    world.wait_for_running(broker, 1)
    since = time.monotonic()
    proxy.cut()
    assert world.finish(call).code == 9, "WORKER_LOST"
    assert time.monotonic() - since < SILENCE + 2 * PATIENCE
    worker.wait_for("lost ")
    proxy.heal()
    world.wait_for_worker(broker, worker, "sleep", within=10)
    assert world.cli(broker, "call", "sleep", "1ms").code == 0
    assert len(world.workers(broker)) == 1


def test_a_worker_at_work_for_long_stays_alive(world):
    """Heartbeats do not depend on the handler."""
    broker = world.broker()
    worker = world.builtin(broker, "sleep", "--heartbeat", "500ms")
    assert world.cli(broker, "call", "sleep", "3s").code == 0
    assert world.worker_of(broker, worker)["age_us"] > 3_000_000
    assert world.status(broker)["counters"]["workers_lost"] == 0


def test_a_frozen_broker_loses_nobody_who_was_alive(world):
    """The broker reads the heartbeats that wait before it judges."""
    broker = world.broker()
    peers = []
    for number in range(3):
        peer = world.peer(broker)
        peer.register(b"patient", name=b"patient-%d" % number, heartbeat_ms=400 * SLOW)
        peers.append(peer)
    over = threading.Event()

    def beat():
        """The peers send heartbeats all the time, as live peers do."""
        while not over.wait(0.05):
            for peer in peers:
                peer.send(head(HEARTBEAT))
    beats = threading.Thread(target=beat)
    beats.start()
    try:
        for _ in range(3):
            broker.freeze()
            time.sleep(1.5 * SLOW)  # longer than the broker's patience: this is the test's subject
            broker.thaw()
            assert len(world.workers(broker, "patient")) == len(peers)
    finally:
        over.set()
        beats.join()
    assert world.status(broker)["counters"]["workers_lost"] == 0


def test_after_a_frozen_broker_everything_works_again(world):
    broker = world.broker()
    world.builtin(broker, "echo", *FAST)
    broker.freeze()
    time.sleep(2 * SILENCE)  # longer than the worker's patience: this is the test's subject
    broker.thaw()
    result = world.cli(broker, "call", "echo", "back", "--wait-worker", "5s", "--timeout", "10s")
    assert (result.code, result.out) == (0, b"back")
    until(lambda: len(world.workers(broker, "echo")) == 1, 5, "it is there once")
