# SPDX-License-Identifier: MPL-2.0
"""Client and worker as coroutines, with the names and the rules of `riposte`. They make no thread: sockets are read by
the event loop of the task that uses them. (A broker given by a host's name is looked up by `loop.getaddrinfo`, for
which asyncio itself uses a thread; addresses need none.)

    async with riposte.aio.Client() as client:
        reply = await client.call("upper", b"hello", timeout=5)

Where a task that waits for a reply is cancelled, its request is withdrawn.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import logging
import random
import threading
import time
from collections import deque
from types import TracebackType
from typing import (
    Any, AsyncGenerator, AsyncIterator, Awaitable, Callable, Deque, Dict, Iterable, List, Optional, Set, Type, TypeVar,
    Union, cast)

from riposte import _link, _sockets
from riposte._client import (
    RESULT_PAUSE, Body, HeaderList, body_of, check_parallel, check_writable, final_of, last_part, outcome, pairs_of,
    question_of, terms_of, write_some)
from riposte._client_core import (
    DAY, FOREVER, CallState, ClientCore, ConversationState, Reply, StreamState, Terms, check_attempts, check_seconds,
    check_whole, goal_of, terms_for)
from riposte._status import Denied
from riposte._worker import (
    SIGNALS, Answer, Outcome, Result, Retry, Task, answer, check_callable, check_ready,
    end_conversation, outcome_of, outcome_of_error)
from riposte._status import AppError
from riposte._worker_core import TaskState, WorkerCore

__all__ = ["Answer", "Answers", "Client", "Conversation", "Reply", "Retry", "Stream", "Task", "Worker"]

_log = logging.getLogger("riposte")


class _Driver:
    """A core's sockets in an event loop. `turn` does all there is to do; `soon` has it done once, when the loop has run
    what is ready, so that what many tasks submit travels together."""

    def __init__(self, core: _sockets.Core, keys: _sockets.Keys,
                 other: Optional[Callable[[_link.Action], None]] = None) -> None:
        self.closed = False
        self._core = core
        self._loop = asyncio.get_running_loop()
        self._timer: Optional[asyncio.TimerHandle] = None
        self._timer_at = 0.0
        self._soon = False
        self._hub = _sockets.Hub(core, keys, self._watch, lambda fd, _: self._loop.remove_reader(fd), self._resolve,
                                 other or (lambda action: None), time.monotonic)
        self.turn()

    def turn(self, monitors: bool = False) -> None:
        self._soon = False
        if self.closed:
            return
        self._hub.turn(monitors)
        due = self._core.due()
        # A timer that is early only costs a turn, so it is not moved for every call.
        if self._timer is None or due < self._timer_at or self._timer_at <= time.monotonic():
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if due != float("inf"):
                self._timer_at = due
                self._timer = self._loop.call_later(max(0.0, due - time.monotonic()), self._on_timer)

    def soon(self) -> None:
        if not self._soon:
            self._soon = True
            self._loop.call_soon(self.turn)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._hub.close(may_wait=False)

    def _on_timer(self) -> None:
        self._timer = None
        self.turn()

    def _watch(self, fd: int, is_monitor: bool) -> None:
        self._loop.add_reader(fd, self.turn, is_monitor)

    def _resolve(self, endpoint: str) -> None:
        # Not in the loop's executor: it is the application's, and asyncio.run waits for its threads.
        threading.Thread(target=self._look_up, args=(endpoint,), daemon=True, name="riposte-lookup").start()

    def _look_up(self, endpoint: str) -> None:
        found = _sockets.look_up(endpoint, self._core.wants_records)
        try:
            self._loop.call_soon_threadsafe(self._resolved, endpoint, *found)
        except RuntimeError:
            pass  # the loop is closed

    def _resolved(self, endpoint: str, addresses: List[str], trouble: str) -> None:
        if not self.closed:
            self._core.resolved(endpoint, addresses, trouble, time.monotonic())
            self.turn()


Held = TypeVar("Held", bound="_Open")


class _Open:
    """A request that the application holds while it goes on; leaving `async with` withdraws it, unless it has ended."""

    def __init__(self, client: "Client", state: CallState) -> None:
        self._client = client
        self._state = state

    def close(self) -> None:
        """Withdraws the request, unless it has ended."""
        self._client._withdraw(self._state)

    async def __aenter__(self: Held) -> Held:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class Stream(_Open):
    """See riposte.Stream: `async for part in client.stream("log"): …`. Made by Client.stream."""

    def __init__(self, client: "Client", state: CallState) -> None:
        super().__init__(client, state)
        self._said = False

    @property
    def id(self) -> int:
        """Its number as traces show it; 0 until it is sent."""
        return self._state.id

    @property
    def reply(self) -> Optional[Reply]:
        """How it ended; None before. Its body is the last part."""
        return self._state.reply

    async def read(self) -> Optional[bytes]:
        """The next part; None at the end. Raises what its status says, after the last part that came."""
        stream = self._state.stream
        assert stream is not None
        while True:
            part = self._client._take(self._state)
            if part is not None:
                return part
            if self._state.reply is not None:
                break
            await self._client._ended(self._state)
        if not self._said:
            self._said = True
            return last_part(self._state)
        return None

    async def write(self, data: Body) -> None:
        """Sends more of the request's body, when the worker has room for it. Raises RuntimeError when the request has
        ended, or its body."""
        await self._client._write(self._state, body_of(data))

    async def end(self) -> None:
        """Ends the request's body. Raises as `write`."""
        await self._client._write(self._state, None)

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> bytes:
        part = await self.read()
        if part is None:
            raise StopAsyncIteration
        return part


class Answers(_Open):
    """See riposte.Answers: `async for answer in client.call_all("cache"): …`. Made by Client.call_all."""

    @property
    def id(self) -> int:
        """Its number at the broker; 0 until it is sent. In traces each worker's request has one of its own."""
        return self._state.id

    @property
    def reply(self) -> Optional[Reply]:
        """How it ended; None before. Its headers have the summary: all-workers, all-answered, all-statuses."""
        return self._state.reply

    def __aiter__(self) -> "Answers":
        return self

    async def __anext__(self) -> Reply:
        """The next answer. Raises at the end what the status of the whole says, unless it is OK."""
        answers = cast(Deque[Reply], self._state.answers)
        while not answers and self._state.reply is None:
            await self._client._ended(self._state)
        if answers:
            return answers.popleft()
        outcome(self._state)
        raise StopAsyncIteration


class Conversation:
    """See riposte.Conversation. Made by Client.conversation."""

    def __init__(self, client: "Client", service: str) -> None:
        self._client = client
        self._state: Optional[ConversationState] = None
        self.service = service

    async def call(self, body: Body = b"", **options: Any) -> Reply:
        """As Client.call. ConversationLost: the worker's state is gone; the next call begins anew."""
        if self._state is None:
            self._state = self._client._start().conversation()
        return await self._client.call(self.service, body, _conversation=self._state, **options)

    async def end(self) -> None:
        """Tells the worker that it is over. The next call would begin another."""
        if self._state is not None and self._client._core is not None and self._client._driver is not None:
            self._client._core.end_conversation(self._state, time.monotonic())
            self._client._driver.soon()

    async def __aenter__(self) -> "Conversation":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()


class Client:
    """See riposte.Client, for the arguments and what they raise. It belongs to the event loop in which it is first
    used."""

    def __init__(self, servers: _sockets.Servers = None, *, name: Optional[str] = None, timeout: float = 5.0,
                 attempts: int = 1, wait_worker: float = 0.0, key_file: Optional[str] = None,
                 server_key: Optional[str] = None, heartbeat: float = _link.HEARTBEAT, spread: bool = False) -> None:
        self.timeout = check_seconds(timeout, "a timeout")
        self.attempts = check_attempts(attempts)
        self.wait_worker = check_seconds(wait_worker, "a wait for a worker")
        self._endpoints = _sockets.endpoints_of(servers)
        self._keys = _sockets.Keys(key_file, server_key)
        self._name = name or _sockets.own_name()
        self._heartbeat = heartbeat
        self._spread = spread
        _link.check_heartbeat(heartbeat)
        self._closed = False
        self._core: Optional[ClientCore] = None
        self._driver: Optional[_Driver] = None

    async def call(self, service: str, body: Body = b"", *, timeout: Optional[float] = None,
                   attempts: Optional[int] = None, wait_worker: Optional[float] = None,
                   headers: Optional[HeaderList] = None, trace: bool = False, key: Optional[str] = None,
                   priority: Optional[int] = None, hedge: Union[str, float, None] = None,
                   _conversation: Optional[ConversationState] = None) -> Reply:
        """Asks a service, and returns the reply; see riposte.Client.call. When its task is cancelled, the request is
        withdrawn."""
        return outcome(await self._ask(service, body, timeout, attempts, wait_worker, headers, trace, _conversation,
                                       False, key, priority, hedge))

    async def map(self, service: str, bodies: Iterable[Body], *, parallel: int = 16, return_errors: bool = False,
                  timeout: Optional[float] = None, attempts: Optional[int] = None, wait_worker: Optional[float] = None,
                  headers: Optional[HeaderList] = None, priority: Optional[int] = None,
                  hedge: Union[str, float, None] = None) -> AsyncIterator[Reply]:
        """See riposte.Client.map; `async for reply in client.map(…)`."""
        check_parallel(parallel)
        core = self._start()
        calls: Deque[CallState] = deque()
        source = iter(bodies)
        unsent, most = 0, parallel // 2 or 2
        try:
            while True:
                for body in itertools.islice(source, parallel - len(calls)):
                    calls.append(self._submit(core, service, body, timeout, attempts, wait_worker, headers, False, None,
                                              False, None, priority, hedge))
                    unsent += 1
                    if unsent == most and self._driver is not None:
                        unsent = 0
                        self._driver.turn()
                if not calls:
                    return
                call = calls[0]
                if call.reply is None:
                    unsent = 0
                    await self._ended(call)
                calls.popleft()
                assert call.reply is not None
                yield call.reply if return_errors else outcome(call)
        finally:
            for call in calls:
                self._withdraw(call)

    def stream(self, service: str, body: Body = b"", *, timeout: float = DAY, idle_timeout: Optional[float] = None,
               window: Optional[int] = None, more: bool = False, attempts: Optional[int] = None,
               wait_worker: Optional[float] = None, headers: Optional[HeaderList] = None, trace: bool = False,
               priority: Optional[int] = None) -> Stream:
        """Asks a service for a reply in parts; see riposte.Client.stream. Leaving `async with` withdraws the request.
        One task may read it while another writes it."""
        call = self._submit(self._start(), service, body, timeout, attempts, wait_worker, headers, trace, None, False,
                            None, priority,
                            stream=lambda terms: StreamState(terms, window, idle_timeout, more))
        return Stream(self, call)

    def call_all(self, service: str, body: Body = b"", *, first: Optional[int] = None, quorum: Optional[int] = None,
                 timeout: Optional[float] = None, headers: Optional[HeaderList] = None,
                 priority: Optional[int] = None) -> Answers:
        """Asks every worker of a service; see riposte.Client.call_all. Leaving `async with` withdraws the request. One
        task may read it."""
        pairs = [*goal_of(first, quorum), *pairs_of(headers)]
        return Answers(self, self._submit(self._start(), service, body, timeout, 1, 0.0, pairs, False, None, False,
                                          None, priority, every=True))

    def conversation(self, service: str) -> Conversation:
        """A conversation with one worker of a service; leaving `async with` ends it."""
        return Conversation(self, service)

    async def send(self, service: str, body: Body = b"", *, key: Optional[str] = None, delay: float = 0.0,
                   not_before: Optional[float] = None, deadline: Optional[float] = None, attempts: int = 5,
                   backoff: Optional[float] = None, attempt_timeout: Optional[float] = None,
                   keep: Optional[float] = None, headers: Optional[HeaderList] = None,
                   timeout: Optional[float] = None, priority: Optional[int] = None) -> Reply:
        """Has the broker keep a request as a job; see riposte.Client.send."""
        terms = terms_of(key, delay, not_before, deadline, backoff, attempt_timeout, keep, headers)
        return outcome(await self._ask(service, body, timeout, attempts, None, terms, False, None, True, None,
                                       priority))

    async def result(self, job: int, *, wait: float = 0.0) -> Reply:
        """The final of a job; see riposte.Client.result."""
        end = time.monotonic() + check_seconds(wait, "a wait", most=FOREVER)
        while True:
            left, question = question_of(job, end)
            call = await self._ask("riposte.result", question, min(left + self.timeout, DAY), 1, None, None, False,
                                   None, False)
            now = time.monotonic()
            reply = final_of(job, call.reply, now >= end)
            if reply is not None:
                return reply
            await asyncio.sleep(min(RESULT_PAUSE, end - now))

    async def cancel_job(self, job: int) -> Dict[str, Any]:
        """Ends a job, unless it has ended; returns what the broker says of it."""
        found: Dict[str, Any] = json.loads((await self.call("riposte.cancel", json.dumps({"id": str(job)}))).body)
        return found

    async def job(self, job: int) -> Dict[str, Any]:
        """What the broker says of a job, with its attempts. AppError: there is none."""
        found: Dict[str, Any] = json.loads((await self.call("riposte.job", json.dumps({"id": str(job)}))).body)
        return found

    async def close(self) -> None:
        """Ends the session. Open calls end with CANCELLED."""
        if self._closed:
            return
        self._closed = True
        if self._core is not None and self._driver is not None:
            self._core.close(time.monotonic())
            self._driver.close()

    async def __aenter__(self) -> "Client":
        self._start()
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        await self.close()

    def _start(self) -> ClientCore:
        if self._closed:
            raise RuntimeError("this client is closed")
        if self._core is None:
            self._core = ClientCore(self._endpoints, self._name, random.random, time.monotonic(), self._heartbeat,
                                    self._spread)
            self._driver = _Driver(self._core, self._keys)
        return self._core

    def _submit(self, core: ClientCore, service: str, body: Body, timeout: Optional[float], attempts: Optional[int],
                wait_worker: Optional[float], headers: Optional[HeaderList], trace: bool,
                conversation: Optional[ConversationState], durable: bool, key: Optional[str] = None,
                priority: Optional[int] = None, hedge: Union[str, float, None] = None,
                stream: Optional[Callable[[Terms], StreamState]] = None, every: bool = False) -> CallState:
        now = time.monotonic()
        call = CallState(terms_for(service, self.attempts if attempts is None else attempts,
                                   self.wait_worker if wait_worker is None else wait_worker,
                                   pairs_of(headers) if headers else (), durable, trace, key, priority, hedge),
                         body if type(body) is bytes else body_of(body),
                         self.timeout if timeout is None else timeout, now, conversation)
        if stream is not None:
            call.stream = stream(call.terms)
        if every:
            call.ask_all()
        core.submit(call, now)
        assert self._driver is not None
        self._driver.soon()
        return call

    async def _ask(self, *arguments: Any) -> CallState:
        call = self._submit(self._start(), *arguments)
        if call.reply is None:
            try:
                await self._ended(call)
            except asyncio.CancelledError:
                self._withdraw(call)
                raise
        return call

    @staticmethod
    def _ended(call: CallState) -> "asyncio.Future[None]":
        """Done when the call has ended, or of a stream when something came."""
        if call.stream is not None and call.owner is not None and not call.owner.done():
            future: "asyncio.Future[None]" = call.owner  # one task reads it, another writes it
            return asyncio.shield(future)
        future = call.owner = asyncio.get_running_loop().create_future()
        call.ended = _on_ended
        return future if call.stream is None else asyncio.shield(future)

    def _take(self, call: CallState) -> Optional[bytes]:
        stream = call.stream
        if stream is None or self._core is None or self._driver is None:
            return None
        granted = stream.reader.granted
        part = self._core.take(call, time.monotonic())
        if stream.reader.granted != granted:
            self._driver.soon()
        return part

    async def _write(self, call: CallState, data: Optional[bytes]) -> None:
        rest = memoryview(data or b"")
        while True:
            check_writable(call)
            assert self._core is not None and self._driver is not None
            rest = rest[write_some(self._core, call, rest):]
            done = not rest and (data is not None or self._core.end_body(call, time.monotonic()))
            self._driver.soon()
            if done:
                return
            await self._ended(call)

    def _withdraw(self, call: CallState) -> None:
        if call.reply is None and not self._closed and self._core is not None and self._driver is not None:
            self._core.cancel(call, time.monotonic())
            self._driver.soon()


def _on_ended(call: CallState) -> None:
    future = call.owner
    if future is not None and not future.done():
        future.set_result(None)


AsyncResult = Union[Awaitable[Result], AsyncGenerator[Body, None], Result]
Handler = TypeVar("Handler", bound=Callable[[Task], AsyncResult])
EndHandler = TypeVar("EndHandler", bound=Callable[[int], None])


class Worker:
    """See riposte.Worker. The handler is a coroutine function, or an asynchronous generator, which yields parts of its
    reply (a body that comes in parts is joined before it begins); up to `slots` of them run at once, in the event loop.
    A plain function does, too, but nothing else runs meanwhile, heartbeats included. The coroutine of a request that is
    cancelled is cancelled."""

    def __init__(self, servers: _sockets.Servers, service: str, *, slots: int = 1, drain_limit: float = 30.0,
                 name: Optional[str] = None, key_file: Optional[str] = None, server_key: Optional[str] = None,
                 heartbeat: float = _link.HEARTBEAT) -> None:
        self.service = service
        self.slots = check_whole(slots, "slots")
        self.drain_limit = check_seconds(drain_limit, "drain_limit")
        self._endpoints = _sockets.endpoints_of(servers)
        self._keys = _sockets.Keys(key_file, server_key)
        self._name = name or _sockets.own_name()
        self._heartbeat = heartbeat
        self._handler: Optional[Callable[[Task], AsyncResult]] = None
        self._on_end: Optional[Callable[[int], None]] = None
        self._states: Dict[int, Dict[str, Any]] = {}
        self._tasks: Set["asyncio.Task[None]"] = set()
        self._flowing: Dict[TaskState, "asyncio.Future[None]"] = {}  # tasks that wait for parts or room
        WorkerCore(self._endpoints, service, slots, self._name, random.random, 0.0, heartbeat)  # raises ValueError here
        self._core: Optional[WorkerCore] = None
        self._driver: Optional[_Driver] = None
        self._ended: Optional["asyncio.Future[Optional[str]]"] = None
        self._end_timer: Optional[asyncio.TimerHandle] = None
        self._has_run = False
        self._ready: Optional[int] = None
        self._wants = ""  # "drain", "stop": asked for before it runs

    def handler(self, function: Handler) -> Handler:
        """Decorator: the coroutine function that answers requests; see riposte.Worker.handler."""
        self._handler = check_callable(function)
        return function

    def on_end(self, function: EndHandler) -> EndHandler:
        """Decorator: a function that is called with the number of each conversation that is over."""
        self._on_end = check_callable(function)
        return function

    def set_ready(self, ready: int) -> None:
        """See riposte.Worker.set_ready."""
        self._ready = check_ready(ready)
        if self._core is not None and self._driver is not None:
            self._core.set_ready(ready, time.monotonic())
            self._driver.soon()

    def drain(self) -> None:
        """Takes no new requests, except in conversations that are here; `run` returns when all have ended."""
        self._wants = self._wants or "drain"
        if self._core is not None and self._driver is not None and not self._core.draining:
            self._core.drain(time.monotonic())
            self._end_timer = asyncio.get_running_loop().call_later(self.drain_limit, self.stop)
            self._driver.soon()

    def stop(self) -> None:
        """Leaves at once: what runs is given back, and its coroutines are cancelled."""
        self._wants = "stop"
        if self._core is not None and self._driver is not None:
            self._core.stop(time.monotonic())
            self._driver.turn()

    async def run(self) -> None:
        """Serves until it has drained. In the main thread, SIGTERM or SIGINT drains, and a second one stops it at once.
        When its task is cancelled, it stops at once. Raises Denied if the broker does not let it serve, RuntimeError
        the second time: make another worker."""
        if self._handler is None:
            raise RuntimeError("the worker has no handler")
        if self._has_run:
            raise RuntimeError("a worker runs once; make another")
        self._has_run = True
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        core = self._core = WorkerCore(self._endpoints, self.service, self.slots, self._name, random.random,
                                       time.monotonic(), self._heartbeat, inspect.isasyncgenfunction(self._handler))
        driver = self._driver = _Driver(core, self._keys, self._act)
        watched = SIGNALS if threading.current_thread() is threading.main_thread() else ()
        for number in watched:
            loop.add_signal_handler(number, self._on_signal)
        if self._ready is not None:
            self.set_ready(self._ready)
        if self._wants:
            getattr(self, self._wants)()
        try:
            reason = await self._ended
        finally:
            if self._end_timer is not None:
                self._end_timer.cancel()
            core.stop(time.monotonic())
            driver.close()
            for number in watched:
                loop.remove_signal_handler(number)
            self._core = self._driver = None
            for task in self._tasks:
                task.cancel()
        if reason is not None:
            raise Denied(reason, service=self.service)

    def _on_signal(self) -> None:
        if self._core is not None and self._core.draining:
            self.stop()
        else:
            self.drain()

    def _act(self, action: _link.Action) -> None:
        kind, what = action
        if kind == "begin":
            task = asyncio.get_running_loop().create_task(self._do(what))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif kind == "flowed":
            self._flow(what)
        elif kind == "cancelled":
            if what.owner is not None:
                what.owner.cancel()
        elif kind == "ended":
            end_conversation(self._states, self._on_end, what)
        elif kind == "stopped" and self._ended is not None and not self._ended.done():
            self._ended.set_result(what)

    def _flow(self, held: TaskState) -> None:
        future = self._flowing.pop(held, None)
        if future is not None and not future.done():
            future.set_result(None)

    async def _flowed(self, held: TaskState) -> None:
        """Waits for a part, or for room. The task that waits is cancelled where nobody wants it any more."""
        future = self._flowing[held] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(future, max(0.0, held.deadline - time.monotonic()))
        except asyncio.TimeoutError:
            raise asyncio.CancelledError from None
        finally:
            self._flowing.pop(held, None)

    async def _write_parts(self, held: TaskState, parts: AsyncGenerator[Body, None]) -> None:
        try:
            async for part in parts:
                rest = memoryview(body_of(part))
                while rest:
                    assert self._core is not None and self._driver is not None
                    piece = self._core.write(held, rest, time.monotonic())
                    rest = rest[piece:]
                    self._driver.soon()
                    if not piece:
                        await self._flowed(held)
        finally:
            await parts.aclose()

    async def _join(self, held: TaskState) -> None:
        """Reads a request's body that comes in parts to its end."""
        joined = bytearray(held.body)
        most = held.seat.link.max_body
        while True:
            assert self._core is not None and self._driver is not None
            part = self._core.take(held, time.monotonic())
            self._driver.soon()
            if part is not None:
                joined += part
                if most and len(joined) > most:
                    raise AppError(f"the body in parts is over {most} bytes; this worker joins it")
            elif held.more:
                await self._flowed(held)
            else:
                break
        held.body = bytes(joined)

    async def _do(self, held: TaskState) -> None:
        assert self._handler is not None
        core, driver = self._core, self._driver
        state: Dict[str, Any] = {}
        if held.conversation:
            state = self._states.setdefault(held.conversation, state)
        done: Outcome
        try:
            if held.cancelled:
                raise asyncio.CancelledError
            held.owner = asyncio.current_task()  # not before: a task that is cancelled before it begins never answers
            if held.more:
                await self._join(held)
            result = self._handler(Task(held, state))
            if inspect.isasyncgen(result):
                await self._write_parts(held, result)
                result = None
            done = outcome_of(cast(Result, await result if inspect.isawaitable(result) else result))
        except asyncio.CancelledError:
            done = outcome_of_error(RuntimeError("it was cancelled"))
        except Exception as error:
            if not isinstance(error, (Retry, AppError)):
                _log.exception("the handler failed")
            done = outcome_of_error(error)
        if core is not None and driver is not None and not driver.closed and not core.stopped:
            answer(core, held, done)
            driver.soon()
