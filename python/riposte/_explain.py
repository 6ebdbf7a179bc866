# SPDX-License-Identifier: MPL-2.0
"""What the library says of the requests that it ends itself: what happened, why, and what to do next. The sentences are
the C library's (client/explain.c, common/wire/advice.h); tests/python/test_texts.py compares."""

from __future__ import annotations

from typing import Dict

from riposte._status import Status

#: Of a status whose reply has no text of its own.
MEANINGS: Dict[Status, str] = {
    Status.APP_ERROR: "the worker replied with an error and no message; see the worker's log",
    Status.NO_WORKER: "no worker offers the service; start one, or list them: riposte services",
    Status.BUSY: "a queue or a limit is full; try again later, or start more workers",
    Status.DRAINING: "the broker is shutting down; try again later, or at another endpoint",
    Status.DENIED: "the broker does not allow it; use another service name",
    Status.INVALID: "the broker says that the request breaks the protocol; check versions",
    Status.TOO_LARGE: "the body is over the broker's limit; send less at once, or raise max_body there",
    Status.EXPIRED: "the deadline passed before a worker had room, so it never ran; allow more time, or start more "
                    "workers",
    Status.CANCELLED: "withdrawn by the client",
    Status.WORKER_LOST: "the worker was lost while it had the request; it may have run: find out, or allow more "
                        "attempts",
    Status.DEADLINE: "the deadline passed while a worker had the request; it may have run: allow more time",
    Status.CONVERSATION_LOST: "the conversation and its state are gone with its worker; the next request begins anew",
    Status.KEY_MISMATCH: "its key was used with another body, so it never ran; use another key",
}

DESCRIPTORS = "too few descriptors are left"
KEY_DENIED = "it does not accept this key"
KEY_MADE = "it does not accept the key that was made for want of a key file"
KEY_MISSING = "it wants a key, and none is given"
KEY_NEEDLESS = "it has no security, and a broker with a key is wanted"
KEY_WRONG = "it ended the handshake: its key is not the one that is given here"
UNREACHED = "nothing listens there, or it cannot be reached"
UNRESOLVED = "does not resolve"
UNANSWERED = "no name server answered"
FORBIDDEN = "not permitted: it wants the right to write to the socket and to enter its folders"

CHECK = "check that riposte-broker runs there, or name another endpoint"
_ADVICE = {  # of several reasons the first in this order counts
    DESCRIPTORS: "raise the limit: ulimit -n",
    KEY_DENIED: "authorize it there: riposte keys authorize NAME.key --principal NAME, then riposte reload",
    KEY_MADE: "name a key file (--key-file) whose key that broker has authorized",
    KEY_MISSING: "name your key file and the broker's key: --key-file, --server-key",
    KEY_NEEDLESS: "leave out --server-key and --key-file, or name a secure endpoint",
    KEY_WRONG: "compare --server-key with what riposte keys show says there",
    UNREACHED: "",
    UNRESOLVED: "check the name, or write an address in its place",
    UNANSWERED: "check the name servers, or write an address in the place of the name",
    FORBIDDEN: "ask for that right, or name another endpoint",
}


def advice(why: str) -> str:
    """The next step for a text with reasons of one endpoint or several; empty: check that a broker runs there."""
    return next((step for reason, step in _ADVICE.items() if reason in why), "")


def past() -> str:
    return "the deadline had passed before the request was submitted, so it was not sent; allow more time"


def unreached(seconds: float, why: str) -> str:
    return f"no broker was reached within {duration(seconds)} ({why}); {advice(why) or CHECK}"


def refused(why: str) -> str:
    of_keys = any(reason in why for reason in (KEY_DENIED, KEY_MADE, KEY_MISSING, KEY_NEEDLESS, KEY_WRONG))
    step = advice(why) if of_keys else "check the endpoint and this client's name"
    return f"{why}; {step}"


def held(seconds: float, why: str, limit: int) -> str:
    return (f"not sent within {duration(seconds)}: the broker was lost ({why}), or held its limit of {limit} requests "
            "of this client; allow more time, or submit fewer at once")


def _loss(why: str) -> str:
    return f"the broker was lost before the reply came ({why})"


def excess() -> str:
    return "the broker sent more than was granted, so a part is missing"


def lost(why: str) -> str:
    return f"{_loss(why)}; it may have run: find out, or allow more attempts if running it twice does no harm"


def budget_spent(why: str) -> str:
    return f"{_loss(why)}, and the retry budget is spent; it may have run: find out, and try again later"


def job_lost(why: str, keyed: bool) -> str:
    return f"{_loss(why)}; it may have the job: {_again(keyed)}"


def _again(keyed: bool) -> str:
    if keyed:
        return "send it again with the same key"
    return "find out, and give jobs a key, with which they may be sent again"


def silent(seconds: float) -> str:
    return (f"no reply came from the broker within {duration(seconds)} and {GRACE_MS} ms of grace; it may have run: "
            "find out before trying again")


def job_silent(seconds: float, keyed: bool) -> str:
    return (f"no answer came from the broker within {duration(seconds)} and {GRACE_MS} ms of grace; it may "
            f"have the job: {_again(keyed)}")


def too_large(found: int, limit: int) -> str:
    return (f"the body of {size(found)} is over the broker's limit of {size(limit)}; send less at once, or raise "
            "max_body there")


def withdrawn() -> str:
    return "withdrawn by the client"


def no_jobs(endpoint: str) -> str:
    return f"the broker at {endpoint} keeps no jobs; start it with a store: riposte-broker --store FILE"


def no_replays(endpoint: str) -> str:
    return (f"the broker at {endpoint} remembers no results by their keys, so the request could run "
            "twice; use another broker (replay_bytes not 0), or no key")


def no_streams(endpoint: str) -> str:
    return f"the broker at {endpoint} knows no streams; use a newer one, or call without a stream"


def no_all(endpoint: str) -> str:
    return f"the broker at {endpoint} gives no request to all workers; use a newer one"


GRACE_MS = 1000


# ---- Numbers for people, as common/base/units.c writes them -----------------------------------------


def _write(value: int, unit: int, name: str) -> str:
    tenths = (value * 10 + unit // 2) // unit
    if tenths >= 1000:
        return f"{(value + unit // 2) // unit} {name}"
    return f"{tenths // 10} {name}" if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10} {name}"


def duration(seconds: float) -> str:
    """300 ms, 1.5 s, 2 m 30 s, 24 h"""
    us = max(0, round(seconds * 1e6))
    for end, unit, name in ((1000, 1, "µs"), (999500, 1000, "ms"), (59950000, 1000000, "s")):
        if us < end:
            return _write(us, unit, name)
    whole = (us + 500000) // 1000000
    unit, large, small = (60, "m", "s") if whole < 3600 else (3600, "h", "m")
    rest = whole % unit if unit == 60 else whole % unit // 60
    return f"{whole // unit} {large}" + (f" {rest} {small}" if rest else "")


def size(octets: int) -> str:
    """80 B, 1.5 KiB, 1 MiB"""
    units = [(1, "B"), (1 << 10, "KiB"), (1 << 20, "MiB"), (1 << 30, "GiB"), (1 << 40, "TiB")]
    at = 0
    while at + 1 < len(units) and octets >= units[at + 1][0] - units[at][0] // 2:
        at += 1
    return _write(octets, *units[at])
