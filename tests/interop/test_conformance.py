# SPDX-License-Identifier: MPL-2.0
"""The faults of earlier brokers as 25 statements that must hold, one after the other, for every
protocol that they concern. README.md lists them. (16 to 25 are in test_conformance_more.py.)"""

import pathlib
import time

import pytest

from stage import ALIVE, CLIENTS, FAST, INTERVAL, MDP_CLIENTS, MDP_WORKERS, WORKERS, pair
from support import peer as native
from support.programs import PATIENCE, SANITIZED
from support.waiting import until


def _gone_from_every_count(stage, broker):
    until(lambda: stage.count(broker, b"svc") == 0, 5, "the worker is gone from `riposte workers`")
    asking = stage.client(broker, "mdp02")
    assert asking.call(b"mmi.service", b"svc").body == (b"404",)
    assert asking.call(b"mmi.workers", b"svc").body == (b"404",)
    assert stage.services(broker).get("svc", {"workers": 0})["workers"] == 0
    assert stage.status(broker)["workers"] == 0


# ---- 1: when a busy worker dies ------------------------------------------------------------------


@pytest.mark.parametrize("worker", WORKERS)
def test_01_when_a_busy_worker_dies_its_request_goes_to_another(stage, worker):
    broker = stage.interop_broker(plain=pair(worker), foreign_attempt="500ms")
    gate = stage.gate()
    dying = stage.worker(broker, "svc", *gate.command) if worker == "native" \
        else stage.process(broker, "hold", worker)
    asking = stage.client(broker, "mdp02")
    asking.request(b"svc", b"precious")
    if worker == "native":
        until(gate.starts, 5, "it has it")
    else:
        dying.wait_for("took precious")
    other = stage.offer(broker, worker)
    dying.kill()
    other.serve()
    assert asking.reply().body == (b"precious",)
    assert asking.reply(within=0.1) is None, "once"
    if worker != "plain-rep":
        assert stage.count(broker, b"svc") == 1


@pytest.mark.parametrize("worker", [*MDP_WORKERS, "native"])
def test_01_when_the_last_worker_dies_busy_it_is_gone_from_every_count(stage, worker):
    broker = stage.interop_broker(foreign_attempts=1, foreign_errors=1)
    gate = stage.gate()
    dying = stage.worker(broker, "svc", *gate.command) if worker == "native" \
        else stage.process(broker, "hold", worker)
    asking = stage.client(broker, "mdp02")
    asking.request(b"svc", b"precious")
    stage.wait_for_running(broker, 1)
    dying.kill()
    assert asking.reply().body[0] == b"WORKER_LOST"
    _gone_from_every_count(stage, broker)
    assert stage.gauge(broker, "running") == 0


# ---- 2: silence of the younger -------------------------------------------------------------------


@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_02_when_the_oldest_idle_worker_lives_younger_silent_ones_expire(stage, worker):
    broker = stage.interop_broker(**FAST)
    oldest = stage.offer(broker, worker, interval=ALIVE)
    young = [stage.unready(broker, worker).ready(b"svc") for _ in range(3)]
    stage.keep([oldest], lambda: stage.count(broker, b"svc") == 4, what="all four are there")
    stage.keep([oldest], lambda: stage.count(broker, b"svc") == 1, what="the silent ones expire")
    asking = stage.client(broker, "mdp02")
    asking.request(b"svc", b"still")
    assert oldest.serve() == [(b"still",)]
    assert asking.reply().body == (b"still",)
    for silent in young:
        assert silent.hears("REQUEST", within=0.05) is None


def test_02_when_the_oldest_idle_native_worker_lives_younger_frozen_ones_expire(stage):
    broker = stage.interop_broker()
    oldest, *young = [stage.builtin(broker, "echo", "--heartbeat", "200ms", service="svc")
                      for _ in range(3)]
    for worker in young:
        worker.freeze()
    until(lambda: stage.count(broker, b"svc") == 1, 5, "the frozen ones expire")
    assert stage.worker_of(broker, oldest)


# ---- 3: heartbeats for the busy ------------------------------------------------------------------


@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_03_a_busy_worker_is_heartbeated_too(stage, worker):
    broker = stage.interop_broker(**FAST)
    busy = stage.offer(broker, worker, interval=ALIVE)
    asking = stage.client(broker, "mdp02")
    asking.request(b"svc", b"work")
    job = busy.job()
    since = time.monotonic()
    for _ in range(5):
        assert busy.hears("HEARTBEAT", within=1), "its broker is alive, and says so"
    assert time.monotonic() - since > INTERVAL, "at an interval, not at once"
    busy.answer(job, b"done")
    assert asking.reply().body == (b"done",)


def test_03_a_busy_native_worker_is_heartbeated_too(stage):
    broker = stage.interop_broker()
    worker = stage.peer(broker)
    worker.register(b"svc", heartbeat_ms=200)
    stage.client(broker, "mdp02").request(b"svc", b"work")
    worker.expect(native.REQUEST)
    for _ in range(3):
        worker.send(native.head(native.HEARTBEAT))
        assert worker.receive(1, heartbeats=True).command == native.HEARTBEAT


# ---- 4, 5: replies that nobody asked for ---------------------------------------------------------


@pytest.mark.parametrize("token", [b"forged", b"\0" * 8, b"x" * 255, None],
                         ids=["of any kind", "of zeros", "long", "of an answered request"])
@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_04_when_an_idle_worker_replies_it_is_disconnected(stage, worker, token):
    broker = stage.shared_broker()
    before = stage.status(broker)["counters"]["deliveries"]
    idle, asking = stage.offer(broker, worker), stage.client(broker, "mdp02")
    asking.request(b"svc", b"first")
    job = idle.job()
    idle.answer(job, b"genuine")
    assert asking.reply().body == (b"genuine",)
    other = stage.offer(broker, worker)
    idle.answer(job if token is None else job._replace(address=token), b"unasked")
    assert idle.hears("DISCONNECT")
    until(lambda: stage.count(broker, b"svc") == 1, 5, "it is gone")
    for number in range(3):
        asking.request(b"svc", b"%d" % number)
        assert other.serve() == [(b"%d" % number,)]
        assert asking.reply().body == (b"%d" % number,)
    assert asking.reply(within=0.1) is None, "nothing was dispatched twice, nothing answered twice"
    assert idle.next(within=0.05) is None, "DISCONNECT and nothing more"
    assert stage.status(broker)["counters"]["deliveries"] == before + 4


def test_04_when_an_idle_native_worker_replies_nothing_is_dispatched_twice(stage):
    """The worker stays (docs/PROTOCOL.md, 6.1): a late reply of the native protocol is no fault."""
    broker = stage.interop_broker()
    worker, asking = stage.peer(broker), stage.client(broker, "mdp02")
    worker.register(b"svc")
    worker.reply(12345, b"unasked")
    until(lambda: stage.status(broker)["counters"]["late_replies"] == 1, 5, "it is counted")
    asking.request(b"svc", b"work")
    worker.reply(worker.expect(native.REQUEST).id, b"done")
    assert asking.reply().body == (b"done",)
    assert asking.reply(within=0.1) is None
    assert stage.status(broker)["counters"]["deliveries"] == 1


def _bent(address):
    return address[:-1] + bytes([address[-1] ^ 1])


@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_05_when_a_reply_names_anothers_request_it_is_refused(stage, worker):
    broker = stage.shared_broker()
    pairs = []
    for name in (b"a", b"b"):
        serving, asking = stage.offer(broker, worker, name), stage.client(broker, "mdp02")
        asking.request(name, name)
        pairs.append((serving, asking, serving.job()))
    (first, alice, for_alice), (second, bob, for_bob) = pairs
    wrongs = stage.wrongs(broker)
    for address in (for_alice.address, _bent(for_bob.address), b"forged", b"\0" * 8):
        second.answer(for_bob._replace(address=address), b"stolen")
    until(lambda: stage.wrongs(broker) >= wrongs + 4, 5, "each is counted")
    assert alice.reply(within=0.1) is None and bob.reply(within=0.1) is None
    first.answer(for_alice, b"for alice")
    second.answer(for_bob, b"for bob")
    assert alice.reply().body == (b"for alice",)
    assert bob.reply().body == (b"for bob",), "a wrong reply costs a busy worker nothing"


def test_05_when_a_native_reply_names_anothers_request_it_is_refused(stage):
    broker = stage.interop_broker()
    first, second = stage.offer(broker, "mdp02"), stage.peer(broker)
    second.register(b"other")
    asking = stage.client(broker, "mdp02")
    asking.request(b"svc", b"work")
    job = first.job()
    second.reply(int.from_bytes(job.address[-8:], "big"), b"stolen")
    until(lambda: stage.status(broker)["counters"]["late_replies"] == 1, 5, "it is counted")
    first.answer(job, b"genuine")
    assert asking.reply().body == (b"genuine",)


# ---- 6: leaving with work in hand ----------------------------------------------------------------


@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize("how", ["DISCONNECT", "READY"])
@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_06_when_a_worker_leaves_with_work_it_is_redelivered_or_failed(
        stage, worker, how, attempts):
    broker = stage.shared_broker(foreign_attempts=attempts, foreign_errors=1)
    leaving, asking = stage.offer(broker, worker), stage.client(broker, "mdp02")
    asking.request(b"svc", b"work")
    leaving.job()
    other = stage.offer(broker, worker)
    if how == "READY":
        leaving.ready(b"svc")
        assert leaving.hears("DISCONNECT"), "READY is for once"
    else:
        leaving.disconnect()
    if attempts == 1:
        assert asking.reply().body[0] == b"WORKER_LOST"
    else:
        assert other.serve() == [(b"work",)]
        assert asking.reply().body == (b"work",)
    until(lambda: stage.count(broker, b"svc") == 1, 5, "it is gone")


@pytest.mark.parametrize("how", [native.BYE, native.HELLO])
def test_06_when_a_native_worker_leaves_with_work_it_is_redelivered(stage, how):
    broker = stage.shared_broker()
    leaving, asking = stage.peer(broker), stage.client(broker, "mdp02")
    leaving.register(b"svc")
    asking.request(b"svc", b"work")
    leaving.expect(native.REQUEST)
    other = stage.offer(broker, "mdp01")
    leaving.send(native.head(native.BYE) if how == native.BYE else native.head(
        native.HELLO, flags=native.WORKER, name=b"svc", key=b"x", value=1, time=1000))
    other.serve()
    assert asking.reply().body == (b"work",)


# ---- 7: the broker's names -----------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"mmi.x", b"mmi.service", b"mmi.", b"riposte.status"])
@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_07_when_ready_names_one_of_the_brokers_the_worker_is_disconnected(stage, worker, name):
    broker = stage.shared_broker()
    wrong = stage.unready(broker, worker).ready(name)
    assert wrong.hears("DISCONNECT")
    assert not stage.workers(broker)
    answer = b"501" if name in (b"mmi.x", b"mmi.") else b"404"
    if name != b"riposte.status":
        assert stage.client(broker, "mdp02").call(name, b"svc").body == (answer,)


@pytest.mark.parametrize("name", [b"my.mmi.service", b"mmi", b"mmix.y", b"xmmi.service"])
@pytest.mark.parametrize("worker", [*MDP_WORKERS, "native"])
def test_07_a_name_that_only_contains_mmi_is_routed_normally(stage, worker, name):
    broker = stage.shared_broker()
    serving, asking = stage.offer(broker, worker, name), stage.client(broker, "mdp02")
    asking.request(name, b"hello")
    serving.serve()
    assert asking.reply().body == (b"hello",)


# ---- 8, 9: messages that are not whole -----------------------------------------------------------

SHORT = {
    "one empty frame": (b"",), "two empty frames": (b"", b""), "a client's name": (b"MDPC02",),
    "a worker's name": (b"MDPW02",), "a client's name behind an empty one": (b"", b"MDPC01"),
    "a worker's name behind an empty one": (b"", b"MDPW01"),
    "0.2 behind an empty frame": (b"", b"MDPW02"), "signature only": (b"\xAA\xA4",),
    "signature and number": (b"\xAA\xA4\x01",), "a request without a service": (b"MDPC02", b"\1"),
    "0.1 request without a body": (b"", b"MDPC01", b"svc"),
    "0.2 request without a body": (b"MDPC02", b"\1", b"svc"),
    "0.1 READY without a service": (b"", b"MDPW01", b"\1"),
    "0.2 READY without a service": (b"MDPW02", b"\1"),
    "READY of an empty service": (b"MDPW02", b"\1", b""),
    "packed READY without a service": (b"\xAA\xA4\x04\x06MDPW02\x01",),
    "packed READY of an empty service": (b"\xAA\xA4\x04\x06MDPW02\x01\x00",),
    "packed request without a body": (b"\xAA\xA4\x01\x06MDPC02\x01\x03svc",),
    "0.1 reply without anything": (b"", b"MDPW01", b"\3"),
    "0.2 reply without an envelope": (b"MDPW02", b"\4", b"address"),
}


@pytest.mark.parametrize("what", SHORT)
def test_08_when_a_message_is_too_short_the_broker_survives(stage, what):
    broker = stage.shared_broker()
    healthy, asking = stage.offer(broker, "mdp01"), stage.client(broker, "req-mdp01")
    wrongs = stage.wrongs(broker)
    raw = stage.raw(broker)
    # The first empty message is taken for ZMQ_PROBE_ROUTER's (tests/interop/test_probes.py).
    if SHORT[what] == (b"",):
        raw.send(b"")
    raw.send(*SHORT[what])
    until(lambda: stage.wrongs(broker) > wrongs, 5, "it is counted")
    asking.request(b"svc", b"hello")
    assert healthy.serve() == [(b"hello",)]
    assert asking.reply().body == (b"hello",)
    assert len(stage.workers(broker)) == 1


@pytest.mark.parametrize("cut", [0, 1, 2], ids=["no body", "no empty frame", "no address"])
@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_08_when_a_reply_is_empty_its_request_goes_to_another(stage, worker, cut):
    broker = stage.shared_broker()
    empty, asking = stage.offer(broker, worker), stage.client(broker, "mdp02")
    asking.request(b"svc", b"work")
    frames = empty.pack("FINAL", empty.job().address, ())
    empty.send(*frames[:len(frames) - cut])
    assert empty.hears("DISCONNECT")
    other = stage.offer(broker, worker)
    assert other.serve() == [(b"work",)]
    assert asking.reply().body == (b"work",)


UNKNOWN = {
    "mdp01": [(b"", b"MDPW01", bytes([number]), b"svc") for number in (0, 2, 6, 255)],
    "mdp02": [(b"MDPW02", bytes([number]), b"svc") for number in (0, 2, 7, 255)],
    "libmdp": [(b"", b"MDPW02", bytes([number]), b"svc") for number in (0, 2, 7, 255)],
    "packed": [(b"\xAA\xA4" + bytes([number]) + b"\x06MDPW02" + bytes([number - 3]) + b"\x03svc",)
               for number in (5, 10, 250)],
}


@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_09_an_unknown_command_before_ready_draws_disconnect_and_leaves_nothing(stage, worker):
    broker = stage.shared_broker()
    for frames in UNKNOWN[worker]:
        half = stage.unready(broker, worker)
        half.send(*frames)
        assert half.hears("DISCONNECT"), frames
        assert not stage.workers(broker), frames
        fresh = stage.offer(broker, worker)  # on a new socket, as the RFC wants it
        fresh.disconnect()
        until(lambda: not stage.workers(broker), 5, "it is gone")


# ---- 10: a flood of names ------------------------------------------------------------------------


@pytest.mark.parametrize("client", ["dealer-mdp01", "mdp02", "libmdp", "majortomo", "packed"])
def test_10_when_unknown_names_flood_in_memory_stays_bounded_and_requests_expire(stage, client):
    broker = stage.interop_broker(max_services=100, foreign_deadline="1s", service_queue=1000)
    healthy, asking = stage.offer(broker, "mdp01"), stage.client(broker, client)
    before = broker.resident_bytes()
    for number in range(20000):
        asking.request(b"name-%d" % number, b"x" * 100)
    other = stage.client(broker, "req-mdp01")
    other.request(b"svc", b"hello")
    assert healthy.serve() == [(b"hello",)]
    assert other.reply().body == (b"hello",)
    assert len(stage.services(broker)) <= 100
    until(lambda: stage.gauge(broker, "waiting") == 0, 10, "what waited has expired")
    assert broker.resident_bytes() - before < (32 << 20) * PATIENCE
    until(lambda: list(stage.services(broker)) == ["svc"], 5, "the names are forgotten")


# ---- 11: envelopes of REQ ------------------------------------------------------------------------


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize("client,options", [
    ("req-mdp01-correlate", {}), ("req-mdp01-relaxed", {}), ("plain-req", {"req_correlate": 1}),
    ("plain-req", {"req_correlate": 1, "req_relaxed": 1})],
    ids=["req-mdp01-correlate", "req-mdp01-relaxed", "plain-req CORRELATE", "plain-req RELAXED"])
def test_11_a_req_client_with_correlate_is_served(stage, client, options, worker):
    broker = stage.shared_broker(plain=pair(client, worker))
    serving, asking = stage.offer(broker, worker), stage.client(broker, client, **options)
    for number in range(3):
        asking.request(b"svc", b"%d" % number)
        serving.serve()
        assert asking.reply().body == (b"%d" % number,)


@pytest.mark.parametrize("client,options", [
    ("req-mdp01-relaxed", {}), ("plain-req", {"req_correlate": 1, "req_relaxed": 1})])
def test_11_a_relaxed_req_client_that_asks_again_gets_the_reply_to_that(stage, client, options):
    broker = stage.shared_broker(plain=pair(client))
    serving, asking = stage.offer(broker, "mdp02"), stage.client(broker, client, **options)
    asking.request(b"svc", b"first")
    first = serving.job()
    asking.request(b"svc", b"second")
    serving.answer(first, b"to the first")
    serving.answer(serving.job(), b"to the second")
    assert asking.reply().body == (b"to the second",)
    assert asking.reply(within=0.1) is None


# ---- 12: the wall clock --------------------------------------------------------------------------

FAKETIME = next(iter(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


def _wall_clock(stage):
    """Gives the programs that start next a wall clock of their own. Returns a function that sets it
    to this many seconds from the real one. Other clocks are not changed."""
    assert FAKETIME, "faketime is missing; run script/deps"
    offset = stage.directory / "offset"
    offset.write_text("+0")
    stage.environment.update(
        LD_PRELOAD=str(FAKETIME), FAKETIME_TIMESTAMP_FILE=str(offset), FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1")

    def jump(seconds):
        offset.write_text(f"{seconds:+d}")
    return jump


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's runtime has to be the first library")
@pytest.mark.parametrize("seconds", [3600, 86400, -3600, -86400],
                         ids=["an hour on", "a day on", "an hour back", "a day back"])
def test_12_when_the_wall_clock_jumps_nobody_expires(stage, seconds):
    jump = _wall_clock(stage)
    broker = stage.interop_broker(plain=("svc",))
    for name in ("LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE"):
        del stage.environment[name]
    idle = [stage.offer(broker, worker, b"idle", interval=ALIVE) for worker in MDP_WORKERS]
    stage.builtin(broker, "echo", service="idle")
    busy, asking = stage.offer(broker, "mdp02", interval=ALIVE), stage.client(broker, "mdp02")
    asking.request(b"svc", b"work")
    job = busy.job()
    everybody = [*idle, busy]
    stage.client(broker, "dealer-mdp01").request(b"later", b"waits")
    stage.wait_for_waiting(broker, 1)
    before = broker.log()
    jump(seconds)
    stage.unready(broker, "mdp01").ready(b"mmi.x")  # with this the broker logs a line, which has its time
    stage.keep(everybody, lambda: stage.lines(broker, before), what="a line with the new time")
    wall = time.strftime("%Y-%m-%d", time.gmtime(time.time() + seconds))
    hour = time.strftime("%Y-%m-%dT%H", time.gmtime())
    line = stage.lines(broker, before)[0]
    assert line.startswith(wall) and not line.startswith(hour), "it did jump"
    for _ in range(3):
        stage.pass_time(everybody, 0.1)
        status = stage.status(broker)
        assert status["counters"]["workers_lost"] == 0
        assert (status["workers"], status["gauges"]["waiting"]) == (6, 1)
    busy.answer(job, b"done")
    assert asking.reply().body == (b"done",)


# ---- 13: SIGSTOP ---------------------------------------------------------------------------------


@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_13_when_the_broker_resumes_it_reads_heartbeats_before_it_expires_anyone(stage, worker):
    broker = stage.interop_broker(**FAST)
    workers = [stage.offer(broker, worker, interval=ALIVE) for _ in range(1)]
    for _ in range(2):
        late = stage.unready(broker, worker).ready(b"svc")
        late.interval = ALIVE
        workers.append(late)
    stage.keep(workers, lambda: stage.count(broker, b"svc") == 3)
    for _ in range(3):
        broker.freeze()
        stage.pass_time(workers, 5 * INTERVAL)  # longer than the broker waits; heartbeats go on
        broker.thaw()
        stage.keep(workers, lambda: stage.count(broker, b"svc") == 3)
    assert stage.status(broker)["counters"]["workers_lost"] == 0
    for one in workers:
        assert one.hears("DISCONNECT", within=0.05) is None


# ---- 14: a dispatch that fails -------------------------------------------------------------------


def _reply_while_serving(client, worker):
    """The client's reply. The worker may have got the request that was sent to one before it; then the
    broker takes its answer for a late one, and gives it the next attempt."""
    for _ in range(100):
        reply = client.reply(within=0.05)
        if reply is not None:
            return reply
        word = worker.hears("REQUEST", within=0.05)
        if word is not None:
            worker.answer(word, *word.body)
    raise AssertionError("no reply")


@pytest.mark.parametrize("worker", [*MDP_WORKERS, "plain-rep"])
def test_14_when_the_worker_is_gone_at_dispatch_the_request_stays_queued(stage, worker):
    broker = stage.interop_broker(plain=pair(worker), foreign_attempt="500ms")
    gone, asking = stage.offer(broker, worker), stage.client(broker, "mdp02")
    # Which of the two events the broker reads first is chance.
    for number in range(5):
        broker.freeze()
        asking.request(b"svc", b"%d" % number)
        gone.close()
        broker.thaw()
        fresh = stage.unready(broker, worker).ready(b"svc")
        assert fresh.serve() == [(b"%d" % number,)]
        reply = _reply_while_serving(asking, fresh) if worker == "plain-rep" else asking.reply()
        assert reply.body == (b"%d" % number,)
        gone = fresh


@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_14_when_the_worker_is_full_at_dispatch_requests_stay_queued(stage, worker):
    """A worker that does not read gets no more requests than its socket and the backlog can
    hold."""
    broker = stage.interop_broker(foreign_window=4096, connection_backlog=64)
    deaf = stage.offer(broker, worker, rcvhwm=1, rcvbuf=4096)
    asking = stage.client(broker, "mdp02")
    asked = [b"%08d" % number + b"x" * (1 << 16) for number in range(300)]
    for body in asked:
        asking.request(b"svc", body)
    until(lambda: stage.status(broker)["counters"]["requests"] == len(asked), 10, "all are there")
    stage.worker(broker, "svc", "head", "-c", "8")  # the replies are so small that the client keeps up
    deaf.close()
    replies = [asking.reply(within=10).body[0] for _ in asked]
    assert sorted(replies) == sorted(body[:8] for body in asked), "none is lost, none comes twice"
    assert asking.reply(within=0.1) is None


# ---- 15: one client's flood ----------------------------------------------------------------------


@pytest.mark.parametrize("client", [name for name in CLIENTS if name not in ("native",)])
def test_15_when_one_client_floods_anothers_request_is_served_within_a_round(stage, client):
    """In a round each client that waits for the service gets one request served."""
    broker = stage.shared_broker(plain=pair(client))
    serving, flood = stage.offer(broker, "mdp02"), stage.client(broker, "mdp02")
    for number in range(1000):
        flood.request(b"svc", b"flood")
    until(lambda: stage.gauge(broker, "waiting") == 999, 10, "the flood is there")
    other = stage.client(broker, client)
    other.request(b"svc", b"single")
    until(lambda: stage.gauge(broker, "waiting") == 1000, 10, "so is the other")
    assert (b"single",) in serving.serve(3), "after what the worker has, and one more of the flood"
    assert other.reply().body == (b"single",)


def test_15_when_a_client_floods_one_service_another_service_does_not_notice(stage):
    broker = stage.interop_broker()
    stage.offer(broker, "mdp02", b"flooded")
    serving, flood = stage.offer(broker, "mdp02"), stage.client(broker, "mdp02")
    for _ in range(5000):
        flood.request(b"flooded", b"flood")
    for name in MDP_CLIENTS:
        other = stage.client(broker, name)
        other.request(b"svc", b"single")
        assert serving.serve() == [(b"single",)]
        assert other.reply().body == (b"single",)
