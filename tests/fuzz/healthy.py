# SPDX-License-Identifier: MPL-2.0
"""Peers that keep to the rules and call all the time, while hostile peers are at work.

healthy.py ENDPOINT FRONT BACK: serves `healthy-mdp` (MDP 0.2) and the plain service behind BACK, and
calls them and `healthy-native` (a worker of its own program) with clients of the native protocol, of
MDP 0.1 and 0.2, and with REQ. At the end of its standard input it writes, as JSON, how many calls
were answered, each by its own reply, and the longest. It fails when one was not."""

import json
import pathlib
import select
import sys
import time

import zmq

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "system"), str(TESTS / "interop")]

import peers  # noqa: E402
from support.peer import REPLY, Peer  # noqa: E402
from support.programs import PATIENCE  # noqa: E402

#: Seconds between a reply and the next call, and after which a call is not answered.
PAUSE, LIMIT = 0.002, 30 * PATIENCE


class Native:
    """A client of the native protocol, with the interface of the others."""

    def __init__(self, endpoint):
        self.peer = Peer(endpoint)
        self.socket = self.peer.socket
        self.peer.hello(b"healthy", heartbeat_ms=60000)

    def request(self, service, *body):
        self.id = self.peer.request(service, b"".join(body), time_ms=60000)

    def reply(self, within):
        message = self.peer.receive(within or 0.01)
        if message is None:
            return None
        assert (message.command, message.id, message.status) == (REPLY, self.id, 0), vars(message)
        return peers.Reply(None, (message.body,), False, ())


class Caller:
    def __init__(self, client, service):
        self.client, self.service = client, service
        self.count, self.longest, self.due, self.body = 0, 0.0, 0.0, None

    def step(self, now):
        if self.body is None and now >= self.due:
            self.body, self.since = b"%s %d" % (self.service, self.count), now
            self.client.request(self.service, self.body)
        assert self.body is None or now < self.since + LIMIT, f"no reply to {self.body!r}"

    def take(self):
        reply = self.client.reply(0)
        if reply is None:
            return  # a heartbeat
        assert reply.body == (self.body,), f"{reply} to {self.body!r}"
        now = time.monotonic()
        self.longest = max(self.longest, now - self.since)
        self.count, self.body, self.due = self.count + 1, None, now + PAUSE


def main(endpoint, front, back):
    workers = [peers.Mdp02Worker(endpoint), peers.PlainRep(back)]
    workers[0].ready(b"healthy-mdp")
    callers = [Caller(Native(endpoint), b"healthy-native"),
               Caller(peers.Mdp01Client(endpoint), b"healthy-mdp"),
               Caller(peers.Mdp02Client(endpoint), b"healthy-mdp"),
               Caller(peers.PlainReq(front), b"plain")]
    ends = {worker.socket: worker for worker in workers}
    ends.update((caller.client.socket, caller) for caller in callers)
    poller = zmq.Poller()
    for socket in ends:
        poller.register(socket, zmq.POLLIN)
    ready = stopping = False
    while not stopping or any(caller.body is not None for caller in callers):
        now = time.monotonic()
        for caller in callers:
            if not stopping or caller.body is not None:
                caller.step(now)
        for socket, _ in poller.poll(2):
            end = ends[socket]
            if isinstance(end, Caller):
                end.take()
            elif (word := end.next(0)) and word.command == "REQUEST":
                end.answer(word, *word.body)
            else:
                assert word is None or word.command == "HEARTBEAT", "a healthy worker was told to leave"
        if not ready and all(caller.count for caller in callers):
            ready = True
            print("ready", flush=True)
        stopping = stopping or bool(select.select([sys.stdin], [], [], 0)[0])
    print(json.dumps({"calls": sum(caller.count for caller in callers),
                      "longest": max(caller.longest for caller in callers)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
