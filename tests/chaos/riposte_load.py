#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Load and workers of the chaos run in Python: "load" and "worker" take the options of load.c and worker.c, do the
same, and write the same histories; only this load has no idempotency keys. Of the clients, those with even numbers are
riposte.Client, each used by many threads; the others are riposte.aio.Client, which cancels nothing, because a task that
is cancelled does not hear how its request ended.

riposte_load.py load --server E --name N --history F [--clients N] [--seconds N] [--rate N] [--seed N] [--heartbeat MS]
riposte_load.py worker --server E --name N --history F --service S [--slots N] [--heartbeat MS]
"""

import argparse
import asyncio
import collections
import concurrent.futures
import itertools
import json
import logging
import os
import pathlib
import random
import re
import signal
import sys
import threading
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))

import riposte  # noqa: E402
import riposte.aio  # noqa: E402

OPEN_MAX = 24
VISIT_MAX = 2

#: weight, service, what, work µs, size, timeout ms, attempts, cancelled
KINDS = [
    (28, "echo", "reply", (0, 2000), 60, (3000, 5000), 1, False),
    (20, "echo", "reply", (0, 5000), 300, (3000, 6000), 3, False),
    (4, "echo", "reply", (50000, 400000), 60, (2000, 4000), 1, False),
    (4, "echo", "reply", (50000, 400000), 60, (3000, 5000), 3, False),
    (5, "echo", "reply", (0, 5000), 100 * 1024, (3000, 6000), 3, False),
    (8, "echo", "reply", (10000, 200000), 60, (2000, 4000), 3, True),
    (4, "echo", "reply", (10000, 60000), 60, (10, 60), 1, False),
    (2, "echo", "fail", (0, 2000), 60, (3000, 5000), 1, False),
    (2, "echo", "abandon", (0, 2000), 60, (3000, 5000), 3, False),
    (1, "nobody", "reply", (0, 0), 60, (500, 1000), 1, False),
    (10, "mdp", "reply", (0, 5000), 200, (3000, 6000), 3, False),
    (12, "visit", "reply", (0, 5000), 80, (3000, 5000), 1, False),
]


def now():
    """µs, on the clock that the histories of all processes share."""
    return time.monotonic_ns() // 1000


class History:
    """Each line is one write, so that a kill loses no line that was begun."""

    def __init__(self, path, party):
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._party = party

    def write(self, event, **fields):
        text = "".join(f"\t{key}={value}" for key, value in fields.items())
        os.write(self._file, f"{now()}\t{self._party}\t{event}{text}\n".encode())


# ---- Load --------------------------------------------------------------------------------------------


class Job:
    """One request."""

    def __init__(self, loader, kind):
        _, self.service, self.what, work, size, timeout, self.attempts, self.cancelled = kind
        chance = loader.chance
        self.request = f"{loader.label}-{loader.sent}"
        loader.sent += 1
        self.body = f"{self.request} {chance.randint(*work)} {self.what} ".ljust(size, ".").encode()
        self.timeout = chance.randint(*timeout) / 1000
        self.wait = 2.0 if self.attempts > 1 and chance.randrange(2) else 0.0
        self.cancel_after = chance.random() * 0.12

    def options(self, visit, seq):
        headers = [("request-id", self.request)]
        if visit:
            headers += [("conversation", visit.name), ("seq", str(seq))]
        return {"timeout": self.timeout, "attempts": self.attempts, "wait_worker": self.wait, "headers": headers}


class Visit:
    """A conversation; `count` is the worker's in the last OK, 0: not known."""

    def __init__(self, name, talk):
        self.name = name
        self.talk = talk
        self.count = 0


class Loader:
    """What both kinds of clients have in common."""

    def __init__(self, options, number):
        self.label = f"{options.name}-{number}"
        self.history = History(options.history, f"client:{self.label}")
        self.chance = random.Random(options.seed << 32 | number)
        self.options = options
        self.sent = self.begun = self.open = self.visits = self.wrong = 0
        self.statuses = collections.Counter()
        self.settings = {"name": self.label, "heartbeat": options.heartbeat / 1000}

    def pause(self):
        """Seconds until the next step."""
        return self.chance.random() * 2 / self.options.rate

    def draw(self):
        """A kind that may be begun now, or None."""
        kind = self.chance.choices(KINDS, [kind[0] for kind in KINDS])[0]
        if kind[1] == "visit":
            return kind if self.visits < VISIT_MAX else None
        return kind if self.open < OPEN_MAX else None

    def visit_of(self, kind, client):
        jobs = [Job(self, kind) for _ in range(self.chance.randint(2, 9))]
        name = f"{self.label}-v{self.begun}"
        self.begun += 1
        return Visit(name, client.conversation("visit")), jobs, bool(self.chance.randrange(2))

    def submitted(self, job, visit, seq):
        self.history.write("submit", req=job.request, service=job.service, deadline=now() + int(job.timeout * 1e6),
                           attempts=job.attempts, conv=visit.name if visit else "-", seq=seq)

    def ended(self, job, visit, reply):
        """`reply` is a Reply or an Error. Returns whether it is OK."""
        status = reply.status.name
        body = getattr(reply, "body", b"")
        self.history.write("final", req=job.request, status=status, made=reply.attempt,
                           body=f"{zlib.crc32(body):08x}" if body else "-", text=reply.text[:300].replace("\t", " "))
        self.statuses[status] += 1
        if status == "OK" and not self.is_right(job, visit, body):
            self.wrong += 1
            print(f"riposte_load: not the reply to {job.request}: {body[:200]}", file=sys.stderr)
        elif status != "OK" and visit:
            visit.count = 0
        return status == "OK"

    @staticmethod
    def is_right(job, visit, body):
        """False if the reply is not to this request, or shows another conversation's state."""
        found = re.fullmatch(rb"(\S+) \S+ (\S+) (\d+) ([0-9a-f]{8})", body)
        if not found or found[1].decode() != job.request or int(found[4], 16) != zlib.crc32(job.body):
            return False
        if visit is None:
            return found[2] == b"-"
        count = int(found[3])
        follows = visit.count in (0, count - 1)
        visit.count = count
        return follows and found[2].decode() == visit.name


def threads_load(loader, stop):
    client = riposte.Client(loader.options.server, **loader.settings)
    lock = threading.Lock()

    def perform(job, visit=None, seq=0):
        submit = visit.talk.submit if visit else lambda *args, **more: client.submit(job.service, *args, **more)
        loader.submitted(job, visit, seq)
        call = submit(job.body, **job.options(visit, seq))
        reply = call.wait(job.cancel_after) if job.cancelled else call.wait()
        if reply is None:
            loader.history.write("cancel", req=job.request)
            call.cancel()
            reply = call.wait()
        with lock:
            return loader.ended(job, visit, reply)

    def one(job):
        perform(job)
        with lock:
            loader.open -= 1

    def some(visit, jobs, goes_on):
        with visit.talk:
            for seq, job in enumerate(jobs):
                if not perform(job, visit, seq) and not goes_on:
                    break
        with lock:
            loader.visits -= 1

    running = []
    with concurrent.futures.ThreadPoolExecutor(OPEN_MAX + VISIT_MAX) as pool:
        while not stop.wait(loader.pause()):
            running = [future for future in running if not future.done() or future.result()]  # raises what went wrong
            with lock:
                kind = loader.draw()
                if kind and kind[1] == "visit":
                    loader.visits += 1
                    running.append(pool.submit(some, *loader.visit_of(kind, client)))
                elif kind:
                    loader.open += 1
                    running.append(pool.submit(one, Job(loader, kind)))
    for future in running:
        future.result()
    client.close()
    loader.history.write("end")


def asyncio_load(loader, stop):
    async def run():
        async with riposte.aio.Client(loader.options.server, **loader.settings) as client:
            async def perform(job, visit=None, seq=0):
                loader.submitted(job, visit, seq)
                try:
                    if visit:
                        reply = await visit.talk.call(job.body, **job.options(visit, seq))
                    else:
                        reply = await client.call(job.service, job.body, **job.options(visit, seq))
                except riposte.Error as error:
                    reply = error
                return loader.ended(job, visit, reply)

            async def one(job):
                await perform(job)
                loader.open -= 1

            async def some(visit, jobs, goes_on):
                async with visit.talk:
                    for seq, job in enumerate(jobs):
                        if not await perform(job, visit, seq) and not goes_on:
                            break
                loader.visits -= 1

            tasks = set()
            while not stop.is_set():
                await asyncio.sleep(loader.pause())
                for task in [task for task in tasks if task.done()]:
                    tasks.remove(task)
                    task.result()  # raises what went wrong
                kind = loader.draw()
                if kind and kind[1] == "visit":
                    loader.visits += 1
                    tasks.add(asyncio.create_task(some(*loader.visit_of(kind, client))))
                elif kind:
                    loader.open += 1
                    tasks.add(asyncio.create_task(one(Job(loader, kind))))
            await asyncio.gather(*tasks)
        loader.history.write("end")
    asyncio.run(run())


def load(options):
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    loaders = [Loader(options, number) for number in range(options.clients)]
    with concurrent.futures.ThreadPoolExecutor(options.clients) as pool:
        running = [pool.submit((threads_load, asyncio_load)[number % 2], loader, stop)
                   for number, loader in enumerate(loaders)]
        stop.wait(options.seconds)
        stop.set()
    for future in running:
        future.result()
    wrong = sum(loader.wrong for loader in loaders)
    print(json.dumps({"wrong": wrong, "statuses": sum((loader.statuses for loader in loaders), collections.Counter())}))
    return 1 if wrong else 0


# ---- Worker ------------------------------------------------------------------------------------------


def worker(options):
    history = History(options.history, f"worker:{options.name}")
    tasks = itertools.count(1)
    one = riposte.Worker(options.server, options.service, slots=options.slots, name=options.name,
                         heartbeat=options.heartbeat / 1000)

    @one.handler
    def serve(task):
        word, work, what = task.body[:200].decode().split()[:3]
        request = task.header("request-id", word)
        # All requests with one idempotency key have one body, which begins with it.
        if not word.startswith(task.key) if task.key else request != word:
            print(f"riposte_load: the header of {request} with the body of {word}", file=sys.stderr)
            os._exit(2)
        stated = task.header("conversation") or "-"
        name = f"{options.name}/{next(tasks)}"
        history.write("start", req=request, attempt=task.attempt, conv=stated, seq=task.header("seq") or "-", task=name)
        conversation, count = stated, 0
        if task.conversation:
            conversation = task.state.setdefault("name", stated)
            count = task.state["count"] = task.state.get("count", 0) + 1
        cancelled = task.wait_cancelled(int(work) / 1e6)
        if not cancelled and what == "abandon" and task.attempt == 1:
            task.retry("as it was told")
        body = f"{word} {name} {conversation} {count} {zlib.crc32(task.body):08x}".encode()
        if cancelled:
            history.write("cancelled", req=request, task=name)
        fails = cancelled or what == "fail"
        history.write("reply", req=request, task=name, status="APP_ERROR" if fails else "OK",
                      body=f"{zlib.crc32(body):08x}")
        if fails:
            raise riposte.AppError("as it was told", code=7, body=body)
        return body

    one.run()
    return 0


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("load", "worker"))
    for name in ("server", "name", "history", "service"):
        parser.add_argument(f"--{name}")
    for name, value in (("clients", 4), ("seconds", 10), ("rate", 25), ("seed", 1), ("slots", 4), ("heartbeat", 500)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s")
    return load(options) if options.what == "load" else worker(options)


if __name__ == "__main__":
    sys.exit(main())
