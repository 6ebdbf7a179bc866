#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Clients of jobs for the chaos run over several brokers, with a history each.

job_load.py --server E,E,E --name N --history F [--clients N] [--rate N] [--seed N]

Each client begins --rate jobs a second, while not too many are open, at a broker drawn for each, and submits one again,
with the same idempotency key and at another broker, until it is accepted. It asks brokers drawn anew for the result,
some of them again when it has it: all must say the same. At SIGTERM no more are begun, and it ends when all are
answered.
"""

import argparse
import heapq
import itertools
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

import zmq  # noqa: E402

from support.peer import (  # noqa: E402
    ACCEPTED, BYE, DURABLE, END, HELLO, REPLY, REQUEST, STATUSES, WELCOME, Message, Peer, head, pack_headers)

#: weight, what, µs of work, attempts, ms of delay. Of those with one attempt, or two, some die of the faults.
KINDS = [(50, "reply", (0, 5000), 10, 0), (15, "reply", (50000, 400000), 10, 0), (10, "reply", (0, 5000), 10, 1500),
         (5, "reply", (50000, 400000), 2, 0), (5, "reply", (50000, 400000), 1, 0), (5, "fail", (0, 5000), 10, 0),
         (10, "abandon", (0, 5000), 10, 0)]
BACKOFF_MS = 50
#: How long the answer to a question may be waited for, and how long a broker may be silent while one is due, s.
WAIT = 3.0
SILENT = 6.0
#: After a refusal, or a broker that is gone, s.
PAUSE = 0.25
#: Jobs of a client that have not ended, at most. More would only wait.
OPEN = 60
#: How many of ten results are asked for once more.
AGAIN = 2


class Job:
    def __init__(self, name, kind, chance):
        _, self.what, work, self.attempts, self.delay_ms = kind
        self.name, self.id, self.asked = name, None, 0
        self.body = f"{name} {chance.randint(*work)} {self.what} ".ljust(64, ".").encode()
        self.again = chance.randrange(10) < AGAIN


class Link:
    """A broker, with what was asked of it in the session that there is."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.peer, self.ready, self.open, self.since = None, False, {}, 0.0

    def connect(self):
        self.peer, self.ready, self.open, self.since = Peer(self.endpoint, reconnect_ms=20), False, {}, time.monotonic()
        self.peer.send(head(HELLO, key=b"job-load", time=60000))

    def close(self):
        """Ends the session; returns what it leaves unanswered."""
        left, self.open = list(self.open.values()), {}
        self.peer.close()
        self.peer = None
        return left


class Client:
    def __init__(self, options, number):
        self.label = f"{options.name}-{number}"
        self.file = os.open(options.history, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.chance = random.Random(options.seed << 32 | number)
        self.links = [Link(endpoint) for endpoint in options.server.split(",")]
        self.rate = options.rate
        self.later = []  # (when, order, job): what is to be asked then
        self.order = itertools.count()
        self.ids = itertools.count(1)
        self.begun, self.left, self.wrong = 0, 0, 0

    def write(self, event, **fields):
        text = "".join(f"\t{key}={value}" for key, value in fields.items())
        os.write(self.file, f"{time.monotonic_ns() // 1000}\tclient:{self.label}\t{event}{text}\n".encode())

    def put(self, job, pause=0.0):
        heapq.heappush(self.later, (time.monotonic() + pause, next(self.order), job))

    def begin(self):
        job = Job(f"{self.label}-{self.begun}", self.chance.choices(KINDS, [kind[0] for kind in KINDS])[0], self.chance)
        self.begun += 1
        self.left += 1
        self.write("submit", req=job.name, service="echo", deadline=0, attempts=job.attempts, job=1)
        self.put(job)

    # ---- Asking -----------------------------------------------------------------------------------

    def ask(self, job):
        link = self.chance.choice(self.links)
        if not link.ready:
            self.put(job, PAUSE)
            return
        number = next(self.ids)
        if job.id is None:
            headers = [(b"request-id", job.name.encode()), (b"idempotency-key", job.name.encode()),
                       (b"job-backoff", b"%d" % BACKOFF_MS)]
            if job.delay_ms:
                headers.append((b"job-delay", b"%d" % job.delay_ms))
            link.peer.send(head(REQUEST, name=b"echo", id=number, attempts=job.attempts, time=60000, flags=DURABLE,
                                headers=pack_headers(headers)), job.body)
        else:
            link.peer.send(head(REQUEST, name=b"riposte.result", id=number, attempts=1, time=60000),
                           json.dumps({"id": job.id, "wait_ms": int(WAIT * 1000)}).encode())
        link.open[number] = job
        if len(link.open) == 1:
            link.since = time.monotonic()

    def take(self, link, message):
        link.since = time.monotonic()
        job = link.open.pop(message.id, None)
        if job is None:
            self.complain(f"an answer to nothing: {vars(message)}")
        elif message.command == ACCEPTED:
            self.accepted(job, message.conversation)
        elif message.conversation and job.id is not None:
            self.answered(job, message)
        elif STATUSES[message.status] in ("BUSY", "DRAINING"):
            self.put(job, PAUSE)
        elif job.id is not None and STATUSES[message.status] == "OK":
            self.put(job)  # not done yet
        else:
            self.complain(f"{job.name}, job {job.id}: {STATUSES[message.status]} {message.text.decode()}")
            self.put(job, 1.0)

    def accepted(self, job, number):
        job.id = number
        self.write("accepted", req=job.name, id=number)
        self.put(job)

    def answered(self, job, message):
        self.write("result", req=job.name, status=STATUSES[message.status], made=message.attempt,
                   body=f"{zlib.crc32(message.body):08x}" if message.body else "-")
        if message.conversation != job.id:
            self.complain(f"{job.name}: the result is that of {message.conversation}, not of {job.id}")
        job.asked += 1
        if job.again and job.asked == 1:
            self.put(job, self.chance.random() * 5)
        else:
            self.left -= 1

    def complain(self, text):
        self.wrong += 1
        print(f"{time.monotonic_ns() // 1000} {self.label}: {text}", file=sys.stderr, flush=True)

    # ---- Brokers ----------------------------------------------------------------------------------

    def drop(self, link):
        for job in link.close():
            self.put(job, PAUSE)

    def hear(self, link):
        while link.peer and link.peer.socket.poll(0):
            message = Message(link.peer.socket.recv_multipart(zmq.DONTWAIT))
            if message.command == WELCOME:
                link.ready = True
            elif message.command in (ACCEPTED, REPLY):
                self.take(link, message)
            elif message.command in (END, BYE):
                self.drop(link)

    def look(self, link):
        """Connects, and gives up on a session whose broker is silent."""
        if link.peer and (link.open or not link.ready) and time.monotonic() - link.since > SILENT:
            self.drop(link)
        if not link.peer:
            link.connect()

    def run(self, stop):
        due = time.monotonic()
        while self.left or not stop.is_set():
            now = time.monotonic()
            while not stop.is_set() and due <= now:
                due += self.chance.random() * 2 / self.rate
                if self.left < OPEN:
                    self.begin()
            for link in self.links:
                self.look(link)
            while self.later and self.later[0][0] <= now:
                self.ask(heapq.heappop(self.later)[2])
            zmq.select([link.peer.socket for link in self.links], [], [], 0.01)
            for link in self.links:
                self.hear(link)
        for link in self.links:
            if link.peer:
                link.close()
        self.write("end")


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    for name in ("server", "name", "history"):
        parser.add_argument(f"--{name}", required=True)
    for name, value in (("clients", 2), ("rate", 10), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    clients = [Client(options, number) for number in range(options.clients)]
    threads = [threading.Thread(target=client.run, args=(stop,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wrong = sum(client.wrong for client in clients)
    print(json.dumps({"wrong": wrong, "jobs": sum(client.begun for client in clients)}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
