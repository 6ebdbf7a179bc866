# SPDX-License-Identifier: MPL-2.0
"""Requests for all workers, in every language."""

import base64

import pytest

from languages import Client
from support.programs import PATIENCE
from support.waiting import until

# Worker N fails when it is told to, and waits when it is told so.
SCRIPT = 'read line; case $line in fail-{0}) exit 3;; wait-{0}) exec sleep 600;; esac; echo "$line of {0}"'


@pytest.fixture
def client(world, language):
    broker = world.broker()
    for number in range(2):
        world.worker(broker, "who", "sh", "-c", SCRIPT.format(number), options=("--name", f"w{number}"), ready=False)
    until(lambda: len(world.workers(broker, "who")) == 2, 20, "the workers are there")
    one = Client(world, language, broker.endpoint)
    yield one
    one.close()


def test_each_worker_answers_for_itself_and_a_summary_ends_it(client):
    def ask(body, **goal):
        answer = client.do("all", service="who", body=body, **goal)
        return answer["status"], answer.get("summary", ""), sorted(
            (name, status, base64.b64decode(body or "")) for name, status, body in answer.get("answers", ()))

    both = [("w0", "OK", b"hello of 0\n"), ("w1", "OK", b"hello of 1\n")]
    assert ask("hello\n") == ask("hello\n", quorum=2) == ("OK", "OK=2", both)
    assert ask("wait-1\n", first=1) == ("OK", "OK=1", [("w0", "OK", b"wait-1 of 0\n")])
    assert ask("fail-1\n") == ("APP_ERROR", "OK=1 APP_ERROR=1", [
        ("w0", "OK", b"fail-1 of 0\n"), ("w1", "APP_ERROR", b"")])
    assert ask("wait-1\n", timeout_ms=1000 * PATIENCE) == ("DEADLINE", "OK=1 DEADLINE=1", [
        ("w0", "OK", b"wait-1 of 0\n"), ("w1", "DEADLINE", b"")])
    assert ask("x\n", quorum=3) == ("NO_WORKER", "", [])
