# SPDX-License-Identifier: MPL-2.0
"""The workers for threads and for asyncio over a real broker, beyond what tests/languages asks of every language."""

import asyncio
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

import riposte
import riposte.aio
from support.waiting import until


@pytest.fixture(scope="module")
def client(stage):
    with riposte.Client(stage.shared.endpoint, timeout=30.0, wait_worker=20.0) as one:
        yield one


@contextlib.contextmanager
def serving(worker):
    """Runs a worker in a thread."""
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.drain()
        thread.join(60)
        assert not thread.is_alive()


def burn(task):
    """Computes in Python, which holds the interpreter's lock."""
    end = time.monotonic() + float(task.body)
    while time.monotonic() < end:
        pass
    return str(os.getpid())


def count(task):
    task.state["count"] = task.state.get("count", 0) + 1
    return str(task.state["count"])


def die(task):
    os._exit(3)


def die_or_wait(task):
    if task.body == b"die":
        os._exit(3)
    name, _, path = task.body.decode().partition(" ")
    if name == "wait":
        until(lambda: os.path.exists(path), 20)
    links = (os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd_exists(fd))
    return f"{os.getpid()} {sum(link.startswith('socket:') for link in links)}"


def fd_exists(fd):
    return os.path.exists(f"/proc/self/fd/{fd}") or os.path.islink(f"/proc/self/fd/{fd}")


def leave(task):
    sys.exit("not here")


def test_what_a_handler_returns_and_raises_is_what_the_client_gets(stage, client):
    worker = riposte.Worker(stage.shared.endpoint, "kinds")

    @worker.handler
    def kinds(task):
        what = task.body.decode()
        if what == "nothing":
            return None
        if what == "text":
            return "Zürich"
        if what == "answer":
            return riposte.Answer(b"body", headers={"k": "v"}, code=5, text="noted")
        if what == "app":
            raise riposte.AppError("no such page", code=404, body=b"page", headers=[("k", "v")])
        if what == "retry":
            task.retry("not now")
        if what == "wrong":
            return riposte.Answer(b"", headers={"Not A Name": "v"})
        if what == "odd":
            return 7
        if what == "exit":
            sys.exit("not here")
        if what == "cancelled":
            raise asyncio.CancelledError
        raise KeyError("boom")

    with serving(worker):
        assert client.call("kinds", "nothing").body == b""
        assert client.call("kinds", "text").body == "Zürich".encode()
        reply = client.call("kinds", "answer")
        assert (reply.body, reply.headers, reply.code, reply.text) == (b"body", (("k", "v"),), 5, "noted")
        with pytest.raises(riposte.AppError) as caught:
            client.call("kinds", "app")
        error = caught.value
        assert (error.code, error.text, error.body, error.headers) == (404, "no such page", b"page", (("k", "v"),))
        with pytest.raises(riposte.WorkerLost, match="not now"):
            client.call("kinds", "retry")
        with pytest.raises(riposte.AppError, match="may not travel"):
            client.call("kinds", "wrong")
        with pytest.raises(riposte.AppError):
            client.call("kinds", "odd")
        with pytest.raises(riposte.AppError, match="not here"):
            client.call("kinds", "exit")
        with pytest.raises(riposte.AppError, match="CancelledError"):
            client.call("kinds", "cancelled")
        with pytest.raises(riposte.AppError, match="boom"):
            client.call("kinds", "raise")


def test_a_task_knows_its_deadline_and_sees_it_pass(stage, client):
    worker = riposte.Worker(stage.shared.endpoint, "waits", slots=2)
    seen = []

    @worker.handler
    def waits(task):
        if task.body == b"there?":
            return
        seen.append(task.time_left)
        seen.append(task.wait_cancelled(20))

    with serving(worker):
        client.call("waits", b"there?")
        with pytest.raises(riposte.Deadline):
            client.call("waits", timeout=1.0)
        until(lambda: len(seen) == 2, 5)
    assert 0 < seen[0] <= 1.0 and seen[1] is True


def test_slots_run_at_once_and_no_more(stage, client):
    worker = riposte.Worker(stage.shared.endpoint, "at-once", slots=3)
    lock, now, most, all_run = threading.Lock(), [0], [0], threading.Barrier(3)

    @worker.handler
    def at_once(task):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        all_run.wait(20)
        with lock:
            now[0] -= 1

    with serving(worker):
        list(client.map("at-once", [b""] * 9, parallel=9))
    assert most == [3]


def test_an_answer_does_not_wait_for_the_handler_after_it(stage, client):
    worker = riposte.Worker(stage.shared.endpoint, "queue", slots=16, workers=1)
    finish = threading.Event()

    @worker.handler
    def queue(task):
        if task.body == b"slow":
            finish.wait(20)
        return task.body

    with serving(worker):
        client.call("queue")
        bodies = [b"%d" % at for at in range(8)] + [b"slow", b"behind"]  # they travel together
        replies = client.map("queue", bodies, parallel=len(bodies), timeout=15)
        try:
            assert [next(replies).body for _ in range(8)] == bodies[:8]
        finally:
            finish.set()
        assert [reply.body for reply in replies] == bodies[8:]


@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_heartbeats_go_on_while_handlers_compute(stage, client, pool):
    # The broker grants 500 ms at most: after three of them without a word it would take the worker for lost.
    worker = riposte.Worker(stage.shared.endpoint, f"burn-{pool}", workers=2, pool=pool)
    worker.handler(burn)
    with serving(worker):
        replies = list(client.map(f"burn-{pool}", [b"2.0", b"0.1"], parallel=2))
    pids = {int(reply.body) for reply in replies}
    assert all(reply.attempt == 1 for reply in replies)
    assert pids == {os.getpid()} if pool == "threads" else (len(pids) == 2 and os.getpid() not in pids)


@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_a_conversation_has_its_state_and_its_end_is_told(stage, client, pool):
    worker = riposte.Worker(stage.shared.endpoint, f"count-{pool}", slots=2, pool=pool)
    worker.handler(count)
    over = []
    worker.on_end(over.append)
    with serving(worker):
        with client.conversation(f"count-{pool}") as one, client.conversation(f"count-{pool}") as two:
            assert [one.call().body, one.call().body, two.call().body, one.call().body] == [b"1", b"2", b"1", b"3"]
        until(lambda: len(over) == 2, 5, "both ends are told")
        assert not worker._states


def test_a_process_that_dies_is_WORKER_LOST_and_the_pool_goes_on(stage, client):
    worker = riposte.Worker(stage.shared.endpoint, "dies", pool="processes")
    worker.handler(die)
    with serving(worker):
        for _ in range(2):
            with pytest.raises(riposte.WorkerLost, match="process was lost"):
                client.call("dies")


def test_a_process_that_dies_leaves_the_others_alone_and_is_replaced_by_one_without_the_workers_sockets(
        stage, client, tmp_path):
    worker = riposte.Worker(stage.shared.endpoint, "breaks", slots=2, pool="processes")
    worker.handler(die_or_wait)
    with serving(worker):
        first, sockets = client.call("breaks", b"look").body.split()
        beside = client.submit("breaks", f"wait {tmp_path}/go", timeout=30)
        for _ in range(2):
            with pytest.raises(riposte.WorkerLost, match="process was lost"):
                client.call("breaks", b"die")
        later = client.call("breaks", b"look").body.split()
        (tmp_path / "go").touch()
        beside = beside.reply().body.split()
        assert len({first, later[0], beside[0]} | {str(os.getpid())}) >= 3
        assert later[1] == beside[1] == sockets


def test_the_processes_end_with_the_worker_however_it_ended(stage, client, tmp_path):
    lines = ("import sys, os, time", f"sys.path.insert(0, {str(pathlib.Path(riposte.__file__).parents[1])!r})",
             "import riposte", f"worker = riposte.Worker({stage.shared.endpoint!r}, 'orphans', pool='processes')",
             "@worker.handler", "def orphans(task):", "    if task.body:", "        open(task.body, 'w').close()",
             "        time.sleep(60)", "    return str(os.getpid())",
             "worker.run()")
    process = subprocess.Popen([sys.executable, "-c", "\n".join(lines)])
    try:
        pid = client.call("orphans").body.decode()
        call = client.submit("orphans", f"{tmp_path}/started", timeout=60)
        until((tmp_path / "started").exists, 5, "it is at work")
    finally:
        process.kill()
        process.wait()
    until(lambda: state_of(pid) in ("", "Z"), 10, "the process of the pool is gone")
    assert call.wait().status == riposte.Status.WORKER_LOST


def state_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def test_a_worker_that_lost_the_process_which_starts_others_leaves(stage, client):
    worker = riposte.Worker(stage.shared.endpoint, "childless", pool="processes")
    worker.handler(die_or_wait)
    with serving(worker):
        client.call("childless", b"look")
        os.kill(worker._processes._pid, signal.SIGKILL)
        for _ in range(2):
            with contextlib.suppress(riposte.WorkerLost, riposte.NoWorker):
                client.call("childless", b"die", wait_worker=0)
        until(lambda: worker._stopped, 10, "it has left")


def test_a_handler_that_exits_in_a_process_is_APP_ERROR_and_the_worker_goes_on(stage, client):
    worker = riposte.Worker(stage.shared.endpoint, "exits", pool="processes")
    worker.handler(leave)
    with serving(worker):
        for _ in range(2):
            with pytest.raises(riposte.AppError, match="not here"):
                client.call("exits")


def test_a_worker_that_drains_while_its_broker_dies_ends_with_its_handler(stage, monkeypatch):
    broker = stage.broker()
    worker = riposte.Worker(broker.endpoint, "late", slots=2)
    begun, go_on, troubles = threading.Event(), threading.Event(), []
    monkeypatch.setattr(threading, "excepthook", troubles.append)

    @worker.handler
    def late(task):
        begun.set()
        go_on.wait(10)
    with serving(worker), riposte.Client(broker.endpoint, wait_worker=20.0) as one:
        one.submit("late")
        assert begun.wait(10)
        worker.drain()
        until(lambda: worker._core.draining, 10)
        broker.kill()
        until(lambda: worker._core.due() == float("inf"), 10)
        worker._loop.wake()  # the thread that polls looks again, with nothing due
        until(lambda: troubles or worker._loop.leader, 10)
        go_on.set()
    assert not troubles


@pytest.mark.parametrize("wrong, words", [
    ({"slots": "4"}, "slots is a whole number, not str"), ({"workers": 1.5}, "workers is a whole number, not float"),
    ({"drain_limit": "1"}, "drain_limit is a number of seconds, not str"), ({"name": 5}, "name is a text, not int"),
    ({"heartbeat": "1"}, "heartbeat is a number of seconds, not str"), ({"servers": 5555}, "endpoints are a text"),
    ({"service": b"x"}, "service is a text, not bytes")])
def test_an_argument_of_a_wrong_type_is_named(stage, wrong, words):
    with pytest.raises(TypeError, match=words):
        riposte.Worker(**{"servers": stage.shared.endpoint, "service": "x", **wrong})
    if "workers" not in wrong:
        with pytest.raises(TypeError, match=words):
            riposte.aio.Worker(**{"servers": stage.shared.endpoint, "service": "x", **wrong})
    with pytest.raises(TypeError, match="a handler is a function, not str"):
        riposte.Worker(stage.shared.endpoint, "x").handler("x")


def test_a_worker_that_is_not_ready_gets_nothing_until_it_is(stage, client):
    worker = riposte.Worker(stage.shared.endpoint, "unready", slots=2)
    worker.handler(count)
    worker.set_ready(0)
    with serving(worker):
        until(lambda: worker._core and worker._core._seats[0].link.state == "up", 10)
        with pytest.raises(riposte.Expired):
            client.call("unready", timeout=0.3)
        worker.set_ready(1)
        assert client.call("unready").body == b"1"
        worker.set_ready(0)
        until(lambda: worker._core._seats[0].stated == 0, 10)
        with pytest.raises(riposte.Expired):
            client.call("unready", timeout=0.3)
        call = client.submit("unready")
        worker.set_ready(100)  # no more than its slots
        assert call.reply().body == b"1"
    with pytest.raises(ValueError, match="0 or more"):
        worker.set_ready(-1)


def test_the_first_signal_drains_whatever_woke_the_worker_before(stage):
    worker = riposte.Worker(stage.shared.endpoint, "calm")
    for _ in range(3):
        worker._wake()  # as answers that are held do
    worker._on_signal(signal.SIGTERM, None)
    assert worker._wants == {"drain"}
    worker._on_signal(signal.SIGTERM, None)
    assert worker._wants == {"drain", "stop"}


def test_a_worker_runs_once(stage):
    worker = riposte.Worker(stage.shared.endpoint, "once")
    worker.handler(count)
    worker.drain()  # before it runs: it takes nothing
    worker.run()
    with pytest.raises(RuntimeError, match="runs once; make another"):
        worker.run()

    async def run():
        other = riposte.aio.Worker(stage.shared.endpoint, "once")
        other.handler(count)
        other.drain()
        await asyncio.wait_for(other.run(), 15)
        with pytest.raises(RuntimeError, match="runs once; make another"):
            await other.run()
    asyncio.run(run())


def test_a_worker_without_a_handler_and_wrong_settings_are_refused(stage):
    with pytest.raises(RuntimeError):
        riposte.Worker(stage.shared.endpoint, "none").run()
    for wrong in ({"slots": 5000}, {"pool": "fibres"}, {"key_file": "/no/such/file", "server_key": "x" * 40}):
        with pytest.raises((ValueError, OSError)):
            riposte.Worker(stage.shared.endpoint, "x", **wrong)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        riposte.Worker(stage.shared.endpoint, "x")
    assert len(os.listdir("/proc/self/fd")) < before + 5
    with pytest.raises(riposte.Denied):
        worker = riposte.Worker(stage.shared.endpoint, "riposte.mine")
        worker.handler(count)
        worker.run()


def test_asyncio_runs_as_many_coroutines_as_slots_and_drains(stage, client):
    async def run():
        worker = riposte.aio.Worker(stage.shared.endpoint, "aio", slots=8)
        over, together, drained = [], [], asyncio.Event()
        worker.on_end(over.append)

        @worker.handler
        async def naps(task):
            if task.conversation:
                return count(task)
            if task.body == b"fail":
                raise ValueError("it failed")
            if task.body == b"x":
                together.append(task)
                while len(together) < 8:  # one after the other, they would never end
                    await asyncio.sleep(0.01)
            if task.body == b"last":
                await drained.wait()
            return task.body.upper()
        before = threading.active_count()
        serving = asyncio.create_task(worker.run())
        async with riposte.aio.Client(stage.shared.endpoint, wait_worker=20.0) as one:
            await one.call("aio", b"first")
            assert [reply.body async for reply in one.map("aio", [b"x"] * 8, parallel=8)] == [b"X"] * 8
            with pytest.raises(riposte.AppError, match="it failed"):
                await one.call("aio", b"fail")
            async with one.conversation("aio") as talk:
                assert [(await talk.call()).body for _ in range(2)] == [b"1", b"2"]
            while not over:
                await asyncio.sleep(0.01)
            last = asyncio.create_task(one.call("aio", b"last"))
            while not worker._tasks:
                await asyncio.sleep(0.01)
            worker.drain()
            drained.set()
            await asyncio.wait_for(serving, 30)
            assert (await last).body == b"LAST"
        assert threading.active_count() <= before
    asyncio.run(run())


def test_a_silent_name_server_keeps_no_event_loop_from_ending(monkeypatch):
    asked, answers, answered = threading.Event(), threading.Event(), []

    def look_up(endpoint, records):
        asked.set()
        answers.wait(10)
        answered.append(endpoint)
        return [], "no name server answered"
    monkeypatch.setattr(riposte._sockets, "look_up", look_up)
    worker = riposte.aio.Worker("srv:_riposte._tcp.example.org", "aio")
    worker.handler(lambda task: b"")

    async def run():
        serving = asyncio.create_task(worker.run())
        while not asked.is_set():
            await asyncio.sleep(0.01)
        worker.drain()
        await serving
    asyncio.run(run())
    assert answered == []
    answers.set()
