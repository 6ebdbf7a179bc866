# SPDX-License-Identifier: MPL-2.0
"""The judge of the other tests in this folder finds each fault. Needs no engine."""

import json

import pytest

import visits


def page(number, user, worker="a1-7", status="OK", **more):
    body = f"<p>User: {user}</p>" if number > 1 else ""
    return {"number": number, "status": status, "body": body, "worker": worker, **more}


def lines(number=1, user="c-1", talk=None, call=None, talk_code=0, call_code=0):
    """Returns the lines of one round, by default a good one."""
    talk = [page(n, user) for n in range(1, 6)] if talk is None else talk
    call = [{"status": "OK", "body": user.upper(), "worker": "b2-7"}] if call is None else call
    end = {"visit": number, "user": user, "talk": talk_code, "call": call_code}
    return [json.dumps(entry) for entry in [*talk, *call, end]]


def account(*rounds, told=None):
    one = visits.Account("c")
    for line in [line for each in rounds for line in each]:
        one.add(line)
    one.add(json.dumps({"visits": len(rounds) if told is None else told}))
    return one


LOST = [page(1, "c-1"), page(2, "c-1", "", "WORKER_LOST")]


def test_a_good_account_is_believed():
    one = account(lines(1), lines(2, "c-2"))
    assert one.end() == []
    assert visits.failures(one.visits) == []


def test_a_lost_conversation_is_charged_to_its_worker():
    one = account(lines(talk=LOST, talk_code=9))
    assert one.end() == []
    (failure,) = visits.failures(one.visits)
    assert (failure.service, failure.status, failure.worker) == ("site", "WORKER_LOST", "a1")


def test_a_broker_that_is_not_reached_is_a_final_status():
    gone = [{"error": {"code": "NO_BROKER"}}]
    one = account(lines(talk=gone, call=gone, talk_code=3, call_code=3))
    assert one.end() == []
    assert [failure.status for failure in visits.failures(one.visits)] == ["NO_BROKER"] * 2


@pytest.mark.parametrize("bad", [
    lines(talk=[]),
    lines(talk=[], call=[]),
    lines(call=[]),
    lines(talk=[page(1, "c-1"), page(2, "c-1")]),
    lines(talk=LOST),
    lines(talk=LOST, talk_code=1),
    lines(talk=[page(n, "c-1") for n in (1, 2, 3, 3, 4)]),
    lines(talk=[page(n, "c-1", status="LOST?" if n == 5 else "OK") for n in range(1, 6)]),
    lines(talk=[*LOST, page(3, "c-1")]),
    lines(talk=[page(n, "d-9" if n == 4 else "c-1") for n in range(1, 6)]),
    lines(talk=[page(n, "c-1", "a2-7" if n == 3 else "a1-7") for n in range(1, 6)]),
    lines(call=[{"status": "OK", "body": "D-9", "worker": "b2-7"}]),
    lines(call=[{"status": "WORKER_LOST", "body": "", "worker": ""}]),
    lines(talk_code=9),
    lines(number=2),
    [*lines(), "Segmentation fault"],
], ids=["no conversation", "nothing at all", "no reply of upper", "two of five", "exit code 0",
        "wrong exit code", "two statuses for one", "unknown status", "on after a loss",
        "another's page", "another worker", "another's reply", "exit code 0 of a call",
        "exit code 9 of a good one", "a round is missing", "other words"])
def test_it_finds(bad):
    assert account(bad).end()


def test_it_finds_a_client_that_ends_without_a_word():
    one = visits.Account("c")
    for line in lines():
        one.add(line)
    assert one.end()


def test_it_finds_a_round_that_began_and_did_not_end():
    assert account(lines(), lines(2, "c-2")[:-1], told=1).end()
    assert account(lines(), told=2).end()
