# SPDX-License-Identifier: MPL-2.0
"""The client's rules, pure: time is an argument, and what a shell is to do is appended to `actions` (see _link).

A shell calls `submit`, `cancel`, `end_conversation` and `close` for its user, `receive`, `connected`, `failed` and
`resolved` for its sockets, `tick` when `due` says so, and `flush` when it has nothing more to add at that moment.
Each call ends exactly once: `call.reply` is set, and `ended` is called with it.
"""

from __future__ import annotations

import heapq
import re
import struct
import sys
from collections import deque
from numbers import Real
from operator import index
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence, Tuple, Union

from riposte import _explain as explain
from riposte import _flow as flow
from riposte import _wire as wire
from riposte._link import CLOSED, GREETING, HEARTBEAT, REFUSED, REST, UP, Action, Link, check_heartbeat
from riposte._srv import is_srv
from riposte._status import CLASSES, NEVER_RAN, AppError, Error, Status, ran

GRACE = 1.0  #: seconds after its deadline at which a call ends though its broker is silent

# The retry budget: RETRY_RESERVE at first, RETRY_SHARE more with each call that is submitted, RETRY_MOST at most. What
# is sent again takes RETRY_COST, so that a broker which comes back is not met by all that was ever open.
RETRY_COST = 100
RETRY_RESERVE = 10 * RETRY_COST
RETRY_SHARE = 20
RETRY_MOST = 1000 * RETRY_COST
RETRY_PAUSE = (0.05, 2.0)  #: seconds before a retry at a broker that is busy: the first, which doubles, and the longest

_WAITING, _RUNNING, _PAUSED, _ENDED = range(4)
_PERCENTILE = re.compile(r"[0-9]{1,2}(\.[0-9]{1,3})?%", re.ASCII)
_INLINE_MAX = 16384  # a longer body goes in a frame of its own, which is not copied


class Reply:
    """How a request ended, and what was answered.

    service, body: bytes. headers: pairs of texts, in order. code, text: the application's own number and message. last:
    the worker ended the conversation with it. replayed: the key had that job, or that result, already.
    """

    # What most replies lack is the class's, and what a message says stays as it was read: one is made for each request.
    headers: wire.Headers = ()
    code = 0
    text = ""
    last = False
    replayed = False
    _ran: Optional[bool] = None

    def __init__(self, service: str, body: bytes, fields: Tuple[Any, ...]) -> None:
        self.service = service
        self.body = body
        self._fields = fields  # id, job, µs in the queue, µs of work, status, attempt

    @property
    def id(self) -> int:
        """The request's, as traces show it; 0: it was never sent."""
        return int(self._fields[0])

    @property
    def job(self) -> int:
        """The number of the job that was accepted, or whose final this is; of a call with a key, of its execution."""
        return int(self._fields[1])

    @property
    def queue_time(self) -> float:
        """Seconds in the broker's queue."""
        return float(self._fields[2] / 1e6)

    @property
    def work_time(self) -> float:
        """Seconds from dispatch to reply."""
        return float(self._fields[3] / 1e6)

    @property
    def status(self) -> Status:
        """How the request ended; a number that this version does not know is UNKNOWN."""
        return _STATUSES.get(self._fields[4], Status.UNKNOWN)

    @property
    def attempt(self) -> int:
        """Deliveries made; 0: it was never given to a worker."""
        return int(self._fields[5])

    @property
    def may_have_run(self) -> bool:
        """False if it is certain that no worker began it."""
        return ran(self.status, self.attempt) if self._ran is None else self._ran

    def header(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """The last header of that name."""
        return dict(self.headers).get(name, default)

    @property
    def worker(self) -> str:
        """The name of the worker that replied, if it was asked for (trace) or all workers were; otherwise empty."""
        return self.header("worker") or ""

    def error(self) -> Optional[Error]:
        """The exception that this is; None if it is OK."""
        status = self.status
        if status == Status.OK:
            return None
        if status == Status.APP_ERROR:
            return AppError(self.text, code=self.code, body=self.body, headers=self.headers, id=self.id,
                            attempt=self.attempt, service=self.service)
        return CLASSES.get(status, Error)(self.text, status=status, id=self.id, attempt=self.attempt,
                                          service=self.service, may_have_run=self.may_have_run)

    def __repr__(self) -> str:
        return f"<Reply {self.status.name} of {self.service!r}, {len(self.body)} bytes, id {self.id}>"


class ConversationState:
    """What a client knows of one of its conversations."""

    __slots__ = ("number", "answered")

    def __init__(self, number: int) -> None:
        self.number = number
        self.answered = False  #: requests may no longer begin it: there is state to lose


FOREVER = sys.float_info.max
DAY = 86400  #: seconds; no request may take longer


def check_seconds(value: float, what: str, most: float = DAY) -> float:
    """Raises TypeError for what is no number, ValueError for more than `most`. Less than 0 is in the past."""
    if not isinstance(value, Real):
        raise TypeError(f"{what} is a number of seconds, not {type(value).__name__}")
    if not -FOREVER <= value <= most:
        raise ValueError(f"{what} is a finite number of seconds, of a request at most a day (86400), not {value}")
    return value


def check_whole(value: int, what: str) -> int:
    try:
        return index(value)
    except TypeError:
        raise TypeError(f"{what} is a whole number, not {type(value).__name__}") from None


def check_priority(priority: int) -> int:
    if not 0 <= check_whole(priority, "a priority") <= wire.PRIORITY_MAX:
        raise ValueError(f"a priority is 0 to {wire.PRIORITY_MAX}, not {priority}")
    return index(priority)


def check_attempts(attempts: int) -> int:
    if not 1 <= check_whole(attempts, "the number of attempts") <= wire.ATTEMPTS_MAX:
        raise ValueError(f"attempts are 1 to {wire.ATTEMPTS_MAX}, not {attempts}")
    return index(attempts)


def hedge_of(hedge: Union[str, float]) -> str:
    """The value of the header for a hedge after so many seconds, or at a percentile ("95%")."""
    if isinstance(hedge, str):
        if not _PERCENTILE.fullmatch(hedge) or not float(hedge[:-1]):
            raise ValueError(f"a hedge is a number of seconds, or a percentile such as '95%', not {hedge!r}")
        return hedge
    ms = round(1000 * check_seconds(hedge, "a hedge"))
    if not 1 <= ms <= wire.TIME_MAX_MS:
        raise ValueError(f"a hedge is made after 1 ms to a day, not {hedge} s")
    return str(ms)


def goal_of(first: Optional[int], quorum: Optional[int]) -> List[Tuple[str, str]]:
    """The headers that say with how many OKs a request for all workers ends."""
    if first is not None and quorum is not None:
        raise ValueError("a request for all workers ends with the first answers, or with a quorum: say one of them")
    pairs = [(name, check_whole(count, f"{name[4:]} of all workers"))
             for name, count in (("all-first", first), ("all-quorum", quorum)) if count is not None]
    for name, count in pairs:
        if not 1 <= count <= wire.ALL_MOST:
            raise ValueError(f"{name[4:]} is 1 to {wire.ALL_MOST} workers, not {count}")
    return [(name, str(count)) for name, count in pairs]


class Terms:
    """What many requests may have in common: all but body and deadline, checked, with the bytes of their heads."""

    __slots__ = ("service", "attempts", "priority", "headers", "flags", "wait_ms", "begin", "end", "_name")

    def __init__(self, service: str, attempts: int = 1, wait: float = 0.0, headers: Sequence[Tuple[str, str]] = (),
                 durable: bool = False, trace: bool = False, key: Optional[str] = None,
                 priority: Optional[int] = None, hedge: Union[str, float, None] = None) -> None:
        """Raises ValueError for a name, a header or a number that may not travel, TypeError for one of a wrong type."""
        self.service = service
        self._name = wire.text_of(service, "the name of a service", wire.NAME_MAX)
        if not self._name:
            raise ValueError("the name of a service is empty")
        self.attempts = check_attempts(attempts)
        self.wait_ms = int(1000 * max(0.0, check_seconds(wait, "a wait for a worker")))
        if key is not None:
            if not 1 <= len(wire.text_of(key, "a key", wire.KEY_MAX)):
                raise ValueError(f"a key has 1 to {wire.KEY_MAX} bytes")
            headers = [("idempotency-key", key), *headers]
        self.priority = 0  # as a head states it
        if priority is not None and check_priority(priority) != wire.PRIORITY_DEFAULT:
            self.priority = index(priority) + 1
        if priority is not None and durable:
            headers = [*headers, ("job-priority", str(index(priority)))]
            self.priority = 0
        if hedge is not None:
            if self.attempts < 2 or key is not None:
                raise ValueError("a hedge may run a request twice: it wants attempts of 2 or more, and no key")
            headers = [("hedge", hedge_of(hedge)), *headers]
        self.headers = wire.pack_headers(headers) if headers else b""
        self.flags = (wire.DURABLE if durable else wire.KEYED if key is not None else 0) | (wire.TRACE if trace else 0)
        self.flags |= wire.HEDGE if hedge is not None else 0
        self.begin, self.end = self.around(self.flags | wire.INLINE, self.attempts)

    def around(self, flags: int, attempts: int, priority: int = 0) -> Tuple[bytes, bytes]:
        """What stands before and behind _BETWEEN in a head."""
        first = wire.head(wire.REQUEST, flags, value=self.wait_ms, attempts=attempts, name=self._name,
                          headers=self.headers, priority=priority)
        return first[:_BETWEEN_AT], first[_BETWEEN_AT + _BETWEEN.size:]

    def for_all(self) -> "Terms":
        """The same of a request for all workers, each of which is asked once."""
        terms = self._copy()
        terms.flags |= wire.ALL
        terms.attempts, terms.wait_ms = 1, 0
        terms.begin, terms.end = terms.around(terms.flags | wire.INLINE, 1)
        return terms

    def _copy(self) -> "Terms":
        terms = Terms.__new__(Terms)
        for slot in Terms.__slots__:
            setattr(terms, slot, getattr(self, slot))
        return terms

    def stating(self, name: str, value: int) -> "Terms":
        """The same with one more header, before the others. Its begin and end are not made anew."""
        terms = self._copy()
        terms.headers = wire.pack_headers([(name, str(value))]) + self.headers
        return terms


class StreamState:
    """The bodies of a request in parts. more: that of the request is not over with it."""

    __slots__ = ("reader", "writer", "more", "passed", "terms", "_wanted")

    def __init__(self, terms: Terms, window: Optional[int] = None, idle: Optional[float] = None,
                 more: bool = False) -> None:
        """Raises ValueError or TypeError for what may not be. idle: seconds."""
        stated = flow.WINDOW if window is None else flow.check_window(window)
        self._wanted = stated, flow.WINDOW_MOST if window is None else stated
        self.reader = flow.Reader(*self._wanted)
        self.writer = flow.Writer()
        self.more = more
        self.passed = False  # a part came or went: it is not sent again
        self.terms = terms   # without the window
        if idle is not None:
            self.terms = terms.stating("stream-idle", int(1000 * max(0.0, check_seconds(idle, "idle_timeout"))))

    def begin(self, link: Link) -> Terms:
        """It is sent. Returns the terms, with the window that the broker allows."""
        window, most = (flow.allowed(one, link.stream_window) for one in self._wanted)
        self.reader.begin(window, most)
        self.writer = flow.Writer()
        return self.terms.stating("stream-window", window)


_BETWEEN = struct.Struct(">QQI")  # id, conversation and time of a head: what differs between requests of the same terms
_BETWEEN_AT = 8
_between = _BETWEEN.pack

_plain: Dict[Tuple[str, int, float], Terms] = {}  # without headers, key, flags, priority and hedge; bounded


def terms_for(service: str, attempts: int, wait: float, headers: Sequence[Tuple[str, str]] = (), durable: bool = False,
              trace: bool = False, key: Optional[str] = None, priority: Optional[int] = None,
              hedge: Union[str, float, None] = None) -> Terms:
    """As Terms, and raises the same; made once for what is asked again and again."""
    if headers or durable or trace or key is not None or priority is not None or hedge is not None:
        return Terms(service, attempts, wait, headers, durable, trace, key, priority, hedge)
    asked = service, attempts, wait
    try:
        terms = _plain.get(asked)
    except TypeError:  # one of them has no hash, so it is of a wrong type
        return Terms(service, attempts, wait)
    if terms is None:
        if len(_plain) >= 1000:
            _plain.clear()
        terms = _plain[asked] = Terms(service, attempts, wait)
    return terms


class CallState:
    """One request of the user's, which may be sent under several ids."""

    # What most requests leave as it is, is the class's.
    conversation: Optional[ConversationState] = None
    stream: Optional[StreamState] = None
    answers: Optional[Deque[Reply]] = None  # of all workers: those that came and were not taken
    answered = False    # … and whether one came
    id = 0
    number = 0          # of the conversation in which it was sent first
    link: Optional[Link] = None
    state = _WAITING
    was_sent = False    # to a broker that may have given it to a worker
    was_lost = False    # with a session that had it: it may have run there, whatever another broker says of it
    asked = 0           # brokers that proved that it did not run
    retries = 0
    spent = 0           # of the attempts: retries of this library
    reply: Optional[Reply] = None
    #: the shell's, called when there is a reply; of a stream, also when a part or a grant came; and at each answer
    ended: Optional[Callable[["CallState"], None]] = None
    owner: Any = None   # the shell's

    def __init__(self, terms: Terms, body: bytes, timeout: float, now: float,
                 conversation: Optional[ConversationState] = None) -> None:
        """Raises TypeError or ValueError for a timeout that is none, ValueError for a key in a conversation."""
        self.terms = terms
        self.body = body
        self.submitted = now
        if type(timeout) is not float or not -FOREVER <= timeout <= DAY:
            check_seconds(timeout, "a timeout")
        self.deadline = now + timeout
        if conversation is not None:
            if terms.flags & (wire.KEYED | wire.HEDGE):
                raise ValueError("a request with a key, or with a hedge, is outside conversations")
            self.conversation = conversation

    def ask_all(self) -> None:
        """It is for all workers. Raises ValueError for what may not be."""
        if self.conversation is not None or self.terms.flags & (wire.KEYED | wire.HEDGE | wire.DURABLE):
            raise ValueError("a request for all workers is outside conversations, without a key and a hedge")
        self.terms = self.terms.for_all()
        self.answers = deque()

    @property
    def is_keyed(self) -> bool:
        return b"\x0fidempotency-key" in self.terms.headers


def _reply_of(call: CallState, message: wire.Message) -> Reply:
    body = message.body
    reply = Reply(call.terms.service, body[0] if len(body) == 1 else b"".join(body), (
        message.id, message.conversation, message.time, message.value, message.status, message.attempt))
    reply.headers = message.headers
    reply.code = message.code
    reply.text = message.text.decode(errors="surrogateescape") if message.text \
        else explain.MEANINGS.get(reply.status, "")
    reply.last = bool(message.flags & wire.LAST)
    reply.replayed = bool(message.flags & wire.REPLAYED)
    return reply


class ClientCore:
    """`random` returns a number from 0 to 1. `name` is for people. spread: endpoints, and the addresses of
    a name, are tried in an order of its own."""

    wants_records = False

    def __init__(self, endpoints: Sequence[str], name: str, random: Callable[[], float], now: float,
                 heartbeat: float = HEARTBEAT, spread: bool = False) -> None:
        self._heartbeat_ms = check_heartbeat(heartbeat)
        self.actions: List[Action] = []
        self._random = random
        self._spread = spread
        self._endpoints = self._order_of(endpoints)
        self._numbers = 0
        self._ids = 0
        self._name = wire.text_of(name, "the client's name", wire.PEER_NAME_MAX)
        self._calls: Dict[int, CallState] = {}     # that run, by id
        self._waiting: Deque[CallState] = deque()  # for a session, or for room in it
        self._deadlines: List[Tuple[float, int, CallState]] = []
        self._order = 0
        self._conversations = 0
        self._budget = RETRY_RESERVE
        self._leaving: List[Link] = []  # with brokers that drain; calls end there
        self._link = self._new_link()
        self._link.start(now)

    def _order_of(self, places: Sequence[str]) -> List[str]:
        return sorted(places, key=lambda _: self._random()) if self._spread else list(places)

    # ---- The user's side ------------------------------------------------------------------------

    def submit(self, call: CallState, now: float) -> None:
        self._order += 1
        heapq.heappush(self._deadlines, (call.deadline, self._order, call))
        if len(self._deadlines) > 64 + 4 * (len(self._calls) + len(self._waiting)):
            self._forget_ended()
        if self._budget < RETRY_MOST:
            self._budget += RETRY_SHARE
        link = self._link
        if self._waiting or link.state != UP or not self._send(link, call, now):
            self._wait(call, now)

    def cancel(self, call: CallState, now: float) -> None:
        """Withdraws a call. One that was sent ends when its broker says how."""
        if call.state in (_WAITING, _PAUSED):
            self._end(call, Status.CANCELLED, explain.withdrawn())
        elif call.state == _RUNNING and call.link is not None:
            call.link.send([wire.head(wire.CANCEL, id=call.id)], now)

    def abandon(self, call: CallState, now: float) -> None:
        """As cancel, but ends it at once, since nobody waits for it any more."""
        self.cancel(call, now)
        if call.state != _ENDED:
            self._calls.pop(call.id, None)
            self._end(call, Status.CANCELLED, explain.withdrawn())

    def take(self, call: CallState, now: float) -> Optional[bytes]:
        """The next part of a stream that came; None: there is none now."""
        stream = call.stream
        if stream is None or not stream.reader.parts:
            return None
        part, grants = stream.reader.take(now)
        if grants and call.state == _RUNNING and call.link is not None:
            call.link.send([wire.head(wire.GRANT, id=call.id, conversation=stream.reader.granted)], now)
        return part

    def write(self, call: CallState, data: memoryview, now: float) -> int:
        """Sends the first bytes of more of a request's body. Returns how many; 0: it has to wait, or it has ended."""
        stream, link = call.stream, call.link
        if stream is None or not stream.more or call.state != _RUNNING or link is None:
            return 0
        piece = stream.writer.piece(len(data), link.max_body)
        if piece:
            stream.passed = True
            link.send([wire.head(wire.PART, wire.MORE, id=call.id), bytes(data[:piece])], now)
        return piece

    def end_body(self, call: CallState, now: float) -> bool:
        """Ends a request's body. False: it has to wait, or it has ended."""
        stream, link = call.stream, call.link
        if stream is None or not stream.more or call.state != _RUNNING or link is None or not stream.writer.granted:
            return False
        stream.more, stream.passed = False, True
        link.send([wire.head(wire.PART, id=call.id)], now)
        return True

    def conversation(self) -> ConversationState:
        return ConversationState(self._new_number())

    def _new_number(self) -> int:
        self._conversations += 1
        return self._conversations

    def end_conversation(self, conversation: ConversationState, now: float) -> None:
        if self._link.state == UP:
            self._link.send([wire.head(wire.END, conversation=conversation.number)], now)
        self._forget(conversation)

    def _forget(self, conversation: ConversationState) -> None:
        """What it has sent so far ends as it will; its next request begins another."""
        conversation.number = self._new_number()
        conversation.answered = False

    def close(self, now: float) -> None:
        """Ends all sessions. Open calls end with CANCELLED."""
        for call in [*self._waiting, *self._calls.values(), *(one[2] for one in self._deadlines)]:
            self._end(call, Status.CANCELLED, explain.withdrawn())
        self._waiting.clear()
        self._calls.clear()
        for link in [*self._leaving, self._link]:
            link.close(now)

    @property
    def trouble(self) -> str:
        """Why there is no session, for people; empty if there is one."""
        return self._link.trouble

    @property
    def is_up(self) -> bool:
        return self._link.state == UP

    @property
    def open_calls(self) -> int:
        return len(self._calls) + len(self._waiting)

    # ---- The sockets' side ----------------------------------------------------------------------

    def receive(self, number: int, frames: Sequence[bytes], now: float) -> None:
        """A message came over DEALER `number`."""
        link = self._link if self._link.number == number else self._link_of(number)
        if link is None:
            return
        data = frames[0]
        calls = self._calls
        try:
            for begin, end in wire.entries(frames) if data[:2] == b"RB" else ((0, len(data)),):
                if link.number != number:
                    break  # the message before ended the session
                # Nearly every message is OK outside conversations with nothing but a body: what `_message` would do.
                if data[begin:begin + 8] == _QUICK_BEGIN and data[begin + 34:begin + 48] == _QUICK_END \
                        and len(frames) == 1:
                    fields = _QUICK_FIELDS(data, begin + 8)
                    call = calls.get(fields[0])
                    if call is not None and not fields[4] and call.conversation is None and call.link is link:
                        del calls[fields[0]]
                        link.heard(now)
                        call.state = _ENDED
                        call.reply = Reply(call.terms.service, data[begin + 48:end], fields)
                        if call.ended is not None:
                            call.ended(call)
                        continue
                self._message(link, wire.decode(frames if end - begin == len(data) else (data[begin:end],)), now)
        except wire.WireError:
            link.ignored += 1
        if self._waiting:
            self._send_waiting(now)

    def connected(self, number: int, now: float) -> None:
        link = self._link_of(number)
        if link is not None:
            link.connected(number, now)

    def failed(self, number: int, why: str, now: float, status: Optional[Status] = None) -> None:
        """The connection of DEALER `number` failed or broke. status: DENIED if the broker did not accept the key."""
        link = self._link_of(number)
        if link is None:
            return
        if link.failed(number, why, now, status):
            self._lost(link, now)
        elif link.state == REST and link.trouble_status == Status.DENIED:
            self._refuse_waiting(Status.DENIED)

    def resolved(self, endpoint: str, addresses: Sequence[str], trouble: str, now: float) -> None:
        if self._link.endpoint == endpoint:
            # Those of SRV records are in the order that the records say.
            self._link.resolved(addresses if is_srv(endpoint) else self._order_of(addresses), trouble, now)

    def tick(self, now: float) -> None:
        """What is due by now. Before it, all messages that wait must have been received."""
        for link in [self._link, *self._leaving]:
            if link.tick(now):
                self._lost(link, now)
        while self._deadlines and self._deadlines[0][0] <= now:
            _, order, call = heapq.heappop(self._deadlines)
            if call.state == _PAUSED:
                self._wait(call, now)
                if self._link.state == UP:
                    self._send_waiting(now)
            elif call.state == _WAITING:
                timeout = call.deadline - call.submitted
                if call.was_sent:
                    self._end(call, Status.UNKNOWN, self._loss(call))
                elif timeout <= 0:
                    self._end(call, Status.EXPIRED if self._link.state == UP else Status.NO_BROKER, explain.past())
                elif self._link.state == UP:
                    self._end(call, Status.EXPIRED, explain.held(timeout, self._why(), self._link.window))
                else:
                    self._end(call, Status.NO_BROKER, explain.unreached(timeout, self._why()))
            elif call.state == _RUNNING:
                if call.deadline + GRACE <= now:
                    self._calls.pop(call.id, None)
                    self.cancel(call, now)
                    timeout = call.deadline - call.submitted
                    self._end(call, Status.UNKNOWN, explain.job_silent(timeout, call.is_keyed)
                              if call.terms.flags & wire.DURABLE else explain.silent(timeout))
                else:
                    heapq.heappush(self._deadlines, (call.deadline + GRACE, order, call))
        if self._waiting:
            self._send_waiting(now)  # what has ended now stood before the others
        if self._leaving:
            self._leave(now)

    def due(self) -> float:
        """When `tick` is to be called next."""
        due = self._link.due()
        if self._leaving:
            due = min(due, *(link.due() for link in self._leaving))
        if self._deadlines and self._deadlines[0][0] < due:
            due = self._deadlines[0][0]
        return due

    def flush(self) -> None:
        self._link.flush()
        for link in self._leaving:
            link.flush()

    # ---- Inside ---------------------------------------------------------------------------------

    def _new_link(self) -> Link:
        return Link(self._endpoints, self._random, self._hello, self._next_number, self.actions)

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _hello(self) -> bytes:
        return wire.head(wire.HELLO, wire.BUNDLES, time=self._heartbeat_ms, key=self._name)

    def _link_of(self, number: int) -> Optional[Link]:
        if self._link.number == number:
            return self._link
        return next((link for link in self._leaving if link.number == number), None)

    def _message(self, link: Link, message: wire.Message, now: float) -> None:
        command = message.command
        if command == wire.REPLY:
            link.heard(now)
            call = self._calls.get(message.id)
            if call is None or call.link is not link:
                link.ignored += 1
                return
            if message.flags & wire.MORE:
                self._part(link, call, message, now)
            else:
                self._replied(link, call, message, now)
        elif command == wire.GRANT and link.state == UP:
            link.heard(now)
            call = self._calls.get(message.id)
            stream = call.stream if call is not None and call.link is link else None
            if call is None or stream is None or not stream.more or not stream.writer.grant(message.conversation):
                link.ignored += 1
            elif call.ended is not None:
                call.ended(call)
        elif link.state == GREETING:
            if link.welcome(message, now):
                self._send_waiting(now)
            elif command == wire.BYE:
                link.bye(message, now)
                if link.state == REFUSED:
                    self._refuse_waiting(link.trouble_status or Status.DENIED)
        elif link.state != UP:
            link.ignored += 1
        elif command == wire.HEARTBEAT:
            link.heard(now)
            link.heartbeat(now, answer=True)
        elif command == wire.ACCEPTED:
            link.heard(now)
            call = self._calls.pop(message.id, None)
            if call is not None:
                reply = Reply(call.terms.service, b"", (message.id, message.conversation, 0, 0, Status.OK, 0))
                reply.replayed = dict(message.headers).get("replayed") == "1"
                self._finish(call, reply)
                self._send_waiting(now)
        elif command == wire.DRAIN:
            link.heard(now)
            if len(self._endpoints) > 1 and link is self._link:
                self._change(now)
        elif command == wire.BYE:
            if link.bye(message, now):
                self._lost(link, now)
        else:
            link.ignored += 1

    def _replied(self, link: Link, call: CallState, message: wire.Message, now: float) -> None:
        del self._calls[message.id]
        number = message.status
        status = _STATUSES.get(number, Status.UNKNOWN)
        conversation = call.conversation
        if conversation is not None and conversation.number == call.number:
            if status == Status.CONVERSATION_LOST or message.flags & wire.LAST:
                self._forget(conversation)
            elif number <= 1:  # OK, APP_ERROR
                conversation.answered = True
        if number > 1 and number in _MAY_BE_ASKED_AGAIN and self._ask_again(link, call, status, now):
            return
        if call.was_lost and status in NEVER_RAN and status != Status.CONVERSATION_LOST:  # which says so itself
            self._end(call, Status.UNKNOWN, self._loss(call))
        else:
            self._finish(call, _reply_of(call, message))
        if self._waiting:
            self._send_waiting(now)

    def _part(self, link: Link, call: CallState, message: wire.Message, now: float) -> None:
        stream = call.stream
        if call.answers is not None:
            call.answered = True
            call.answers.append(_reply_of(call, message))
            if call.ended is not None:
                call.ended(call)
            return
        if stream is None or message.status:
            link.ignored += 1
            return
        stream.passed = True
        headers = len(wire.pack_headers(message.headers))
        if not stream.reader.add(b"".join(message.body), headers, now):  # the body has a hole
            self.cancel(call, now)
            del self._calls[call.id]
            self._end(call, Status.UNKNOWN, explain.excess())
            if self._waiting:
                self._send_waiting(now)
        elif call.ended is not None:
            call.ended(call)

    def _send(self, link: Link, call: CallState, now: float) -> bool:
        """Returns False if it must wait. It may end at once instead of being sent."""
        left = int((call.deadline - now) * 1000)
        if left <= 0:
            return False  # the tick ends it
        body = call.body
        size = len(body)
        if link.max_body and size > link.max_body:
            self._end(call, Status.TOO_LARGE, explain.too_large(size, link.max_body))
            return True
        if len(self._calls) >= link.window:
            return False
        terms = call.terms
        flags = terms.flags
        if flags & wire.HEDGE and not (link.hedging and terms.attempts - call.spent > 1):
            flags &= ~wire.HEDGE  # a preference; and its last attempt is one
        if flags & wire.DURABLE:
            if not link.jobs:
                self._end(call, Status.INVALID, explain.no_jobs(link.endpoint))
                return True
            left = 0
        elif call.stream is not None:
            if not link.streams:
                self._end(call, Status.INVALID, explain.no_streams(link.endpoint))
                return True
            terms = call.terms = call.stream.begin(link)
            flags |= wire.STREAM | (wire.MORE if call.stream.more else 0)
        elif flags & wire.ALL and not link.asks_all:
            self._end(call, Status.INVALID, explain.no_all(link.endpoint))
            return True
        elif flags & wire.KEYED and not link.replays:
            self._end(call, Status.INVALID, explain.no_replays(link.endpoint))
            return True
        if call.conversation is not None:
            if not call.number:
                call.number = call.conversation.number
            if not call.conversation.answered and call.number == call.conversation.number:
                flags |= wire.OPEN
        self._ids += 1
        call.id = id = self._ids
        call.link = link
        call.state = _RUNNING
        call.was_sent = True
        self._calls[id] = call
        between = _between(id, call.number, left if left < wire.TIME_MAX_MS else wire.TIME_MAX_MS)
        priority = terms.priority if link.priorities else 0
        if size > _INLINE_MAX:
            before, behind = terms.around(flags, terms.attempts - call.spent, priority)
            link.send([b"".join((before, between, behind)), body], now)
        elif flags == terms.flags and not call.spent and not priority:
            link.send([b"".join((terms.begin, between, terms.end, body))], now)
        else:
            before, behind = terms.around(flags | wire.INLINE, terms.attempts - call.spent, priority)
            link.send([b"".join((before, between, behind, body))], now)
        return True

    def _wait(self, call: CallState, now: float) -> None:
        if call.state == _ENDED:
            return
        call.state = _WAITING
        call.link = None
        self._waiting.append(call)
        if self._link.state == REFUSED:
            self._refuse_waiting(self._link.trouble_status or Status.DENIED)
        elif self._link.state == CLOSED:
            self._end(call, Status.CANCELLED, explain.withdrawn())

    def _send_waiting(self, now: float) -> None:
        while self._waiting and self._link.state == UP:
            call = self._waiting[0]
            if call.state == _WAITING and not self._send(self._link, call, now):
                return
            self._waiting.popleft()

    def _lost(self, link: Link, now: float) -> None:
        """Its session ended: what ran there ends, or is submitted again."""
        for call in [call for call in self._calls.values() if call.link is link]:
            del self._calls[call.id]
            if call.terms.flags & wire.DURABLE:
                # With a key it is the same job at the same broker, however often it is sent.
                again = call.is_keyed and len(self._endpoints) == 1 and call.deadline > now
            else:
                again = self._may_move(call) and self._take_retry(call, now)
            call.was_lost = True
            if again:
                self._wait(call, now)
            else:
                self._end(call, Status.UNKNOWN, self._loss(call))
        if link in self._leaving:
            link.close(now)
            self._leaving.remove(link)

    @staticmethod
    def _may_move(call: CallState) -> bool:
        """Whether it may be sent again elsewhere: no worker has state of its conversation, nor had a part of it."""
        if call.answered or (call.stream is not None and call.stream.passed):
            return False
        conversation = call.conversation
        return conversation is None or (not conversation.answered and conversation.number == call.number)

    def _take_retry(self, call: CallState, now: float) -> bool:
        if call.terms.attempts - call.spent <= 1 or call.deadline <= now or self._budget < RETRY_COST:
            return False
        self._budget -= RETRY_COST
        call.spent += 1
        call.retries += 1
        return True

    def _ask_again(self, link: Link, call: CallState, status: Status, now: float) -> bool:
        """Sends a call again whose reply proves that it did not run: to the next broker of the list at once, where it
        uses up no attempt; or, with attempts left, after a pause. To go to the next broker ends the session with this
        one, so for a broker that only is busy it is done where nothing else runs there."""
        if call.terms.flags & wire.DURABLE or not self._may_move(call):
            return False
        call.was_sent = call.was_lost  # nothing else ran so far
        others = len(self._endpoints) > 1
        if status == Status.DRAINING and others:
            self._wait(call, now)
            return True
        if others and link is self._link and call.asked + 1 < len(self._endpoints) and not self._calls \
                and self._budget >= RETRY_COST:
            self._budget -= RETRY_COST
            call.asked += 1
            self._change(now)
            self._wait(call, now)
            return True
        if status == Status.NO_WORKER:
            return False
        first, most = RETRY_PAUSE
        pause = min(most, first * float(1 << min(call.retries, 10))) * (0.5 + self._random() / 2)
        if now + pause >= call.deadline or not self._take_retry(call, now):
            return False
        call.state = _PAUSED
        call.link = None
        self._order += 1
        heapq.heappush(self._deadlines, (now + pause, self._order, call))
        return True

    def _change(self, now: float) -> None:
        """Begins a session with the next broker; the present one ends when its calls have."""
        link = self._link
        self._leaving.append(link)
        self._link = self._new_link()
        self._link.start(now, link._turn)

    def _leave(self, now: float) -> None:
        """Says BYE to brokers that drain, once they have answered everything."""
        busy = {id(call.link) for call in self._calls.values()}
        for link in [link for link in self._leaving if id(link) not in busy]:
            link.close(now)
            self._leaving.remove(link)

    def _refuse_waiting(self, status: Status) -> None:
        while self._waiting:
            call = self._waiting.popleft()
            if call.state == _WAITING:
                if call.was_sent:
                    self._end(call, Status.UNKNOWN, self._loss(call))
                else:
                    self._end(call, status, explain.refused(self._why()))

    def _why(self) -> str:
        return self._link.trouble or self._endpoints[0]

    def _loss(self, call: CallState) -> str:
        """What is said of a call whose session was lost."""
        if call.terms.flags & wire.DURABLE:
            return explain.job_lost(self._why(), call.is_keyed)
        spent = call.terms.attempts - call.spent > 1 and self._budget < RETRY_COST and self._may_move(call)
        return explain.budget_spent(self._why()) if spent else explain.lost(self._why())

    def _end(self, call: CallState, status: Status, text: str) -> None:
        attempt = 1 if status == Status.CANCELLED and call.was_sent else 0
        reply = Reply(call.terms.service, b"", (call.id, 0, 0, 0, status, attempt))
        reply.text = text
        reply._ran = call.was_sent and ran(status, 1)
        self._finish(call, reply)

    def _finish(self, call: CallState, reply: Reply) -> None:
        if call.state == _ENDED:
            return
        call.state = _ENDED
        call.reply = reply
        if call.ended is not None:
            call.ended(call)

    def _forget_ended(self) -> None:
        self._deadlines = [one for one in self._deadlines if one[2].state != _ENDED]
        heapq.heapify(self._deadlines)


_QUICK_BEGIN = b"RP\x01\x04\x00\x30\x00\x01"  # a REPLY whose head has no variable part, INLINE
_QUICK_END = bytes(14)                           # no attempts, sizes and code
_QUICK_FIELDS: Callable[[bytes, int], Tuple[Any, ...]] = struct.Struct(">QQIIBB").unpack_from

_MAY_BE_ASKED_AGAIN = frozenset({Status.DRAINING, Status.BUSY, Status.NO_WORKER})
_STATUSES = {int(status): status for status in Status}
