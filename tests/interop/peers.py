# SPDX-License-Identifier: MPL-2.0
"""Clients and workers of other protocols, on raw ZeroMQ sockets, written from the texts of the RFCs
alone (7/MDP, 18/MDP, 28/REQREP) and from what is known of two implementations' messages. None of
Riposte's own code is in it.

A peer has no thread: a worker sends a heartbeat when its `interval` is set and `step` is called,
and every receive has a bound. Each peer checks every frame that it gets, so that a broker which
sends one frame too many fails here and not in a user's program.

As a program, `peers.py ROLE PROTOCOL ENDPOINT SERVICE` is a worker that echoes (ROLE `echo`), or
that takes one request and never answers (`hold`); it prints `ready` and `took BODY`.
"""

import collections
import itertools
import sys
import time

import zmq

#: A reply: body: its frames; more: it is a PARTIAL, and a FINAL follows; tag: a DEALER's own
#: frames.
Reply = collections.namedtuple("Reply", "service body more tag")
#: A message from the broker to a worker.
Word = collections.namedtuple("Word", "command address body")

PATIENCE = 1  # factor of every bound, which the tests set


class Peer:
    """One socket in a context of its own, so that closing it looks like the end of a process."""

    kind = zmq.DEALER

    def __init__(self, endpoint, **options):
        self.context = zmq.Context()
        self.socket = self.context.socket(self.kind)
        self.socket.linger = 0
        self.socket.rcvtimeo = self.socket.sndtimeo = 10000
        for name, value in options.items():
            setattr(self.socket, name, value)
        self.socket.connect(endpoint)

    def send(self, *frames):
        self.socket.send_multipart(frames)

    def receive(self, within=5.0):
        """Returns the frames of the next message, or None if none comes in time."""
        if not self.socket.poll(max(0, int(within * PATIENCE * 1000))):
            return None
        return self.socket.recv_multipart()

    def close(self, linger_ms=0):
        if not self.socket.closed:
            self.socket.close(linger=linger_ms)
        self.context.term()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- Clients -------------------------------------------------------------------------------------


class Client(Peer):
    streams = False    # gets each PARTIAL
    pipelines = False  # may send a request before it has a reply
    named = True       # its requests name the service
    names_back = True  # the reply names the service

    def request(self, service, *body):
        self.send(*self.pack(service, body))

    def reply(self, within=5.0):
        """Returns the next reply or part of a reply, or None if none comes in time."""
        frames = self.receive(within)
        return frames and self.unpack(frames)

    def call(self, service, *body, within=5.0):
        self.request(service, *body)
        reply = self.reply(within)
        assert reply is not None, f"no reply to {body[0][:80]!r} of {service!r}"
        assert reply.service in (service, None), f"{reply.service!r} instead of {service!r}"
        return reply

    def whole(self, within=5.0):
        """Returns a reply with its parts: a list of bodies, of which the last is the FINAL's."""
        parts = []
        while not parts or parts[-1].more:
            part = self.reply(within)
            assert part is not None, f"the stream stops after {parts}"
            parts.append(part)
        return [part.body for part in parts]


class Mdp01Client(Client):
    """7/MDP over REQ: the socket itself puts the empty frame before what is sent."""

    kind = zmq.REQ

    def pack(self, service, body):
        return (b"MDPC01", service, *body)

    def unpack(self, frames):
        assert frames[0] == b"MDPC01" and len(frames) >= 3, frames
        return Reply(frames[1], tuple(frames[2:]), False, ())


class Mdp01CorrelateClient(Mdp01Client):
    """The socket puts a number of its own before the empty frame, and drops replies without that
    number."""

    def __init__(self, endpoint, **options):
        super().__init__(endpoint, req_correlate=1, **options)


class Mdp01RelaxedClient(Mdp01Client):
    """The same, but the client may send a request before it has a reply."""

    def __init__(self, endpoint, **options):
        super().__init__(endpoint, req_correlate=1, req_relaxed=1, **options)


class Mdp01DealerClient(Client):
    """7/MDP over DEALER. `tag` is the frame before the empty one; by default a number, by which the
    client knows which request a reply belongs to."""

    pipelines = True

    def __init__(self, endpoint, **options):
        super().__init__(endpoint, **options)
        self.numbers = itertools.count(1)
        self.tag = ()

    def request(self, service, *body, tag=None):
        self.tag = (b"%d" % next(self.numbers),) if tag is None else tag
        self.send(*self.tag, b"", b"MDPC01", service, *body)

    def unpack(self, frames):
        empty = frames.index(b"")
        tag, rest = tuple(frames[:empty]), frames[empty + 1:]
        assert rest[0] == b"MDPC01" and len(rest) >= 3, frames
        return Reply(rest[1], tuple(rest[2:]), False, tag)


class Mdp02Client(Client):
    """18/MDP over DEALER."""

    streams = pipelines = True
    before = ()
    numbers = {"REQUEST": b"\1", "PARTIAL": b"\2", "FINAL": b"\3"}

    def pack(self, service, body):
        return (*self.before, b"MDPC02", self.numbers["REQUEST"], service, *body)

    def unpack(self, frames):
        size = len(self.before)
        assert tuple(frames[:size]) == self.before, frames
        name, number, *body = frames[size:]
        service = body.pop(0) if self.names_back else None
        assert name == b"MDPC02" and body, frames
        assert number in (self.numbers["PARTIAL"], self.numbers["FINAL"]), frames
        return Reply(service, tuple(body), number == self.numbers["PARTIAL"], ())


class LibmdpClient(Mdp02Client):
    """The older libmdp: the frames of 0.2 behind an empty one."""

    before = (b"",)


class MajortomoClient(Mdp02Client):
    """majortomo (PyPI): the client uses the worker's command numbers, behind an empty frame, and
    takes all frames after the number of a reply as its body: there is no service."""

    before = (b"",)
    names_back = False
    numbers = {"REQUEST": b"\2", "PARTIAL": b"\3", "FINAL": b"\4"}


def packed(number, name, command, service=None):
    """The one header frame of zeromq/majordomo: signature, message number, then the fields of 0.2,
    strings after a byte with their size."""
    frame = bytes([0xAA, 0xA4, number, len(name)]) + name + bytes([command])
    return frame if service is None else frame + bytes([len(service)]) + service


def unpacked(frame):
    """Returns number, name, command and service (None if the frame ends before it)."""
    assert frame[:2] == b"\xAA\xA4", frame
    number, size = frame[2], frame[3]
    name, command, rest = frame[4:4 + size], frame[4 + size], frame[5 + size:]
    if not rest:
        return number, name, command, None
    assert len(rest) == 1 + rest[0], frame
    return number, name, command, rest[1:]


class PackedClient(Client):
    streams = pipelines = True

    def pack(self, service, body):
        return (packed(1, b"MDPC02", 1, service), *body)

    def unpack(self, frames):
        number, name, command, service = unpacked(frames[0])
        assert (number, name) in ((2, b"MDPC02"), (3, b"MDPC02")) and command == number, frames
        return Reply(service, tuple(frames[1:]), number == 2, ())


class PlainReq(Client):
    """A REQ socket and nothing else. Its endpoint stands for the service."""

    kind = zmq.REQ
    named = names_back = False

    def pack(self, service, body):
        return body

    def unpack(self, frames):
        return Reply(None, tuple(frames), False, ())


class PlainDealer(Mdp01DealerClient):
    """A DEALER that sends what REQ sends, with frames of its own before the empty one."""

    named = names_back = False

    def request(self, service, *body, tag=None):
        self.tag = (b"%d" % next(self.numbers),) if tag is None else tag
        self.send(*self.tag, b"", *body)

    def unpack(self, frames):
        empty = frames.index(b"")
        return Reply(None, tuple(frames[empty + 1:]), False, tuple(frames[:empty]))


# ---- Workers -------------------------------------------------------------------------------------


class Worker(Peer):
    streams = False
    names = True       # registers for a service
    heartbeats = True
    interval = None    # seconds between its heartbeats; None: it sends none

    def __init__(self, endpoint, **options):
        super().__init__(endpoint, **options)
        self.said = time.monotonic()
        self.service = None

    def send(self, *frames):
        super().send(*frames)
        self.said = time.monotonic()

    def ready(self, service):
        self.service = service
        self.send(*self.pack("READY", service=service))
        return self

    def heartbeat(self):
        self.send(*self.pack("HEARTBEAT"))

    def disconnect(self):
        self.send(*self.pack("DISCONNECT"))

    def answer(self, word, *body):
        self.send(*self.pack("FINAL", word.address, body))

    def partial(self, word, *body):
        self.send(*self.pack("PARTIAL", word.address, body))

    def step(self):
        """Sends a heartbeat if one is due. Must be called often."""
        if self.interval and time.monotonic() - self.said >= self.interval:
            self.heartbeat()

    def next(self, within=5.0):
        """Returns the broker's next message, or None if none comes in time. Heartbeats are sent
        meanwhile."""
        end = time.monotonic() + within * PATIENCE
        while True:
            self.step()
            left = end - time.monotonic()
            pause = min(left, self.interval or left)
            if self.socket.poll(max(0, int(pause * 1000))):
                return self.unpack(self.socket.recv_multipart())
            if left <= 0:
                return None

    def hears(self, command, within=5.0):
        """Returns whether this command comes from the broker within the bound. Other messages are
        ignored."""
        end = time.monotonic() + within * PATIENCE
        while (left := end - time.monotonic()) > 0:
            word = self.next(left / PATIENCE)
            if word is not None and word.command == command:
                return word
        return None

    def job(self, within=5.0):
        """Returns the next request. Heartbeats are ignored, DISCONNECT is an error."""
        end = time.monotonic() + within * PATIENCE
        while True:
            word = self.next((end - time.monotonic()) / PATIENCE)
            assert word is not None, "no request came"
            assert word.command != "DISCONNECT", "disconnected instead of given a request"
            if word.command == "REQUEST":
                return word

    def serve(self, count=1, answer=lambda body: body):
        """Answers this many requests; returns their bodies."""
        bodies = []
        for _ in range(count):
            job = self.job()
            bodies.append(job.body)
            self.answer(job, *answer(job.body))
        return bodies


class Mdp01Worker(Worker):
    """7/MDP over DEALER: an empty frame before everything."""

    before = (b"",)
    name = b"MDPW01"
    numbers = {"READY": 1, "REQUEST": 2, "FINAL": 3, "HEARTBEAT": 4, "DISCONNECT": 5}

    def pack(self, command, address=None, body=(), service=None):
        frames = (*self.before, self.name, bytes([self.numbers[command]]))
        if service is not None:
            frames += (service,)
        if address is not None:
            frames += (address, b"", *body)
        return frames

    def unpack(self, frames):
        size = len(self.before)
        assert tuple(frames[:size]) == self.before, frames
        name, number, *rest = frames[size:]
        command = {bytes([value]): key for key, value in self.numbers.items()}[number]
        assert name == self.name and command in ("REQUEST", "HEARTBEAT", "DISCONNECT"), frames
        return _word(command, rest, frames)


def _word(command, rest, frames):
    if command == "REQUEST":
        assert len(rest) >= 3 and rest[0] != b"" and rest[1] == b"", frames
        return Word(command, rest[0], tuple(rest[2:]))
    assert not rest, frames
    return Word(command, None, ())


class Mdp02Worker(Mdp01Worker):
    """18/MDP over DEALER."""

    streams = True
    before = ()
    name = b"MDPW02"
    numbers = {"READY": 1, "REQUEST": 2, "PARTIAL": 3, "FINAL": 4, "HEARTBEAT": 5, "DISCONNECT": 6}


class LibmdpWorker(Mdp02Worker):
    """The older libmdp, and majortomo's worker."""

    before = (b"",)


class PackedWorker(Worker):
    streams = True
    numbers = {"READY": 4, "REQUEST": 5, "PARTIAL": 6, "FINAL": 7, "HEARTBEAT": 8, "DISCONNECT": 9}

    def pack(self, command, address=None, body=(), service=None):
        number = self.numbers[command]
        head = packed(number, b"MDPW02", number - 3, service)
        return (head,) if address is None else (head, address, b"", *body)

    def unpack(self, frames):
        number, name, command, service = unpacked(frames[0])
        word = {value: key for key, value in self.numbers.items()}[number]
        assert name == b"MDPW02" and command == number - 3 and service is None, frames
        assert word in ("REQUEST", "HEARTBEAT", "DISCONNECT"), frames
        return _word(word, frames[1:], frames)


class PlainRep(Worker):
    """A REP socket that connects, as one behind a ROUTER/DEALER proxy does."""

    kind = zmq.REP
    names = heartbeats = False

    def ready(self, service):
        self.service = service
        return self

    def unpack(self, frames):
        return Word("REQUEST", None, tuple(frames))

    def answer(self, word, *body):
        self.send(*body)


#: Each client and worker by its name in tests/interop/README.md.
CLIENTS = {
    "req-mdp01": Mdp01Client,
    "req-mdp01-correlate": Mdp01CorrelateClient,
    "req-mdp01-relaxed": Mdp01RelaxedClient,
    "dealer-mdp01": Mdp01DealerClient,
    "mdp02": Mdp02Client,
    "libmdp": LibmdpClient,
    "majortomo": MajortomoClient,
    "packed": PackedClient,
    "plain-req": PlainReq,
    "plain-dealer": PlainDealer,
}
WORKERS = {
    "mdp01": Mdp01Worker,
    "mdp02": Mdp02Worker,
    "libmdp": LibmdpWorker,
    "packed": PackedWorker,
    "plain-rep": PlainRep,
}


def main(role, protocol, endpoint, service):
    worker = WORKERS[protocol](endpoint).ready(service.encode())
    if worker.heartbeats:
        worker.interval = 0.05
    print("ready", flush=True)
    while True:
        word = worker.next(3600)
        if word is None or word.command != "REQUEST":
            if word and word.command == "DISCONNECT":
                print("disconnected", flush=True)
                return 1
            continue
        print("took", word.body[0][:80].decode(errors="replace"), flush=True)
        if role == "hold":
            while worker.heartbeats:
                worker.next(3600)
            time.sleep(3600)
        worker.answer(word, *word.body)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5]))
