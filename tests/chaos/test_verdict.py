# SPDX-License-Identifier: MPL-2.0
"""What a run with faults calls a broken invariant, and what only late."""

import collections
import pathlib
import sys
import time
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import books  # noqa: E402
import run  # noqa: E402
from security import WITHIN_US, Security  # noqa: E402
from support import verdict  # noqa: E402

SECOND = 1_000_000
SUBMIT = "100 client:c submit req=r service=echo deadline=1000000 attempts=1 named=0\n"
FINAL = " client:c final req=r status=UNKNOWN made=0 body=- text=\n"


def history(path, text):
    path.write_text(text.replace(" ", "\t"))
    return path


@pytest.mark.parametrize("lines, wrong, late", [(f"500{FINAL}", False, False), (f"9000000{FINAL}", False, True),
                                                ("", True, False), (f"500{FINAL}500{FINAL}", True, False)])
def test_an_end_that_comes_late_is_late_and_none_or_two_are_wrong(tmp_path, lines, wrong, late):
    found = run.check([str(history(tmp_path / "a", f"{SUBMIT}{lines}9900000 client:c end\n"))])
    assert (bool(found[0]), bool(found[1])) == (wrong, late), found


LIFE = """\
1 broker:b begin pid=1
2 broker:b join session=8 role=worker name=w service=echo principal=anonymous window=1
3 broker:b join session=1 role=client name=c principal=anonymous
5000000 broker:b request session=1 id=7 service=echo conv=0
5000000 broker:b accept session=1 id=7 service=echo attempts=1 deadline=9999
5000000 broker:b final session=1 id=7 attempts=1 status=OK
"""


@pytest.mark.parametrize("at, counted, wrong, late", [
    ((8, 30), (0, 1), 0, 3), ((8, 30), (1, 1), 0, 0), ((8, 30), (1, 0), 3, 0), ((20, 30), (0, 1), 3, 0),
    ((8, 30), (2, 1), 3, 0)])
def test_a_count_may_be_behind_but_not_ahead_and_not_at_the_end(tmp_path, at, counted, wrong, late):
    cast = types.SimpleNamespace(history=lambda name: history(tmp_path / name, LIFE),
                                 broker=types.SimpleNamespace(name="b"))
    text = 'riposte_requests_total{{service="echo",status="OK"}} {0}\nriposte_finals_total{{status="OK"}} {0}\n'
    readings = [books.Reading(second * SECOND, second * SECOND + 9, text.format(value))
                for second, value in zip(at, counted)]
    found = books.judge(types.SimpleNamespace(readings={"b": readings}), cast)
    assert (len(found[0]), len(found[1])) == (wrong, late), found


def accepted(tmp_path, read, when):
    """What is said of a broker that reads a change at one time, and accepts a request of who is shut out at another;
    both in µs after the change, which is to be in force in a second and for ten."""
    changed = time.monotonic_ns() // 1000
    stamp = time.time_ns() // 1000 + read
    day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(stamp // SECOND))
    (tmp_path / "broker.1.log").write_text(f"{day}.{stamp // 1000 % 1000:03}Z info broker: SIGHUP: reloaded settings\n")
    history(tmp_path / "broker.1.hist", f"1 broker:b begin pid=1\n2 broker:b join session=1 principal=victim\n"
            f"3 broker:b accept session=1\n{changed + when} broker:b accept session=1\n")
    security = Security.__new__(Security)
    security.windows = [(changed + WITHIN_US, changed + 10 * SECOND)]
    found = security.judge(types.SimpleNamespace(histories=tmp_path, directory=tmp_path), [])
    return tuple(map(len, found))


def test_who_is_shut_out_gets_in_late_or_wrongly(tmp_path):
    assert accepted(tmp_path, read=10_000, when=900_000) == (0, 0)
    assert accepted(tmp_path, read=10_000, when=2 * SECOND) == (1, 0)
    assert accepted(tmp_path, read=3 * SECOND, when=2 * SECOND) == (0, 1), "it has not read the change yet"
    assert accepted(tmp_path, read=3 * SECOND, when=5 * SECOND) == (1, 0)
    assert accepted(tmp_path, read=10_000, when=11 * SECOND) == (0, 0), "it is let in again"


def test_only_what_is_wrong_has_the_mark():
    assert verdict.lines(["a"], ["b"]) == ["VIOLATION: a", "late: b"]
    verdict.hold([], collections.deque())
    for found in ((["a"], []), ([], ["b"])):
        with pytest.raises(AssertionError, match=": [ab]"):
            verdict.hold(*found)
