# SPDX-License-Identifier: MPL-2.0
"""The messages of docs/PROTOCOL.md as a pure codec: heads, headers, bundles. Frames are bytes."""

from __future__ import annotations

import struct
from typing import Dict, Iterable, List, Optional, Sequence, Set, Tuple

HELLO, WELCOME, REQUEST, REPLY, CANCEL, CREDIT, HEARTBEAT, DRAIN, BYE, END, ACCEPTED, PART, GRANT = range(1, 14)

INLINE, WORKER, OPEN, LAST, TRACE, MORE, BUNDLES, DURABLE, KEYED, REPLAYED, STREAM = (1 << bit for bit in range(11))
ALL, HEDGE = 0x0800, 0x1000

HEAD_MIN = 48
NAME_MAX = 127
KEY_MAX = 127
TEXT_MAX = 1024
HEADERS_MAX = 8192
HEADERS_COUNT_MAX = 64
HEADER_KEY_MAX = 63
HEADER_VALUE_MAX = 4096
PEER_NAME_MAX = 63
FRAMES_MAX = 64
BUNDLE_MAX = 65536
ATTEMPTS_MAX = 10
PRIORITY_MAX, PRIORITY_DEFAULT = 9, 4
ALL_MOST = 65535  # workers that a request for all may want
WINDOW_MAX = 4096
PART_COST = 64  # what a part takes of a grant beside its bytes
HEARTBEAT_MAX_MS = 60000
TIME_MAX_MS = 86400000  # of a request's deadline and wait

Headers = Tuple[Tuple[str, str], ...]

_FIXED = struct.Struct(">2sBBHHQQIIBBBBBBHHHI")
_SIZE = struct.Struct(">I")
pack_fixed = _FIXED.pack  #: the fixed part of a head, field by field as in section 3.1
_BUNDLE_HEAD = b"RB\x01\x00"

_KEY_OCTETS = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")
_CONTROL = bytes(range(0x20)) + b"\x7f"
_CONTROL_BUT_TAB = _CONTROL.replace(b"\t", b"")

# Of each command: the flags that it may have, and the names of the fields that it may use.
_SHAPES: Dict[int, Tuple[int, Set[str]]] = {
    HELLO: (WORKER | BUNDLES, {"time", "value", "key", "name", "headers"}),
    WELCOME: (BUNDLES, {"time", "value", "key", "headers"}),
    REQUEST: (INLINE | OPEN | TRACE | MORE | DURABLE | KEYED | STREAM | HEDGE | ALL,
              {"id", "conversation", "time", "value", "attempt", "attempts", "priority", "name", "headers"}),
    REPLY: (INLINE | LAST | MORE | REPLAYED,
            {"id", "conversation", "time", "value", "status", "attempt", "text", "headers", "code"}),
    CANCEL: (0, {"id"}),
    CREDIT: (0, {"value", "time"}),
    HEARTBEAT: (0, {"time"}),
    DRAIN: (0, set()),
    BYE: (0, {"status", "text"}),
    END: (0, {"conversation"}),
    ACCEPTED: (0, {"id", "conversation", "headers"}),
    PART: (INLINE | MORE, {"id"}),
    GRANT: (0, {"id", "conversation"}),
}
_FIELDS = ("id", "conversation", "time", "value", "status", "attempt", "attempts", "priority", "name", "key", "text",
           "headers", "code")


def _unused(command: int) -> Tuple[str, ...]:
    return tuple(field for field in _FIELDS if field not in _SHAPES[command][1])


_UNUSED = {command: _unused(command) for command in _SHAPES}
_FLAGS_REFUSED = {command: ~shape[0] & 0xFFFF for command, shape in _SHAPES.items()}


class WireError(ValueError):
    """A message that breaks the protocol."""


class Message:
    """One message. `name`, `key` and `text` are bytes; `headers` are pairs of texts; `body` is a list of frames."""

    __slots__ = ("command", "flags", "id", "conversation", "time", "value", "status", "attempt", "attempts",
                 "priority", "code", "name", "key", "text", "headers", "body")

    def __init__(self, command: int, *, flags: int = 0, id: int = 0, conversation: int = 0, time: int = 0,
                 value: int = 0, status: int = 0, attempt: int = 0, attempts: int = 0, priority: int = 0,
                 code: int = 0, name: bytes = b"", key: bytes = b"", text: bytes = b"", headers: Headers = (),
                 body: Sequence[bytes] = ()) -> None:
        self.command = command
        self.flags = flags
        self.id = id
        self.conversation = conversation
        self.time = time
        self.value = value
        self.status = status
        self.attempt = attempt
        self.attempts = attempts
        self.priority = priority
        self.code = code
        self.name = name
        self.key = key
        self.text = text
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        return f"Message({', '.join(f'{field}={getattr(self, field)!r}' for field in self.__slots__)})"


# ---- Headers -------------------------------------------------------------------------------------


def check_text(value: bytes, what: str, most: int, *, tab: bool = False) -> bytes:
    """Returns `value` if it is at most `most` bytes and has no control characters; raises WireError otherwise."""
    if len(value) > most:
        raise WireError(f"{what} has {len(value)} bytes, over {most}")
    if len(value.translate(None, _CONTROL_BUT_TAB if tab else _CONTROL)) != len(value):
        raise WireError(f"{what} has control characters")
    return value


def pack_headers(headers: Iterable[Tuple[str, str]]) -> bytes:
    """Raises WireError where a header breaks a rule of section 3.3, or all of them are too many."""
    parts = []
    count = 0
    for key, value in headers:
        raw_key, raw_value = key.encode(), value.encode(errors="surrogateescape")
        if not 1 <= len(raw_key) <= HEADER_KEY_MAX or not _KEY_OCTETS.issuperset(raw_key):
            raise WireError(f"{key!r} is no name of a header: 1 to {HEADER_KEY_MAX} of a-z 0-9 - _ .")
        check_text(raw_value, f"the header {key!r}", HEADER_VALUE_MAX)
        parts.append(struct.pack(">B", len(raw_key)) + raw_key + struct.pack(">H", len(raw_value)) + raw_value)
        count += 1
    packed = b"".join(parts)
    if count > HEADERS_COUNT_MAX or len(packed) > HEADERS_MAX:
        raise WireError(f"{count} headers of {len(packed)} bytes; at most {HEADERS_COUNT_MAX}, {HEADERS_MAX} bytes")
    return packed


def unpack_headers(data: bytes) -> Headers:
    """Raises WireError."""
    headers = []
    at, end = 0, len(data)
    while at < end:
        key_end = at + 1 + data[at]
        key = data[at + 1:key_end]
        if not key or key_end + 2 > end or len(key) > HEADER_KEY_MAX or not _KEY_OCTETS.issuperset(key):
            raise WireError("a header's name")
        at = key_end + 2 + (data[key_end] << 8 | data[key_end + 1])
        if at > end:
            raise WireError("a header's size")
        value = check_text(data[key_end + 2:at], "a header", HEADER_VALUE_MAX)
        headers.append((key.decode(), value.decode(errors="surrogateescape")))
    if len(headers) > HEADERS_COUNT_MAX or end > HEADERS_MAX:
        raise WireError("too many headers")
    return tuple(headers)


# ---- Messages ------------------------------------------------------------------------------------


def head(command: int, flags: int = 0, id: int = 0, conversation: int = 0, time: int = 0, value: int = 0,
         status: int = 0, attempt: int = 0, attempts: int = 0, code: int = 0, name: bytes = b"", key: bytes = b"",
         text: bytes = b"", headers: bytes = b"", priority: int = 0) -> bytes:
    """The bytes of a head. `headers` are packed. The caller has checked names, texts and headers."""
    variable = name + key + text + headers
    return _FIXED.pack(b"RP", 1, command, HEAD_MIN + len(variable), flags, id, conversation, time, value, status,
                       attempt, attempts, priority, len(name), len(key), len(text), len(headers), 0, code) + variable


def encode(message: Message) -> List[bytes]:
    """The frames of a message; a body goes as its flag INLINE says."""
    first = head(message.command, message.flags, message.id, message.conversation, message.time, message.value,
                 message.status, message.attempt, message.attempts, message.code, message.name, message.key,
                 message.text, pack_headers(message.headers), message.priority)
    body = list(message.body)
    if message.flags & INLINE:
        first += body.pop(0)
    return [first, *body]


def decode(frames: Sequence[bytes]) -> Message:
    """Raises WireError for what section 7 names a bad message."""
    first = frames[0]
    if len(first) < HEAD_MIN:
        raise WireError("truncated")
    (signature, version, command, size, flags, id, conversation, time, value, status, attempt, attempts, priority,
     name_size, key_size, text_size, headers_size, reserved, code) = _FIXED.unpack_from(first)
    if signature != b"RP":
        raise WireError("no signature")
    if version != 1:
        raise WireError(f"version {version}")
    if command not in _FLAGS_REFUSED:
        raise WireError(f"command {command}")
    if flags & _FLAGS_REFUSED[command]:
        raise WireError("flags")
    if size != HEAD_MIN + name_size + key_size + text_size + headers_size or size > len(first):
        raise WireError("sizes")
    if priority > PRIORITY_MAX + 1 or reserved:
        raise WireError("reserved")
    if len(frames) > FRAMES_MAX:
        raise WireError("frames")
    message = Message(command)
    message.flags = flags
    message.id = id
    message.conversation = conversation
    message.time = time
    message.value = value
    message.status = status
    message.attempt = attempt
    message.attempts = attempts
    message.priority = priority
    message.code = code
    if size != HEAD_MIN:
        at = HEAD_MIN + name_size
        message.name = name = first[HEAD_MIN:at]
        message.key = first[at:at + key_size]
        at += key_size
        message.text = text = first[at:at + text_size]
        if name_size:
            check_text(name, "name", NAME_MAX)
        if key_size > KEY_MAX:
            raise WireError("key")
        if text_size:
            check_text(text, "text", TEXT_MAX, tab=True)
        if headers_size:
            message.headers = unpack_headers(first[at + text_size:size])
    for field in _UNUSED[command]:
        if getattr(message, field):
            raise WireError(field)
    if flags & INLINE:
        message.body = [first[size:], *frames[1:]]
    elif size != len(first):
        raise WireError("sizes")
    elif len(frames) > 1:
        if command not in (REQUEST, REPLY, PART):
            raise WireError("body")
        message.body = list(frames[1:])
    if not id and command in (REQUEST, REPLY, CANCEL, ACCEPTED, PART, GRANT):
        raise WireError("id")
    return message


# ---- Bundles -------------------------------------------------------------------------------------


def is_bundle(frame: bytes) -> bool:
    return frame[:2] == b"RB"


def bundle(messages: Sequence[bytes]) -> bytes:
    """One frame of several messages of one frame each, together no longer than BUNDLE_MAX."""
    parts = [_BUNDLE_HEAD]
    for message in messages:
        parts.append(_SIZE.pack(len(message)))
        parts.append(message)
    return b"".join(parts)


def entries(frames: Sequence[bytes]) -> List[Tuple[int, int]]:
    """Where the messages of a bundle begin and end. Raises WireError where it does not add up."""
    data = frames[0]
    end = len(data)
    if len(frames) != 1 or data[:4] != _BUNDLE_HEAD or not 4 < end <= BUNDLE_MAX:
        raise WireError("bundle")
    found = []
    at = 4
    while at < end:
        if at + 4 > end:
            raise WireError("bundle")
        begin = at + 4
        at = begin + (data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3])
        if at == begin or at > end:
            raise WireError("bundle")
        found.append((begin, at))
    return found


def unbundle(frames: Sequence[bytes]) -> List[bytes]:
    """The messages of a bundle. Raises WireError where it does not add up."""
    return [frames[0][begin:end] for begin, end in entries(frames)]


class Bundler:
    """Messages on their way out, in order; those of one frame may travel together."""

    def __init__(self) -> None:
        self.bundles = False  #: agreed with the other side
        self.is_empty = True
        self._held: List[bytes] = []
        self._size = len(_BUNDLE_HEAD)
        self._ready: List[List[bytes]] = []

    def add(self, frames: List[bytes]) -> None:
        self.is_empty = False
        size = len(frames[0]) + 4
        if not self.bundles or len(frames) > 1 or size > BUNDLE_MAX // 4:
            self._close()
            self._ready.append(frames)
            return
        if self._size + size > BUNDLE_MAX:
            self._close()
        self._held.append(frames[0])
        self._size += size

    def _close(self) -> None:
        if self._held:
            self._ready.append([self._held[0] if len(self._held) == 1 else bundle(self._held)])
            self._held = []
            self._size = len(_BUNDLE_HEAD)

    def take(self) -> List[List[bytes]]:
        """What is to be sent now, and no longer held."""
        self.is_empty = True
        if self._held:
            self._close()
        ready, self._ready = self._ready, []
        return ready


def text_of(value: Optional[str], what: str, most: int) -> bytes:
    """A text of the user's as octets. Raises WireError for what may not travel, TypeError for what is no text."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{what} is a text, not {type(value).__name__}")
    return check_text((value or "").encode(errors="surrogateescape"), what, most)
