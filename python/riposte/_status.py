# SPDX-License-Identifier: MPL-2.0
"""The final statuses of docs/CONTRACT.md, and an exception for each that is not OK."""

from __future__ import annotations

import enum
from typing import Dict, Optional, Sequence, Tuple, Type


class Status(enum.IntEnum):
    """How a request ended."""

    OK = 0
    APP_ERROR = 1
    NO_WORKER = 2
    BUSY = 3
    DRAINING = 4
    DENIED = 5
    INVALID = 6
    TOO_LARGE = 7
    EXPIRED = 8
    CANCELLED = 9
    WORKER_LOST = 10
    DEADLINE = 11
    CONVERSATION_LOST = 12
    KEY_MISMATCH = 13
    NO_BROKER = 64
    UNKNOWN = 65


#: Statuses which prove that no worker began the request, whatever its reply says besides.
NEVER_RAN = frozenset({Status.NO_WORKER, Status.BUSY, Status.DRAINING, Status.DENIED, Status.INVALID,
                       Status.TOO_LARGE, Status.EXPIRED, Status.CONVERSATION_LOST, Status.KEY_MISMATCH,
                       Status.NO_BROKER})


#: Statuses of a question about a job which say that it may be answered later.
MAY_PASS = frozenset({Status.UNKNOWN, Status.NO_BROKER, Status.BUSY, Status.DRAINING, Status.EXPIRED, Status.DEADLINE})


class Error(Exception):
    """The base of all that this package raises about requests.

    status: how the request ended. id: its number in this client's session, as traces show it; 0: it was never sent.
    may_have_run: False if it is certain that no worker began it, so that trying again is safe.
    attempt: how often it was given to a worker, as far as the broker said. text: what broker or worker said.
    """

    status: Status = Status.INVALID

    def __init__(self, text: str = "", *, status: Optional[Status] = None, id: int = 0, attempt: int = 0,
                 service: str = "", may_have_run: Optional[bool] = None) -> None:
        if status is not None:
            self.status = status
        self.id = id
        self.attempt = attempt
        self.service = service
        self.text = text
        self.may_have_run = may_have_run if may_have_run is not None else ran(self.status, attempt)
        about = f"{service}: " if service else ""
        super().__init__(f"{about}{self.status.name}" + (f": {text}" if text else ""))


def ran(status: Status, attempt: int) -> bool:
    """Whether a worker may have begun a request that ended so."""
    return status not in NEVER_RAN and not (status == Status.CANCELLED and attempt == 0)


class AppError(Error):
    """A worker ran it and says that it failed. code: the application's own number. body, headers: as the worker sent
    them.

    A handler raises it to answer so: `raise AppError("no such page", code=404)`.
    """

    status = Status.APP_ERROR

    def __init__(self, text: str = "", *, code: int = 0, body: bytes = b"",
                 headers: Sequence[Tuple[str, str]] = (), id: int = 0, attempt: int = 0, service: str = "") -> None:
        super().__init__(text, id=id, attempt=attempt, service=service, may_have_run=True)
        self.code = code
        self.body = body
        self.headers = tuple(headers)


class NoWorker(Error):
    """No worker offers the service, or none could begin it. It never ran."""

    status = Status.NO_WORKER


class Busy(Error):
    """A queue or a limit is full, or a quota is used up. It never ran."""

    status = Status.BUSY


class Draining(Error):
    """The broker goes away. It never ran."""

    status = Status.DRAINING


class Denied(Error):
    """No rule allows it, or no broker accepts the key. It never ran."""

    status = Status.DENIED


class Invalid(Error):
    """The request breaks a rule of the protocol. It never ran."""

    status = Status.INVALID


class TooLarge(Error):
    """The body is over a limit. It never ran, and never will."""

    status = Status.TOO_LARGE


class Expired(Error):
    """The deadline passed before a worker had room. It never ran."""

    status = Status.EXPIRED


class Cancelled(Error):
    """It was withdrawn. It never ran if `attempt` is 0."""

    status = Status.CANCELLED


class WorkerLost(Error):
    """Its worker was lost with it. It ran once at most for each attempt, or not at all."""

    status = Status.WORKER_LOST


class Deadline(Error):
    """The deadline passed while a worker had it, or between two attempts. As WorkerLost."""

    status = Status.DEADLINE


class ConversationLost(Error):
    """The conversation is gone, its state with it. This request was not given to a worker; the next begins anew."""

    status = Status.CONVERSATION_LOST


class KeyMismatch(Error):
    """Its idempotency key has another body already. It never ran."""

    status = Status.KEY_MISMATCH


class NoBroker(Error):
    """No broker was reached in time. It was never sent."""

    status = Status.NO_BROKER


class Unknown(Error):
    """The broker was lost, or fell silent, after the request was sent. Its outcome is not known."""

    status = Status.UNKNOWN


class NotDone(Exception):
    """A job has no final yet, after the time that `result` was to wait. `job` is its number."""

    def __init__(self, job: int) -> None:
        self.job = job
        super().__init__(f"job {job} is not done yet")


CLASSES: Dict[Status, Type[Error]] = {
    one.status: one for one in (NoWorker, Busy, Draining, Denied, Invalid, TooLarge, Expired, Cancelled, WorkerLost,
                                Deadline, ConversationLost, KeyMismatch, NoBroker, Unknown)}
