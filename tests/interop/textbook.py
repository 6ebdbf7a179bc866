# SPDX-License-Identifier: MPL-2.0
"""A Majordomo broker as in the textbook, for 0.1 and 0.2, so that the peers of these tests are also
tested against a broker that is not Riposte. It has the textbook's faults too: no heartbeats, no
expiry, no request id.

As a program, `textbook.py ENDPOINT`."""

import collections
import sys

import zmq


class Textbook:
    def __init__(self, endpoint):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.bind(endpoint)
        self.endpoint = self.socket.last_endpoint.decode()
        self.waiting = collections.defaultdict(collections.deque)  # service: (client, body)
        self.idle = collections.defaultdict(collections.deque)     # service: workers
        self.service = {}  # worker: its service
        self.before = {}   # peer: the frames up to and including its protocol's name

    def turn(self, within=0.0):
        """Handles one message, if one comes in time. Returns whether one came."""
        if not self.socket.poll(int(within * 1000)):
            return False
        sender, *frames = self.socket.recv_multipart()
        name = next(frame for frame in frames if frame.startswith(b"MDP"))
        end = frames.index(name) + 1
        self.before[sender], rest = frames[:end], frames[end:]
        if name == b"MDPC01":
            self.ask(sender, rest[0], rest[1:])
        elif name == b"MDPC02":
            self.ask(sender, rest[1], rest[2:])
        elif rest[0] == b"\1":
            self.service[sender] = rest[1]
            self.idle[rest[1]].append(sender)
            self.dispatch(rest[1])
        elif len(rest) > 3:
            self.answer(sender, name, *rest)
        return True

    def ask(self, client, service, body):
        self.waiting[service].append((client, body))
        self.dispatch(service)

    def answer(self, worker, name, number, client, _, *body):
        final = name == b"MDPW01" or number == b"\4"
        service = self.service[worker]
        command = [] if self.before[client][-1] == b"MDPC01" else [b"\3" if final else b"\2"]
        self.socket.send_multipart([client, *self.before[client], *command, service, *body])
        if final:
            self.idle[service].append(worker)
            self.dispatch(service)

    def dispatch(self, service):
        while self.waiting[service] and self.idle[service]:
            client, body = self.waiting[service].popleft()
            worker = self.idle[service].popleft()
            self.socket.send_multipart([worker, *self.before[worker], b"\2", client, b"", *body])

    def close(self):
        self.socket.close()
        self.context.term()


if __name__ == "__main__":
    broker = Textbook(sys.argv[1])
    print(broker.endpoint, flush=True)
    while True:
        broker.turn(3600)
