# SPDX-License-Identifier: MPL-2.0
"""A broker of pyzmq's sockets with a key of its own (CURVE). It welcomes each peer whose key it
knows, answers each request itself, in capitals, and never answers the service "hold". None of
Riposte's own code is in it."""

import os
import pathlib
import socket
import threading

import zmq
from zmq.utils import z85

from support.peer import BYE, HEARTBEAT, HELLO, INLINE, REPLY, REQUEST, WELCOME, WORKER, Message, head

CERTIFICATE = """metadata
    name = "{name}"
curve
    public-key = "{public}"
"""


class Keys:
    """A pair of keys, and its files in CZMQ's format."""

    def __init__(self, directory, name):
        self.name = name
        self.public, self.secret = (key.decode() for key in zmq.curve_keypair())
        self.file = pathlib.Path(directory) / f"{name}.key"
        self.secret_file = pathlib.Path(directory) / f"{name}.key_secret"
        text = CERTIFICATE.format(name=name, public=self.public)
        self.file.write_text(text)
        self.secret_file.touch(mode=0o600)
        self.secret_file.write_text(text + f'    secret-key = "{self.secret}"\n')


class SecureBroker:
    """keys: None makes a broker without security."""

    def __init__(self, keys, authorized=()):
        self.authorized = {pair.public for pair in authorized}
        self.refusal = b"400"
        self.requests = 0
        self._peers = {}  # public key: descriptors of its connections
        self._context = zmq.Context()
        self._zap = self._context.socket(zmq.REP)
        self._zap.bind("inproc://zeromq.zap.01")
        self._router = self._context.socket(zmq.ROUTER)
        self._router.linger = 0
        if keys:
            self._router.curve_server = True
            self._router.curve_secretkey = keys.secret.encode()
            self._router.setsockopt(zmq.ZAP_DOMAIN, b"riposte")
        port = self._router.bind_to_random_port("tcp://127.0.0.1")
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        poller = zmq.Poller()
        poller.register(self._zap, zmq.POLLIN)
        poller.register(self._router, zmq.POLLIN)
        while not self._over.is_set():
            for ready, _ in poller.poll(50):
                (self._let_in if ready is self._zap else self._answer)()
        self._router.close()
        self._zap.close()

    def _let_in(self):
        version, number, *_, key = self._zap.recv_multipart()
        known = z85.encode(key).decode() in self.authorized
        self._zap.send_multipart([version, number, b"200" if known else self.refusal, b"",
                                  z85.encode(key) if known else b"", b""])

    def _answer(self):
        frames = self._router.recv_multipart(copy=False)
        identity = frames[0].bytes
        try:
            user = frames[-1].get("User-Id")
        except zmq.ZMQError:
            user = None
        self._peers.setdefault(user, set()).add(frames[-1].get(zmq.SRCFD))
        message = Message([frame.bytes for frame in frames[1:]])
        answer = []
        if message.command == HELLO:
            answer = [head(WELCOME, time=1000, value=message.value if message.flags & WORKER else 100)]
        elif message.command == REQUEST:
            self.requests += 1
            if message.name != b"hold":
                answer = [head(REPLY, flags=INLINE, id=message.id, attempt=1) + message.body.upper()]
        elif message.command == HEARTBEAT:
            answer = [head(HEARTBEAT)]
        elif message.command == BYE:
            answer = []
        if answer:
            self._router.send_multipart([identity, *answer])

    def revoke(self, pair):
        """Stops accepting the key, and cuts its connections."""
        self.authorized.discard(pair.public)
        for descriptor in self._peers.pop(pair.public, ()):
            with socket.socket(fileno=os.dup(descriptor)) as own:
                own.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._over.set()
        self._thread.join()
        self._context.term()
