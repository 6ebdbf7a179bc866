#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""The drivers of Python's libraries, as README.md says: driver.py sync|asyncio client|worker …"""

import asyncio
import base64
import contextlib
import functools
import json
import os
import pathlib
import signal
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))

import riposte  # noqa: E402
import riposte.aio  # noqa: E402

_output = threading.Lock()


def say(**line):
    with _output:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def final(number, reply):
    """A reply or an error."""
    say(n=number, status=reply.status.name, id=reply.id, attempt=reply.attempt, may_have_run=reply.may_have_run,
        code=getattr(reply, "code", 0), text=reply.text, body=base64.b64encode(getattr(reply, "body", b"")).decode(),
        headers=getattr(reply, "headers", ()), replayed=getattr(reply, "replayed", False))


def options(command, *names):
    """The arguments of a command, by the library's names, in seconds."""
    found = {}
    for name in names:
        if name in command:
            found[name] = command[name]
        elif f"{name}_ms" in command:
            found[name] = command[f"{name}_ms"] / 1000
    return found


def body_of(command):
    return base64.b64decode(command.get("body", ""))


def more_of(command):
    return [base64.b64decode(part) for part in command.get("more", ())]


CALL = ("timeout", "attempts", "wait_worker", "headers", "key", "priority", "hedge")
ALL = ("timeout", "first", "quorum")
STREAM = ("timeout", "attempts", "wait_worker", "idle_timeout", "window")
SEND = ("key", "attempts", "delay", "timeout", "priority")


def streamed(number, parts, error=None):
    """The parts of a stream, and how it ended."""
    say(n=number, status=error.status.name if error else "OK", parts=len(parts),
        body=base64.b64encode(b"".join(parts)).decode())


def all_answered(number, answers, summary, error=None):
    """The answers of all workers, and how it ended."""
    say(n=number, status=error.status.name if error else "OK", answers=[
        [answer.worker, answer.status.name, base64.b64encode(answer.body).decode()] for answer in answers],
        summary=summary)


def summary_of(reply):
    return reply.header("all-statuses", "")


# ---- Threads -----------------------------------------------------------------------------------------


def client(servers):
    one = riposte.Client(servers)
    calls, conversations, threads = {}, {}, []

    def finish(number, function):
        try:
            final(number, function())
        except riposte.Error as error:
            final(number, error)
        except riposte.NotDone:
            say(n=number, status="NOT_DONE")

    def aside(number, function):
        threads.append(threading.Thread(target=finish, args=(number, function)))
        threads[-1].start()

    def send(command):
        try:
            reply = one.send(command["service"], body_of(command), **options(command, *SEND))
            say(n=command["n"], status="OK", job=str(reply.job), replayed=reply.replayed)
        except riposte.Error as error:
            final(command["n"], error)

    def stream(command):
        parts = []
        try:
            stream = one.stream(command["service"], body_of(command), more="more" in command,
                                **options(command, *STREAM))
            if "more" in command:
                threads.append(threading.Thread(target=write, args=(stream, command)))
                threads[-1].start()
            for part in stream:
                parts.append(part)
            streamed(command["n"], parts)
        except riposte.Error as error:
            streamed(command["n"], parts, error)

    def ask_all(command):
        answers, came = one.call_all(command["service"], body_of(command), **options(command, *ALL)), []
        try:
            for answer in answers:
                came.append(answer)
            all_answered(command["n"], came, summary_of(answers.reply))
        except riposte.Error as error:
            all_answered(command["n"], came, summary_of(answers.reply), error)

    def write(stream, command):
        with contextlib.suppress(RuntimeError):  # it has ended, and says how
            for part in more_of(command):
                stream.write(part)
            if not command.get("open"):
                stream.end()

    aside_of = {"send": send, "stream": stream, "all": ask_all}
    say(ready=True)
    closing = None
    for line in sys.stdin:
        command = json.loads(line)
        number, what = command["n"], command["do"]
        if what == "call":
            if command.get("conversation"):
                name = command["conversation"]
                if name not in conversations:
                    conversations[name] = one.conversation(command["service"])
                call = conversations[name].submit(body_of(command), **options(command, *CALL))
            else:
                call = one.submit(command["service"], body_of(command), **options(command, *CALL))
            calls[number] = call
            aside(number, call.reply)
        elif what == "cancel":
            calls[command["of"]].cancel()
            say(n=number, status="OK")
        elif what == "end":
            conversations.pop(command["conversation"]).end()
            say(n=number, status="OK")
        elif what in aside_of:
            threads.append(threading.Thread(target=aside_of[what], args=(command,)))
            threads[-1].start()
        elif what == "result":
            aside(number, functools.partial(one.result, int(command["job"]), wait=command.get("wait_ms", 0) / 1000))
        elif what == "close":
            closing = number
            break
    one.close()
    for thread in threads:
        thread.join()
    if closing is not None:
        say(n=closing, status="OK")


def begun(task):
    say(event="start", body=base64.b64encode(task.body).decode(), attempt=task.attempt,
        conversation=task.conversation, key=task.key, durable=task.is_durable)


def handle(name, task):
    """Every handler but that of sleep, which waits."""
    if name == "echo":
        return riposte.Answer(task.body, headers=task.headers)
    if name == "upper":
        return task.body.upper()
    if name == "fail":
        raise riposte.AppError(task.body.decode(), code=7)
    if name == "site":
        if not task.conversation:
            return b"400 no conversation"
        if task.body == b"BYE":
            return riposte.Answer(b"200 bye", last=True)
        task.state["count"] = task.state.get("count", 0) + 1
        return f"200 {task.body.split()[1].decode()} visit {task.state['count']} of {os.getpid()}"
    if name == "retry":
        if task.attempt < 3:
            task.retry("not yet")
        return f"done at attempt {task.attempt}"
    raise AssertionError(f"no handler {name}")


def parts_of(task):
    begun(task)
    try:
        for part in task.parts():
            yield part.upper()
    except riposte.Cancelled:
        say(event="cancelled")
        raise


def worker(servers, service, name, slots):
    one = riposte.Worker(servers, service, slots=slots)
    if name == "parts":
        one.handler(parts_of)
        one.run()
        return

    @one.handler
    def serve(task):
        begun(task)
        if name != "sleep":
            return handle(name, task)
        if task.wait_cancelled(int(task.body) / 1000):
            say(event="cancelled")
        return b"slept " + task.body

    one.run()


# ---- Coroutines --------------------------------------------------------------------------------------


async def aio_client(servers):
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    calls, conversations, closing = {}, {}, None
    one = riposte.aio.Client(servers)

    async def finish(number, coroutine):
        try:
            final(number, await coroutine)
        except riposte.Error as error:
            final(number, error)
        except riposte.NotDone:
            say(n=number, status="NOT_DONE")
        except asyncio.CancelledError:
            # Its task was cancelled, as a user of asyncio withdraws a request.
            final(number, riposte.Cancelled(attempt=1))

    async def send(command):
        try:
            reply = await one.send(command["service"], body_of(command), **options(command, *SEND))
            say(n=command["n"], status="OK", job=str(reply.job), replayed=reply.replayed)
        except riposte.Error as error:
            final(command["n"], error)

    async def stream(command):
        parts = []
        try:
            stream = one.stream(command["service"], body_of(command), more="more" in command,
                                **options(command, *STREAM))
            if "more" in command:
                calls[-command["n"]] = asyncio.create_task(write(stream, command))
            async for part in stream:
                parts.append(part)
            streamed(command["n"], parts)
        except riposte.Error as error:
            streamed(command["n"], parts, error)

    async def ask_all(command):
        answers, came = one.call_all(command["service"], body_of(command), **options(command, *ALL)), []
        try:
            async for answer in answers:
                came.append(answer)
            all_answered(command["n"], came, summary_of(answers.reply))
        except riposte.Error as error:
            all_answered(command["n"], came, summary_of(answers.reply), error)

    async def write(stream, command):
        with contextlib.suppress(RuntimeError):  # it has ended, and says how
            for part in more_of(command):
                await stream.write(part)
            if not command.get("open"):
                await stream.end()

    aside_of = {"send": send, "stream": stream, "all": ask_all}
    say(ready=True)
    async with one:
        while line := await lines.readline():
            command = json.loads(line)
            number, what = command["n"], command["do"]
            if what == "call":
                if command.get("conversation"):
                    name = command["conversation"]
                    if name not in conversations:
                        conversations[name] = one.conversation(command["service"])
                    coroutine = conversations[name].call(body_of(command), **options(command, *CALL))
                else:
                    coroutine = one.call(command["service"], body_of(command), **options(command, *CALL))
                calls[number] = asyncio.create_task(finish(number, coroutine))
            elif what == "cancel":
                calls[command["of"]].cancel()
                say(n=number, status="OK")
            elif what == "end":
                await conversations.pop(command["conversation"]).end()
                say(n=number, status="OK")
            elif what in aside_of:
                calls[number] = asyncio.create_task(aside_of[what](command))
            elif what == "result":
                calls[number] = asyncio.create_task(finish(
                    number, one.result(int(command["job"]), wait=command.get("wait_ms", 0) / 1000)))
            elif what == "close":
                closing = number
                break
            await asyncio.sleep(0)  # calls begin in the order of their commands
    await asyncio.gather(*calls.values())
    if closing is not None:
        say(n=closing, status="OK")


async def aio_worker(servers, service, name, slots):
    one = riposte.aio.Worker(servers, service, slots=slots)

    async def parts(task):  # its body comes whole
        begun(task)
        yield task.body.upper()

    if name == "parts":
        one.handler(parts)
        await one.run()
        return

    @one.handler
    async def serve(task):
        begun(task)
        if name != "sleep":
            return handle(name, task)
        try:
            await asyncio.sleep(int(task.body) / 1000)
        except asyncio.CancelledError:
            say(event="cancelled")
            raise
        return b"slept " + task.body

    await one.run()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # asyncio takes away what was there before


def main(kind, role, servers, *more):
    if role == "client":
        client(servers) if kind == "sync" else asyncio.run(aio_client(servers))
        return 0
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))  # before the library has a hand on it
    service, name, slots = more[0], more[1], int(more[2]) if len(more) > 2 else 1
    try:
        if kind == "sync":
            worker(servers, service, name, slots)
        else:
            asyncio.run(aio_worker(servers, service, name, slots))
    except riposte.Denied as error:
        print(error, file=sys.stderr)
        return 6
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the interpreter takes its time to end
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
