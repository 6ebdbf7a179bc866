# SPDX-License-Identifier: MPL-2.0
"""Predicts what a broker counts for each message that it gets, whatever the message is. The model
is written from docs/PROTOCOL.md and docs/INTEROP.md; live.py compares it with `riposte status`.

A Side is one connection as the broker must see it. `say` takes the frames of a message, changes the
state of the session as the broker does, and adds to `counts`. Where a message breaks several rules,
the broker may name any of them, so bad.* are one number here."""

import collections
import struct

FRAMES, FOREIGN_FRAMES = 64, 80
BUNDLE, SLACK = 65536, 1 << 20
WINDOW, ATTEMPTS, PRIORITIES, DAY_MS = 4096, 10, 10, 86400000
HEARTBEAT_MAX_MS = 60000
HELLO, WELCOME, REQUEST, REPLY, CANCEL, CREDIT, HEARTBEAT, DRAIN, BYE, END = range(1, 11)
PART, GRANT = 12, 13
INLINE, WORKER, OPEN, LAST, TRACE, MORE, BUNDLES, STREAM = 1, 2, 4, 8, 16, 32, 64, 1024
STATUSES = 13
ADMIN = (b"riposte.ping", b"riposte.status", b"riposte.services", b"riposte.workers", b"riposte.trace",
         b"riposte.slow", b"riposte.explain", b"riposte.config", b"riposte.events", b"riposte.overview",
         b"riposte.reload")

#: A message that adds to one of these counts is wrong. Two of them may count the same message.
WRONG = ("bad", "too_many_frames", "unknown_peers", "protocol_errors", "hellos_refused",
         "late_replies", "cancels", "too_large", "late_parts")

_FIXED = struct.Struct(">2sBBHHQQIIBBBBBBHHHI")
Head = collections.namedtuple("Head", "command size flags id conversation time value status name")

#: The allowed flags, and the fields that may differ from zero: section 4 of the protocol.
_SHAPES = {
    HELLO: (WORKER | BUNDLES, "time value name key headers"),
    WELCOME: (BUNDLES, "time value key headers"),
    REQUEST: (INLINE | OPEN | TRACE | MORE | STREAM,
              "id conversation time value attempt attempts priority name headers"),
    REPLY: (INLINE | LAST | MORE, "id time value status attempt attempts text headers code"),
    CANCEL: (0, "id"), CREDIT: (0, "time value"), HEARTBEAT: (0, "time"), DRAIN: (0, ""),
    BYE: (0, "status text"), END: (0, "conversation"), PART: (INLINE | MORE, "id"),
    GRANT: (0, "id conversation")}
_NAMES = ("id", "conversation", "time", "value", "status", "attempt", "attempts", "priority", "name",
          "key", "text", "headers", "reserved", "code")
_ZERO = {command: tuple(index for index, name in enumerate(_NAMES) if name not in fields.split())
         for command, (_, fields) in _SHAPES.items()}
_KEY = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")
_CONTROL = bytes([*range(32), 127])
_CONTROL_BUT_TAB = _CONTROL.replace(b"\t", b"")


def _clean(text, control=_CONTROL):
    return len(text.translate(None, control)) == len(text)


def name_is_good(name):
    return 0 < len(name) <= 127 and _clean(name)


def _headers_are_good(block):
    at = count = 0
    while at < len(block):
        count += 1
        key = block[at + 1:at + 1 + block[at]]
        at += 1 + block[at]
        if count > 64 or at + 2 > len(block) or not 0 < len(key) <= 63 or not _KEY.issuperset(key):
            return False
        size = block[at] << 8 | block[at + 1]
        value = block[at + 2:at + 2 + size]
        at += 2 + size
        if at > len(block) or size > 4096 or not _clean(value):
            return False
    return True


def decode(frame):
    """Returns the head, or None if it is malformed."""
    if len(frame) < 48:
        return None
    signature, version, command, size, flags, *fields = _FIXED.unpack_from(frame)
    if signature != b"RP" or version != 1 or command not in _SHAPES:
        return None
    (number, conversation, time, value, status, _, attempts, priority, name_size, key_size, text_size,
     headers_size, _, _) = fields
    if size > len(frame) or size != 48 + name_size + key_size + text_size + headers_size \
            or name_size > 127 or key_size > 127 or text_size > 1024 or headers_size > 8192:
        return None
    if flags & ~_SHAPES[command][0] or (not flags & INLINE and len(frame) > size):
        return None
    for index in _ZERO[command]:
        if fields[index]:
            return None
    name = frame[48:48 + name_size]
    key = frame[48 + name_size:48 + name_size + key_size]
    text = frame[size - headers_size - text_size:size - headers_size]
    if headers_size and not _headers_are_good(frame[size - headers_size:size]):
        return None
    if command == HELLO:
        good = (name_is_good(name) if flags & WORKER else not name and not value) \
            and key_size <= 63 and _clean(key, _CONTROL_BUT_TAB)
    elif command == REQUEST:
        good = name_is_good(name) and number and 0 < attempts <= ATTEMPTS and priority <= PRIORITIES \
            and time <= DAY_MS \
            and value <= DAY_MS and (conversation or not flags & OPEN)
    elif command in (REPLY, BYE):
        good = status < STATUSES and _clean(text, _CONTROL_BUT_TAB) \
            and (command == BYE or (number and not attempts))
    else:
        good = (command not in (CANCEL, PART, GRANT) or number) \
            and (command not in (END, GRANT) or conversation) \
            and (command != HEARTBEAT or time <= HEARTBEAT_MAX_MS)
    return Head(command, size, flags, number, conversation, time, value, status, name) if good \
        else None


def unbundle(frame):
    """Returns the messages of a bundle, or None if its sizes do not add up."""
    if not 4 < len(frame) <= BUNDLE or frame[:4] != b"RB\1\0":
        return None
    messages, at = [], 4
    while at < len(frame):
        size = int.from_bytes(frame[at:at + 4], "big")
        at += 4
        if at > len(frame) or size == 0 or size > len(frame) - at:
            return None
        messages.append(frame[at:at + size])
        at += size
    return messages


# ---- Foreign peers --------------------------------------------------------------------------------------

#: A foreign peer's message. error: why it is malformed; then command is 0.
Said = collections.namedtuple("Said", "dialect worker command name body error")
_UNKNOWN = Said(None, False, 0, b"", 0, "UNKNOWN")
_WORKER = {1: HELLO, 3: REPLY, 4: REPLY, 5: HEARTBEAT, 6: BYE}
_WORKER_01 = {1: HELLO, 3: REPLY, 4: HEARTBEAT, 5: BYE}
_HEADERS = {b"MDPC01": (1, False), b"MDPC02": (2, False), b"MDPW01": (1, True), b"MDPW02": (2, True)}


def _first_empty(frames):
    for index, frame in enumerate(frames):
        if not frame:
            return index
    return len(frames)


def _envelope_fits(frames):
    return len(frames) <= 8 and sum(map(len, frames)) <= 1024


def _rest(dialect, worker, command, frames, at, name=None):
    """Reads what follows header and command. name: the service, if the header had it."""
    def said(error=None, body=0):
        return Said(dialect, worker, 0 if error else command, name or b"", body, error)

    if command == REPLY:
        if len(frames) < at + 3 or frames[at + 1]:
            return said("FRAMES")
        return said(body=at + 2)
    if command not in (HELLO, REQUEST):
        return said()
    if name is None:
        if len(frames) <= at:
            return said("FRAMES")
        name, at = frames[at], at + 1
    if command == REQUEST and len(frames) <= at and not (name_is_good(name) and _is_reserved(name)):
        return said("FRAMES")  # the broker's own services need no body
    return said(body=at) if name_is_good(name) else said("NAME")


def _packed(frames):
    head = frames[0]
    worker = head[7:8] == b"W"

    def wrong(error):
        return Said("packed", worker, 0, b"", 0, error)

    if head[3] != 6 or len(head) <= 10:
        return wrong("PACKED")
    if head[4:10] not in (b"MDPC02", b"MDPW02"):
        return _UNKNOWN
    if head[2] != head[10] + (3 if worker else 0):
        return wrong("PACKED")
    command = _WORKER.get(head[10]) if worker else REQUEST if head[10] == 1 else None
    if command is None:
        return wrong("COMMAND")
    if command not in (HELLO, REQUEST):
        return _rest("packed", worker, command, frames, 1) if len(head) == 11 else wrong("PACKED")
    if len(head) < 12 or len(head) != 12 + head[11]:
        return wrong("PACKED")
    if not name_is_good(head[12:]):
        return wrong("NAME")
    return _rest("packed", worker, command, frames, 1, head[12:])


def read(frames):
    """Reads a message of MDP, of either version, or of one of their dialects."""
    first = frames[0]
    if len(first) > 7 and first[:2] == b"\xaa\xa4" and first[4:7] == b"MDP":
        return _packed(frames)
    at = 0 if first in _HEADERS else _first_empty(frames) + 1
    if at >= len(frames) or frames[at] not in _HEADERS:
        return _UNKNOWN
    version, worker = _HEADERS[frames[at]]
    number = frames[at + 1][0] if at + 1 < len(frames) and len(frames[at + 1]) == 1 else 0
    dialect = "mdp01" if version == 1 else "empty" if at else "mdp02"
    if dialect == "empty" and not worker and number == 2:
        dialect = "majortomo"

    def wrong(error):
        return Said(dialect, worker, 0, b"", 0, error)

    if (version == 1 and at == 0) or (worker and at > 1):
        return wrong("FRAMES")
    if at and not _envelope_fits(frames[:at - 1]):
        return wrong("ENVELOPE")
    if version == 1 and not worker:
        return _rest(dialect, worker, REQUEST, frames, at + 1)
    if at + 1 >= len(frames):
        return wrong("FRAMES")
    if worker:
        command = (_WORKER_01 if version == 1 else _WORKER).get(number)
    else:
        command = REQUEST if number == (2 if dialect == "majortomo" else 1) else None
    return wrong("COMMAND") if command is None else _rest(dialect, worker, command, frames, at + 2)


def read_front(frames):
    empty = _first_empty(frames)
    error = "FRAMES" if empty + 1 >= len(frames) else \
        None if _envelope_fits(frames[:empty]) else "ENVELOPE"
    return Said("plain", False, 0 if error else REQUEST, b"plain", empty + 1, error)


def read_back(frames):
    return _rest("plain", True, REPLY, frames, 0)


def is_native(frames):
    first = frames[0]
    if first[:2] != b"RP":
        return False
    header = _first_empty(frames) + 1
    return len(first) >= 48 or header >= len(frames) or frames[header] not in _HEADERS


# ---- Sessions ------------------------------------------------------------------------------------


class Side:
    """One connection. listener: open, front or back; role: None (no session), client or worker."""

    def __init__(self, listener, max_body):
        self.listener, self.max_body = listener, max_body
        self.max_bytes = max_body + BUNDLE + SLACK
        self.counts = collections.Counter()
        self.spoke = False
        self._end()
        if listener == "back":  # all connections to it are one session, which does not end
            self.role, self.dialect = "worker", "plain"

    def _end(self):
        if self.listener != "back":
            self.role = self.dialect = None
            self.bundles = False

    def say(self, frames):
        """Returns whether the message is wrong."""
        counts = self.counts
        probe, self.spoke = not self.spoke and list(frames) == [b""], True
        if probe:  # ZMQ_PROBE_ROUTER
            return False
        before = sum(counts[name] for name in WRONG)
        whole, size = len(frames) <= FOREIGN_FRAMES, sum(map(len, frames))
        if not whole:
            size = sum(map(len, frames[:FOREIGN_FRAMES]))
        whole = whole and size <= self.max_bytes
        if not whole:
            frames = frames[:1]
        foreign = self.listener != "open" or self.dialect
        if not foreign and frames[0][:2] == b"RB":
            self._bundle(frames, whole)
        elif foreign or (self.role is None and not is_native(frames)):
            self._foreign(frames, size, whole)
        else:
            self._native(frames, size, whole)
        return sum(counts[name] for name in WRONG) > before

    def _bad(self, too_many_frames=False):
        self.counts["too_many_frames" if too_many_frames else "bad"] += 1
        self._break()

    def _break(self):
        """Counts a broken rule, which ends the session if there is one."""
        known = self.role and self.listener != "back"
        self.counts["protocol_errors" if known else "unknown_peers"] += 1
        self._end()

    def _bundle(self, frames, whole):
        messages = unbundle(frames[0]) if whole and len(frames) == 1 and self.role \
            and self.bundles else None
        if messages is None:
            self._bad()
            return
        for message in messages:
            if self.role is None:
                break  # the rest of the bundle is lost with the session
            self._native((message,), len(message), True)

    def _native(self, frames, size, whole):
        too_many = (not whole or len(frames) > FRAMES) and size <= self.max_bytes
        head = decode(frames[0])
        if head is None or too_many:
            self._bad(too_many)
            return
        body = size - head.size
        if self.role is None:
            self._greet(head, body)
        elif head.command not in (REQUEST, REPLY, PART) and body:
            self._break()
        elif self.role == "client":
            self._client(head, body)
        else:
            self._worker(head)

    def _greet(self, head, body):
        if head.command != HELLO or body:
            self.counts["unknown_peers"] += 1
        elif head.flags & WORKER and (head.value > WINDOW or _is_reserved(head.name)):
            self.counts["hellos_refused"] += 1
        else:
            self.role = "worker" if head.flags & WORKER else "client"
            self.counts[f"{self.role}s_joined"] += 1
            self.bundles = bool(head.flags & BUNDLES)

    def _request(self, name, body, more=False):
        if body > self.max_body:
            self.counts["too_large"] += 1
        elif (name in ADMIN or name[:4] == b"mmi.") and not more:  # the broker reads no request in parts
            self.counts["admin_requests"] += 1
            return
        self.counts["requests"] += 1

    def _client(self, head, body):
        if head.command == REQUEST:
            self._request(head.name, body, head.flags & MORE)
        elif head.command in (CANCEL, END):
            self.counts["cancels"] += 1
        elif head.command in (PART, GRANT):
            self.counts["late_parts"] += 1
        elif head.command == BYE:
            self._end()
        elif head.command not in (HEARTBEAT, DRAIN):
            self._break()

    def _worker(self, head):
        if head.command == REPLY:
            self.counts["late_replies"] += 1
        elif head.command == GRANT:
            self.counts["late_parts"] += 1
        elif head.command == BYE:
            self._end()
        elif head.command == CREDIT and head.value <= WINDOW:
            pass
        elif head.command != HEARTBEAT:
            assert head.command != DRAIN, "when its session ends is not known"
            self._break()

    def _foreign(self, frames, size, whole):
        readers = {"open": read, "front": read_front, "back": read_back}
        said = readers[self.listener](frames)
        too_many = not whole and size <= self.max_bytes
        if whole and said.command in (REQUEST, REPLY) and len(frames) - said.body >= FRAMES:
            too_many = True
        role = "worker" if said.worker else "client"
        if said.error:
            self.counts["foreign.bad"] += 1
        if too_many or not whole or said.error \
                or (self.role and (self.role, self.dialect) != (role, said.dialect)):
            self._bad(too_many)
            return
        if self.role is None:
            if said.command not in (HELLO, REQUEST):
                self.counts["unknown_peers"] += 1
                return
            if said.command == HELLO and _is_reserved(said.name):
                self.counts["hellos_refused"] += 1
                return
            self.role, self.dialect = role, said.dialect
            self.counts[f"{role}s_joined"] += 1
        elif said.command == HELLO:
            self._break()
        if said.command == REQUEST:
            self._request(said.name, sum(map(len, frames[said.body:])))
        elif said.command == REPLY:
            self.counts["late_replies"] += 1
            if self.listener != "back":
                self._break()  # it has no request, and its protocol allows one at a time
        elif said.command == BYE:
            self._end()


def _is_reserved(name):
    return name.startswith((b"riposte.", b"mmi."))
