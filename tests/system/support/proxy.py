# SPDX-License-Identifier: MPL-2.0
"""A TCP proxy that can stop passing bytes on, which both ends see as a partition: connections are
accepted and stay open, but nothing comes through, and no error tells either end why."""

import selectors
import socket
import threading
import time


class Proxy:
    def __init__(self, endpoint, rate=None):
        """rate: bytes a second at most, for all connections together."""
        self._rate = rate
        host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = "tcp://127.0.0.1:%d" % self._listener.getsockname()[1]
        self._passing = threading.Event()
        self._passing.set()
        self._ended = False
        self._wake, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._others = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self):
        self._passing.clear()
        self._wake.send(b"x")

    def heal(self):
        self._passing.set()

    def close(self):
        self._ended = True
        self.heal()
        self._wake.send(b"x")
        self._thread.join()
        for one in [*self._others, self._listener, self._wake, self._woken]:
            one.close()
        self._selector.close()

    def _run(self):
        while not self._ended:
            self._passing.wait()
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    self._woken.recv(64)
                    break
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._others:
                    self._pass_on(key.fileobj)

    def _accept(self):
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection(self._target)
        except OSError:
            near.close()
            return
        self._others.update({near: far, far: near})
        for one in (near, far):
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, one):
        other = self._others[one]
        try:
            data = one.recv(65536)
            if data:
                other.sendall(data)
                if self._rate:
                    time.sleep(len(data) / self._rate)
                return
        except OSError:
            pass
        for end in (one, other):
            self._selector.unregister(end)
            del self._others[end]
            end.close()
