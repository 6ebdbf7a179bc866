# SPDX-License-Identifier: MPL-2.0
"""A peer of the broker, written from docs/PROTOCOL.md alone. It has none of Riposte's own code, so
it can also send what our libraries never send."""

import itertools
import struct
import time

import zmq

from support.programs import PATIENCE

HELLO, WELCOME, REQUEST, REPLY, CANCEL, CREDIT, HEARTBEAT, DRAIN, BYE, END, ACCEPTED = range(1, 12)
INLINE, WORKER, OPEN, LAST, TRACE, MORE = (1 << bit for bit in range(6))
DURABLE = 1 << 7
KEYED, REPLAYED = 1 << 8, 1 << 9
ALL = 1 << 11
STATUSES = ("OK", "APP_ERROR", "NO_WORKER", "BUSY", "DRAINING", "DENIED", "INVALID", "TOO_LARGE",
            "EXPIRED", "CANCELLED", "WORKER_LOST", "DEADLINE", "CONVERSATION_LOST", "KEY_MISMATCH")
WORKER_LOST = STATUSES.index("WORKER_LOST")

_FIXED = struct.Struct(">2sBBHHQQIIBBBBBBHHHI")
_FIELDS = ("signature", "version", "command", "size", "flags", "id", "conversation", "time",
           "value", "status", "attempt", "attempts", "priority", "name_size", "key_size",
           "text_size", "headers_size", "reserved", "code")
assert _FIXED.size == 48


def pack_headers(headers):
    return b"".join(struct.pack(">B", len(key)) + key + struct.pack(">H", len(value)) + value
                    for key, value in headers)


def unpack_headers(data):
    headers, at = [], 0
    while at < len(data):
        key = data[at + 1:at + 1 + data[at]]
        at += 1 + len(key)
        size, = struct.unpack_from(">H", data, at)
        headers.append((key, data[at + 2:at + 2 + size]))
        at += 2 + size
    return headers


def head(command, name=b"", key=b"", text=b"", headers=b"", **fields):
    """The bytes of a head. Any field may be overridden, the sizes too."""
    values = dict.fromkeys(_FIELDS, 0)
    values.update(signature=b"RP", version=1, command=command, name_size=len(name),
                  key_size=len(key), text_size=len(text), headers_size=len(headers),
                  size=_FIXED.size + len(name) + len(key) + len(text) + len(headers))
    values.update(fields)
    return _FIXED.pack(*(values[field] for field in _FIELDS)) + name + key + text + headers


class Message:
    def __init__(self, frames):
        first = frames[0]
        for field, value in zip(_FIELDS, _FIXED.unpack_from(first)):
            setattr(self, field, value)
        at = _FIXED.size
        for part in ("name", "key", "text", "headers"):
            size = getattr(self, f"{part}_size")
            setattr(self, part, first[at:at + size])
            at += size
        self.headers = unpack_headers(self.headers)
        inline = [first[at:]] if self.flags & INLINE else []
        self.body = b"".join(inline + frames[1:])

    def status_name(self):
        return STATUSES[self.status]


class Peer:
    """One connection: a DEALER without a routing id. curve: its public and secret key, and the
    broker's public key. reconnect_ms: the pause between attempts to connect."""

    def __init__(self, endpoint, deaf=False, curve=None, reconnect_ms=100):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.reconnect_ivl = reconnect_ms
        if deaf:  # messages that it does not receive stay with their sender
            self.socket.rcvhwm = 1
            self.socket.rcvbuf = 4096
            self.socket.sndtimeo = 100
        if curve:
            self.socket.curve_publickey, self.socket.curve_secretkey, self.socket.curve_serverkey = curve
        self.socket.connect(endpoint)
        self.ids = itertools.count(1)

    def close(self, linger_ms=0):
        if not self.socket.closed:
            self.socket.close(linger=linger_ms)
        self.context.term()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, *frames):
        self.socket.send_multipart(frames)

    def receive(self, within=3.0, heartbeats=False):
        """The next message, None if there is none in time; heartbeats are passed over."""
        end = time.monotonic() + within * PATIENCE
        while True:
            left = end - time.monotonic()
            if left <= 0 or not self.socket.poll(left * 1000):
                return None
            message = Message(self.socket.recv_multipart())
            if heartbeats or message.command != HEARTBEAT:
                return message

    def expect(self, command, within=3.0):
        message = self.receive(within)
        assert message is not None, f"no message came, command {command} was due"
        assert message.command == command, \
            f"command {message.command} instead of {command}: {vars(message)}"
        return message

    def hello(self, name=b"peer", heartbeat_ms=10000):
        self.send(head(HELLO, key=name, time=heartbeat_ms))
        return self.expect(WELCOME)

    def register(self, service, window=1, name=b"peer", heartbeat_ms=10000):
        self.send(head(HELLO, flags=WORKER, name=service, key=name, value=window,
                       time=heartbeat_ms))
        return self.expect(WELCOME)

    def request(self, service, body=b"", time_ms=5000 * PATIENCE, **fields):
        """Sends a request and returns its id."""
        number = next(self.ids)
        fields = {"attempts": 1, "id": number, **fields}
        self.send(head(REQUEST, name=service, time=time_ms, **fields), body)
        return fields["id"]

    def call(self, service, body=b"", **fields):
        number = self.request(service, body, **fields)
        reply = self.receive()
        while reply is not None and reply.command == DRAIN:
            reply = self.receive()
        assert reply is not None and reply.command == REPLY and reply.id == number, \
            f"no reply to {number} but {reply and vars(reply)}"
        return reply

    def ask(self, service, within=20):
        """The answer of one of the broker's own services, in a session of its own, which ends with it."""
        def expect(command):
            message = self.receive(within)
            while message is not None and message.command == DRAIN:
                message = self.receive(within)
            assert message is not None and message.command == command, f"{service}: {message and vars(message)}"
            return message

        self.send(head(HELLO, key=b"test", time=1000))
        expect(WELCOME)
        self.request(service.encode())
        reply = expect(REPLY)
        assert reply.status == 0, f"{service}: {reply.status_name()} {reply.text}"
        self.send(head(BYE))
        self.close(linger_ms=1000)
        return reply.body

    def reply(self, token, body=b"", **fields):
        self.send(head(REPLY, id=token, **fields), body)
