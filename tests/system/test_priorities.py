# SPDX-License-Identifier: MPL-2.0
"""Requests that wait for one service: those of a higher priority go first, whoever sends them."""

import pytest

from support.waiting import until


class Line:
    """A worker that takes one request at a time, notes its body, and begins the next when it is told to."""

    def __init__(self, world, broker):
        self.world, self.broker = world, broker
        self._seen, self._open = world.directory / "seen", world.directory / "open"
        world.worker(broker, "line", "sh", "-c",
                     f"cat >> {self._seen}; while test ! -e {self._open}; do sleep 0.02; done",
                     options=("--slots", "1"))
        self.asked = []
        self.call("first ")
        until(self.seen, 5, "the first request has begun")

    def call(self, body, *options, **environment):
        self.asked.append(self.world.start_cli(self.broker, "call", "line", body, "--timeout", "30s", *options))
        if len(self.asked) > 1:
            self.world.wait_for_waiting(self.broker, len(self.asked) - 1)

    def seen(self):
        return self._seen.read_text().split() if self._seen.exists() else []

    def order(self):
        self._open.touch()
        for one in self.asked:
            assert self.world.finish(one).code == 0
        return self.seen()


def test_the_highest_priority_goes_first(world):
    broker = world.broker()
    line = Line(world, broker)
    line.call("low ", "--priority", "1")
    line.call("plain ")
    line.call("high ", "--priority", "8")
    assert line.order() == ["first", "high", "plain", "low"]


def test_who_has_waited_for_long_enough_goes_first(world):
    broker = world.broker(limits={"age_step": "1ms"})
    line = Line(world, broker)
    line.call("low ", "--priority", "0")
    line.call("high ", "--priority", "9")  # comes more than nine steps later, since low is seen to wait
    assert line.order() == ["first", "low", "high"]


def test_a_job_has_the_priority_that_it_was_sent_with(world):
    broker = world.broker("--store", world.directory / "jobs.db")
    line = Line(world, broker)
    line.call("plain ")
    sent = world.cli(broker, "send", "line", "job ", "--priority", "9")
    assert sent.code == 0, sent
    world.wait_for_waiting(broker, 2)
    assert line.order()[:2] == ["first", "job"]


@pytest.mark.parametrize("value", ["10", "-1", "high"])
def test_a_priority_that_is_none_is_wrong_usage(world, value):
    result = world.cli(world.broker(), "call", "line", "--priority", value)
    assert result.code == 2 and "--priority" in result.error()
