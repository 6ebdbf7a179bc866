# SPDX-License-Identifier: MPL-2.0
"""Plain REQ and REP sockets: programs in which only an address changes. (test_interop.py shows that
every client reaches every worker, plain ones too.)"""

import time

import pytest
import zmq

from stage import CLIENTS, WORKERS
from support import programs
from support.programs import PATIENCE
from support.waiting import until


def test_req_and_rep_need_nothing_but_their_addresses(stage):
    """On TCP, with ports that the system chooses; the ports file lists --bind first, then each
    pair."""
    broker = stage.broker("--plain", "svc=tcp://127.0.0.1:*,tcp://127.0.0.1:*")
    ports = (stage.directory / "ports-1").read_text().split()
    assert len(ports) == 3 and ports[0] == broker.endpoint
    assert stage.status(broker)["endpoints"] == ports
    context = zmq.Context()
    rep, req = context.socket(zmq.REP), context.socket(zmq.REQ)
    try:
        for socket, endpoint in ((req, ports[1]), (rep, ports[2])):
            socket.linger = 0
            socket.rcvtimeo = 5000 * PATIENCE
            socket.connect(endpoint)
        for number in range(10):
            req.send(b"hello %d" % number)
            assert rep.recv() == b"hello %d" % number
            rep.send_multipart([b"world", b"%d" % number])
            assert req.recv_multipart() == [b"world", b"%d" % number]
    finally:
        context.destroy()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_rep_worker_serves_every_client(stage, client):
    broker = stage.interop_broker(plain=("svc",))
    serving, asking = stage.offer(broker, "plain-rep"), stage.client(broker, client)
    asking.request(b"svc", b"question")
    assert serving.serve(answer=lambda body: (b"answer",)) == [(b"question",)]
    assert asking.reply().body == (b"answer",)


@pytest.mark.parametrize("client", ["plain-req", "plain-dealer"])
@pytest.mark.parametrize("worker", WORKERS)
def test_a_plain_client_is_served_by_every_worker(stage, client, worker):
    broker = stage.interop_broker(plain=("svc",))
    serving, asking = stage.offer(broker, worker), stage.client(broker, client)
    asking.request(b"svc", b"question")
    serving.serve()
    assert asking.reply().body == (b"question",)


def test_a_rep_worker_that_comes_later_gets_what_waits(stage):
    broker = stage.interop_broker(plain=("svc",))
    clients = [stage.client(broker, name) for name in ("plain-req", "plain-dealer", "mdp02")]
    for client in clients:
        client.request(b"svc", b"patient")
    stage.wait_for_waiting(broker, 3)
    serving = stage.offer(broker, "plain-rep")
    assert serving.serve(3) == [(b"patient",)] * 3
    for client in clients:
        assert client.reply().body == (b"patient",)


def test_a_rep_worker_killed_with_a_request_loses_nothing(stage):
    broker = stage.interop_broker(plain=("svc",), foreign_attempt=f"{PATIENCE}s")
    dying, asking = stage.process(broker, "hold", "plain-rep"), stage.client(broker, "plain-req")
    asking.request(b"svc", b"precious")
    dying.wait_for("took precious")
    other = stage.offer(broker, "plain-rep")
    dying.kill()
    assert other.serve() == [(b"precious",)]
    assert asking.reply().body == (b"precious",)
    assert stage.status(broker)["counters"]["redeliveries"] == 1


def test_a_request_of_a_killed_rep_worker_goes_to_a_worker_of_another_kind(stage):
    broker = stage.interop_broker(plain=("svc",), foreign_attempt="1s")
    dying, asking = stage.process(broker, "hold", "plain-rep"), stage.client(broker, "plain-req")
    asking.request(b"svc", b"precious")
    dying.wait_for("took precious")
    dying.kill()
    stage.builtin(broker, "echo", service="svc")
    assert asking.reply().body == (b"precious",)


def test_a_rep_worker_that_hangs_loses_its_request_to_another(stage):
    """The worker lives, but is over foreign_attempt. Its reply comes too late and is dropped."""
    broker = stage.interop_broker(plain=("svc",), foreign_attempt="1s")
    slow, asking = stage.offer(broker, "plain-rep"), stage.client(broker, "plain-req")
    asking.request(b"svc", b"work")
    job = slow.job()
    quick = stage.offer(broker, "plain-rep")
    assert quick.serve(answer=lambda body: (b"quick",)) == [(b"work",)]
    assert asking.reply().body == (b"quick",)
    late = stage.status(broker)["counters"]["late_replies"]
    slow.answer(job, b"slow")
    until(lambda: stage.status(broker)["counters"]["late_replies"] > late, 5, "counted")
    asking.request(b"svc", b"next")

    def serve_all():
        """Another attempt of the first request may still wait in the slow worker's socket: a DEALER
        sends to its peers in turn, and cannot take a message back."""
        for one in (slow, quick):
            if one.socket.poll(0):
                one.serve()
        return asking.socket.poll(5)
    until(serve_all, 5, "the next one is answered")
    assert asking.reply().body == (b"next",)


def test_an_attempt_that_takes_less_than_its_limit_is_left_alone(stage):
    broker = stage.interop_broker(plain=("svc",), foreign_attempt="60s", foreign_heartbeat="100ms")
    serving, asking = stage.offer(broker, "plain-rep"), stage.client(broker, "plain-req")
    other = stage.offer(broker, "plain-rep")
    asking.request(b"svc", b"work")
    holders = []
    until(lambda: holders or [holders.append(one) for one in (serving, other)
                              if one.socket.poll(0)], 5, "one of them has it")
    holder, = holders
    job = holder.job()
    stage.pass_time([], 1)
    assert stage.status(broker)["counters"]["redeliveries"] == 0
    holder.answer(job, b"done")
    assert asking.reply().body == (b"done",)


def test_a_rep_worker_that_dies_every_time_spends_the_attempts(stage):
    broker = stage.interop_broker(plain=("svc",), foreign_attempt="1s", foreign_errors=1)
    asking = stage.client(broker, "plain-req")
    asking.request(b"svc", b"deadly")
    for _ in range(3):
        dying = stage.offer(broker, "plain-rep")
        dying.job()
        dying.close()
    assert asking.reply().body[0] == b"WORKER_LOST"


def _most_at_once(clients, workers):
    """Each client sends a request; returns how many workers had one at the same time."""
    for client in clients:
        client.request(b"svc", b"work")
    held, most, answered = {}, 0, 0
    end = time.monotonic() + 5 * PATIENCE
    while answered < len(clients):
        assert time.monotonic() < end, "a request got lost"
        came = [worker for worker in workers if worker not in held and worker.socket.poll(20)]
        held.update((worker, worker.job()) for worker in came)
        most = max(most, len(held))
        if not came:
            for worker, job in held.items():
                worker.answer(job, b"done")
            answered += len(held)
            held = {}
    for client in clients:
        assert client.reply().body == (b"done",)
    return most


def test_two_rep_workers_share(stage):
    """The broker does not know of a REP socket before it is connected, so the first may get both
    requests."""
    broker = stage.interop_broker(plain=("svc",))
    workers = [stage.offer(broker, "plain-rep") for _ in range(2)]
    clients = [stage.client(broker, "plain-req") for _ in range(2)]
    until(lambda: _most_at_once(clients, workers) == 2, 5, "both work at the same time")
    for _ in range(5):
        assert _most_at_once(clients, workers) == 2, "and so from then on"


def test_a_rep_worker_and_an_mdp_worker_share(stage):
    broker = stage.interop_broker(plain=("svc",))
    rep, mdp = stage.offer(broker, "plain-rep"), stage.offer(broker, "mdp01")
    clients = [stage.client(broker, "plain-req"), stage.client(broker, "mdp02")]
    for client in clients:
        client.request(b"svc", b"work")
    jobs = [(worker, worker.job()) for worker in (rep, mdp)]
    for worker, job in jobs:
        worker.answer(job, b"done")
    for client in clients:
        assert client.reply().body == (b"done",)


def test_two_pairs_do_not_meet(stage):
    broker = stage.interop_broker(plain=("one", "two"))
    for service in (b"one", b"two"):
        serving = stage.offer(broker, "plain-rep", service)
        asking = stage.client(broker, "plain-req", service)
        asking.request(service, service)
        assert serving.serve() == [(service,)]
        assert asking.reply().body == (service,)


def test_a_pair_of_many_clients_keeps_them_apart(stage):
    broker = stage.interop_broker(plain=("svc",))
    workers = [stage.process(broker, "echo", "plain-rep") for _ in range(3)]
    clients = [stage.client(broker, "plain-req" if number % 2 else "plain-dealer")
               for number in range(20)]
    for turn in range(5):
        for number, client in enumerate(clients):
            client.request(b"svc", b"%d of %d" % (turn, number))
        for number, client in enumerate(clients):
            assert client.reply().body == (b"%d of %d" % (turn, number),)
    assert all(worker.alive() for worker in workers)


@pytest.mark.parametrize("value", ["svc", "svc=", "svc=ipc:///tmp/a", "=ipc:///tmp/a,ipc:///tmp/b",
                                   "mmi.x=ipc:///tmp/a,ipc:///tmp/b", "svc=nonsense,ipc:///tmp/b"])
def test_a_pair_that_makes_no_sense_is_refused(stage, value):
    result = stage.run(programs.BROKER, "--plain", value)
    assert result.code == 2 and b"plain" in result.err, result


def test_an_endpoint_in_use_is_said(stage):
    stage.interop_broker(plain=("svc",))
    front, back = stage.pair(b"svc")
    result = stage.run(programs.BROKER, "--bind", f"ipc://{stage.directory}/other", "--plain",
                       f"svc={front},{back}")
    assert result.code == 1 and front.encode() in result.err, result


def test_a_rep_over_its_limit_is_told_with_service_and_limit(stage):
    broker = stage.interop_broker(plain=("svc",), foreign_attempt="300ms", foreign_attempts=2)
    stage.offer(broker, "plain-rep")
    stage.client(broker, "plain-req").request(b"svc", b"slow")
    until(lambda: stage.status(broker)["unanswered"] == {"WORKER_LOST": 1}, 10, "it ends")
    log = broker.log()
    assert 'a worker of "svc" did not answer attempt 1 of 2 within 300 ms' in log
    assert 'a request for "svc" ended with WORKER_LOST' in log and "foreign_attempt" in log
