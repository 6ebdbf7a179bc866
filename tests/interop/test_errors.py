# SPDX-License-Identifier: MPL-2.0
"""The answer to a client without statuses when its request fails: nothing, as in the RFCs, or, with
foreign_errors = 1, a reply whose body is the status's name and a sentence. It is the same for every
protocol.
"""

import json

import pytest

from stage import CLIENTS, MDP_WORKERS, WORKERS, couples, pair
from support import peer as native
from support.waiting import until

FOREIGN = [name for name in CLIENTS if name != "native"]


def _told(client, status, service=b"svc"):
    """Checks the reply of two frames, and that it comes once."""
    reply = client.reply()
    assert reply is not None, f"nothing came, {status} was due"
    assert len(reply.body) == 2, reply
    assert reply.body[0] == status.encode()
    assert len(reply.body[1]) > 5 and b" " in reply.body[1], "a sentence"
    assert not reply.more
    if client.names_back:
        assert reply.service == service
    assert client.reply(within=0.1) is None, "once"


def _untold(client):
    assert client.reply(within=0.2) is None, "silence, as the RFC has it"


def _ended(stage, broker, status, count=1):
    until(lambda: stage.status(broker)["finals"][status] == count, 5, f"it ends with {status}")


# ---- No worker comes -----------------------------------------------------------------------------


@pytest.mark.parametrize("errors", [0, 1])
@pytest.mark.parametrize("client", [name for name in FOREIGN if not name.startswith("plain-")])
def test_no_worker_comes(stage, client, errors):
    """The request waits for a worker, as in the RFCs, until its deadline. It ends with EXPIRED or
    NO_WORKER, which depends on what ended the wait; both say that it never ran."""
    broker = stage.interop_broker(foreign_deadline="300ms", foreign_errors=errors)
    asking = stage.client(broker, client)
    asking.request(b"nobody", b"hello")
    until(lambda: sum(stage.status(broker)["finals"].values()) == 1, 5, "it ends")
    finals = stage.status(broker)["finals"]
    status = "NO_WORKER" if finals["NO_WORKER"] else "EXPIRED"
    assert finals[status] == 1
    if errors:
        _told(asking, status, b"nobody")
    else:
        _untold(asking)


@pytest.mark.parametrize("errors", [0, 1])
@pytest.mark.parametrize("client", ["plain-req", "plain-dealer"])
def test_no_rep_worker_comes(stage, client, errors):
    broker = stage.interop_broker(plain=pair(client), foreign_deadline="300ms", foreign_errors=errors)
    asking = stage.client(broker, client)
    asking.request(b"svc", b"hello")
    until(lambda: sum(stage.status(broker)["finals"].values()) == 1, 5, "it ends")
    finals = stage.status(broker)["finals"]
    status = "NO_WORKER" if finals["NO_WORKER"] else "EXPIRED"
    if errors:
        _told(asking, status)
    else:
        _untold(asking)


@pytest.mark.parametrize("client", FOREIGN)
def test_a_request_waits_for_a_worker_that_comes_later(stage, client):
    """It waits longer than the rejoin grace and the linger, which are for other clients."""
    broker = stage.shared_broker(plain=pair(client), rejoin_grace="0s", service_linger="0s")
    asking = stage.client(broker, client)
    asking.request(b"svc", b"patient")
    stage.wait_for_waiting(broker, 1)
    stage.pass_time([], 0.2)
    serving = stage.offer(broker, "mdp01")
    assert serving.serve() == [(b"patient",)]
    assert asking.reply().body == (b"patient",)


# ---- All workers are busy until the limit of waiting -----------------------------------------------------


@pytest.mark.parametrize("errors", [0, 1])
@pytest.mark.parametrize("client", FOREIGN)
def test_no_worker_has_room_before_the_deadline(stage, client, errors):
    broker = stage.interop_broker(plain=pair(client), foreign_deadline="500ms", foreign_errors=errors)
    serving, first = stage.offer(broker, "mdp01"), stage.peer(broker)
    first.hello()
    first.request(b"svc", b"busy", time_ms=60000)
    serving.job()
    asking = stage.client(broker, client)
    asking.request(b"svc", b"waits")
    _ended(stage, broker, "EXPIRED")
    if errors:
        _told(asking, "EXPIRED")
    else:
        _untold(asking)


# ---- A worker takes longer than that -------------------------------------------------------------


@couples(FOREIGN, [name for name in WORKERS if name != "native"])
def test_a_worker_that_lives_may_take_as_long_as_it_likes(stage, client, worker):
    """While a worker has the request, its time does not count."""
    broker = stage.shared_broker(plain=pair(client, worker), foreign_deadline="300ms")
    serving, asking = stage.offer(broker, worker), stage.client(broker, client)
    asking.request(b"svc", b"slow")
    job = serving.job()
    assert asking.reply(within=0.8) is None
    serving.answer(job, b"done")
    assert asking.reply().body == (b"done",)
    assert stage.status(broker)["unanswered"] == {}


@pytest.mark.parametrize("errors", [0, 1])
@pytest.mark.parametrize("client", FOREIGN)
def test_a_worker_is_over_the_limit_of_attempts(stage, client, errors):
    broker = stage.interop_broker(
        plain=pair(client), mdp_attempt="200ms", foreign_attempts=2, foreign_errors=errors)
    serving, asking = stage.offer(broker, "mdp01"), stage.client(broker, client)
    asking.request(b"svc", b"slow")
    serving.job()
    serving.job()
    _ended(stage, broker, "WORKER_LOST")
    if errors:
        _told(asking, "WORKER_LOST")
    else:
        _untold(asking)


# ---- The queue is full ---------------------------------------------------------------------------


@pytest.mark.parametrize("errors", [0, 1])
@pytest.mark.parametrize("client", FOREIGN)
def test_the_queue_is_full(stage, client, errors):
    """These clients know of no limit, so only their bytes are limited, and `service_queue` does not
    count. A request of 0.2 has a header for its stream, of 22 bytes."""
    broker = stage.interop_broker(
        plain=pair(client), service_queue=1, service_queue_bytes="1KiB", foreign_errors=errors)
    serving = stage.offer(broker, "mdp01")
    before = stage.client(broker, "mdp02")
    before.request(b"svc", b"held")
    job = serving.job()
    before.request(b"svc", b"q" * 970)
    before.request(b"svc", b"queued")
    stage.wait_for_waiting(broker, 2)
    asking = stage.client(broker, client)
    asking.request(b"svc", b"some bytes too many")
    _ended(stage, broker, "BUSY")
    if errors:
        _told(asking, "BUSY")
    else:
        _untold(asking)
    serving.answer(job, b"done")
    assert serving.serve(2) == [(b"q" * 970,), (b"queued",)]
    assert [before.reply().body for _ in range(3)] == [(b"done",), (b"q" * 970,), (b"queued",)]


# ---- There is no place for its client -------------------------------------------------------------


def test_the_request_of_a_client_that_is_refused_is_counted(stage):
    broker = stage.interop_broker(max_clients=1)
    stage.offer(broker, "mdp01")
    first, second = stage.client(broker, "mdp02"), stage.client(broker, "mdp02")
    first.request(b"mmi.service", b"svc")
    assert first.reply() is not None
    second.request(b"svc", b"nobody")
    _untold(second)
    first.request(b"riposte.status", b"")
    assert json.loads(first.reply().body[0])["unanswered"] == {"BUSY": 1}


# ---- The attempts are spent ----------------------------------------------------------------------


@pytest.mark.parametrize("errors", [0, 1])
@pytest.mark.parametrize("client", FOREIGN)
def test_the_attempts_are_spent(stage, client, errors):
    broker = stage.interop_broker(plain=pair(client), foreign_attempts=2, foreign_errors=errors)
    asking = stage.client(broker, client)
    asking.request(b"svc", b"deadly")
    for _ in range(2):
        dying = stage.offer(broker, "mdp01")
        dying.job()
        dying.close()
    _ended(stage, broker, "WORKER_LOST")
    if errors:
        _told(asking, "WORKER_LOST")
    else:
        _untold(asking)
    assert stage.status(broker)["counters"]["deliveries"] == 2


def test_a_foreign_has_three_attempts_by_default(stage):
    broker = stage.interop_broker(foreign_errors=1)
    asking = stage.client(broker, "mdp02")
    asking.request(b"svc", b"deadly")
    for _ in range(3):
        dying = stage.offer(broker, "mdp02")
        assert dying.job().body == (b"deadly",)
        dying.close()
    _told(asking, "WORKER_LOST")


@pytest.mark.parametrize("worker", [name for name in MDP_WORKERS if name != "mdp01"])
def test_a_stream_that_broke_is_not_begun_again(stage, worker):
    """The client has got a part, and could not tell a new beginning from more of the first."""
    broker = stage.interop_broker(foreign_errors=1)
    dying, asking = stage.offer(broker, worker), stage.client(broker, "mdp02")
    asking.request(b"svc", b"count")
    dying.partial(dying.job(), b"one")
    assert asking.reply().more
    other = stage.offer(broker, worker)
    dying.close()
    reply = asking.reply()
    assert (reply.body[0], reply.more) == (b"WORKER_LOST", False)
    assert other.hears("REQUEST", within=0.1) is None


# ---- At the door ---------------------------------------------------------------------------------


@pytest.mark.parametrize("errors", [0, 1])
@pytest.mark.parametrize("client", FOREIGN)
def test_a_body_is_too_large(stage, client, errors):
    broker = stage.interop_broker(plain=pair(client), max_body="4KiB", foreign_errors=errors)
    serving, asking = stage.offer(broker, "mdp01"), stage.client(broker, client)
    asking.request(b"svc", b"x" * 4097)
    _ended(stage, broker, "TOO_LARGE")
    if errors:
        _told(asking, "TOO_LARGE")
    else:
        _untold(asking)
    assert serving.hears("REQUEST", within=0.05) is None


@pytest.mark.parametrize("errors", [0, 1])
@pytest.mark.parametrize("client", FOREIGN)
def test_the_broker_drains(stage, client, errors):
    broker = stage.interop_broker(plain=pair(client), foreign_errors=errors)
    serving, before = stage.offer(broker, "mdp01"), stage.client(broker, "mdp02")
    before.request(b"svc", b"held")
    job = serving.job()
    asking = stage.client(broker, client)
    asking.request(b"svc", b"queued")
    stage.wait_for_waiting(broker, 1)
    broker.terminate()
    broker.wait_for("drain")
    if errors:
        _told(asking, "DRAINING")
    else:
        _untold(asking)
    serving.answer(job, b"done")
    assert before.reply().body == (b"done",)
    assert broker.wait(5) == 0


# ---- A native worker's error ---------------------------------------------------------------------


@pytest.mark.parametrize("errors", [0, 1])
@pytest.mark.parametrize("client", FOREIGN)
def test_an_app_error_is_a_reply(stage, client, errors):
    """Its body is delivered, or its text if it has no body. The worker ran the request, so this is
    its reply."""
    broker = stage.shared_broker(plain=pair(client), foreign_errors=errors)
    worker, asking = stage.peer(broker), stage.client(broker, client)
    worker.register(b"svc")
    failed = native.STATUSES.index("APP_ERROR")
    asking.request(b"svc", b"work")
    worker.reply(worker.expect(native.REQUEST).id, b"the reason", status=failed, text=b"failed")
    assert asking.reply().body == (b"the reason",)
    asking.request(b"svc", b"work")
    worker.send(native.head(native.REPLY, id=worker.expect(native.REQUEST).id, status=failed,
                            text=b"disk full"))
    assert asking.reply().body == (b"disk full",)
