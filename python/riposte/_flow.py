# SPDX-License-Identifier: MPL-2.0
"""Flow control of bodies in parts (docs/PROTOCOL.md, 11), pure. Both sides count costs: the bytes of a part with its
headers, and 64."""

from __future__ import annotations

from collections import deque
from operator import index
from typing import Deque, Tuple

from riposte._wire import PART_COST

WINDOW = 262144      #: of a reader that asks for none
WINDOW_MAX = 1 << 30
_WINDOW_MIN = PART_COST + 1


def check_window(window: int) -> int:
    try:
        window = index(window)
    except TypeError:
        raise TypeError(f"a window is a whole number, not {type(window).__name__}") from None
    if not _WINDOW_MIN <= window <= WINDOW_MAX:
        raise ValueError(f"a window is {_WINDOW_MIN} to {WINDOW_MAX} bytes, not {window}")
    return window


class Reader:
    """Lets its window be written beyond what was taken, and grants again when half of that was."""

    __slots__ = ("parts", "window", "granted", "came", "taken")

    def __init__(self, window: int) -> None:
        self.parts: Deque[Tuple[bytes, int]] = deque()  #: that came and were not taken, with what each cost
        self.begin(window)

    def begin(self, window: int) -> None:
        self.window = self.granted = window
        self.came = self.taken = 0

    def add(self, part: bytes, headers: int = 0) -> bool:
        """A part came, with so many bytes of headers. False if it was not granted: it is not kept."""
        cost = len(part) + headers + PART_COST
        self.came += cost
        if self.came > self.granted:
            return False
        self.parts.append((part, cost))
        return True

    def take(self) -> Tuple[bytes, bool]:
        """The application takes the first part. True if `granted` has risen, and is to be sent."""
        part, cost = self.parts.popleft()
        self.taken += cost
        grant = self.taken + self.window
        if grant - self.granted < (self.window + 1) // 2:
            return part, False
        self.granted = grant
        return part, True


class Writer:
    """Cuts what is longer than half of the reader's window, so that a piece always fits into what a reader that has
    taken everything has granted."""

    __slots__ = ("window", "granted", "written")

    def __init__(self, granted: int = 0) -> None:
        self.window = self.granted = granted
        self.written = 0

    def grant(self, granted: int) -> bool:
        """A grant came. True if it allows more than those before."""
        if granted <= self.granted:
            return False
        self.window = self.window or granted
        self.granted = granted
        return True

    def piece(self, size: int, max_body: int) -> int:
        """Bytes of the next part, of so many that are to be written; they count as written. 0: wait."""
        largest = max(1, self.window // 2 - PART_COST)
        piece = min(size, largest, max_body or largest)
        if self.written + piece + PART_COST > self.granted:
            return 0
        self.written += piece + PART_COST
        return piece
