# SPDX-License-Identifier: MPL-2.0
"""Bodies in parts over a real broker: clients and workers of Python, for threads and for asyncio."""

import asyncio
import contextlib
import itertools
import threading

import pytest

import riposte
import riposte.aio
from support.waiting import until


@pytest.fixture(scope="module")
def client(stage):
    stage.builtin(stage.shared, "upper")
    stage.builtin(stage.shared, "fail")
    with riposte.Client(stage.shared.endpoint, wait_worker=20.0) as one:
        yield one


@contextlib.contextmanager
def serving(stage, service, handler, **options):
    """Runs a worker in a thread."""
    worker = riposte.Worker(stage.shared.endpoint, service, **options)
    worker.handler(handler)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.drain()
        thread.join(60)
        assert not thread.is_alive()


def three(task):
    for number in range(3):
        yield f"part {number}"
    return "end"


def test_a_generator_writes_parts_and_its_value_is_the_last(stage, client):
    with serving(stage, "py-three", three):
        with client.stream("py-three") as stream:
            assert list(stream) == [b"part 0", b"part 1", b"part 2", b"end"]
        assert stream.reply.status == riposte.Status.OK
        assert stream.read() is None
        assert client.call("py-three").body == b"part 0part 1part 2end"


def test_a_worker_without_parts_answers_with_one(stage, client):
    assert list(client.stream("upper", b"hello")) == [b"HELLO"]


def test_an_error_comes_behind_the_parts(stage, client):
    def half(task):
        yield b"half"
        raise riposte.AppError("it broke", code=3)

    with serving(stage, "py-half", half):
        parts = []
        with pytest.raises(riposte.AppError) as caught:
            for part in client.stream("py-half"):
                parts.append(part)
        assert (parts, caught.value.code) == ([b"half"], 3)


def test_a_slow_reader_makes_its_writer_wait_and_a_fast_one_gets_all(stage, client):
    written = []

    def flood(task):
        for number in range(200):
            task.write(bytes([number]) * 10000)
            written.append(number)

    with serving(stage, "py-flood", flood, streams=True):
        with client.stream("py-flood", window=100000) as stream:
            first = stream.read()
            until(lambda: written, 10, "it has begun")
            with pytest.raises(TimeoutError):
                client.stream("py-flood").read(timeout=0.3)  # its slot is taken
            assert len(written) < 30
            rest = list(stream)
        assert first + b"".join(rest) == b"".join(bytes([number]) * 10000 for number in range(200))


def test_leaving_a_stream_cancels_it_and_closes_the_generator(stage, client):
    closed = threading.Event()

    def forever(task):
        try:
            for number in itertools.count():
                yield b"x" * 1000
        finally:
            closed.set()

    with serving(stage, "py-forever", forever):
        with client.stream("py-forever") as stream:
            assert next(stream) == b"x" * 1000
        assert closed.wait(20)
        closed.clear()
        for _ in client.stream("py-forever"):
            break  # nobody has it any more
        assert closed.wait(20)


def test_a_dialogue_within_one_request(stage, client):
    def answer(task):
        for part in task.parts():
            yield b"<" + part + b">"

    with serving(stage, "py-answer", answer):
        with client.stream("py-answer", b"one", more=True) as stream:
            assert stream.read() == b"<one>"
            for part in (b"two", b"three"):
                stream.write(part)
                assert stream.read() == b"<" + part + b">"
            stream.end()
            assert stream.read() is None
            with pytest.raises(RuntimeError):
                stream.write(b"late")


def test_a_large_body_goes_and_comes_back(stage, client):
    def echo(task):
        yield from task.parts()

    data = b"".join(b"%d\n" % number for number in range(200000))
    with serving(stage, "py-echo", echo):
        with client.stream("py-echo", more=True) as stream:
            def write():
                stream.write(data)
                stream.end()
            writer = threading.Thread(target=write)
            writer.start()
            assert b"".join(stream) == data
            writer.join()


def test_asyncio_reads_and_writes_parts(stage, client):
    async def run():
        worker = riposte.aio.Worker(stage.shared.endpoint, "aio-three")

        @worker.handler
        async def three(task):
            yield task.body
            await asyncio.sleep(0)
            for _ in range(100):
                yield b"x" * 10000

        serves = asyncio.create_task(worker.run())
        async with riposte.aio.Client(stage.shared.endpoint, wait_worker=20.0) as one:
            parts = [part async for part in one.stream("aio-three", b"hello", window=50000)]
            assert parts[0] == b"hello" and sum(map(len, parts[1:])) == 1000000
            async with one.stream("aio-three", b"first ", more=True) as stream:
                await stream.write(b"second")  # joined before the handler begins
                await stream.end()
                assert await stream.read() == b"first second"
            with pytest.raises(riposte.AppError):
                async for _ in one.stream("fail", b"4"):
                    pass
        worker.stop()
        await serves
    asyncio.run(run())
