#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Clients and workers of Majordomo in the chaos run: the peers of tests/interop, with a history.

mdp_load.py clients --server E --name N --history F [--clients N] [--seconds N] [--rate N] [--seed N]
mdp_load.py worker  --server E --name N --history F --service S --protocol mdp01|mdp02

Majordomo has no statuses. A client's history says OK for a reply, and UNKNOWN if the client gave
up, long after the broker's `foreign_deadline`; a later reply is ignored. Requests and replies are
those of load.c and worker.c, without headers.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import sys
import time
import zlib

import zmq
import zmq.auth

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

import peers  # noqa: E402

PATIENCE = 6.0      # seconds after which a client gives up
SILENCE = 1.5       # seconds of silence after which a worker reconnects
HEARTBEAT = 0.25    # seconds between a worker's messages
ATTEMPTS = 3        # the broker's foreign_attempts
CLIENTS = ("dealer-mdp01", "mdp02")

ends = False


def on_signal(*_):
    """A second signal ends the process without waiting for open requests."""
    global ends
    if ends:
        os._exit(1)
    ends = True


class History:
    def __init__(self, path, party):
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._party = party

    def write(self, event, **fields):
        text = "".join(f"\t{key}={value}" for key, value in fields.items())
        line = f"{time.monotonic_ns() // 1000}\t{self._party}\t{event}{text}\n"
        os.write(self._file, line.encode())


def curve():
    """Returns the keys of a run with security, from the variables that Riposte's programs use."""
    if "RIPOSTE_KEY_FILE" not in os.environ:
        return {}
    public, secret = zmq.auth.load_certificate(os.environ["RIPOSTE_KEY_FILE"])
    server, _ = zmq.auth.load_certificate(os.environ["RIPOSTE_SERVER_KEY"])
    return {"curve_publickey": public, "curve_secretkey": secret, "curve_serverkey": server}


def crc(data):
    return f"{zlib.crc32(data):08x}"


# ---- Clients -------------------------------------------------------------------------------------


class Client:
    """Sends requests to random services, and has a few open at most."""

    def __init__(self, arguments, number):
        self.name = f"{arguments.name}-{number}"
        self.history = History(arguments.history, f"client:{self.name}")
        self.random = random.Random(f"{arguments.seed} {number}")
        self.mean = 1 / arguments.rate
        self.peer = peers.CLIENTS[CLIENTS[number % len(CLIENTS)]](arguments.server, **curve())
        self.peer.socket.sndtimeo = 0  # send must not wait while there is no connection
        self.open = {}  # request: when to give up, CRC of its body
        self.sent = 0
        self.due = time.monotonic()
        self.counts = {"OK": 0, "UNKNOWN": 0}
        self.wrong = 0

    def send(self):
        service = self.random.choice((b"echo", b"echo", b"mdp"))
        request = f"{self.name}-{self.sent}"
        self.sent += 1
        body = f"{request} {self.random.randrange(5000)} reply ".encode()
        body += b"." * self.random.choice((0, 200, 4000))
        give_up = time.monotonic() + PATIENCE
        self.history.write("submit", req=request, service=service.decode(),
                           deadline=int(give_up * 1e6), attempts=ATTEMPTS, named=0)
        try:
            self.peer.request(service, body)
        except zmq.Again:  # no broker is there, or none that accepts its key
            pass
        self.open[request] = give_up, crc(body)

    def end(self, request, status, body="-"):
        self.history.write("final", req=request, status=status, made=0, body=body, text="")
        self.counts[status] += 1
        del self.open[request]

    def take(self, body):
        words = body.decode().split()
        request = words[0]
        if request not in self.open:
            return
        if words[-1] != self.open[request][1]:
            self.wrong += 1
            print(f"mdp load: not the reply to {request}: {body!r}", file=sys.stderr, flush=True)
        self.end(request, "OK", crc(body))

    def step(self, sends):
        now = time.monotonic()
        self.due = max(self.due, now - 1)  # requests that were due while it stood still are never sent
        while sends and self.due <= now:
            self.due += self.random.uniform(0, 2 * self.mean)
            if len(self.open) < 8:
                self.send()
        while (reply := self.peer.reply(0)) is not None:
            self.take(reply.body[0])
        for request in [name for name, (give_up, _) in self.open.items() if give_up <= now]:
            self.end(request, "UNKNOWN")


def run_clients(arguments):
    clients = [Client(arguments, number) for number in range(arguments.clients)]
    poller = zmq.Poller()
    for client in clients:
        poller.register(client.peer.socket, zmq.POLLIN)
    until = time.monotonic() + arguments.seconds
    while True:
        sends = time.monotonic() < until and not ends
        for client in clients:
            client.step(sends)
        if not sends and not any(client.open for client in clients):
            break
        poller.poll(10)
    for client in clients:
        client.history.write("end")
        client.peer.close()
    statuses = {name: sum(client.counts[name] for client in clients) for name in ("OK", "UNKNOWN")}
    wrong = sum(client.wrong for client in clients)
    print(json.dumps({"wrong": wrong, "statuses": statuses}), flush=True)
    return 1 if wrong else 0


# ---- A worker ------------------------------------------------------------------------------------


class Worker:
    def __init__(self, arguments):
        self.name = arguments.name
        self.history = History(arguments.history, f"worker:{arguments.name}")
        self.kind = peers.WORKERS[arguments.protocol]
        self.server, self.service = arguments.server, arguments.service.encode()
        self.tasks = 0
        self.connect()

    def connect(self):
        self.peer = self.kind(self.server, **curve())
        self.peer.interval = HEARTBEAT
        self.peer.ready(self.service)
        self.heard = time.monotonic()

    def serve(self, word):
        text = word.body[0].decode()
        request, work_us = text.split()[:2]
        task = f"{self.name}/{self.tasks}"
        self.tasks += 1
        self.history.write("start", req=request, attempt=0, task=task)
        time.sleep(int(work_us) / 1e6)
        body = f"{request} {task} - 0 {crc(word.body[0])}".encode()
        self.history.write("reply", req=request, task=task, status="OK", body=crc(body))
        self.peer.answer(word, body)

    def step(self):
        word = self.peer.next(0.05)
        now = time.monotonic()
        if word is not None:
            self.heard = now
            if word.command == "REQUEST":
                self.serve(word)
        if now - self.heard > SILENCE or (word and word.command == "DISCONNECT"):
            self.peer.close()
            self.connect()


def run_worker(arguments):
    worker = Worker(arguments)
    while not ends:
        try:
            worker.step()
        except zmq.Again:
            worker.peer.close()
            worker.connect()
    worker.peer.disconnect()
    worker.peer.close(linger_ms=200)
    return 0


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("role", choices=("clients", "worker"))
    parser.add_argument("--server", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--history", required=True)
    parser.add_argument("--service", default="mdp")
    parser.add_argument("--protocol", choices=("mdp01", "mdp02"), default="mdp02")
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=25, help="requests a second, of each client")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, on_signal)
    return run_clients(arguments) if arguments.role == "clients" else run_worker(arguments)


if __name__ == "__main__":
    sys.exit(main())
