# SPDX-License-Identifier: MPL-2.0
"""The worker's rules, pure: time is an argument, and what a shell is to do is appended to `actions` (see _link).

Beside the actions of a link:

    ("begin", task)          run the handler, and answer by `answer`
    ("cancelled", task)      nobody wants the answer any more; it is still to be given
    ("flowed", task)         a part of its request came, or there is more room for parts of its reply
    ("ended", number)        that conversation is over
    ("stopped", reason)      the worker has drained, or was refused: reason is None or a text; nothing follows
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from riposte import _flow as flow
from riposte import _wire as wire
from riposte._link import GREETING, HEARTBEAT, REFUSED, REST, UP, Action, Link, check_heartbeat, number_of
from riposte._srv import is_srv
from riposte._status import Status

_INLINE_MAX = 16384


class TaskState:
    """One request that this worker holds."""

    __slots__ = ("token", "seat", "session", "body", "headers", "attempt", "attempts", "conversation", "deadline",
                 "trace", "cancelled", "owner", "writer", "reader", "more", "kept")

    def __init__(self, message: wire.Message, seat: "_Seat", session: int, now: float) -> None:
        self.token = message.id
        self.seat = seat
        self.session = session  # number of the DEALER that it came over
        body = message.body
        self.body = body[0] if len(body) == 1 else b"".join(body)
        self.headers = message.headers
        self.attempt = message.attempt
        self.attempts = message.attempts
        #: unique in this worker: brokers draw their numbers at random
        self.conversation = message.conversation
        self.deadline = now + message.time / 1000
        self.trace = bool(message.flags & wire.TRACE)
        self.cancelled = False
        self.owner: Any = None  # the shell's
        self.writer: Optional[flow.Writer] = None  #: of the reply, for a client that reads parts
        self.reader: Optional[flow.Reader] = None  #: of the request, once it is read
        self.more = False                          #: of its body comes
        self.kept = bytearray()                    #: parts of the reply, for a client that reads none
        if message.flags & (wire.STREAM | wire.MORE):
            self.more = bool(message.flags & wire.MORE)
            if message.flags & wire.STREAM:
                self.writer = flow.Writer(number_of(dict(message.headers), "stream-window"))


class _Finder:
    """Looks a name of SRV records up, again and again. Each of them gets a seat; one whose record is gone is kept while
    its session stands, since clients of its broker stay there as long."""

    __slots__ = ("endpoint", "looked", "at", "round", "found", "trouble")

    def __init__(self, endpoint: str, now: float) -> None:
        self.endpoint = endpoint
        self.looked = now         # when it was looked up last
        self.at: float = now      # when to do so again; never while it is
        self.round = 1            # of looking up in vain
        self.found = False        # once there are seats for its records
        self.trouble = ""

    def soon(self, now: float) -> None:
        """One of the brokers has failed, and may have another place."""
        if self.at < float("inf"):
            self.at = min(self.at, max(now, self.looked + 1.0))


class _Seat:
    """This worker at one broker of the list, or of SRV records."""

    __slots__ = ("link", "finder", "tasks", "orphans", "stated", "conversations", "over")

    def __init__(self, finder: Optional[_Finder]) -> None:
        self.link: Link
        self.finder = finder
        self.tasks: Dict[int, TaskState] = {}  # of this session, by token
        self.orphans = 0                       # tasks of earlier sessions whose handlers still run
        self.stated = 0                        # the window that the broker knows
        self.conversations: Dict[int, None] = {}
        self.over = False


class WorkerCore:
    """`slots`: how many requests it holds at once, of each broker. `random` returns a number from 0 to 1."""

    wants_records = True

    def __init__(self, endpoints: Sequence[str], service: str, slots: int, name: str, random: Callable[[], float],
                 now: float, heartbeat: float = HEARTBEAT, streams: bool = False) -> None:
        """streams: its handlers read and write parts. Raises ValueError for a name or a number that may not travel."""
        if not 1 <= slots <= wire.WINDOW_MAX:
            raise ValueError(f"slots are 1 to {wire.WINDOW_MAX}, not {slots}")
        self._heartbeat_ms = check_heartbeat(heartbeat)
        self.actions: List[Action] = []
        self.draining = False
        self.stopped = False
        self._service = wire.text_of(service, "the name of a service", wire.NAME_MAX)
        if not self._service:
            raise ValueError("the name of a service is empty")
        self._name = wire.text_of(name, "the worker's name", wire.PEER_NAME_MAX)
        self._streams = wire.pack_headers([("streams", "1")]) if streams else b""
        self._slots = slots
        self._ready = slots  # how many the application can take
        self._numbers = 0
        self._refusal = ""
        self._random = random
        self._finders = [_Finder(endpoint, now) for endpoint in endpoints if is_srv(endpoint)]
        self._seats: List[_Seat] = []
        for endpoint in endpoints:
            if not is_srv(endpoint):
                self._begin(endpoint, None, now)

    @property
    def running(self) -> int:
        return sum(len(seat.tasks) + seat.orphans for seat in self._seats)

    @property
    def trouble(self) -> str:
        """Why there is no session with some of the brokers, for people; empty if there is one with each."""
        troubles = [finder.trouble for finder in self._finders] + [seat.link.trouble for seat in self._seats]
        return "; ".join(trouble for trouble in troubles if trouble)

    # ---- The handler's side ---------------------------------------------------------------------

    def answer(self, task: TaskState, status: Status, body: bytes = b"", *, headers: Sequence[Tuple[str, str]] = (),
               code: int = 0, text: str = "", last: bool = False, now: float) -> None:
        """Gives a task back. Raises WireError for headers that may not travel; the task is then still held."""
        packed = b""
        if task.kept and status == Status.OK:
            body = bytes(task.kept) + body
        if task.trace:
            headers = [*headers, ("worker", self._name.decode(errors="surrogateescape"))]
        if headers:
            packed = wire.pack_headers(headers)
        seat = task.seat
        link = seat.link
        if task.session != link.number or seat.tasks.pop(task.token, None) is None:
            seat.orphans = max(0, seat.orphans - 1)
            self._restate(seat, now)
            self._leave_if_done(seat, now)
            return
        if link.max_body and len(body) > link.max_body:
            status, body = Status.APP_ERROR, b""
            text = f"the reply is over {link.max_body} bytes"
        flags = wire.LAST if last and task.conversation else 0
        raw_text = clean_text(text) if text else b""
        if len(body) <= _INLINE_MAX:
            frames = [wire.head(wire.REPLY, flags | wire.INLINE, task.token, 0, 0, 0, int(status), 0, 0, code, b"", b"",
                                raw_text, packed) + body]
        else:
            frames = [wire.head(wire.REPLY, flags, task.token, 0, 0, 0, int(status), 0, 0, code, b"", b"", raw_text,
                                packed), body]
        link.send(frames, now)
        if flags & wire.LAST:
            self._end(seat, task.conversation)

    def write(self, task: TaskState, data: memoryview, now: float) -> int:
        """Sends the first bytes of more of a reply. Returns how many; 0: it has to wait, or nobody wants it. Raises
        ValueError where a client that reads no parts would get too many bytes."""
        link = task.seat.link
        if task.cancelled or task.session != link.number:
            return 0
        if task.writer is None:
            if link.max_body and len(task.kept) + len(data) > link.max_body:
                raise ValueError(f"the reply is over {link.max_body} bytes")
            task.kept += data
            return len(data)
        piece = task.writer.piece(len(data), link.max_body)
        if piece:
            link.send([wire.head(wire.REPLY, wire.MORE, task.token), bytes(data[:piece])], now)
        return piece

    def take(self, task: TaskState, now: float) -> Optional[bytes]:
        """The next part of a request's body; None: there is none now. The first asks the client for it."""
        link = task.seat.link
        wanted = not task.cancelled and task.session == link.number
        if task.reader is None and task.more and wanted:
            task.reader = flow.Reader(flow.allowed(flow.WINDOW, link.stream_window),
                                      flow.allowed(flow.WINDOW_MOST, link.stream_window))
            link.send([wire.head(wire.GRANT, id=task.token, conversation=task.reader.granted)], now)
        if task.reader is None or not task.reader.parts:
            return None
        part, grants = task.reader.take(now)
        if grants and task.more and wanted:
            link.send([wire.head(wire.GRANT, id=task.token, conversation=task.reader.granted)], now)
        return part

    def set_ready(self, ready: int, now: float) -> None:
        """States how many requests the application can take from now on."""
        self._ready = ready
        for seat in self._seats:
            self._restate(seat, now)

    def drain(self, now: float) -> None:
        """Takes no new requests, except in conversations that are here; stops when all have ended."""
        if self.draining:
            return
        self.draining = True
        for seat in self._seats:
            if seat.link.state == UP:
                seat.link.send([wire.head(wire.DRAIN)], now)
            self._leave_if_done(seat, now)
        self._stop_if_over(now)

    def stop(self, now: float, reason: Optional[str] = None) -> None:
        """Leaves at once. What it holds is the brokers' to redeliver."""
        if self.stopped:
            return
        self.stopped = True
        for seat in self._seats:
            seat.over = True
            seat.link.close(now)
        self.actions.append(("stopped", reason))

    # ---- The sockets' side ----------------------------------------------------------------------

    def receive(self, number: int, frames: Sequence[bytes], now: float) -> None:
        seat = self._seat_of(number)
        if seat is None:
            return
        try:
            if frames[0][:2] == b"RB":
                for message in wire.unbundle(frames):
                    if seat.link.number != number:
                        break
                    self._message(seat, wire.decode((message,)), now)
            else:
                self._message(seat, wire.decode(frames), now)
        except wire.WireError:
            seat.link.ignored += 1

    def connected(self, number: int, now: float) -> None:
        seat = self._seat_of(number)
        if seat is not None:
            seat.link.connected(number, now)

    def failed(self, number: int, why: str, now: float, status: Optional[Status] = None) -> None:
        seat = self._seat_of(number)
        if seat is not None and seat.link.failed(number, why, now, status):
            self._lost(seat, now)

    def resolved(self, endpoint: str, addresses: Sequence[str], trouble: str, now: float) -> None:
        for finder in self._finders:
            if finder.endpoint == endpoint and not self.draining and not self.stopped:
                self._found(finder, addresses, trouble, now)
        for seat in self._seats:
            if seat.link.endpoint == endpoint:
                seat.link.resolved(addresses, trouble, now)

    def tick(self, now: float) -> None:
        """What is due by now. Before it, all messages that wait must have been received."""
        for seat in self._seats:
            if seat.finder is not None and seat.link.state == REST:
                seat.finder.soon(now)
        for finder in self._finders:
            if now >= finder.at and not self.draining:
                finder.looked, finder.at = now, float("inf")
                self.actions.append(("resolve", finder.endpoint))
        for seat in self._seats:
            if not seat.over and seat.link.tick(now):
                self._lost(seat, now)

    def due(self) -> float:
        due = min((seat.link.due() for seat in self._seats), default=float("inf"))
        for finder in self._finders:
            if finder.at < due and not self.draining:
                due = finder.at
        return due

    def flush(self) -> None:
        for seat in self._seats:
            seat.link.flush()

    # ---- Inside ---------------------------------------------------------------------------------

    def _begin(self, endpoint: str, finder: Optional[_Finder], now: float) -> None:
        seat = _Seat(finder)
        seat.link = Link([endpoint], self._random, lambda: self._hello(seat), self._next_number, self.actions)
        self._seats.append(seat)
        seat.link.start(now)

    def _found(self, finder: _Finder, endpoints: Sequence[str], trouble: str, now: float) -> None:
        """The brokers that SRV records name, or why there are none."""
        if not endpoints:
            finder.trouble = f"{finder.endpoint}: {trouble}"
            finder.at = now + min(2.0, 0.05 * float(1 << min(finder.round - 1, 10))) * (0.5 + self._random() / 2)
            finder.round += 1
            return
        finder.trouble, finder.round, finder.found = "", 1, True
        finder.at = now + 9.0 + self._random()
        named = {endpoint.lower(): endpoint for endpoint in endpoints}  # some caches change the letters each time
        for seat in self._seats[:]:
            gone = seat.finder is finder and seat.link.endpoint.lower() not in named
            if gone and seat.link.state not in (GREETING, UP) and not seat.orphans:
                seat.link.close(now)
                self._seats.remove(seat)
        there = {seat.link.endpoint.lower() for seat in self._seats}
        for name, endpoint in named.items():
            if name not in there:
                self._begin(endpoint, finder, now)
        self._stop_if_over(now, self._refusal)  # the brokers that are left may all have refused it

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _seat_of(self, number: int) -> Optional[_Seat]:
        for seat in self._seats:
            if seat.link.number == number:
                return seat
        return None

    def _hello(self, seat: _Seat) -> bytes:
        seat.stated = self._window(seat)
        return wire.head(wire.HELLO, wire.WORKER | wire.BUNDLES, time=self._heartbeat_ms, value=seat.stated,
                         name=self._service, key=self._name, headers=self._streams)

    def _window(self, seat: _Seat) -> int:
        return max(0, min(self._ready, self._slots - seat.orphans))

    def _restate(self, seat: _Seat, now: float) -> None:
        """Tells the broker of slots that requests of an earlier session have left, or the application cannot take."""
        window = self._window(seat)
        if seat.link.state == UP and window != seat.stated:
            seat.stated = window
            seat.link.send([wire.head(wire.CREDIT, value=window)], now)

    def _message(self, seat: _Seat, message: wire.Message, now: float) -> None:
        link = seat.link
        command = message.command
        if link.state == GREETING:
            if link.welcome(message, now):
                self._restate(seat, now)
                if self.draining:
                    link.send([wire.head(wire.DRAIN)], now)
            elif command == wire.BYE:
                link.bye(message, now)
                if link.state == REFUSED:
                    self._refused(seat, now)
            return
        if link.state != UP:
            link.ignored += 1
            return
        link.heard(now)
        if command == wire.REQUEST:
            task = TaskState(message, seat, link.number, now)
            seat.tasks[task.token] = task
            if task.conversation:
                seat.conversations[task.conversation] = None
            self.actions.append(("begin", task))
        elif command == wire.CANCEL:
            held = seat.tasks.get(message.id)
            if held is not None and not held.cancelled:
                held.cancelled = True
                self.actions.append(("cancelled", held))
        elif command in (wire.PART, wire.GRANT):
            held = seat.tasks.get(message.id)
            if held is not None and _flow(held, message, now):
                self.actions.append(("flowed", held))
            else:
                link.ignored += 1
        elif command == wire.END:
            self._end(seat, message.conversation)
        elif command == wire.HEARTBEAT:
            link.heartbeat(now, answer=True)
        elif command == wire.BYE:
            link.bye(message, now)
            self._lost(seat, now)
            if message.status == Status.DENIED:
                link.close(now)
                self._refused(seat, now)
        elif command != wire.DRAIN:
            link.ignored += 1

    def _end(self, seat: _Seat, conversation: int) -> None:
        if conversation in seat.conversations:
            del seat.conversations[conversation]
            self.actions.append(("ended", conversation))

    def _lost(self, seat: _Seat, now: float) -> None:
        """Its session ended: nobody waits for what runs, and its conversations are over."""
        for task in seat.tasks.values():
            if not task.cancelled:
                task.cancelled = True
                self.actions.append(("cancelled", task))
        seat.orphans += len(seat.tasks)
        seat.tasks.clear()
        for number in list(seat.conversations):
            self._end(seat, number)
        if self.draining:
            seat.link.close(now)  # it does not come again
        self._leave_if_done(seat, now)

    def _leave_if_done(self, seat: _Seat, now: float) -> None:
        """A worker that drains without a session has nobody to say goodbye to."""
        if self.draining and seat.link.state != UP and not seat.tasks and not seat.orphans:
            self._over(seat, now)

    def _refused(self, seat: _Seat, now: float) -> None:
        """That broker never lets it serve. If none does, it ends."""
        self._refusal = seat.link.trouble
        self._over(seat, now, self._refusal)

    def _over(self, seat: _Seat, now: float, reason: Optional[str] = None) -> None:
        if not seat.over:
            seat.over = True
            seat.link.close(now)
        self._stop_if_over(now, reason)

    def _stop_if_over(self, now: float, reason: Optional[str] = None) -> None:
        found = self.draining or all(finder.found for finder in self._finders)
        if found and all(seat.over for seat in self._seats):
            self.stop(now, reason)


def _flow(task: TaskState, message: wire.Message, now: float) -> bool:
    """Takes a PART or a GRANT. False if it makes no sense."""
    if message.command == wire.GRANT:
        return task.writer is not None and task.writer.grant(message.conversation)
    if not task.more or task.reader is None:
        return False
    part = b"".join(message.body)
    if message.flags & wire.MORE:
        return task.reader.add(part, 0, now)
    task.more = False
    if part:  # the last has no cost
        task.reader.parts.append((part, 0))
    return True


def clean_text(text: str) -> bytes:
    """A text of the application's as it may travel: one line, at most 1024 bytes."""
    raw = text.encode(errors="replace").translate(_BLANKS)
    return raw[:wire.TEXT_MAX].decode(errors="ignore").encode()


_BLANKS = bytes.maketrans(bytes(range(32)) + b"\x7f", b" " * 33)
