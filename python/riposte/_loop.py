# SPDX-License-Identifier: MPL-2.0
"""Sockets that several threads share: whoever holds the lock may use them; one thread at a time, the leader, polls
their descriptors without it."""

from __future__ import annotations

import os
import select
import threading
import time
import weakref
from typing import Callable, List, Optional, Set

from riposte import _link, _sockets


class Loop:
    """Everything but `wake` is called with `lock` held."""

    def __init__(self, core: _sockets.Core, keys: _sockets.Keys,
                 other: Optional[Callable[[_link.Action], None]] = None) -> None:
        self.lock = threading.RLock()
        self.leader = 0         #: the thread that polls; 0: none
        self.closed = False
        self._core = core
        self._polls_until = 0.0
        self._monitors: Set[int] = set()  # descriptors
        self._reported = False            # one of them is readable
        self._poll = select.poll()
        self._wake_out, self._wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._wake_out, select.POLLIN)
        self._hub = _sockets.Hub(core, keys, self._watch, self._unwatch, self._resolve,
                                 other or (lambda action: None), time.monotonic)

    def turn(self, monitors: bool = False, until: Optional[_sockets.Waiter] = None) -> None:
        """Sends, reads and does what is due; does not wait. monitors: since nobody polls, they are to be asked, too.
        until: see Hub.turn."""
        if not self.closed:
            if self._reported:
                self._reported, monitors = False, True
            self._hub.turn(monitors, until)
            if self.leader and self._core.due() < self._polls_until:
                self.wake()

    def lead(self, wait: Optional[float]) -> None:
        """Waits for something to read, until something is due, or for `wait` seconds; others may have the lock
        meanwhile."""
        now = time.monotonic()
        due = self._core.due() - now
        if wait is None or due < wait:
            wait = due
        self.leader = threading.get_ident()
        self._polls_until = now + wait
        self.lock.release()
        try:
            # Rounded up: a wait of a fraction of a millisecond would spin. Nothing may be due, ever.
            ready = self._poll.poll(max(0, int(min(wait, 60.0) * 1000) + 1))
        finally:
            self.lock.acquire()
            self.leader = 0
        for fd, _ in ready:
            if fd == self._wake_out:
                try:
                    os.read(fd, 4096)
                except BlockingIOError:
                    pass
            elif fd in self._monitors:
                self._reported = True

    def wake(self) -> None:
        """Ends the leader's wait. For any thread, and for signal handlers."""
        try:
            os.write(self._wake_in, b"!")
        except BlockingIOError:
            pass  # it has been woken already

    def close(self) -> None:
        """Sends what is to be sent, and closes the sockets."""
        if not self.closed:
            self.closed = True
            self._hub.close(may_wait=True)
            self.wake()

    def __del__(self) -> None:
        for fd in (getattr(self, "_wake_out", -1), getattr(self, "_wake_in", -1)):
            if fd >= 0:
                os.close(fd)

    def _watch(self, fd: int, is_monitor: bool) -> None:
        self._poll.register(fd, select.POLLIN)
        if is_monitor:
            self._monitors.add(fd)
        if self.leader:
            self.wake()

    def _unwatch(self, fd: int, is_monitor: bool) -> None:
        self._poll.unregister(fd)
        if is_monitor:
            self._monitors.discard(fd)

    def _resolve(self, endpoint: str) -> None:
        """Looks a name up in a thread, since the system may take long."""
        threading.Thread(target=_look_up, args=(weakref.ref(self), endpoint, self._core.wants_records), daemon=True,
                         name="riposte-lookup").start()

    def resolved(self, endpoint: str, addresses: List[str], trouble: str) -> None:
        with self.lock:
            if not self.closed:
                self._core.resolved(endpoint, addresses, trouble, time.monotonic())
                self.turn()
                self.wake()


def _look_up(reference: "weakref.ReferenceType[Loop]", endpoint: str, records: bool) -> None:
    addresses, trouble = _sockets.look_up(endpoint, records)
    loop = reference()
    if loop is not None:
        loop.resolved(endpoint, addresses, trouble)
