# SPDX-License-Identifier: MPL-2.0
"""Processes that run handlers. They are forked by one process, the nursery, which is forked itself before there are
sockets: whenever one is lost, another can follow, and libzmq's sockets are not inherited by any."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any, Callable, List, NoReturn, Sequence


class Lost(Exception):
    """The process ended before it had a result."""


class NurseryLost(Lost):
    """No other will follow it."""


class Pool:
    """`run` is called in one of the processes with what `do` is given; signals in `ignored` do not end them."""

    def __init__(self, run: Callable[..., Any], ignored: Sequence[int]) -> None:
        self._lock = threading.Lock()
        self._idle: List[Connection] = []
        self._control, theirs = socket.socketpair()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()  # or the processes would write it again
        self._pid = os.fork()
        if self._pid == 0:
            _forked(_nursery, self._control, theirs, run, ignored)
        theirs.close()

    def do(self, *what: Any) -> Any:
        """Any number of threads may wait in it at once, each with a process of its own. Raises what pickle raises for
        what cannot travel there or back, and Lost."""
        with self._lock:
            process = self._idle.pop() if self._idle else self._new()
        try:
            process.send(what)
        except OSError as error:
            process.close()
            raise Lost from error
        except BaseException:
            self._idle.append(process)  # it cannot be pickled, and was not sent
            raise
        try:
            is_result, found = process.recv()
        except (EOFError, OSError) as error:
            process.close()
            raise Lost from error
        self._idle.append(process)
        if not is_result:
            raise RuntimeError(found)
        return found

    def _new(self) -> Connection:
        try:
            self._control.sendall(b"!")
            said, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
        except OSError:
            said, descriptors = b"", []
        if not said:
            raise NurseryLost
        if not descriptors:
            raise Lost("the system has no room for another process")
        return Connection(descriptors[0])

    def close(self) -> None:
        """Ends all processes at once."""
        self._control.close()
        try:
            os.waitpid(self._pid, 0)
        except ChildProcessError:
            pass  # somebody else has waited for it


def _forked(function: Callable[..., None], other_end: socket.socket, *arguments: Any) -> NoReturn:
    """In a new process, which ends with the function."""
    try:
        other_end.close()
        function(*arguments)
    finally:
        os._exit(1)


def _nursery(control: socket.socket, run: Callable[..., Any], ignored: Sequence[int]) -> None:
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets those that ended
    os.setpgid(0, 0)
    while control.recv(1):
        theirs, ours = socket.socketpair()
        try:
            if os.fork() == 0:
                control.close()
                _forked(_process, theirs, ours, run)
            socket.send_fds(control, [b"!"], [theirs.fileno()])
        except BlockingIOError:
            control.sendall(b"!")
        theirs.close()
        ours.close()
    os.killpg(0, signal.SIGKILL)  # the worker is gone: whatever runs here runs for nobody


def _process(end: socket.socket, run: Callable[..., Any]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection: Connection = Connection(end.detach())
    while True:
        try:
            result = True, run(*connection.recv())
        except EOFError:
            return
        except Exception as error:  # it does not know the handler
            result = False, f"{type(error).__name__}: {error}"
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        try:
            connection.send(result)
        except Exception as error:  # it cannot be pickled
            connection.send((False, f"{type(error).__name__}: {error}"))
