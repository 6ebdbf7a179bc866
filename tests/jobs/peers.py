# SPDX-License-Identifier: MPL-2.0
"""Clients that submit jobs and fetch their results, and workers that write down each start, as
processes of their own. They connect anew whenever the broker has been started again."""

import multiprocessing
import os
import pickle
import time

import zmq

from support.peer import (
    ACCEPTED, BYE, DURABLE, END, HELLO, REPLY, REQUEST, STATUSES, WELCOME, WORKER, Message, Peer, head, pack_headers)

SPAWN = multiprocessing.get_context("spawn")
OK, APP_ERROR, BUSY, DRAINING, KEY_MISMATCH = (
    STATUSES.index(name) for name in ("OK", "APP_ERROR", "BUSY", "DRAINING", "KEY_MISMATCH"))
#: Jobs not accepted yet, and questions without a result yet, of one client.
WINDOW = 200
SIZE = 64
#: The shortest pause before a second attempt.
BACKOFF_MS = 50
#: How long some jobs are delayed.
DELAY_MS = 200


class Shared:
    """What the processes of a run tell each other. No locks: a process may be killed at any time."""

    def __init__(self, clients):
        self.generation = SPAWN.RawValue("i", 0)  # odd: the broker serves
        self.accepted = SPAWN.RawArray("i", clients)
        self.fetched = SPAWN.RawArray("i", clients)
        self.stop = SPAWN.RawValue("i", 0)


def terms(client, number):
    """The service, body and attempts of a job."""
    service = b"raw" if number % 2 else b"echo"
    attempts = {1: 2, 3: 1}.get(number % 20, 10)
    return service, (b"%d-%d-" % (client, number)).ljust(SIZE, b"."), attempts


def is_delayed(number):
    return number % 40 == 9


def is_cancelled(number):
    return number % 40 == 29


def open_peer(endpoint, within=0.5, **hello):
    """A peer with a session, or None if the broker does not answer."""
    peer = Peer(endpoint, reconnect_ms=2)
    peer.send(head(HELLO, time=60000, **hello))
    message = peer.receive(within)
    if message and message.command == WELCOME:
        return peer
    peer.close()
    return None


class Client:
    """Submits its jobs, each with a key, and submits again what it has no answer to. Of each job the
    final is fetched; of some twice, and after a second submission with the same key."""

    def __init__(self, number, endpoint, count, shared):
        self.number, self.endpoint, self.count, self.shared = number, endpoint, count, shared
        self.submits = []
        for at in reversed(range(count)):
            self.submits += [("submit", at)] * (1 + (at % 10 == 5))  # one in ten is submitted twice at once
        self.questions = []
        self.open = {}     # by id of the request: what it is about
        self.jobs = {}     # by number: the id
        self.finals = {}   # by number: (status, body)
        self.sent = {}     # by number, of those with a delay: when first, µs since 1970
        self.faults = []
        self.later = []
        self.left = sum(len(range(first, count, step))
                        for first, step in ((0, 1), (0, 10), (5, 10), (7, 100), (29, 40)))

    def _fault(self, text):
        if len(self.faults) < 1000:
            self.faults.append(text)

    def _send(self, peer, what):
        kind, number = what
        self.next = request = self.next + 1
        self.open[request] = what
        service, body, attempts = terms(self.number, number)
        if kind in ("fetch", "fetch again"):
            question = b'{"id":%d,"wait_ms":20000}' % self.jobs[number]
            frames = head(REQUEST, name=b"riposte.result", id=request, attempts=1, time=60000), question
        elif kind == "cancel":
            question = b'{"id":%d}' % self.jobs[number]
            frames = head(REQUEST, name=b"riposte.cancel", id=request, attempts=1, time=60000), question
        else:
            if kind == "other body":
                body = b"another"
            headers = [(b"idempotency-key", b"%d-%d" % (self.number, number)),
                       (b"job-backoff", b"%d" % BACKOFF_MS)]
            if is_delayed(number):
                headers.append((b"job-delay", b"%d" % DELAY_MS))
                self.sent.setdefault(number, time.time_ns() // 1000)
            frames = head(REQUEST, name=service, id=request, attempts=attempts, time=60000,
                          flags=DURABLE, headers=pack_headers(headers)), body
        peer.send(*frames)

    def _accepted(self, kind, number, job):
        new = number not in self.jobs
        known = self.jobs.setdefault(number, job)
        if known != job:
            self._fault(f"{number}: id {job} after {known} ({kind})")
        if kind != "other body":
            self.shared.accepted[self.number] += new
            self.questions.append(("fetch" if new else "fetch again", number))
            if new and is_cancelled(number):
                self.questions.append(("cancel", number))
        else:
            self.left -= 1
            self._fault(f"{number}: accepted with another body")

    def _answered(self, kind, number, message):
        what = (kind, number)
        status, job = message.status, message.conversation
        if kind in ("fetch", "fetch again") and job:
            final = status, message.body
            if job != self.jobs[number]:
                self._fault(f"{number}: the result is that of {job}, not of {self.jobs[number]}")
            if self.finals.setdefault(number, final) != final:
                self._fault(f"{number}: two results: {self.finals[number]} and {final}")
        elif kind in ("fetch", "fetch again") and status == APP_ERROR:
            self._fault(f"{number}: lost: job {self.jobs[number]}: {message.text.decode()}")
        elif kind in ("fetch", "fetch again") and status == OK:
            self.questions.append(what)  # not done yet
            return
        elif status in (DRAINING, BUSY):
            self.later.append(what)
            return
        elif (kind, status) in (("other body", KEY_MISMATCH), ("cancel", OK)):
            pass
        else:
            self._fault(f"{number}: {kind}: {STATUSES[status]} {message.text.decode()}")
        self.left -= 1
        if kind == "fetch":
            self.shared.fetched[self.number] += 1
            if number % 10 == 0:
                self.submits.append(("submit again", number))
            if number % 100 == 7:
                self.submits.append(("other body", number))

    def _take(self, message):
        what = self.open.pop(message.id, None)
        if not what:
            self._fault(f"an answer to nothing: {vars(message)}")
        elif message.command == ACCEPTED:
            self._accepted(*what, message.conversation)
        else:
            self._answered(*what, message)

    def _again(self, several):
        for what in several:
            (self.submits if what[0] in ("submit", "submit again", "other body") else self.questions).append(what)

    def _session(self, peer, generation):
        """Goes on until the broker has been started again, or all is done."""
        paused = 0.0
        while self.left and self.shared.generation.value == generation and not self.shared.stop.value:
            if self.later and time.monotonic() - paused > 0.02:
                paused = time.monotonic()
                self._again(self.later)
                self.later = []
            while self.submits and len(self.open) < 2 * WINDOW:
                self._send(peer, self.submits.pop())
            while self.questions and len(self.open) < 3 * WINDOW:
                self._send(peer, self.questions.pop())
            if not peer.socket.poll(20):
                continue
            for _ in range(WINDOW):
                try:
                    message = Message(peer.socket.recv_multipart(zmq.DONTWAIT))
                except zmq.Again:
                    break
                if message.command in (ACCEPTED, REPLY):
                    self._take(message)
                elif message.command in (END, BYE):
                    if message.command == END:
                        self._fault(f"END: {message.text.decode()}")
                    return

    def run(self):
        self.next = 0
        while self.left and not self.shared.stop.value:
            generation = self.shared.generation.value
            peer = open_peer(self.endpoint) if generation % 2 else None
            if not peer:
                time.sleep(0.01)
                continue
            self._session(peer, generation)
            self._again([*self.open.values(), *self.later])
            self.open, self.later = {}, []
            peer.close()


def run_client(number, endpoint, count, shared, path):
    client = Client(number, endpoint, count, shared)
    client.run()
    with open(path, "wb") as file:
        pickle.dump({"faults": client.faults, "jobs": client.jobs, "finals": client.finals,
                     "sent": client.sent, "left": client.left}, file)


def run_worker(name, endpoint, window, shared, path):
    """Writes each start down before it answers; the answer ends with a number of this start alone."""
    record = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    start = 0
    while not shared.stop.value:
        generation = shared.generation.value
        peer = generation % 2 and open_peer(endpoint, flags=WORKER, name=b"raw", key=name, value=window)
        if not peer:
            time.sleep(0.01)
            continue
        while shared.generation.value == generation and not shared.stop.value:
            if not peer.socket.poll(20):
                continue
            tasks = []
            for _ in range(32):
                try:
                    tasks.append(Message(peer.socket.recv_multipart(zmq.DONTWAIT)))
                except zmq.Again:
                    break
            tasks = [task for task in tasks if task.command == REQUEST]
            answers = []
            for task in tasks:
                start += 1
                answers.append(task.body + b"%s/%d" % (name, start))
            now = time.time_ns() // 1000
            os.write(record, b"".join(b"%s %d\n" % (body, now) for body in answers))
            for task, body in zip(tasks, answers):
                peer.reply(task.id, body)
        peer.close()
