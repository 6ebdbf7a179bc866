# SPDX-License-Identifier: MPL-2.0
"""The session of a client or worker with a broker (docs/PROTOCOL.md, 5), pure: time and randomness are arguments.

A link never calls outward. Its methods append to `actions` what its shell is to do:

    ("resolve", endpoint)    look its host up, and tell by `resolved`
    ("connect", n, endpoint) a new DEALER, number n, to an address; tell by `connected` or `failed`
    ("send", n, frames)      send a message
    ("close", n, linger)     close that DEALER: once what was sent is out, or at once

Times are seconds of one monotonic clock.
"""

from __future__ import annotations

import re
from numbers import Real
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from riposte import _explain as explain
from riposte import _wire as wire
from riposte._srv import PREFIX, is_srv
from riposte._status import Status

REST, LOOKUP, CONNECTING, GREETING, UP, REFUSED, CLOSED = (
    "rest", "lookup", "connecting", "greeting", "up", "refused", "closed")

HEARTBEAT = 1.0  #: the interval that is proposed
PATIENCE = 3.0   #: for a handshake and a greeting
FIRST_PATIENCE = 0.5  #: of each endpoint of several, in the first round

Action = Tuple[Any, ...]


def check_heartbeat(seconds: float) -> int:
    """An interval in ms."""
    if not isinstance(seconds, Real):
        raise TypeError(f"heartbeat is a number of seconds, not {type(seconds).__name__}")
    if not 0.05 <= seconds <= wire.HEARTBEAT_MAX_MS / 1000:
        raise ValueError(f"heartbeat is 0.05 to 60 seconds, not {seconds}")
    return int(seconds * 1000)


def split_endpoint(endpoint: str) -> Tuple[str, str, str]:
    """Returns (scheme, host, port); of ipc:// the path is the host, of srv: the name. Raises ValueError."""
    if is_srv(endpoint) and re.fullmatch(r"[A-Za-z0-9._-]+", endpoint[len(PREFIX):]):
        return "srv", endpoint[len(PREFIX):], ""
    scheme, mark, rest = endpoint.partition("://")
    if scheme == "ipc" and mark and rest:
        return scheme, rest, ""
    host, colon, port = rest.rpartition(":")
    if scheme != "tcp" or not mark or not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{endpoint!r} is no endpoint: tcp://HOST:PORT or ipc://PATH")
    return scheme, host, port


def is_address(host: str) -> bool:
    """Whether a host is an address rather than a name."""
    if host.startswith("["):
        return True
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdigit() for part in parts)


def number_of(headers: Dict[str, str], name: str) -> int:
    """The number in a header; 0 if there is none."""
    text = headers.get(name, "")
    return int(text) if text.isdigit() and len(text) < 19 else 0


class Link:
    """One session after the other, with the endpoints of a list. `random` returns a number from 0 to 1."""

    def __init__(self, endpoints: Sequence[str], random: Callable[[], float], hello: Callable[[], bytes],
                 numbers: Callable[[], int], actions: List[Action], lifetime: bool = True) -> None:
        self.endpoints = list(endpoints)
        self.state = REST
        self.number = 0         #: of the DEALER in use
        self.bundler = wire.Bundler()
        self.instance = b""     #: the broker's, from WELCOME
        self.jobs = False
        self.replays = False
        self.priorities = False
        self.streams = False
        self.stream_window = 0  #: the largest that the broker allows; 0: not stated
        self.hedging = False
        self.asks_all = False
        self.max_body = 0
        self.window = 0
        self.endpoint = ""      #: of the list, in use or tried last
        self.trouble = ""       #: why there is no session, for people
        self.trouble_status: Optional[Status] = None
        self.ignored = 0        #: messages that broke the protocol, or had no meaning
        self._random = random
        self._hello = hello
        self._numbers = numbers
        self._actions = actions
        self._troubles: Dict[str, str] = {}  # why each endpoint was not reached since the last session
        self._opened = 0.0      # when the attempt began
        self._turn = -1         # index of the endpoint that is tried
        self._addresses: List[str] = []  # of a name, not yet tried
        self._round = 1
        self._at = 0.0          # when the state's patience ends; REST: when to try again
        self._interval = HEARTBEAT
        self._heard = 0.0
        self._sent = 0.0

    # ---- What the shell tells -------------------------------------------------------------------

    def start(self, now: float, turn: int = -1) -> None:
        """Connects to the endpoint behind `turn`."""
        self._turn = turn
        self._next(now)

    def resolved(self, addresses: Sequence[str], trouble: str, now: float) -> None:
        if self.state != LOOKUP:
            return
        self._addresses = list(addresses)
        if not self._addresses:
            self._failed(trouble or f"{self.endpoint} {explain.UNRESOLVED}", now)
        else:
            self._connect(self._addresses.pop(0), now)

    def connected(self, number: int, now: float) -> None:
        if number != self.number or self.state != CONNECTING:
            return
        self.state = GREETING
        self.bundler = wire.Bundler()
        self._actions.append(("send", number, [self._hello()]))
        self._sent = self._heard = now

    def failed(self, number: int, why: str, now: float, status: Optional[Status] = None) -> bool:
        """The connection failed or broke. Returns True if that was the end of a session which had been up."""
        if number != self.number:
            return False
        if self.state == UP:
            self.lose(now, why)
            return True
        if self.state in (CONNECTING, GREETING):
            self.trouble_status = status
            self._failed(why, now)
        return False

    def welcome(self, message: wire.Message, now: float) -> bool:
        """What a message does to the session. Returns True if the session is up only now."""
        self._heard = now
        if self.state != GREETING or message.command != wire.WELCOME:
            return False
        self.state = UP
        self.trouble, self.trouble_status = "", None
        self._troubles.clear()
        self._round = 1
        self._addresses = []
        self._interval = max(message.time, 1) / 1000
        self.window = message.value
        self.instance = message.key
        headers = dict(message.headers)
        self.jobs = headers.get("jobs") == "1"
        self.replays = headers.get("replays") == "1"
        self.priorities = headers.get("priorities") == "1"
        self.hedging = headers.get("hedging") == "1"
        self.asks_all = headers.get("all") == "1"
        self.streams = headers.get("streams") == "1"
        self.stream_window = number_of(headers, "stream-window")
        self.max_body = number_of(headers, "max-body")
        self.bundler.bundles = bool(message.flags & wire.BUNDLES)
        return True

    def bye(self, message: wire.Message, now: float) -> bool:
        """The broker ended the session. Returns True if it had been up."""
        status = Status(message.status) if message.status in Status._value2member_map_ else Status.INVALID
        text = message.text.decode(errors="replace")
        was_up = self.state == UP
        refused = self.state == GREETING and status in (Status.DENIED, Status.INVALID)
        why = f"the broker {'refused' if refused else 'said BYE'} with {status.name}" + (f": {text}" if text else "")
        if was_up:
            self.lose(now, why)
        elif self.state == GREETING:
            self.trouble_status = status
            if refused:
                self._drop(why)
                self.state = REFUSED
            else:
                self._failed(why, now)
        return was_up

    def tick(self, now: float) -> bool:
        """What is due by now. Returns True if the session was lost."""
        if self.state == REST and now >= self._at:
            self._next(now)
        elif self.state in (LOOKUP, CONNECTING, GREETING) and now >= self._at:
            self._failed(self._missed(now), now)
        elif self.state == UP:
            if now >= self._heard + 3 * self._interval:
                self.lose(now, "the broker said nothing for too long")
                return True
            if now >= self._sent + self._interval:
                self.heartbeat(now)
        return False

    def due(self) -> float:
        """When `tick` is to be called next."""
        if self.state == UP:
            lost, silent = self._heard + 3 * self._interval, self._sent + self._interval
            return lost if lost < silent else silent
        return self._at if self.state not in (REFUSED, CLOSED) else float("inf")

    # ---- What the owner does --------------------------------------------------------------------

    def send(self, frames: List[bytes], now: float) -> None:
        """Sends a message within the session; it may wait in a bundle until `flush`."""
        self._sent = now
        self.bundler.add(frames)

    def flush(self) -> None:
        if self.bundler.is_empty:
            return
        for frames in self.bundler.take():
            self._actions.append(("send", self.number, frames))

    def heard(self, now: float) -> None:
        self._heard = now

    def heartbeat(self, now: float, answer: bool = False) -> None:
        """Sends HEARTBEAT; as an answer only where nothing was sent for half an interval."""
        if not answer or now >= self._sent + self._interval / 2:
            self.send([wire.head(wire.HEARTBEAT)], now)

    def lose(self, now: float, why: str) -> None:
        """Ends a session that was up; the first attempt at the next one is at once."""
        self._drop(why)
        self._round = 1
        self.state = REST
        self._at = now

    def close(self, now: float) -> None:
        """Ends it in good order, for good."""
        if self.state == UP:
            self.send([wire.head(wire.BYE)], now)
            self.flush()
        self._drop("", self.state == UP)
        self.state = CLOSED

    # ---- Inside ---------------------------------------------------------------------------------

    def _drop(self, why: str, linger: bool = False) -> None:
        if why:
            self._troubles.pop(self.endpoint, None)
            self._troubles[self.endpoint] = why
            self.trouble = "; ".join(f"{endpoint}: {reason}" for endpoint, reason in self._troubles.items())
        self.bundler = wire.Bundler()
        if self.number:
            self._actions.append(("close", self.number, linger))
            self.number = 0

    def _missed(self, now: float) -> str:
        """What did not happen in time."""
        if self.state == LOOKUP:
            return explain.UNANSWERED
        what = "connected, but no WELCOME came" if self.state == GREETING else "no connection"
        return f"{what} within {int((now - self._opened) * 1000)} ms"

    def _failed(self, why: str, now: float) -> None:
        self._drop(why)
        if self._addresses:
            self._connect(self._addresses.pop(0), now)
        elif self._turn < len(self.endpoints) - 1:
            self._next(now)
        else:
            pause = min(2.0, 0.05 * float(1 << min(self._round - 1, 10)))
            self._round += 1
            self.state = REST
            self._at = now + pause * (0.5 + self._random() / 2)

    def _next(self, now: float) -> None:
        self._turn = (self._turn + 1) % len(self.endpoints)
        self.endpoint = self.endpoints[self._turn]
        scheme, host, port = split_endpoint(self.endpoint)
        if scheme == "ipc" or (scheme == "tcp" and is_address(host)):
            self._connect(self.endpoint, now)
        else:
            self.state = LOOKUP
            self._at = now + self._patience()
            self._actions.append(("resolve", self.endpoint))

    def _patience(self) -> float:
        if len(self.endpoints) == 1:
            return PATIENCE
        return min(PATIENCE, FIRST_PATIENCE * float(1 << min(self._round - 1, 10)))

    def _connect(self, address: str, now: float) -> None:
        self._opened = now
        self.number = self._numbers()
        self.state = CONNECTING
        self._at = now + self._patience()
        self._actions.append(("connect", self.number, address))
