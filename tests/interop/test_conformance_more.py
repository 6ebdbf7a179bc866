# SPDX-License-Identifier: MPL-2.0
"""Statements 16 to 25; see test_conformance.py."""

import time

import pytest
import zmq

from stage import ALIVE, CLIENTS, FAST, INTERVAL, MDP_WORKERS, STREAMING, WORKERS, couples, pair
from support import peer as native
from support.programs import PATIENCE
from support.waiting import until


# ---- 16: FINAL, then dispatch --------------------------------------------------------------------


@pytest.mark.parametrize("worker", WORKERS)
def test_16_when_a_final_frees_a_worker_and_requests_wait_dispatch_follows(stage, worker):
    broker = stage.interop_broker(plain=pair(worker))
    serving, asking = stage.offer(broker, worker), stage.client(broker, "mdp02")
    asked = [b"%d" % number for number in range(5)]
    for body in asked:
        asking.request(b"svc", body)
    if worker != "native":
        for body in asked:
            assert serving.serve() == [(body,)], "in the order in which they came"
    assert [asking.reply().body[0] for _ in asked] == asked
    gauges = stage.status(broker)["gauges"]
    assert (gauges["waiting"], gauges["running"]) == (0, 0)


# ---- 17: silence ---------------------------------------------------------------------------------


@pytest.mark.parametrize("worker,busy", [*((name, False) for name in MDP_WORKERS),
                                         ("native", False), ("native", True)])
def test_17_when_heartbeats_stop_the_worker_leaves_every_list(stage, worker, busy):
    broker = stage.interop_broker(foreign_attempts=1, foreign_errors=1, **FAST)
    asking = stage.client(broker, "mdp02")
    if worker == "native":
        silent = stage.builtin(broker, "sleep", "--heartbeat", "200ms", service="svc")
    else:
        silent = stage.offer(broker, worker, interval=ALIVE)
    if busy:
        asking.request(b"svc", b"60s")
        until(lambda: stage.gauge(broker, "running") == 1, 5, "it has work")
    if worker == "native":
        silent.freeze()
    since = time.monotonic()
    until(lambda: stage.count(broker, b"svc") == 0, 5, "it is gone from the list")
    assert time.monotonic() - since < 3 * INTERVAL + 1.5 * PATIENCE
    if busy:
        assert asking.reply().body[0] == b"WORKER_LOST"
    assert asking.call(b"mmi.service", b"svc").body == (b"404",)
    assert asking.call(b"mmi.workers", b"svc").body == (b"404",)
    assert b"svc" not in asking.call(b"mmi.services", b"").body[0].splitlines()
    assert stage.services(broker).get("svc", {"workers": 0})["workers"] == 0
    status = stage.status(broker)
    assert (status["workers"], status["gauges"]["running"]) == (0, 0)
    assert status["counters"]["workers_lost"] == 1


@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_17_a_worker_that_was_silent_at_work_is_missed_when_it_is_idle(stage, worker):
    """While a worker has a request, its silence proves nothing: see 24."""
    broker = stage.interop_broker(**FAST)
    silent, asking = stage.offer(broker, worker), stage.client(broker, "mdp02")
    asking.request(b"svc", b"work")
    job = silent.job()
    stage.pass_time([], 5 * INTERVAL)
    silent.answer(job, b"done")
    assert asking.reply().body == (b"done",)
    assert stage.count(broker, b"svc") == 1
    until(lambda: stage.count(broker, b"svc") == 0, 5, "it is gone from the list")


@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_17_the_interval_that_a_worker_keeps_is_learned(stage, worker):
    """A worker that sends more often than the first interval is missed sooner."""
    broker = stage.interop_broker(foreign_heartbeat="20s")
    quick = stage.offer(broker, worker, interval=INTERVAL)
    stage.pass_time([quick], 10 * INTERVAL)
    since = time.monotonic()
    until(lambda: stage.count(broker, b"svc") == 0, 10, "it is gone from the list")
    assert time.monotonic() - since < 3 * INTERVAL + 2 * PATIENCE, "not after a minute"


# ---- 18: peers without a session -----------------------------------------------------------------


@pytest.mark.parametrize("command", ["FINAL", "PARTIAL"])
@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_18_final_or_partial_from_the_unregistered_draws_disconnect(stage, worker, command):
    if command == "PARTIAL" and worker not in STREAMING:
        command = "FINAL"  # 0.1 has one command for both
    broker = stage.interop_broker()
    healthy, asking = stage.offer(broker, worker), stage.client(broker, "mdp02")
    asking.request(b"svc", b"work")
    job = healthy.job()
    for address in (b"nobody", job.address):
        outsider = stage.unready(broker, worker)
        outsider.send(*outsider.pack(command, address, (b"stolen",)))
        assert outsider.hears("DISCONNECT")
    assert broker.alive()
    healthy.answer(job, b"genuine")
    assert asking.reply().body == (b"genuine",)


def test_18_a_reply_from_the_unregistered_draws_bye(stage):
    broker = stage.interop_broker()
    outsider = stage.peer(broker)
    outsider.reply(1, b"stolen")
    outsider.expect(native.BYE)
    assert broker.alive()


# ---- 19: a PARTIAL's service ---------------------------------------------------------------------


@pytest.mark.parametrize("worker", STREAMING)
@pytest.mark.parametrize("client", ["mdp02", "libmdp", "packed"])
def test_19_a_forwarded_partial_names_its_own_service(stage, client, worker):
    broker = stage.interop_broker()
    asking = stage.client(broker, client)
    jobs = []
    for service in (b"one", b"another"):
        serving = stage.offer(broker, worker, service)
        asking.request(service, service)
        jobs.append((serving, serving.job()))
    for number in range(3):
        for serving, job in jobs:
            serving.partial(job, serving.service, b"%d" % number)
            part = asking.reply()
            assert (part.service, part.body[0], part.more) \
                == (serving.service, serving.service, True)
    for serving, job in reversed(jobs):
        serving.answer(job, serving.service)
        assert asking.reply()[:3] == (serving.service, (serving.service,), False)


# ---- 20, 21: one slot ----------------------------------------------------------------------------


@pytest.mark.parametrize("worker", [name for name in WORKERS if name != "native"])
def test_20_a_worker_with_one_slot_never_holds_two_requests(stage, worker):
    broker = stage.interop_broker(plain=pair(worker))
    serving = stage.offer(broker, worker)
    clients = [stage.client(broker, "mdp02") for _ in range(3)]
    for client in clients:
        client.request(b"svc", b"work")
    for left in (2, 1, 0):
        job = serving.job()
        assert serving.hears("REQUEST", within=0.1) is None, "no second one beside it"
        gauges = stage.status(broker)["gauges"]
        assert (gauges["running"], gauges["waiting"]) == (1, left)
        serving.answer(job, b"done")
    for client in clients:
        assert client.reply().body == (b"done",)


def test_20_a_native_worker_with_one_slot_never_holds_two_requests(stage):
    broker = stage.interop_broker()
    gate = stage.gate()
    stage.worker(broker, "svc", *gate.command)
    asking = stage.client(broker, "mdp02")
    for _ in range(3):
        asking.request(b"svc", b"work")
    until(lambda: stage.gauge(broker, "waiting") == 2, 5, "two wait")
    assert stage.gauge(broker, "running") == 1 and len(gate.starts()) <= 1
    gate.open()
    for _ in range(3):
        asking.reply()


@pytest.mark.parametrize("worker", [*MDP_WORKERS, "native"])
def test_21_a_heartbeat_of_a_busy_worker_does_not_make_it_ready(stage, worker):
    broker = stage.interop_broker()
    asking = stage.client(broker, "mdp02")
    if worker == "native":
        serving = stage.peer(broker)
        serving.register(b"svc")
    else:
        serving = stage.offer(broker, worker)
    for _ in range(3):
        asking.request(b"svc", b"work")
    if worker == "native":
        serving.expect(native.REQUEST)
        for _ in range(10):
            serving.send(native.head(native.HEARTBEAT))
        assert serving.receive(within=0.1) is None
    else:
        serving.job()
        for _ in range(10):
            serving.heartbeat()
        assert serving.hears("REQUEST", within=0.1) is None
    gauges = stage.status(broker)["gauges"]
    assert (gauges["running"], gauges["waiting"]) == (1, 2)


# ---- 22: a restart -------------------------------------------------------------------------------


@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_22_after_a_restart_a_heartbeat_from_an_unknown_worker_draws_disconnect(stage, worker):
    broker = stage.interop_broker(**FAST)
    serving = stage.offer(broker, worker, interval=ALIVE)
    broker.kill()
    broker = stage.restart(broker, limits=FAST)
    assert serving.hears("DISCONNECT"), "so that it registers again"
    assert not stage.workers(broker)
    fresh = stage.offer(broker, worker)  # on a new socket, as the RFC wants it
    asking = stage.client(broker, "mdp02")
    asking.request(b"svc", b"hello again")
    assert fresh.serve() == [(b"hello again",)]
    assert asking.reply().body == (b"hello again",)


def test_22_after_a_restart_native_workers_return_with_jitter(stage):
    broker = stage.interop_broker()
    workers = [stage.builtin(broker, "echo", service="svc") for _ in range(5)]
    for _ in range(3):  # a busy broker may hear those of some milliseconds at once
        broker.kill()
        broker = stage.restart(broker)
        for worker in workers:
            stage.wait_for_worker(broker, worker, "svc", within=10)
        ages = sorted(worker["age_us"] for worker in stage.workers(broker))
        if ages[-1] - ages[0] > 1000:
            return
    raise AssertionError("all at once")


@pytest.mark.parametrize("client", [name for name in CLIENTS if name != "native"])
def test_22_after_a_restart_clients_go_on_with_the_socket_they_have(stage, client):
    broker = stage.interop_broker(plain=("svc",))
    asking = stage.client(broker, client)
    serving = stage.offer(broker, "mdp01")
    asking.request(b"svc", b"before")
    serving.serve()
    assert asking.reply().body == (b"before",)
    broker.kill()
    front, back = stage.pair(b"svc")
    broker = stage.restart(broker, "--plain", f"svc={front},{back}")
    serving = stage.offer(broker, "mdp01")
    asking.request(b"svc", b"after")
    assert serving.serve() == [(b"after",)]
    assert asking.reply().body == (b"after",)


# ---- 23: late and foreign replies ----------------------------------------------------------------


@couples([name for name in CLIENTS if name != "native"], [name for name in WORKERS if name != "native"])
def test_23_a_client_never_sees_a_late_reply(stage, client, worker):
    """The attempt's limit has passed and the client got an error; the worker's reply then reaches
    no client."""
    broker = stage.shared_broker(plain=pair(client, worker), foreign_attempt="300ms",
                                 mdp_attempt="300ms", foreign_attempts=1, foreign_errors=1)
    serving, asking = stage.offer(broker, worker), stage.client(broker, client)
    asking.request(b"svc", b"slow")
    job = serving.job()
    assert asking.reply().body[0] == b"WORKER_LOST"
    late = stage.status(broker)["counters"]["late_replies"]
    serving.answer(job, b"late")
    until(lambda: stage.status(broker)["counters"]["late_replies"] == late + 1, 5, "counted")
    asking.request(b"svc", b"quick")
    assert serving.serve() == [(b"quick",)], "lateness costs the worker nothing"
    assert asking.reply().body == (b"quick",)


def test_23_the_native_client_discards_a_reply_to_another_id(stage):
    """A false broker answers a request that was never sent, and then the real one."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.linger = 1000
    router.bind("tcp://127.0.0.1:*")
    try:
        call = stage.start_cli(router.last_endpoint.decode(), "call", "svc", "hello")
        while True:
            assert router.poll(5000 * PATIENCE), "the client says no more"
            client, *frames = router.recv_multipart()
            heard = native.Message(frames)
            if heard.command == native.HELLO:
                router.send_multipart([client, native.head(
                    native.WELCOME, key=b"instance", time=1000, value=100,
                    headers=native.pack_headers([(b"max-body", b"1000000")]))])
            if heard.command == native.REQUEST:
                break
        for number, body in ((heard.id + 1, b"foreign"), (heard.id, b"genuine"),
                             (heard.id, b"late")):
            router.send_multipart([client, native.head(native.REPLY, id=number, attempt=1), body])
        result = stage.finish(call)
        assert (result.code, result.out) == (0, b"genuine"), result
    finally:
        router.close()
        context.term()


# ---- 24: long work -------------------------------------------------------------------------------


@pytest.mark.parametrize("silent", [False, True], ids=["says so", "silent"])
@pytest.mark.parametrize("worker", WORKERS)
def test_24_a_worker_whose_job_takes_longer_than_the_limit_stays_alive(
        stage, worker, silent):
    """silent: without heartbeats during work, as with programs of one thread. (A REP socket never
    sends heartbeats, a native worker always does.)"""
    broker = stage.interop_broker(plain=pair(worker), **FAST)
    asking = stage.client(broker, "mdp02")
    if worker == "native":
        serving = stage.builtin(broker, "sleep", "--heartbeat", "200ms", service="svc")
        asking.request(b"svc", b"1500ms")
    else:
        serving = stage.offer(broker, worker)
        serving.interval = ALIVE if serving.heartbeats and not silent else None
        asking.request(b"svc", b"work")
        job = serving.job()
        stage.pass_time([serving], 7 * INTERVAL)
        serving.answer(job, b"done")
    assert not asking.reply().more
    counters = stage.status(broker)["counters"]
    assert (counters["workers_lost"], counters["redeliveries"]) == (0, 0)


# ---- 25: a client that closed --------------------------------------------------------------------


@pytest.mark.parametrize("client", CLIENTS)
def test_25_when_a_client_closes_its_queued_requests_are_withdrawn(stage, client):
    broker = stage.shared_broker(plain=pair(client))
    serving, asking = stage.offer(broker, "mdp02"), stage.client(broker, "mdp02")
    asking.request(b"svc", b"first")
    job = serving.job()
    closing = stage.client(broker, client)
    closing.request(b"svc", b"unwanted")
    stage.wait_for_waiting(broker, 1)
    closing.close()
    stage.wait_for_waiting(broker, 0)
    asking.request(b"svc", b"second")
    serving.answer(job, b"done")
    assert serving.serve() == [(b"second",)], "nobody is given what nobody wants"
    assert [asking.reply().body for _ in range(2)] == [(b"done",), (b"second",)]


@pytest.mark.parametrize("client", CLIENTS)
def test_25_when_a_client_closes_its_running_request_is_cancelled(stage, client):
    broker = stage.shared_broker(plain=pair(client))
    worker = stage.worker(broker, "svc", "sleep", "60")
    closing = stage.client(broker, client)
    closing.request(b"svc", b"unwanted")
    until(worker.children, 5, "it runs")
    closing.close()
    until(lambda: not worker.children(), 5, "its process is ended")
    until(lambda: stage.worker_of(broker, worker)["abandoned"] == 0, 5, "the worker is free")


@couples([name for name in CLIENTS if name != "native"], [name for name in WORKERS if name != "native"])
def test_25_a_client_that_closed_gets_nothing_more(stage, client, worker):
    """The worker cannot be told; its reply is dropped, and it serves the next request."""
    broker = stage.shared_broker(plain=pair(client, worker))
    serving, closing = stage.offer(broker, worker), stage.client(broker, client)
    closing.request(b"svc", b"unwanted")
    job = serving.job()
    closing.close()
    until(lambda: stage.gauge(broker, "running") == 0, 5, "it is not wanted any more")
    fresh = stage.client(broker, client)
    fresh.request(b"svc", b"wanted")
    serving.answer(job, b"too late")
    assert serving.serve() == [(b"wanted",)]
    assert fresh.reply().body == (b"wanted",)
