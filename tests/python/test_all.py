# SPDX-License-Identifier: MPL-2.0
"""Requests for all workers over a real broker: clients of Python, for threads and for asyncio."""

import asyncio

import pytest

import riposte
import riposte.aio
from support.waiting import until

# Worker N fails when it is told to, and waits when it is told so.
SCRIPT = 'read line; case $line in fail-{0}) exit 3;; wait-{0}) sleep 60;; esac; echo "$line of {0}"'


@pytest.fixture(scope="module")
def endpoint(stage):
    for number in range(3):
        stage.worker(stage.shared, "who", "sh", "-c", SCRIPT.format(number), options=("--name", f"w{number}"),
                     ready=False)
    until(lambda: len(stage.workers(stage.shared, "who")) == 3, 20, "the workers are there")
    return stage.shared.endpoint


@pytest.fixture(scope="module")
def client(endpoint):
    with riposte.Client(endpoint, timeout=60) as one:
        yield one


def test_each_answer_has_its_worker_and_the_end_a_summary(client):
    answers = client.call_all("who", b"hello\n")
    assert sorted((answer.worker, answer.body) for answer in answers) == [
        (f"w{number}", b"hello of %d\n" % number) for number in range(3)]
    assert answers.reply.status == riposte.Status.OK
    assert answers.reply.header("all-statuses") == "OK=3" and answers.reply.header("all-workers") == "3"


def test_a_quorum_that_cannot_be_had_raises_at_the_end(client):
    with pytest.raises(riposte.AppError):
        list(client.call_all("who", b"fail-1\n", quorum=3))
    with pytest.raises(riposte.NoWorker):
        list(client.call_all("who", b"x\n", quorum=4))


def test_leaving_with_withdraws_it(client):
    with client.call_all("who", b"wait-2\n") as answers:
        assert next(answers).status == riposte.Status.OK
    with pytest.raises(riposte.Cancelled):
        list(answers)


@pytest.mark.parametrize("options", [{"first": 0}, {"quorum": 65536}, {"first": 1, "quorum": 1}])
def test_what_cannot_be_wanted_raises_at_once(client, options):
    with pytest.raises(ValueError):
        client.call_all("who", **options)


def test_in_asyncio_the_first_ones_end_it(endpoint):
    async def ask():
        async with riposte.aio.Client(endpoint, timeout=60) as client:
            answers = client.call_all("who", b"wait-1\n", first=2)
            return sorted([answer.worker async for answer in answers]), answers.reply.status
    assert asyncio.run(ask()) == (["w0", "w2"], riposte.Status.OK)
