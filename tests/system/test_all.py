# SPDX-License-Identifier: MPL-2.0
"""Requests for all workers of a service: each answers for itself, and a summary ends them."""

import json
import signal
import subprocess
import sys

import pytest

from support.peer import ALL, REPLY, REQUEST
from support.programs import SOURCE
from support.waiting import until
from support.world import World

#: Worker N answers at once, but waits, or fails, when it is told its own number.
SCRIPT = ('read line; case $line in wait-{0}) sleep 60;; fail-{0}) echo broken >&2; exit 3;; esac; '
          'echo "$line of {0}"')


class Stage(World):
    """A broker with a history, and three workers of the service who."""

    def __init__(self, directory):
        super().__init__(directory)
        self.history = directory / "history"
        self.shared = self.broker("--history", self.history, limits={"client_open": 3})
        self.third = [self.join(number) for number in range(3)][2]
        self.wait_for_workers(3)

    def join(self, number):
        return self.worker(self.shared, "who", "sh", "-c", SCRIPT.format(number), options=("--name", f"w{number}"),
                           ready=False)

    def wait_for_workers(self, count):
        until(lambda: len(self.workers(self.shared, "who")) == count, 20, f"{count} workers are there")

    def call(self, *arguments):
        return self.cli(self.shared, "call", *arguments)

    def running(self):
        return [worker["name"] for worker in self.workers(self.shared, "who") if worker["running"]]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    one = Stage(tmp_path_factory.mktemp("all"))
    yield one
    troubles = one.end()
    assert not troubles, troubles


def lines(result):
    return [json.loads(line) for line in result.out.splitlines()]


def test_every_worker_answers_with_its_name(stage):
    result = stage.call("--all", "who", "hello\n")
    assert result.code == 0, result
    assert sorted(result.out.decode().splitlines()) == [f"w{number}: hello of {number}" for number in range(3)]
    assert "3 of 3 workers answered: OK=3" in result.error()


def test_the_first_ones_end_it_and_the_slow_worker_is_cancelled(stage):
    result = stage.call("--first", "2", "who", "wait-0\n", "--timeout", "60s")
    assert result.code == 0 and "2 of 3 workers answered: OK=2" in result.error(), result
    until(lambda: all(worker["abandoned"] == 0 for worker in stage.workers(stage.shared, "who")), 20,
          "the slow worker is free again")


def test_a_quorum_fails_as_soon_as_it_cannot_be_reached(stage):
    result = stage.call("--quorum", "3", "who", "fail-2\n", "--timeout", "60s")
    assert result.code == 1 and b"there is no quorum" in result.err, result
    result = stage.call("--quorum", "2", "who", "fail-2\n", "--timeout", "60s")
    assert result.code == 0, result
    result = stage.call("--quorum", "4", "who", "hello\n")
    assert result.code == 4 and "a quorum of 4 cannot be reached" in result.error(), result
    assert stage.call("--all", "nobody", "x").code == 4


def test_the_deadline_is_one_for_all(stage):
    result = stage.call("--all", "who", "wait-2\n", "-o", "jsonl", "--timeout", "2s")
    assert result.code == 5, result
    assert lines(result)[-1]["statuses"] == {"OK": 2, "DEADLINE": 1}, result


def test_each_worker_counts_in_the_limit_of_open_requests(stage):
    fourth = stage.join(3)
    stage.wait_for_workers(4)
    result = stage.call("--all", "who", "x")
    assert result.code == 7 and "client_open" in result.error(), result
    fourth.terminate()
    stage.wait_for_workers(3)


def test_after_an_interrupt_the_answers_so_far_are_a_whole_list(stage):
    before = stage.status(stage.shared)["counters"]["survey_requests"]
    asked = stage.start_cli(stage.shared, "call", "--all", "who", "wait-2\n", "-o", "json", "--timeout", "60s")
    until(lambda: stage.status(stage.shared)["counters"]["survey_requests"] > before and stage.running() == ["w2"], 20,
          "only the slow worker has it")
    asked.signal(signal.SIGINT)
    result = stage.finish(asked)
    assert result.code == 130 and {answer["worker"] for answer in json.loads(result.out)} <= {"w0", "w1"}, result


def test_a_worker_that_is_killed_counts_as_lost_and_the_others_have_answered(stage):
    asked = stage.start_cli(stage.shared, "call", "--all", "who", "wait-2\n", "-o", "jsonl", "--timeout", "60s")
    until(lambda: stage.status(stage.shared)["counters"]["survey_requests"] > 0 and stage.running() == ["w2"], 20,
          "only the slow worker has it")
    stage.third.kill()
    result = stage.finish(asked)
    assert result.code == 9, result
    *answers, final = lines(result)
    assert {answer["worker"]: answer["status"] for answer in answers} == {"w0": "OK", "w1": "OK", "w2": "WORKER_LOST"}
    assert (final["workers"], final["answered"], final["status"]) == (3, 2, "WORKER_LOST"), final


def test_a_client_that_floods_all_workers_leaves_the_others_half_of_each(world):
    """A worker that takes one at a time, beside a client that always has requests for all waiting there."""
    broker = world.broker()
    worker = world.peer(broker)
    worker.register(b"who", heartbeat_ms=60000)
    flooder, other = world.peer(broker), world.peer(broker)
    flooder.hello(heartbeat_ms=60000)
    other.hello(heartbeat_ms=60000)
    for _ in range(100):
        flooder.request(b"who", b"all", time_ms=60000, flags=ALL)
    flooder.call(b"riposte.ping")
    for _ in range(20):
        other.request(b"who", b"one", time_ms=60000)
    other.call(b"riposte.ping")  # all have come
    given = []
    for _ in range(42):
        message = worker.expect(REQUEST)
        given.append(message.body)
        worker.reply(message.id)
    assert given == [b"all"] + 20 * [b"one", b"all"] + [b"all"], given
    assert [other.expect(REPLY).status_name() for _ in range(20)] == 20 * ["OK"]


def test_an_id_that_is_open_is_refused_for_one_worker_and_for_all(world):
    broker = world.broker(limits={"service_queue_bytes": 1024})
    worker, client = world.peer(broker), world.peer(broker)
    worker.register(b"who", heartbeat_ms=60000)
    client.hello(heartbeat_ms=60000)

    def answers(count, *request, **fields):
        if request:
            client.request(*request, time_ms=60000, **fields)
        return [client.expect(REPLY) for _ in range(count)]
    assert answers(1, b"nobody", id=7, flags=ALL)[0].status_name() == "NO_WORKER"
    client.request(b"who", b"all", id=7, flags=ALL, time_ms=60000)
    given = worker.expect(REQUEST)
    for flags in (0, ALL):
        assert answers(1, b"who", id=7, flags=flags)[0].status_name() == "INVALID"
    large, final = answers(2, b"who", bytes(2000), id=8, flags=ALL)
    assert large.status_name() == final.status_name() == "TOO_LARGE" and b"service_queue_bytes" in large.text
    worker.reply(given.id)
    assert [answer.status_name() for answer in answers(2)] == ["OK", "OK"]
    client.request(b"who", b"one", id=7, time_ms=60000)
    given = worker.expect(REQUEST)
    assert answers(1, b"who", id=7, flags=ALL)[0].status_name() == "INVALID"
    worker.reply(given.id)
    assert answers(1)[0].status_name() == "OK"


def test_the_history_of_all_that_holds_the_invariants(stage):
    stage.shared.terminate()
    assert stage.shared.wait() == 0
    done = subprocess.run([sys.executable, SOURCE / "tests/history/check.py", stage.history], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("options", [("--all", "--first", "2"), ("--first", "0"), ("--all", "--lines"),
                                     ("--all", "--key", "k"), ("--quorum", "2", "--stream"), ("--all", "-o", "csv")])
def test_options_that_do_not_go_together_are_wrong_usage(stage, options):
    assert stage.call("who", *options).code == 2
