# SPDX-License-Identifier: MPL-2.0
"""The client for programs with threads."""

from __future__ import annotations

import atexit
import itertools
import json
import random
import threading
import time
import weakref
from collections import deque
from types import TracebackType
from typing import (
    Any, Callable, Deque, Dict, Generator, Iterable, Optional, Sequence, Tuple, Type, TypeVar, Union, cast,
)

from riposte import _link, _sockets
from riposte._client_core import (
    DAY, FOREVER, CallState, ClientCore, ConversationState, Reply, StreamState, Terms, check_attempts, check_seconds,
    check_whole, goal_of, terms_for)
from riposte._loop import Loop
from riposte._status import MAY_PASS, NotDone

Held = TypeVar("Held", bound="_Open")
Body = Union[bytes, bytearray, memoryview, str]
HeaderList = Union[Sequence[Tuple[str, str]], Dict[str, str]]

RESULT_WAIT = 60.0  #: seconds of one question for a job's final: what the protocol allows
RESULT_PAUSE = 0.1  #: before the next, so that a broker that answers at once is not flooded
_TEND_OPEN = 0.05   # how often an open call is looked after while nobody waits


def body_of(body: Body) -> bytes:
    """A text becomes UTF-8."""
    if isinstance(body, str):
        return body.encode()
    if not isinstance(body, (bytes, bytearray, memoryview)):  # bytes (7) would be seven zeros
        raise TypeError(f"a body is bytes or a text, not {type(body).__name__}")
    return bytes(body)


def pairs_of(headers: Optional[HeaderList]) -> Sequence[Tuple[str, str]]:
    """Raises TypeError for what are no pairs of texts."""
    if not headers:
        return ()
    if isinstance(headers, dict):
        headers = list(headers.items())
    if not isinstance(headers, (list, tuple)):
        raise TypeError(f"headers are a list of pairs of texts, or a dict of texts, not {type(headers).__name__}")
    for pair in headers:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
            raise TypeError(f"a header is a pair of texts, not {pair!r}")
    return headers


def terms_of(key: Optional[str], delay: float, not_before: Optional[float], deadline: Optional[float],
             backoff: Optional[float], attempt_timeout: Optional[float], keep: Optional[float],
             headers: Optional[HeaderList]) -> Sequence[Tuple[str, str]]:
    """The headers that state what holds for a job (docs/PROTOCOL.md, 9)."""
    pairs = [("durable", "1")]
    if key is not None:
        pairs.append(("idempotency-key", key))
    for name, value, unit in (("job-delay", delay or None, 1e3), ("job-not-before", not_before, 1e6),
                              ("job-deadline", deadline, 1e6), ("job-backoff", backoff, 1e3),
                              ("job-attempt", attempt_timeout, 1e3), ("job-keep", keep, 1e3)):
        if value is not None:
            check_seconds(value, f"the {name[4:]} of a job", most=FOREVER)
            pairs.append((name, str(int(value * unit))))
    return [*pairs, *pairs_of(headers)]


def check_parallel(parallel: int) -> None:
    if check_whole(parallel, "parallel") < 1:
        raise ValueError(f"parallel is 1 or more, not {parallel}")


def question_of(job: int, end: float) -> Tuple[float, str]:
    """How long one question for the final of a job is to wait, seconds, and its body."""
    if check_whole(job, "the number of a job") < 1:
        raise ValueError(f"the number of a job is 1 or more, not {job}")
    left = min(max(0.0, end - time.monotonic()), RESULT_WAIT)
    return left, json.dumps({"id": str(job), "wait_ms": int(left * 1000)})


def final_of(job: int, reply: Optional[Reply], is_over: bool) -> Optional[Reply]:
    """What a question for the final of a job drew; None: to be asked again. Raises what the job ended with, or why the
    question has no answer: NotDone, or an Error that does not pass."""
    assert reply is not None
    error = reply.error()
    if error is not None and (reply.job == job or is_over or error.status not in MAY_PASS):
        raise error
    if reply.job == job:
        return reply
    if is_over:
        raise NotDone(job)
    return None


class Call:
    """A request that was submitted. Any thread may use it."""

    __slots__ = ("_client", "_state")

    def __init__(self, client: "Client", state: CallState) -> None:
        self._client = client
        self._state = state

    @property
    def id(self) -> int:
        """Its number as traces show it; 0 until it is sent."""
        return self._state.id

    def done(self) -> bool:
        """Whether it has ended. Does not wait."""
        return self._client._wait(self._state, 0.0)

    def wait(self, timeout: Optional[float] = None) -> Optional[Reply]:
        """How it ended, whatever its status; None after `timeout` seconds. Without one it waits to its end."""
        return self._state.reply if self._client._wait(self._state, timeout) else None

    def reply(self, timeout: Optional[float] = None) -> Reply:
        """The reply. Raises what its status says (riposte.Error); TimeoutError after `timeout` seconds, and it goes
        on."""
        if not self._client._wait(self._state, timeout):
            raise TimeoutError(f"not answered within {timeout} s")
        return outcome(self._state)

    def cancel(self) -> None:
        """Withdraws it. It ends with CANCELLED, or with what overtook it."""
        self._client._cancel(self._state)


def outcome(state: CallState) -> Reply:
    reply = state.reply
    assert reply is not None
    if reply._fields[4]:
        error = reply.error()
        assert error is not None
        raise error
    return reply


class _Open:
    """A request that the application holds while it goes on; leaving `with` withdraws it, unless it has ended."""

    def __init__(self, client: "Client", state: CallState) -> None:
        self._client = client
        self._state = state

    def close(self) -> None:
        """Withdraws the request, unless it has ended."""
        self._client._cancel(self._state)

    def __enter__(self: Held) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if self._state.reply is None:
            self._client._forget(self._state)


class Stream(_Open):
    """A request whose reply comes in parts, and whose body may go in parts. Made by Client.stream. Iterate over it for
    the parts; leaving `with` withdraws the request, unless it has ended. One thread may read it while another writes
    it."""

    def __init__(self, client: "Client", state: CallState) -> None:
        super().__init__(client, state)
        self._said = False  # the reply's body was its last part

    @property
    def id(self) -> int:
        """Its number as traces show it; 0 until it is sent."""
        return self._state.id

    @property
    def reply(self) -> Optional[Reply]:
        """How it ended; None before. Its body is the last part."""
        return self._state.reply

    def read(self, timeout: Optional[float] = None) -> Optional[bytes]:
        """The next part; None at the end. Raises what its status says (riposte.Error), after the last part that came;
        TimeoutError after `timeout` seconds."""
        part = self._client._read(self._state, timeout)
        if part is None and not self._said:
            self._said = True
            part = last_part(self._state)
        return part

    def write(self, data: Body, timeout: Optional[float] = None) -> None:
        """Sends more of the request's body, when the worker has room for it. Raises TimeoutError after `timeout`
        seconds, when some of it may have been sent; RuntimeError when the request has ended, or its body."""
        self._client._write(self._state, body_of(data), timeout)

    def end(self, timeout: Optional[float] = None) -> None:
        """Ends the request's body. Raises as `write`."""
        self._client._write(self._state, None, timeout)

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> bytes:
        part = self.read()
        if part is None:
            raise StopIteration
        return part


class Answers(_Open):
    """A request for all workers of a service. Made by Client.call_all. Iterate over it for the answers, each a Reply
    with its worker's name in `worker`; leaving `with` withdraws the request, unless it has ended."""

    @property
    def id(self) -> int:
        """Its number at the broker; 0 until it is sent. In traces each worker's request has one of its own."""
        return self._state.id

    @property
    def reply(self) -> Optional[Reply]:
        """How it ended; None before. Its headers have the summary: all-workers, all-answered, all-statuses."""
        return self._state.reply

    def __iter__(self) -> "Answers":
        return self

    def __next__(self) -> Reply:
        """The next answer. Raises at the end what the status of the whole says (riposte.Error), unless it is OK."""
        answers = cast(Deque[Reply], self._state.answers)
        if not answers:
            self._client._wait(self._state, None, lambda: bool(answers))
        if answers:
            return answers.popleft()
        outcome(self._state)
        raise StopIteration


def write_some(core: ClientCore, call: CallState, data: memoryview) -> int:
    """Sends what there is room for. Returns how many bytes."""
    at = 0
    while at < len(data):
        piece = core.write(call, data[at:], time.monotonic())
        if not piece:
            break
        at += piece
    return at


def last_part(state: CallState) -> Optional[bytes]:
    """The body of the reply that ended a stream; None if it is empty. Raises what the status says."""
    return outcome(state).body or None


def check_writable(state: CallState) -> None:
    if state.stream is None or not state.stream.more or state.reply is not None:
        raise RuntimeError("the request has ended, or its body, or it was made without more=True")


class Conversation:
    """Requests that one worker answers in order, with state of its own. Made by Client.conversation."""

    def __init__(self, client: "Client", service: str) -> None:
        self._client = client
        self._state: ConversationState = client._core.conversation()
        self.service = service

    def call(self, body: Body = b"", **options: Any) -> Reply:
        """As Client.call. ConversationLost: the worker's state is gone; the next call begins anew."""
        return self._client.call(self.service, body, _conversation=self._state, **options)

    def submit(self, body: Body = b"", **options: Any) -> Call:
        """As Client.submit."""
        return self._client.submit(self.service, body, _conversation=self._state, **options)

    def end(self) -> None:
        """Tells the worker that it is over. The next call would begin another."""
        client = self._client
        with client._lock:
            client._core.end_conversation(self._state, time.monotonic())
            client._loop.turn()

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Client:
    """A client of the first broker of a list that answers; where it is lost, of the next.

    Any number of threads may use one client at once. One thread of its own, a daemon, says the heartbeats between
    calls; while a thread waits for a reply, that thread itself reads and writes. A client does not survive os.fork.

    servers: "tcp://HOST:PORT", "ipc://PATH" or "srv:NAME", several as a list or with commas; by default
    RIPOSTE_SERVER of the environment, or tcp://127.0.0.1:5555. name: for people, by default HOST-PID. timeout:
    seconds until the deadline of a call. attempts: how often a request may be given to a worker, 1 to 10; more than 1
    only if it may run twice. wait_worker: seconds that a request waits for a worker to appear where none offers its
    service.
    key_file: this side's certificate (NAME.key_secret). server_key: the broker's public key, or a file that has it. By
    default RIPOSTE_KEY_FILE and RIPOSTE_SERVER_KEY. Used over tcp:// only. heartbeat: seconds between the signs of life
    that are proposed to the broker, 0.05 to 60. spread: begin with a random one of the brokers, and of the addresses of
    a name, so that many clients share them.

    Raises ValueError for what may not be, TypeError for what is of a wrong type; so do all methods. No broker need be
    there yet.
    """

    def __init__(self, servers: _sockets.Servers = None, *, name: Optional[str] = None, timeout: float = 5.0,
                 attempts: int = 1, wait_worker: float = 0.0, key_file: Optional[str] = None,
                 server_key: Optional[str] = None, heartbeat: float = _link.HEARTBEAT, spread: bool = False) -> None:
        keys = _sockets.Keys(key_file, server_key)
        self.timeout = check_seconds(timeout, "a timeout")
        self.attempts = check_attempts(attempts)
        self.wait_worker = check_seconds(wait_worker, "a wait for a worker")
        self._leader_call: Optional[CallState] = None
        self._waiters: Dict[int, threading.Event] = {}
        self._core = ClientCore(_sockets.endpoints_of(servers), name or _sockets.own_name(), random.random,
                                time.monotonic(), heartbeat, spread)
        self._loop = Loop(self._core, keys)
        self._lock = self._loop.lock
        with self._lock:
            self._loop.turn()
        self._stop = threading.Event()
        self._tender = threading.Thread(target=_tend, args=(weakref.ref(self), self._stop), daemon=True,
                                        name="riposte-client")
        self._tender.start()
        _open_clients.add(self)

    # ---- Calls ------------------------------------------------------------------------------------

    def submit(self, service: str, body: Body = b"", *, timeout: Optional[float] = None, attempts: Optional[int] = None,
               wait_worker: Optional[float] = None, headers: Optional[HeaderList] = None, trace: bool = False,
               key: Optional[str] = None, priority: Optional[int] = None, hedge: Union[str, float, None] = None,
               _conversation: Optional[ConversationState] = None) -> Call:
        """Sends a request and returns at once. Arguments as for `call`."""
        with self._lock:
            call = self._submit(service, body, timeout, attempts, wait_worker, headers, trace, _conversation, key=key,
                                priority=priority, hedge=hedge)
            self._loop.turn()
        return Call(self, call)

    def call(self, service: str, body: Body = b"", *, timeout: Optional[float] = None, attempts: Optional[int] = None,
             wait_worker: Optional[float] = None, headers: Optional[HeaderList] = None, trace: bool = False,
             key: Optional[str] = None, priority: Optional[int] = None, hedge: Union[str, float, None] = None,
             _conversation: Optional[ConversationState] = None) -> Reply:
        """Asks a service, and returns the reply.

        timeout: seconds until its deadline. attempts, wait_worker: see Client. headers: pairs of texts, or a dict;
        names of a-z 0-9 - _ . trace: the reply has the header `worker`, the worker's name. key: its idempotency key: of
        all requests with one key and body one runs, and all get its reply (Invalid if the broker remembers none).
        priority: 0 to 9, 4 if not given: where requests wait for a worker, the highest goes first.
        hedge: with attempts of 2 or more: when its worker takes longer than that (seconds, or a percentile such as
        "95%" of the service's requests that asked for hedges), another gets it, too; the first answer counts.

        Raises a subclass of riposte.Error for each status but OK, one second after the deadline at the latest;
        ValueError for arguments that may not travel. When it is interrupted (KeyboardInterrupt), the request is
        withdrawn.
        """
        return outcome(self._ask(service, body, timeout, attempts, wait_worker, headers, trace, _conversation, key=key,
                                 priority=priority, hedge=hedge))

    def map(self, service: str, bodies: Iterable[Body], *, parallel: int = 16, return_errors: bool = False,
            timeout: Optional[float] = None, attempts: Optional[int] = None, wait_worker: Optional[float] = None,
            headers: Optional[HeaderList] = None, priority: Optional[int] = None,
            hedge: Union[str, float, None] = None) -> Generator[Reply, None, None]:
        """Asks once for each body, `parallel` at a time, and yields the replies in the order of the bodies.

        The timeout is that of each request, from when it is sent. Raises at the first that does not end with OK, and
        withdraws what is open; with return_errors it yields them as replies with their status instead.
        """
        check_parallel(parallel)
        calls: Deque[CallState] = deque()
        source = iter(bodies)
        unsent, most = 0, parallel // 2 or 2  # half travels together while the other half is with the broker
        try:
            while True:
                for body in itertools.islice(source, parallel - len(calls)):
                    with self._lock:
                        calls.append(self._submit(service, body, timeout, attempts, wait_worker, headers, False, None,
                                                  priority=priority, hedge=hedge))
                        unsent += 1
                        if unsent == most:
                            unsent = 0
                            self._loop.turn()
                if not calls:
                    return
                call = calls[0]
                if call.reply is None:
                    unsent = 0
                    self._wait(call, None)
                calls.popleft()
                assert call.reply is not None
                yield call.reply if return_errors else outcome(call)
        finally:
            if calls:
                for call in calls:
                    self._cancel(call)

    def stream(self, service: str, body: Body = b"", *, timeout: float = DAY, idle_timeout: Optional[float] = None,
               window: Optional[int] = None, more: bool = False, attempts: Optional[int] = None,
               wait_worker: Optional[float] = None, headers: Optional[HeaderList] = None, trace: bool = False,
               priority: Optional[int] = None) -> Stream:
        """Asks a service for a reply in parts: `for part in client.stream("log"): …`. Returns at once.

        timeout: seconds for all of it. idle_timeout: it ends with DEADLINE when a worker has had it for so many seconds
        and nothing came or went. window: bytes that the worker may write before they are read, each part 64 more than
        its own; by default 262144, which grows to 4 MiB while it is what the worker waits for; never more than the
        broker allows. more: Stream.write sends more of the body, and Stream.end its end. Other arguments as for `call`.
        Once a part came or went, no other worker gets the request.
        """
        with self._lock:
            call = self._submit(service, body, timeout, attempts, wait_worker, headers, trace, None, priority=priority,
                                stream=lambda terms: StreamState(terms, window, idle_timeout, more))
            self._loop.turn()
        return Stream(self, call)

    def call_all(self, service: str, body: Body = b"", *, first: Optional[int] = None, quorum: Optional[int] = None,
                 timeout: Optional[float] = None, headers: Optional[HeaderList] = None,
                 priority: Optional[int] = None) -> Answers:
        """Asks every worker of a service: `for answer in client.call_all("cache", b"flush"): …`. Returns at once.

        Each answer is a Reply with a status of its own: that of its worker, or what became of the request there. The
        end comes when all have answered; with `first` when so many are OK, with `quorum` also as soon as they cannot be
        any more; the others are cancelled then. It raises what the status of the whole says, unless as many as wanted
        were OK (NoWorker if there are none, or fewer than the quorum). Each worker counts as a request in the broker's
        limits. Other arguments as for `call`.
        """
        pairs = [*goal_of(first, quorum), *pairs_of(headers)]
        with self._lock:
            call = self._submit(service, body, timeout, 1, 0.0, pairs, False, None, priority=priority, every=True)
            self._loop.turn()
        return Answers(self, call)

    def conversation(self, service: str) -> Conversation:
        """A conversation with one worker of a service; the first call begins it. Leaving `with` ends it."""
        return Conversation(self, service)

    # ---- Jobs -------------------------------------------------------------------------------------

    def send(self, service: str, body: Body = b"", *, key: Optional[str] = None, delay: float = 0.0,
             not_before: Optional[float] = None, deadline: Optional[float] = None, attempts: int = 5,
             backoff: Optional[float] = None, attempt_timeout: Optional[float] = None, keep: Optional[float] = None,
             headers: Optional[HeaderList] = None, timeout: Optional[float] = None,
             priority: Optional[int] = None) -> Reply:
        """Has the broker keep a request as a job. When it returns, the job is on disk: reply.job is its number.

        key: its idempotency key; with the same key and body there is one job, and reply.replayed says that it was
        there. delay: seconds after which it may begin; not_before: a time as of time.time(), likewise. deadline: a time
        at which it expires if it was not begun. backoff: seconds after the first attempt that failed. attempt_timeout,
        keep: seconds. timeout: seconds to wait for the broker. priority: that of its attempts, see call. Raises
        KeyMismatch, Busy, Invalid (it keeps no jobs), or Unknown: it may have been taken; with a key, send it again.
        """
        terms = terms_of(key, delay, not_before, deadline, backoff, attempt_timeout, keep, headers)
        return outcome(self._ask(service, body, timeout, attempts, None, terms, False, None, durable=True,
                                 priority=priority))

    def result(self, job: int, *, wait: float = 0.0) -> Reply:
        """The final of a job: its worker's reply. Raises NotDone if it has none within `wait` seconds, what its status
        says (riposte.Error), and AppError if there is no such job."""
        end = time.monotonic() + check_seconds(wait, "a wait", most=FOREVER)
        while True:
            left, question = question_of(job, end)
            call = self._ask("riposte.result", question, min(left + self.timeout, DAY), 1, None, None, False, None)
            now = time.monotonic()
            reply = final_of(job, call.reply, now >= end)
            if reply is not None:
                return reply
            time.sleep(min(RESULT_PAUSE, end - now))

    def cancel_job(self, job: int) -> Dict[str, Any]:
        """Ends a job, unless it has ended; returns what the broker says of it."""
        found: Dict[str, Any] = json.loads(self.call("riposte.cancel", json.dumps({"id": str(job)})).body)
        return found

    def job(self, job: int) -> Dict[str, Any]:
        """What the broker says of a job, with its attempts. AppError: there is none."""
        found: Dict[str, Any] = json.loads(self.call("riposte.job", json.dumps({"id": str(job)})).body)
        return found

    # ---- The end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Ends the session. Open calls end with CANCELLED. Takes a second at most."""
        with self._lock:
            if self._loop.closed:
                return
            self._stop.set()
            self._core.close(time.monotonic())
            self._loop.close()
            for event in self._waiters.values():
                event.set()
        _open_clients.discard(self)
        if threading.current_thread() is not self._tender:
            self._tender.join(5)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    # ---- Inside -----------------------------------------------------------------------------------
    # The lock is held wherever core and sockets are touched. One of the threads that wait for replies, the leader,
    # polls the descriptors without it; the others sleep until their call has ended, or they are to lead.

    def _submit(self, service: str, body: Body, timeout: Optional[float], attempts: Optional[int],
                wait_worker: Optional[float], headers: Optional[HeaderList], trace: bool,
                conversation: Optional[ConversationState], durable: bool = False,
                key: Optional[str] = None, priority: Optional[int] = None,
                hedge: Union[str, float, None] = None,
                stream: Optional[Callable[[Terms], StreamState]] = None, every: bool = False) -> CallState:
        if self._loop.closed:
            raise RuntimeError("this client is closed")
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
        self._core.submit(call, now)
        return call

    def _ask(self, *arguments: Any, **more: Any) -> CallState:
        """Submits a request, and waits for its end. When it is interrupted, the request is withdrawn."""
        with self._lock:
            call = self._submit(*arguments, **more)
        try:
            self._wait(call, None)
        except BaseException:
            self._cancel(call)
            raise
        return call

    def _cancel(self, call: CallState) -> None:
        with self._lock:
            if not self._loop.closed and call.reply is None:
                self._core.cancel(call, time.monotonic())
                self._loop.turn()

    def _ended(self, call: CallState) -> None:
        if call.owner is not None:
            for event in call.owner:
                event.set()
        if call is self._leader_call and self._loop.leader != threading.get_ident():
            self._loop.wake()

    def _read(self, call: CallState, timeout: Optional[float]) -> Optional[bytes]:
        """The next part of a stream; None at its end."""
        assert call.stream is not None
        reader = call.stream.reader
        while True:
            with self._lock:
                granted = reader.granted
                part = self._core.take(call, time.monotonic())
                if reader.granted != granted:
                    self._loop.turn()
                if part is not None or call.reply is not None:
                    return part
            if not self._wait(call, timeout, lambda: bool(reader.parts)):
                raise TimeoutError(f"no part came within {timeout} s")

    def _write(self, call: CallState, data: Optional[bytes], timeout: Optional[float]) -> None:
        """Sends more of a body, or (None) its end."""
        stream = cast(StreamState, call.stream)
        end = None if timeout is None else time.monotonic() + timeout
        rest = memoryview(data or b"")
        while True:
            with self._lock:
                check_writable(call)
                granted = stream.writer.granted
                rest = rest[write_some(self._core, call, rest):]
                done = not rest and (data is not None or self._core.end_body(call, time.monotonic()))
                self._loop.turn()
            if done:
                return
            if not self._wait(call, None if end is None else end - time.monotonic(),
                              lambda: stream.writer.granted > granted):
                raise TimeoutError(f"the worker had no room for it within {timeout} s")

    def _forget(self, call: CallState) -> None:
        """Nobody has the stream any more. Whoever turns next says so: this may be inside a turn."""
        with self._lock:
            if not self._loop.closed and call.reply is None:
                self._core.cancel(call, time.monotonic())

    def _wait(self, call: CallState, timeout: Optional[float], enough: Optional[Callable[[], bool]] = None) -> bool:
        """Waits for the end of a call, or until that is enough, and drives the sockets meanwhile. Returns False after
        `timeout` seconds."""
        if call.reply is not None:
            return True
        loop = self._loop
        end = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            call.ended = self._ended
            try:
                while True:
                    loop.turn(until=call)
                    if call.reply is not None or (enough is not None and enough()):
                        return True
                    left = None if end is None else end - time.monotonic()
                    if left is not None and left <= 0:
                        return False
                    if loop.leader:
                        self._follow(call, left)
                    else:
                        self._leader_call = call
                        try:
                            loop.lead(left)
                        finally:
                            self._leader_call = None
            finally:
                if self._waiters and not loop.leader:
                    next(iter(self._waiters.values())).set()  # somebody else is to lead, however this wait ended

    def _follow(self, call: CallState, left: Optional[float]) -> None:
        event = threading.Event()
        if call.owner is None:
            call.owner = []  # several threads may wait for one call
        call.owner.append(event)
        self._waiters[id(event)] = event
        self._lock.release()
        try:
            event.wait(left)
        finally:
            self._lock.acquire()
            del self._waiters[id(event)]
            call.owner.remove(event)
            if not call.owner:
                call.owner = None

    def _tend(self) -> float:
        """What is due while no thread waits. Returns seconds until the next time."""
        with self._lock:
            if self._loop.closed:
                return 60.0
            if self._loop.leader:
                return 0.5
            self._loop.turn(monitors=True)
            wait = max(0.0, self._core.due() - time.monotonic())
            return min(wait, 0.5 if self._core.is_up and not self._core.open_calls else _TEND_OPEN)


def _tend(reference: "weakref.ReferenceType[Client]", stop: threading.Event) -> None:
    wait = 0.001
    while not stop.wait(wait):
        client = reference()
        if client is None:
            return
        wait = max(0.001, client._tend())
        del client


_open_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


def _close_all() -> None:
    for client in list(_open_clients):
        client.close()


atexit.register(_close_all)
