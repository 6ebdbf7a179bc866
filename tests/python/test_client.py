# SPDX-License-Identifier: MPL-2.0
"""The clients for threads and for asyncio over a real broker, beyond what tests/languages asks of every language."""

import asyncio
import inspect
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile

import pytest

import riposte
import riposte.aio
from riposte import _sockets
from support.programs import PATIENCE, SOURCE
from support.waiting import until


@pytest.fixture(scope="module", autouse=True)
def workers(stage):
    stage.builtin(stage.shared, "upper", "--slots", "64")
    stage.builtin(stage.shared, "sleep", "--slots", "64")
    stage.builtin(stage.shared, "fail")


@pytest.fixture(scope="module")
def client(stage, workers):
    with riposte.Client(stage.shared.endpoint, timeout=10.0) as one:
        yield one


# ---- Calls ------------------------------------------------------------------------------------------

def test_an_error_has_status_id_and_whether_it_may_have_run(client):
    with pytest.raises(riposte.NoWorker) as caught:
        client.call("nobody", b"x")
    assert isinstance(caught.value, riposte.Error)
    assert caught.value.status is riposte.Status.NO_WORKER and caught.value.id > 0
    assert caught.value.may_have_run is False and "nobody" in str(caught.value)
    with pytest.raises(riposte.AppError) as caught:
        client.call("fail", b"3")
    assert caught.value.code == 3 and caught.value.may_have_run is True


def test_every_status_but_OK_has_a_class_of_its_own():
    classes = {one.status for one in riposte.Error.__subclasses__()}
    assert classes == set(riposte.Status) - {riposte.Status.OK}


def test_clients_that_spread_begin_with_either_broker_of_a_list(stage):
    """Forty of each kind begin with the same one once in 5 * 10 ** 11 runs."""
    brokers = [stage.shared, stage.broker()]
    servers = [broker.endpoint for broker in brokers]
    for _ in range(40):
        with riposte.Client(servers, spread=True) as one:
            one.call("riposte.ping", timeout=10.0)
    joined = [stage.status(broker)["counters"]["clients_joined"] for broker in brokers]
    assert joined[1] > 1, "beside the one that asks"

    async def ask():
        for _ in range(40):
            async with riposte.aio.Client(servers, spread=True) as one:
                await one.call("riposte.ping", timeout=10.0)

    asyncio.run(ask())
    assert stage.status(brokers[1])["counters"]["clients_joined"] > joined[1] + 1


@pytest.mark.parametrize("wrong, words", [
    ({"service": 5}, "the name of a service is a text, not int"), ({"body": 7}, "a body is bytes or a text, not int"),
    ({"timeout": "5"}, "a timeout is a number of seconds, not str"),
    ({"attempts": "2"}, "the number of attempts is a whole number, not str"),
    ({"attempts": [2]}, "the number of attempts is a whole number, not list"),
    ({"wait_worker": "1"}, "a wait for a worker is a number of seconds, not str"),
    ({"headers": "ab"}, "headers are a list of pairs of texts, or a dict of texts, not str"),
    ({"headers": {"a": 1}}, "a header is a pair of texts, not .'a', 1."), ({"headers": ["ab"]}, "a header is a pair"),
    ({"key": 5}, "a key is a text, not int")])
def test_an_argument_of_a_wrong_type_is_named_at_once(client, wrong, words):
    with pytest.raises(TypeError, match=words):
        client.call(**{"service": "x", **wrong})

    async def run():
        async with riposte.aio.Client("tcp://127.0.0.1:1") as one:
            with pytest.raises(TypeError, match=words):
                await one.call(**{"service": "x", **wrong})
    asyncio.run(run())


def test_wrong_arguments_of_other_methods_are_named_at_once(client):
    for call, words in ((lambda: client.result("1"), "number of a job is a whole number"),
                        (lambda: client.result(1, wait="x"), "a wait is a number of seconds"),
                        (lambda: client.send("x", delay="1"), "the delay of a job is a number of seconds"),
                        (lambda: list(client.map("x", [], parallel="4")), "parallel is a whole number"),
                        (lambda: riposte.Client(5555), "endpoints are a text"),
                        (lambda: riposte.Client(name=5), "name is a text"),
                        (lambda: riposte.Client(timeout="5"), "a timeout is a number of seconds")):
        with pytest.raises(TypeError, match=words):
            call()
    with pytest.raises(ValueError, match="1 or more"):
        client.result(0)


def test_a_timeout_of_more_than_a_day_is_refused_and_one_that_has_passed_says_so(stage, client):
    for wrong in (86401, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="86400"):
            client.call("upper", timeout=wrong)
        with pytest.raises(ValueError, match="86400"):
            riposte.Client(stage.shared.endpoint, timeout=wrong)
    passed = "had passed before the request was submitted"
    client.call("upper")  # it is connected
    with pytest.raises(riposte.Expired, match=passed):
        client.call("upper", timeout=-1)
    with riposte.Client("tcp://127.0.0.1:1") as nowhere, pytest.raises(riposte.NoBroker, match=passed):
        nowhere.call("upper", timeout=-1)


def test_an_error_says_what_to_do_next(stage):
    with riposte.Client("tcp://127.0.0.1:1,tcp://127.0.0.1:2", timeout=0.2) as nowhere:
        with pytest.raises(riposte.NoBroker) as caught:
            nowhere.call("upper")
    reason = "nothing listens there, or it cannot be reached"
    one, two = (f"tcp://127.0.0.1:{port}: {reason}" for port in (1, 2))
    assert caught.value.text in [f"no broker was reached within 200 ms ({reasons}); check that riposte-broker runs "
                                 "there, or name another endpoint" for reasons in (f"{one}; {two}", f"{two}; {one}")]


def test_closing_for_asyncio_does_not_wait_for_libzmq(stage, monkeypatch):
    ended = []
    monkeypatch.setattr(_sockets, "_end_context", lambda: ended.append(1))

    async def run():
        async with riposte.aio.Client(stage.shared.endpoint, wait_worker=5.0) as one:
            await one.call("upper", b"x")
    asyncio.run(run())
    assert not ended
    riposte.Client(stage.shared.endpoint).close()
    assert ended


@pytest.mark.parametrize("servers", ["", "127.0.0.1:5555", "tcp://127.0.0.1", "tcp://:1", "udp://a:1", "tcp://a:70000"])
def test_a_wrong_endpoint_is_refused_by_name(servers):
    with pytest.raises(ValueError, match="endpoint"):
        riposte.Client([servers])


def test_map_yields_in_order_and_no_more_are_open_than_parallel(stage, client):
    bodies = [f"{5 * (at % 4)}ms" for at in range(40)]
    replies = [reply.body.decode() for reply in client.map("sleep", bodies, parallel=8)]
    assert replies == [f"slept {body}" for body in bodies]
    with riposte.Client(stage.shared.endpoint) as one:
        running = one.map("sleep", (b"10s" for _ in range(100)), parallel=5, return_errors=True)
        thread = threading.Thread(target=lambda: next(running))
        thread.start()
        stage.wait_for_running(stage.shared, 5, "sleep")
    thread.join(5)
    assert not thread.is_alive()


def test_map_raises_at_the_first_failure_and_withdraws_the_rest(stage, workers):
    with riposte.Client(stage.shared.endpoint) as one:
        replies = one.map("sleep", [b"0ms", b"nonsense", b"20s", b"20s"], parallel=4, timeout=30)
        assert next(replies).body == b"slept 0ms"
        with pytest.raises(riposte.AppError):
            next(replies)
        stage.wait_for_running(stage.shared, 0, "sleep")
        both = list(one.map("sleep", [b"0ms", b"nonsense"], return_errors=True))
        assert [reply.status for reply in both] == [riposte.Status.OK, riposte.Status.APP_ERROR]


def test_many_threads_share_a_client_and_each_gets_its_own(stage):
    with riposte.Client(stage.shared.endpoint, timeout=20.0) as one:
        failures = []

        def many(name):
            for at in range(50):
                body = f"{name} {at}"
                if one.call("upper", body).body != body.upper().encode():
                    failures.append(body)
        threads = [threading.Thread(target=many, args=(f"t{number}",)) for number in range(8)]
        slow = one.submit("sleep", b"200ms")
        for thread in threads:
            thread.start()
        assert slow.reply().body == b"slept 200ms"
        for thread in threads:
            thread.join(60)
        assert not failures and not any(thread.is_alive() for thread in threads)


def test_a_submitted_call_may_be_asked_waited_for_and_cancelled(stage):
    with riposte.Client(stage.shared.endpoint) as one:
        call = one.submit("sleep", b"20s", timeout=30)
        assert not call.done() and call.wait(0.05) is None
        with pytest.raises(TimeoutError):
            call.reply(0.05)
        stage.wait_for_running(stage.shared, 1, "sleep")
        call.cancel()
        with pytest.raises(riposte.Cancelled):
            call.reply(10)
        assert call.done() and call.wait().status is riposte.Status.CANCELLED


def test_a_wait_that_is_given_up_leaves_the_reading_to_another_thread(stage):
    with riposte.Client(stage.shared.endpoint) as one:
        one._tend = lambda: 60.0  # nobody else looks after the sockets
        call = one.submit("sleep", b"20s", timeout=30)
        first, second = (threading.Thread(target=call.wait, args=(seconds,)) for seconds in (0.5 * PATIENCE, 30.0))
        first.start()
        until(lambda: one._loop.leader == first.ident, PATIENCE)
        second.start()
        first.join()
        until(lambda: one._loop.leader == second.ident, PATIENCE)
        call.cancel()
        second.join()


def test_all_threads_that_wait_for_one_call_hear_of_its_end(stage):
    with riposte.Client(stage.shared.endpoint) as one:
        long, shared = one.submit("sleep", b"20s", timeout=30), one.submit("sleep", b"300ms", timeout=30)
        leader = threading.Thread(target=long.wait)
        leader.start()
        until(lambda: one._loop.leader == leader.ident, PATIENCE)
        both = [threading.Thread(target=shared.wait) for _ in range(2)]
        for thread in both:
            thread.start()
        until(lambda: not any(thread.is_alive() for thread in both), PATIENCE)
        long.cancel()
        leader.join()


def test_an_idle_client_keeps_its_session(stage):
    # The broker grants 500 ms at most, and takes it for lost after three of them.
    with riposte.Client(stage.shared.endpoint, name="idle-one") as one:
        one.call("upper", b"x")
        begin = time.monotonic()
        until(lambda: time.monotonic() - begin > 2.0, 5)
        assert one.call("upper", b"y").body == b"Y"
        assert one._core._numbers == 1  # no second connection was made


def test_a_broker_of_a_name_is_found(stage):
    with riposte.Client(stage.shared.endpoint.replace("127.0.0.1", "localhost")) as one:
        assert one.call("upper", b"x").body == b"X"
    with riposte.Client("tcp://no-such-host.invalid:5555") as one:
        with pytest.raises(riposte.NoBroker, match="does not resolve"):
            one.call("upper", b"x", timeout=2.0 * PATIENCE)


def test_a_name_that_can_be_none_is_told_like_one_that_is_not_found():
    with riposte.Client("tcp://no..host:5555") as one:
        with pytest.raises(riposte.NoBroker, match="does not resolve"):
            one.call("upper", timeout=0.5)

    async def run():
        async with riposte.aio.Client("tcp://no..host:5555") as one:
            await one.call("upper", timeout=0.5)
    with pytest.raises(riposte.NoBroker, match="does not resolve"):
        asyncio.run(run())


def test_a_closed_client_refuses_and_close_ends_what_is_open(stage):
    one = riposte.Client(stage.shared.endpoint)
    call = one.submit("sleep", b"20s", timeout=30)
    one.close()
    one.close()
    with pytest.raises(riposte.Cancelled):
        call.reply()
    with pytest.raises(RuntimeError):
        one.call("upper", b"x")


def test_an_interrupt_withdraws_the_call(stage):
    program = ("import riposte, sys\n"
               "client = riposte.Client(sys.argv[1])\n"
               "try: client.call('sleep', b'20s', timeout=30)\n"
               "except KeyboardInterrupt: print('interrupted', flush=True); sys.stdin.read()\n")
    one = stage.start("interrupted", sys.executable, "-c", program, stage.shared.endpoint, stdin=subprocess.PIPE)
    stage.environment["PYTHONPATH"] = str(SOURCE / "python")
    one.kill()
    one = stage.start("interrupted", sys.executable, "-c", program, stage.shared.endpoint, stdin=subprocess.PIPE)
    stage.wait_for_running(stage.shared, 1, "sleep", within=10)
    one.interrupt()
    one.wait_for("interrupted")
    stage.wait_for_running(stage.shared, 0, "sleep")  # though the process is still there
    one.popen.stdin.close()
    one.wait()


def test_a_job_can_be_looked_at_and_cancelled(stage):
    with riposte.Client(stage.shared.endpoint) as one:
        sent = one.send("upper", b"later", delay=3600)
        with pytest.raises(riposte.NotDone):
            one.result(sent.job)
        assert one.job(sent.job)["state"] == "waiting"
        one.cancel_job(sent.job)
        with pytest.raises(riposte.Cancelled) as caught:
            one.result(sent.job, wait=5)
        assert caught.value.may_have_run is False


def test_requests_with_one_key_run_once(stage):
    with riposte.Client(stage.shared.endpoint) as one:
        replies = [one.call("upper", b"pay", key="order-1") for _ in range(2)]
        assert [(reply.body, reply.replayed) for reply in replies] == [(b"PAY", False), (b"PAY", True)]
        with pytest.raises(riposte.KeyMismatch):
            one.call("upper", b"pay more", key="order-1")

    async def again():
        async with riposte.aio.Client(stage.shared.endpoint) as two:
            return await two.call("upper", b"pay", key="order-1")
    assert asyncio.run(again()).replayed


# ---- asyncio ----------------------------------------------------------------------------------------

def test_asyncio_calls_maps_and_makes_no_thread(stage):
    async def run():
        before = threading.active_count()
        async with riposte.aio.Client(stage.shared.endpoint, timeout=10.0) as one:
            replies = await asyncio.gather(*(one.call("upper", f"n{at}") for at in range(50)))
            assert [reply.body for reply in replies] == [f"N{at}".encode() for at in range(50)]
            bodies = [f"{5 * (at % 3)}ms" for at in range(20)]
            assert [reply.body.decode() async for reply in one.map("sleep", bodies, parallel=4)] == \
                [f"slept {body}" for body in bodies]
            with pytest.raises(riposte.NoWorker):
                await one.call("nobody")
            assert threading.active_count() == before
    asyncio.run(run())


def test_asyncio_cancelling_a_task_withdraws_its_request(stage):
    async def run():
        async with riposte.aio.Client(stage.shared.endpoint) as one:
            task = asyncio.create_task(one.call("sleep", b"20s", timeout=30))
            await asyncio.to_thread(stage.wait_for_running, stage.shared, 1, "sleep")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(stage.wait_for_running, stage.shared, 0, "sleep")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(one.call("sleep", b"20s", timeout=30), 0.2)
            await asyncio.to_thread(stage.wait_for_running, stage.shared, 0, "sleep")
    asyncio.run(run())


def test_asyncio_keeps_an_idle_session(stage):
    async def run():
        async with riposte.aio.Client(stage.shared.endpoint) as one:
            await one.call("upper", b"x")
            await asyncio.sleep(2.0)
            assert (await one.call("upper", b"y")).body == b"Y" and one._core._numbers == 1
    asyncio.run(run())


def public(module):
    """Yields (name, object) of what a module offers, and of its classes."""
    for name in module.__all__:
        one = getattr(module, name)
        if inspect.isclass(one) or inspect.isroutine(one):
            yield name, one
        if inspect.isclass(one):
            yield from ((f"{name}.{member}", getattr(one, member)) for member, found in vars(one).items()
                        if not member.startswith("_") and (inspect.isfunction(found) or isinstance(found, property)))


# ---- The package ------------------------------------------------------------------------------------

def test_everything_public_says_what_it_does():
    found = [*public(riposte), *public(riposte.aio)]
    assert len(found) > 100
    assert [name for name, one in found if not inspect.getdoc(one)] == []


def test_its_types_are_strict():
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "riposte"],
                          cwd=SOURCE / "python", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_wheel_and_source_archive_build_offline_and_have_the_version_of_the_project(tmp_path):
    version = re.search(r'RP_VERSION "([^"]+)"', (SOURCE / "common" / "base" / "version.h").read_text()).group(1)
    shutil.copytree(SOURCE / "python", tmp_path / "python", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    done = subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path / "dist",
                           tmp_path / "python"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    names = sorted(path.name for path in (tmp_path / "dist").iterdir())
    assert names == [f"riposte-{version}-py3-none-any.whl", f"riposte-{version}.tar.gz"]
    inside = set(zipfile.ZipFile(tmp_path / "dist" / names[0]).namelist())
    assert {"riposte/py.typed", "riposte/aio.py", "riposte/_wire.py"} <= inside


def test_a_client_that_nobody_closes_does_not_hold_its_process(stage):
    program = "import riposte, sys; print(riposte.Client(sys.argv[1]).call('upper', b'x').body)"
    done = subprocess.run([sys.executable, "-c", program, stage.shared.endpoint], capture_output=True, timeout=20,
                          env={**stage.environment, "PYTHONPATH": str(SOURCE / "python")})
    assert (done.returncode, done.stdout) == (0, b"b'X'\n"), done.stderr
