# SPDX-License-Identifier: MPL-2.0
"""SRV records (RFC 2782): brokers that are found by the name of a service in the DNS. All but `ask` is pure.

The C library's resolver is asked, as it is for names (docs/adr/0035): it knows the name servers and their options.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any, Callable, List, NamedTuple, Tuple

PREFIX = "srv:"
_TYPE, _CLASS = 33, 1
_ANSWER_MAX = 65535
_REASONS = {1: "there is no such name", 2: "no name server answered", 4: "it has no SRV record that names a host"}
_REFUSED = "the name server refuses, or its answer makes no sense"


class Record(NamedTuple):
    priority: int
    weight: int
    port: int
    host: str


def is_srv(endpoint: str) -> bool:
    return endpoint.startswith(PREFIX)


def _name(message: bytes, at: int) -> Tuple[str, int]:
    """A name, of which a part may stand elsewhere, and the place behind it. Raises ValueError, IndexError."""
    labels: List[str] = []
    behind = 0
    for _ in range(128):
        size = message[at]
        if size >= 0xC0:
            behind = behind or at + 2
            at = struct.unpack_from(">H", message, at)[0] & 0x3FFF
        elif size == 0:
            return ".".join(labels), behind or at + 1
        else:
            labels.append(message[at + 1:at + 1 + size].decode("ascii"))
            at += 1 + size
    raise ValueError("a name without an end")


def read(message: bytes) -> List[Record]:
    """The records of an answer that name a host and a port. Raises ValueError, IndexError or struct.error for what is
    no answer."""
    records = []
    questions, answers = struct.unpack_from(">HH", message, 4)
    at = 12
    for _ in range(questions):
        at = _name(message, at)[1] + 4
    for _ in range(answers):
        _, at = _name(message, at)
        kind, family, _, size = struct.unpack_from(">HHIH", message, at)
        at += 10
        if kind == _TYPE and family == _CLASS:
            priority, weight, port = struct.unpack_from(">HHH", message, at)
            record = Record(priority, weight, port, _name(message, at + 6)[0])
            if record.port and record.host:
                records.append(record)
        at += size
    return records


def order(records: List[Record], random: Callable[[], float]) -> List[Record]:
    """The order in which they are tried: by priority, and among equal ones at random by weight. `random` returns a
    number from 0 to 1."""
    # Of random numbers to the power of 1 / weight, each is the largest with a probability in proportion to its weight
    # (Efraimidis and Spirakis). One without weight is the first seldom, but not never.
    return sorted(records, key=lambda one: (one.priority, -(1 - random()) ** (1 / (one.weight or 1 / 256))))


def ask(name: str) -> List[Record]:
    """Asks the name servers, and waits. Raises OSError with the reason for people."""
    library: Any = ctypes.CDLL(None)
    if not hasattr(library, "res_search"):
        library = ctypes.CDLL("libresolv.so.2")  # before glibc 2.34
    answer = ctypes.create_string_buffer(_ANSWER_MAX)
    size = library.res_search(name.encode("ascii"), _CLASS, _TYPE, answer, _ANSWER_MAX)
    if size < 0:
        place = ctypes.CDLL(None).__h_errno_location
        place.restype = ctypes.POINTER(ctypes.c_int)
        code = place()[0]
        raise OSError(None, _REASONS.get(2 if code < 0 else code, _REFUSED))
    try:
        records = read(answer.raw[:min(size, _ANSWER_MAX)])
    except (ValueError, IndexError, struct.error):
        raise OSError(None, _REFUSED) from None
    if not records:
        raise OSError(None, _REASONS[4])
    return records
