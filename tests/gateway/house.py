# SPDX-License-Identifier: MPL-2.0
"""A broker with a gateway, and HTTP peers that send what a test wants."""

import http.client
import json
import re
import select
import socket

from support import programs
from support.process import Process
from support.programs import PATIENCE
from support.waiting import until

HTTP = programs.BUILD / "riposte-http"


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __getitem__(self, name):
        """Returns the value of a header that occurs once; None if it is absent."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None

    def problem(self):
        """Returns the members of application/problem+json, and checks that its status is the response's."""
        assert self["Content-Type"] == "application/problem+json", self
        members = json.loads(self.body)
        assert {"type", "title", "status"} <= set(members), members
        assert members["status"] == self.status
        assert members.get("riposte_status") == self["Riposte-Status"]
        return members

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:400]!r}"


class Gateway(Process):
    port = None

    def request(self, method, path, body=None, headers=(), within=20):
        """Sends one request on a connection of its own; returns the response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=within * PATIENCE)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return Response(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def call(self, service, body=b"", **headers):
        """headers: Riposte_Timeout="5s" is Riposte-Timeout."""
        return self.request("POST", f"/call/{service}", body,
                            [(name.replace("_", "-"), value) for name, value in headers.items()])

    def get(self, path, **headers):
        return self.request("GET", path, None,
                            [(name.replace("_", "-"), value) for name, value in headers.items()])

    def connect(self, receive_buffer=None):
        return Raw(self.port, receive_buffer)


class Raw:
    """A connection that sends the bytes that it is given."""

    def __init__(self, port, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(20 * PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self._data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())
        return self

    def call(self, service, body=b"", *headers, method="POST"):
        head = [f"{method} /call/{service} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
        return self.send("\r\n".join(head).encode() + b"\r\n\r\n" + body)

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self._data += data
        return bool(data)

    def read(self):
        """Returns the next response, which has a Content-Length; None if the connection ended before."""
        while b"\r\n\r\n" not in self._data:
            if not self._more():
                return None
        head, self._data = self._data.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        status = int(lines[0].split()[1])
        headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        size = int(dict((name.lower(), value) for name, value in headers).get("content-length", 0))
        while len(self._data) < size:
            if not self._more():
                return None
        body, self._data = self._data[:size], self._data[size:]
        return Response(status, headers, body)

    def is_over(self):
        """Waits for the end of the connection, and drops all that comes before it."""
        while self._more():
            pass
        return True

    def has_ended(self):
        """True if the other end has closed it by now."""
        return bool(select.select([self.socket], [], [], 0)[0]) and not self._more()


class House:
    def __init__(self, world):
        self.world = world
        self.broker = None

    def start(self, *options, broker=(), limits=None, listen="127.0.0.1:*"):
        """Starts a broker, unless there is one, and a gateway, which is ready when this returns."""
        if not self.broker:
            self.broker = self.world.broker(*broker, limits=limits)
        return self.gateway(*options, listen=listen)

    def gateway(self, *options, listen="127.0.0.1:*", server=None, ready=True, prefix=()):
        """prefix: a command that then runs the gateway."""
        gateway = self.world.start("http", *prefix, HTTP, "--listen", listen, "-s", server or self.broker.endpoint,
                                   *options, process=Gateway)
        gateway.wait_for("ready ")
        gateway.port = int(re.search(r"ready +http://\S+:(\d+) ", gateway.log())[1])
        if ready:
            until(lambda: gateway.get("/readyz").status == 200, 5, "the gateway has a broker", gateway)
        return gateway

    def running(self, count, service=None):
        self.world.wait_for_running(self.broker, count, service)

    def ended(self, status):
        """Returns how many requests ended with this status, as the broker counts."""
        return self.world.status(self.broker)["finals"][status]


def unread(http):
    """Returns the bytes on connections of HTTP peers that neither end has read."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    mine = [words[4].split(":") for words in rows if words[3] == "01"  # established
            and http.port in (int(words[1].split(":")[1], 16), int(words[2].split(":")[1], 16))]
    return sum(int(sent, 16) + int(came, 16) for sent, came in mine)
