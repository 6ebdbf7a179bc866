# SPDX-License-Identifier: MPL-2.0
"""Brokers are restarted in turn under clients that know all of them: no call fails."""

import json
import os
import threading

import pytest

from support.programs import SANITIZED
from support.waiting import until

#: Restarts, of one broker after the other.
RESTARTS = 6
#: Calls at least, of all callers together.
CALLS = 400 if os.environ.get("RIPOSTE_LONG") else 100
#: Seconds between a batch's calls.
PAUSE = 0.01


class Caller(threading.Thread):
    """Makes one call after the other until it is told to stop; keeps the result of each."""

    def __init__(self, world, endpoints):
        super().__init__()
        self._world, self._endpoints = world, endpoints
        self._over = threading.Event()
        self.told = []

    def run(self):
        while not self._over.is_set():
            call = self._world.cli(self._endpoints, "call", "echo", "hi", "-o", "json")
            self.told.append(call.json())

    def finish(self):
        self._over.set()
        self.join()
        return self.told


class Batch(threading.Thread):
    """One client that has several calls open at any moment."""

    def __init__(self, world, endpoints, parallel):
        super().__init__()
        self._cli = world.start_cli(endpoints, "call", "echo", "--lines", "--parallel", parallel,
                                    "-o", "jsonl", stdin=-1)
        self._over = threading.Event()
        self.told = []

    def run(self):
        reader = threading.Thread(target=self._read)
        reader.start()
        with self._cli.popen.stdin as lines:
            while not self._over.wait(PAUSE):
                lines.write(b"hi\n")
                lines.flush()
        reader.join()

    def _read(self):
        self.told.extend(map(json.loads, self._cli.popen.stdout))

    def finish(self):
        self._over.set()
        self.join()
        return self.told


def _failed(told):
    return [one for one in told if one["status"] != "OK"]


@pytest.mark.parametrize("parallel", [8] if SANITIZED else [None, 1, 8])
def test_no_call_fails_when_two_brokers_are_restarted_in_turn(world, parallel):
    brokers = [world.broker(), world.broker()]
    both = ",".join(broker.endpoint for broker in brokers)
    for _ in range(2):
        worker = world.builtin(brokers[0], "echo", endpoint=both)
        world.wait_for_worker(brokers[1], worker, "echo")
    callers = [Batch(world, both, parallel) if parallel else Caller(world, both) for _ in range(4)]
    for caller in callers:
        caller.start()
    for restart in range(RESTARTS):
        going = restart % 2
        enough = CALLS * (restart + 1) // RESTARTS
        until(lambda: sum(len(caller.told) for caller in callers) >= enough, 20, "calls end")
        brokers[going].terminate()
        assert brokers[going].wait() == 0
        brokers[going] = world.restart(brokers[going])
    told = [one for caller in callers for one in caller.finish()]
    assert not _failed(told)
    assert len(told) >= CALLS
