# SPDX-License-Identifier: MPL-2.0
"""Flow control of bodies in parts (docs/PROTOCOL.md, 11), pure. Both sides count costs: the bytes of a part with its
headers, and 64."""

from __future__ import annotations

from collections import deque
from operator import index
from typing import Deque, Tuple

from riposte._wire import PART_COST

WINDOW = 262144      #: of a reader that asks for none, and what it may grow to
WINDOW_MOST = 4194304
ROUND_TRIP_MOST = 1.0  #: seconds; a part that comes later after its GRANT says nothing about the way
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


def allowed(window: int, limit: int) -> int:
    """A window that the broker allows; limit: what its WELCOME says, 0: nothing."""
    return min(window, limit or window)


class Reader:
    """Lets its window be written beyond what was taken, and grants again when half of that was.

    A window that makes its writer wait is doubled, up to `most`: the first part that only the latest GRANT allowed
    comes when the application has taken everything, and as soon after that GRANT as any such part ever did
    (docs/adr/0052)."""

    __slots__ = ("parts", "window", "most", "granted", "came", "taken", "_before", "_asked", "_shortest", "_grows")

    def __init__(self, window: int, most: int) -> None:
        """most: what the window may grow to; the same for one that stays as it is."""
        self.parts: Deque[Tuple[bytes, int]] = deque()  #: that came and were not taken, with what each cost
        self.begin(window, most)

    def begin(self, window: int, most: int) -> None:
        self.window = self.granted = window
        self.most = most
        self.came = self.taken = 0
        self._before = 0      # what was granted before the GRANT whose round trip is measured; 0: none is
        self._asked = 0.0     # when that GRANT was made
        self._shortest = 0.0  # round trip; 0: none is known
        self._grows = False   # the window is too small

    def add(self, part: bytes, headers: int, now: float) -> bool:
        """A part came, with so many bytes of headers. False if it was not granted: it is not kept."""
        cost = len(part) + headers + PART_COST
        starved = self.came == self.taken
        self.came += cost
        if self._before and self.came > self._before:
            self._measure(starved, now)
        if self.came > self.granted:
            return False
        self.parts.append((part, cost))
        return True

    def _measure(self, starved: bool, now: float) -> None:
        """The first part came that the latest GRANT allowed. starved: the application had taken everything."""
        self._before = 0
        trip = max(1e-6, now - self._asked)  # 0 is none
        if trip > ROUND_TRIP_MOST:
            return
        self._shortest = min(trip, self._shortest or trip)
        self._grows = starved and trip <= 1.5 * self._shortest

    def take(self, now: float) -> Tuple[bytes, bool]:
        """The application takes the first part. True if `granted` has risen, and is to be sent."""
        part, cost = self.parts.popleft()
        self.taken += cost
        grew = self._grows
        if grew:
            self._grows = False
            self.window = min(2 * self.window, self.most)
        grant = self.taken + self.window
        if grant - self.granted < (self.window + 1) // 2:
            return part, False
        if not self._before and not grew:  # the writer waits for the larger one in any case
            self._before, self._asked = self.granted, now
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
