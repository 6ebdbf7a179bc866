# SPDX-License-Identifier: MPL-2.0
"""An upgrade, one program at a time and under load: no call fails, and no job is lost."""

import pytest

from support.waiting import until
from test_rolling import Batch

#: Calls that end in each step.
CALLS = 60


class Load:
    """Batches of calls by clients of both kinds."""

    def __init__(self, world, older, servers):
        with older():
            self._batches = [Batch(world, servers, 8)]
        self._batches.append(Batch(world, servers, 8))
        for batch in self._batches:
            batch.start()
        self.go_on()

    def go_on(self):
        """Waits until more calls of each client have ended."""
        for batch in self._batches:
            enough = len(batch.told) + CALLS
            until(lambda: len(batch.told) >= enough, 20, "calls end")

    def finish(self):
        return [one for batch in self._batches for one in batch.finish()]


def serve(world, brokers, servers):
    """Starts a worker of all brokers."""
    worker = world.builtin(brokers[0], "echo", endpoint=servers)
    for broker in brokers[1:]:
        world.wait_for_worker(broker, worker, "echo")
    return worker


def test_brokers_and_workers_are_upgraded_in_turn_and_no_call_fails(world, older):
    with older():
        brokers = [world.broker(), world.broker()]
    servers = ",".join(broker.endpoint for broker in brokers)
    with older():
        workers = [serve(world, brokers, servers)]
    workers.append(serve(world, brokers, servers))
    load = Load(world, older, servers)
    for number in range(2):
        brokers[number].terminate()
        assert brokers[number].wait() == 0
        brokers[number] = world.restart(brokers[number])
        for worker in workers:
            world.wait_for_worker(brokers[number], worker, "echo")
        load.go_on()
    workers[0].terminate()
    assert workers[0].wait() == 0
    load.go_on()
    told = load.finish()
    assert [one for one in told if one["status"] != "OK"] == []
    assert len(told) >= 2 * 4 * CALLS


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_the_jobs_of_an_older_store_are_there_and_go_on(world, older, end):
    store = world.directory / "jobs.db"

    def send(service, body, *options):
        result = world.cli(broker, "send", service, body, *options)
        assert result.code == 0, result
        return result.out.decode().strip()

    with older():
        broker = world.broker("--store", store)
        world.builtin(broker, "upper")
        done = send("upper", "done", "--key", "once")
        assert world.cli(broker, "result", done, "--wait", "20s").out == b"DONE"
        waiting = [send("later", f"job {number}") for number in range(20)]
        delayed = send("later", "much later", "--delay", "1h")
        getattr(broker, end)()
        broker.wait()
    broker = world.restart(broker, "--store", store)
    with older():  # its client, too
        assert world.cli(broker, "result", done).out == b"DONE"
    assert send("upper", "done", "--key", "once") == done
    world.builtin(broker, "upper", service="later")
    for number, job in enumerate(waiting):
        assert world.cli(broker, "result", job, "--wait", "20s").out == f"JOB {number}".encode()
    rows = {one["id"]: one["state"] for one in world.cli(broker, "jobs", "-o", "json").json()["jobs"]}
    assert rows == {done: "done", delayed: "waiting", **{job: "done" for job in waiting}}
