# SPDX-License-Identifier: MPL-2.0
"""A broker with HTTP, and its readers."""

import http.client
import json
import random
import socket
import threading

from support.programs import PATIENCE


def free_port():
    """A port that no connection is given by chance, as those are that the kernel chooses."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def broker_with_http(world, *options, **more):
    port = free_port()
    broker = world.broker("--http", f"127.0.0.1:{port}", *options, **more)
    broker.http = port
    return broker


def get(broker, path, method="GET", **headers):
    """Returns status, headers and body."""
    one = http.client.HTTPConnection("127.0.0.1", broker.http, timeout=10 * PATIENCE)
    try:
        one.request(method, path, headers=headers)
        response = one.getresponse()
        return response.status, response.headers, response.read()
    finally:
        one.close()


class Stream:
    """A reader of /events: what has come so far is in `got`, as pairs of kind and data."""

    def __init__(self, broker, **headers):
        self._connection = http.client.HTTPConnection("127.0.0.1", broker.http, timeout=60 * PATIENCE)
        self._connection.request("GET", "/events", headers={name.replace("_", "-"): value
                                                            for name, value in headers.items()})
        self.response = self._connection.getresponse()
        self.socket = self._connection.sock
        self.status = self.response.status
        self.got = []
        self.ids = []
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        kind = None
        try:
            for line in self.response:
                word, _, value = line.decode().rstrip("\n").partition(": ")
                if word == "event":
                    kind = value
                elif word == "id":
                    self.ids.append(value)
                elif word == "data":
                    self.got.append((kind, json.loads(value)))
        except (OSError, ValueError, http.client.HTTPException):
            pass
        self.ended.set()

    def events(self):
        return [data for kind, data in list(self.got) if kind == "event"]

    def numbers(self):
        return [event["number"] for event in self.events()]

    def close(self):
        if self.socket:
            try:
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._thread.join(10)
        self._connection.close()
