# SPDX-License-Identifier: MPL-2.0
"""The worker for programs with threads."""

from __future__ import annotations

import inspect
import logging
import os
import random
import select
import signal
import threading
import time
from collections import deque
from types import FrameType
from typing import Any, Callable, Deque, Dict, Generator, NoReturn, Optional, Sequence, Set, Tuple, TypeVar, Union, cast

from riposte import _link, _sockets
from riposte._client import Body, HeaderList, body_of, pairs_of
from riposte._client_core import check_seconds, check_whole
from riposte._loop import Loop
from riposte._processes import Lost, NurseryLost, Pool
from riposte._status import AppError, Cancelled, Denied, Status
from riposte._wire import WireError
from riposte._worker_core import TaskState, WorkerCore

SIGNALS: Tuple[int, ...] = (signal.SIGTERM, signal.SIGINT)  #: the first drains, the second stops at once

HOLD = 0.002  #: seconds for which an answer may wait for others to travel with, where more tasks wait than run

_log = logging.getLogger("riposte")


class Retry(Exception):
    """Raised by a handler: this attempt is given back. Of a job another follows after a pause, if one is left; of a
    call, if its attempts allow it. The text is the reason, for people."""


class Answer:
    """What a handler returns that answers with more than a body.

    body: bytes, or a text (UTF-8). headers: pairs of texts, or a dict. code, text: the application's own number and
    message. last: the conversation is over with it.
    """

    __slots__ = ("body", "headers", "code", "text", "last")

    def __init__(self, body: Body = b"", *, headers: Optional[HeaderList] = None, code: int = 0, text: str = "",
                 last: bool = False) -> None:
        self.body = body_of(body)
        self.headers = list(pairs_of(headers))
        self.code = code
        self.text = text
        self.last = last


Result = Union[Body, Answer, None]
AnyResult = Union[Result, Generator[Body, None, Result]]


class Task:
    """One request, as its handler gets it.

    body: bytes. headers: pairs of texts. attempt: 1, or more when a worker before this one may have begun it.
    conversation: a number, 0 outside of one. state: a dict of the conversation's own, empty at its first request; what
    a handler keeps there it finds at the next request in that conversation. key: the sender's idempotency key, empty if
    there is none. is_durable: it is a job. streams: its client reads the reply in parts.
    """

    __slots__ = ("body", "headers", "attempt", "conversation", "state", "streams", "_deadline", "_held", "_worker")

    def __init__(self, held: TaskState, state: Dict[str, Any], worker: Optional["Worker"] = None) -> None:
        self.body: bytes = held.body
        self.headers = held.headers
        self.attempt = held.attempt
        self.conversation = held.conversation
        self.state = state
        self._deadline = held.deadline
        self.streams = held.writer is not None
        self._held: Optional[TaskState] = held  # None in a process of a pool
        self._worker = worker                   # None there, and in asyncio

    def header(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """The last header of that name."""
        return dict(self.headers).get(name, default)

    @property
    def key(self) -> str:
        """Its idempotency key; "" if it has none. To others with this key the same result is told."""
        return self.header("idempotency-key") or ""

    @property
    def is_durable(self) -> bool:
        """True of an attempt of a job: Retry has it tried again later."""
        return self.header("durable") == "1"

    @property
    def time_left(self) -> float:
        """Seconds until the deadline, not less than 0."""
        return max(0.0, self._deadline - time.monotonic())

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the answer any more: the client withdrew it, its deadline has passed, or the broker
        was lost. In a process of a pool only the deadline is seen."""
        return (self._held is not None and self._held.cancelled) or self._deadline <= time.monotonic()

    def wait_cancelled(self, timeout: float) -> bool:
        """Sleeps for `timeout` seconds, or until the request is cancelled; returns whether it is."""
        left = min(timeout, self.time_left)
        if self._held is None:
            time.sleep(left)
        else:
            told = self._held.owner = threading.Event()
            if not self._held.cancelled:
                told.wait(left)
        return self.cancelled

    def write(self, data: Body) -> None:
        """Sends a part of the reply, when its client has room for it; what the handler returns is the last part. A
        client that reads no parts gets them joined. Raises Cancelled when nobody wants it any more. A handler that is a
        generator yields its parts instead; one in a process or a coroutine has to."""
        if self._worker is None or self._held is None:
            raise RuntimeError("a handler in a process, or a coroutine, yields its parts")
        self._worker._write(self._held, memoryview(body_of(data)))

    def parts(self) -> Generator[bytes, None, None]:
        """The request's body in parts, as they come: `body`, then the rest of a request that is sent in parts, which a
        worker gets only with streams=True or a handler that is a generator. Raises Cancelled."""
        yield self.body
        while self._worker is not None and self._held is not None:
            part = self._worker._read(self._held)
            if part is None:
                return
            yield part

    def retry(self, reason: str = "") -> NoReturn:
        """Gives this attempt back; see Retry."""
        raise Retry(reason)


Outcome = Tuple[Status, bytes, Sequence[Tuple[str, str]], int, str, bool]


def outcome_of(result: Result) -> Outcome:
    if isinstance(result, Answer):
        return Status.OK, result.body, result.headers, result.code, result.text, result.last
    return Status.OK, b"" if result is None else body_of(result), (), 0, "", False


def outcome_of_error(error: BaseException) -> Outcome:
    """An exception is APP_ERROR with its text; Retry gives the attempt back."""
    if isinstance(error, Retry):
        return Status.WORKER_LOST, b"", (), 0, str(error), False
    if isinstance(error, AppError):
        return Status.APP_ERROR, error.body, error.headers, error.code, error.text, False
    return Status.APP_ERROR, b"", (), 0, str(error) or type(error).__name__, False


def write_parts(parts: Generator[Body, None, Result], task: Task) -> Result:
    """Runs a handler that is a generator. Returns what it does."""
    try:
        if task._worker is None:  # in a process
            joined = b"".join(body_of(part) for part in parts)
            return joined
        while True:
            task.write(next(parts))
    except StopIteration as end:
        return cast(Result, end.value)
    finally:
        parts.close()


def run_handler(handler: Callable[[Task], AnyResult], task: Task) -> Outcome:
    try:
        result = handler(task)
        return outcome_of(write_parts(result, task) if inspect.isgenerator(result) else cast(Result, result))
    except BaseException as error:  # SystemExit, too: it would end this thread in silence, and its request never
        if not isinstance(error, (Retry, AppError, Cancelled)):
            _log.exception("the handler failed")
        return outcome_of_error(error)


def check_callable(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if not callable(function):
        raise TypeError(f"a handler is a function, not {type(function).__name__}")
    return function


def check_ready(ready: int) -> int:
    if check_whole(ready, "ready") < 0:
        raise ValueError(f"ready is 0 or more, not {ready}")
    return ready


Handler = TypeVar("Handler", bound=Callable[[Task], AnyResult])
EndHandler = TypeVar("EndHandler", bound=Callable[[int], None])


class Worker:
    """A worker of one service, at the first broker of a list that answers; where it is lost, at the next.

        worker = riposte.Worker("tcp://127.0.0.1:5555", "upper", slots=4)

        @worker.handler
        def upper(task):
            return task.body.upper()

        worker.run()

    slots: requests that it holds at once, 1 to 4096. workers: how many of them run at once, each in a thread of its
    own; by default as many as slots. pool: "threads", or "processes": each runs in a process of its own, so that what
    computes in Python does not wait for the others. Those have what is there when `run` begins: handlers must be
    functions of a module, and what a conversation keeps in task.state must be picklable. One that dies ends its request
    with WORKER_LOST, and is replaced. Heartbeats go on while handlers run; a handler in C code that keeps the
    interpreter's lock for seconds needs a process.
    streams: its handler reads requests whose bodies come in parts (Task.parts), as one that is a generator is taken to.
    drain_limit: seconds that a drain may take. servers, name, key_file, server_key, heartbeat: see Client.

    Raises ValueError for what may not be, TypeError for what is of a wrong type.
    """

    def __init__(self, servers: _sockets.Servers, service: str, *, slots: Optional[int] = None,
                 workers: Optional[int] = None, pool: str = "threads", drain_limit: float = 30.0,
                 streams: bool = False, name: Optional[str] = None, key_file: Optional[str] = None,
                 server_key: Optional[str] = None, heartbeat: float = _link.HEARTBEAT) -> None:
        if pool not in ("threads", "processes"):
            raise ValueError(f'pool is "threads" or "processes", not {pool!r}')
        self.service = service
        if workers is not None:
            workers = check_whole(workers, "workers")
        self.slots = check_whole(slots, "slots") if slots is not None else workers or 1
        self.workers = self.slots if workers is None else workers
        if self.workers < 1:
            raise ValueError(f"workers are 1 or more, not {workers}")
        self.drain_limit = check_seconds(drain_limit, "drain_limit")
        self._endpoints = _sockets.endpoints_of(servers)
        self._keys = _sockets.Keys(key_file, server_key)
        self._name = name or _sockets.own_name()
        self._heartbeat = heartbeat
        self._in_processes = pool == "processes"
        if streams and self._in_processes:
            raise ValueError("streams=True is for threads")
        self._streams = streams
        self._processes: Optional[Pool] = None
        self._has_run = False
        self._handler: Optional[Callable[[Task], AnyResult]] = None
        self._on_end: Optional[Callable[[int], None]] = None
        self._ready: Deque[TaskState] = deque()
        self._states: Dict[int, Dict[str, Any]] = {}
        self._idle = 0              # threads that wait for the leader
        self._flowing = 0           # threads that wait for parts or room
        self._swift = False         # more tasks wait than run, so answers may be held for HOLD
        self._wants: Set[str] = set()  # "drain", "stop": asked for from outside
        self._ready_slots: Optional[int] = None
        self._wake_out, self._wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # Raises ValueError here rather than in `run`.
        WorkerCore(self._endpoints, service, self.slots, self._name, random.random, 0.0, heartbeat)
        self._core: Optional[WorkerCore] = None
        self._stopped = False
        self._reason: Optional[str] = None

    def handler(self, function: Handler) -> Handler:
        """Decorator: the function that answers requests. It takes a Task, and returns the body, an Answer, or None for
        an empty body; a generator yields parts of the body first. An exception is APP_ERROR with its text; AppError has
        a number and a body, too; Retry gives it back."""
        self._handler = check_callable(function)
        return function

    def on_end(self, function: EndHandler) -> EndHandler:
        """Decorator: a function that is called with the number of each conversation that is over."""
        self._on_end = check_callable(function)
        return function

    def set_ready(self, ready: int) -> None:
        """Says how many requests this worker can take from now on, up to its slots: 0 closes its window. No more
        requests come then, except those on their way; those of conversations wait at the broker. For any thread."""
        self._ready_slots = check_ready(ready)
        self._wake()

    def drain(self) -> None:
        """Takes no new requests, except in conversations that are here; `run` returns when all have ended. For any
        thread, and for signal handlers."""
        self._want("drain")

    def stop(self) -> None:
        """Leaves at once: what runs is given back. For any thread, and for signal handlers."""
        self._want("stop")

    def run(self) -> None:
        """Serves until it has drained. In the main thread, SIGTERM or SIGINT drains, and a second one stops it at once.

        Raises Denied if the broker does not let it serve, RuntimeError the second time: make another worker.
        """
        if self._handler is None:
            raise RuntimeError("the worker has no handler")
        if self._has_run:
            raise RuntimeError("a worker runs once; make another")
        self._has_run = True
        if self._in_processes:
            self._processes = Pool(_run_there, SIGNALS)  # before there are sockets
        before: Dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before[number] = signal.signal(number, self._on_signal)
        try:
            self._run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if self._processes is not None:
                self._processes.close()
        if self._reason is not None:
            raise Denied(self._reason, service=self.service)

    def __del__(self) -> None:
        for fd in (getattr(self, "_wake_out", -1), getattr(self, "_wake_in", -1)):
            if fd >= 0:
                os.close(fd)

    # ---- Inside -----------------------------------------------------------------------------------
    # The threads that run handlers also read and write: whichever finds no task polls for the next (the leader), and
    # runs what it has read itself. The thread of `run` only does what is due, and what signals want.

    def _on_signal(self, number: int, frame: Optional[FrameType]) -> None:
        self._want("stop" if "drain" in self._wants else "drain")

    def _want(self, what: str) -> None:
        self._wants.add(what)
        self._wake()

    def _wake(self) -> None:
        """Has the thread of `run` look."""
        try:
            os.write(self._wake_in, b"!")
        except BlockingIOError:
            pass

    def _restate(self, now: float) -> None:
        """Tells the core what `set_ready` has said since."""
        assert self._core is not None
        ready, self._ready_slots = self._ready_slots, None
        if ready is not None:
            self._core.set_ready(ready, now)

    def _run(self) -> None:
        streams = self._streams or (inspect.isgeneratorfunction(self._handler) and not self._in_processes)
        core = self._core = WorkerCore(self._endpoints, self.service, self.slots, self._name, random.random,
                                       time.monotonic(), self._heartbeat, streams)
        loop = self._loop = Loop(core, self._keys, self._act)
        self._changed = threading.Condition(loop.lock)
        self._flowed = threading.Condition(loop.lock)
        self._stopped, self._reason = False, None
        self._restate(time.monotonic())  # before a thread says HELLO
        threads = [threading.Thread(target=self._serve, daemon=True, name=f"riposte-worker-{number}")
                   for number in range(self.workers)]
        for thread in threads:
            thread.start()
        poll = select.poll()
        poll.register(self._wake_out, select.POLLIN)
        end = float("inf")
        said = ""
        while not self._stopped:
            with loop.lock:
                now = time.monotonic()
                if "stop" in self._wants or now >= end:
                    core.stop(now)
                elif "drain" in self._wants and not core.draining:
                    core.drain(now)
                    end = now + self.drain_limit
                self._restate(now)
                loop.turn(monitors=not loop.leader)
                if core.trouble != said:
                    said = core.trouble
                    if said and not core.draining:
                        _log.warning("no session: %s", said)
                wait = max(0.0, min(core.due(), end) - time.monotonic())
                if self._swift:
                    wait = HOLD
                    self._swift = bool(self._ready)
            if not self._stopped and poll.poll(max(1, int(min(wait, 0.5) * 1000))):
                os.read(self._wake_out, 4096)
        with loop.lock:
            loop.close()
            self._changed.notify_all()
            self._flowed.notify_all()
            left = core.running
        for thread in threads:
            thread.join(0.0 if left else 5.0)

    def _act(self, action: _link.Action) -> None:
        """What the core wants besides sockets."""
        kind, what = action
        if kind == "begin":
            self._ready.append(what)
            if len(self._ready) > 1 or self._loop.leader:
                self._call_one()
        elif kind == "flowed":
            self._flowed.notify_all()
        elif kind == "cancelled":
            if what.owner is not None:
                what.owner.set()
            if self._flowing:
                self._flowed.notify_all()
        elif kind == "ended":
            end_conversation(self._states, self._on_end, what)
        elif kind == "stopped":
            self._stopped, self._reason = True, what
            self._wake()

    def _call_one(self) -> None:
        """One more thread is to look for tasks."""
        if self._idle:
            self._changed.notify()
        elif self._loop.leader:
            self._loop.wake()

    def _serve(self) -> None:
        core, loop = self._core, self._loop
        assert core is not None
        with loop.lock:
            while not self._stopped:
                if self._ready:
                    self._do(core, self._ready.popleft())
                    continue
                loop.turn()
                if self._ready or self._stopped:
                    continue
                if loop.leader:
                    self._idle += 1
                    self._changed.wait()
                    self._idle -= 1
                else:
                    loop.lead(None)

    def _do(self, core: WorkerCore, held: TaskState) -> None:
        """Runs one task, without the lock, and answers."""
        loop = self._loop
        state: Dict[str, Any] = {}
        if held.conversation:
            state = self._states.setdefault(held.conversation, state)
        task = Task(held, state, self)
        if held.cancelled:
            outcome = outcome_of_error(RuntimeError("it was cancelled before it began"))
        else:
            if not loop.leader:
                self._hand_on()  # somebody else is to read meanwhile
            loop.lock.release()
            try:
                outcome = self._run_one(task)
            finally:
                loop.lock.acquire()
        if self._stopped:
            return
        answer(core, held, outcome)
        if self._ready and not self._swift:
            # The answer does not wait for the next handler. Under load answers travel together: then the thread of
            # `run` sends them when HOLD has passed, if nothing has before.
            self._swift = True
            self._wake()
            loop.turn()

    def _hand_on(self) -> None:
        """Another thread is to lead, if one waits."""
        if self._idle:
            self._changed.notify()
        elif self._flowing:
            self._flowed.notify()

    # What a handler's thread waits for, it reads itself if nobody else does.

    def _wait(self, held: TaskState, news: Callable[[], bool]) -> None:
        """With the lock: waits for something that flows. Raises Cancelled when nobody wants it any more."""
        loop = self._loop
        self._flowing += 1
        try:
            while not news():
                left = held.deadline - time.monotonic()
                if held.cancelled or left <= 0 or self._stopped:
                    raise Cancelled("nobody waits for it any more", id=held.token, attempt=held.attempt,
                                    service=self.service, may_have_run=True)
                loop.turn()
                if news() or held.cancelled or self._stopped:
                    continue
                if loop.leader:
                    self._flowed.wait(left)
                else:
                    loop.lead(left)
        finally:
            self._flowing -= 1
            if not loop.leader:
                self._hand_on()

    def _write(self, held: TaskState, data: memoryview) -> None:
        core, loop = cast(WorkerCore, self._core), self._loop

        def some() -> bool:
            nonlocal data
            while data:
                piece = core.write(held, data, time.monotonic())
                if not piece:
                    break
                data = data[piece:]
            return not data

        with loop.lock:
            if data:
                self._wait(held, some)
                loop.turn()

    def _read(self, held: TaskState) -> Optional[bytes]:
        core, loop = cast(WorkerCore, self._core), self._loop
        part: Optional[bytes] = None

        def some() -> bool:
            nonlocal part
            if part is None:
                part = core.take(held, time.monotonic())
            return part is not None or not held.more

        with loop.lock:
            self._wait(held, some)
            loop.turn()
        return part

    def _run_one(self, task: Task) -> Outcome:
        assert self._handler is not None
        if self._processes is None:
            return run_handler(self._handler, task)
        task._worker = None
        held, task._held = task._held, None  # it does not travel
        try:
            outcome, state = self._processes.do(self._handler, task)
            task.state.clear()
            task.state.update(state)
            return cast(Outcome, outcome)
        except Lost as error:
            if isinstance(error, NurseryLost):
                _log.error("the process that starts the others was lost, so this worker leaves")
                self.stop()
            return Status.WORKER_LOST, b"", (), 0, str(error) or "its process was lost", False
        except Exception as error:  # it cannot be pickled
            _log.exception("the handler failed")
            return outcome_of_error(error)
        finally:
            task._held = held


def answer(core: WorkerCore, held: TaskState, outcome: Outcome) -> None:
    """Gives a task back; what may not travel becomes APP_ERROR."""
    status, body, headers, code, text, last = outcome
    now = time.monotonic()
    try:
        core.answer(held, status, body, headers=headers, code=code & 0xFFFFFFFF, text=text, last=last, now=now)
    except (WireError, ValueError, AttributeError, TypeError) as error:
        _log.error("the handler's answer may not travel: %s", error)
        core.answer(held, Status.APP_ERROR, text=f"the answer may not travel: {error}", now=now)


def end_conversation(states: Dict[int, Dict[str, Any]], on_end: Optional[Callable[[int], None]], number: int) -> None:
    """Forgets the state of a conversation that has ended, and tells its handler."""
    states.pop(number, None)
    if on_end is not None:
        try:
            on_end(number)
        except Exception:
            _log.exception("the handler of ended conversations failed")


def _run_there(handler: Callable[[Task], AnyResult], task: Task) -> Tuple[Outcome, Dict[str, Any]]:
    return run_handler(handler, task), task.state
