# SPDX-License-Identifier: MPL-2.0
"""Hedges: a request whose worker takes long goes to a second worker, too, and the first answer counts."""

import pytest

from support.waiting import until

SLOW = ("sh", "-c", "sleep 60; echo slow")
FAST = ("sh", "-c", "echo fast")


def begin(world, *options):
    """A request that the slow worker has, since there is no other yet; and then another one."""
    broker = world.broker()
    slow = world.worker(broker, "work", *SLOW)
    asked = world.start_cli(broker, "call", "work", "x", "--timeout", "30s", *options)
    world.wait_for_running(broker, 1)
    world.worker(broker, "work", *FAST)
    return broker, slow, asked


def test_the_second_worker_answers_and_the_first_is_cancelled(world):
    broker, slow, asked = begin(world, "--attempts", "2", "--hedge", "50ms")
    result = world.finish(asked)
    assert (result.code, result.out) == (0, b"fast\n"), result
    counters = world.status(broker)["counters"]
    assert (counters["hedges"], counters["redeliveries"]) == (1, 1), counters
    # Its program is ended, so it answers long before it would have.
    until(lambda: world.worker_of(broker, slow)["abandoned"] == 0, 20, "the slow worker is free", slow)
    trace = world.cli(broker, "slow", "work", "-o", "json").json()["traces"][0]
    assert [event["kind"] for event in trace["events"] if event["kind"] != "waited"] == [
        "accepted", "given", "hedged", "given", "ended"], trace


def test_without_the_option_there_is_no_second(world):
    broker, _, asked = begin(world, "--attempts", "2")
    assert world.cli(broker, "call", "work", "x").out == b"fast\n"
    assert world.status(broker)["counters"]["hedges"] == 0
    assert asked.poll() is None


def test_the_share_0_allows_none(world):
    broker = world.broker(limits={"hedge_share": 0})
    world.worker(broker, "work", *SLOW)
    asked = world.start_cli(broker, "call", "work", "x", "--attempts", "2", "--hedge", "20ms", "--timeout", "30s")
    world.wait_for_running(broker, 1)
    world.worker(broker, "work", *FAST)
    until(lambda: world.status(broker)["counters"]["hedges_withheld"] > 0, 10, "a hedge was not made")
    assert world.status(broker)["counters"]["hedges"] == 0 and asked.poll() is None


@pytest.mark.parametrize("options", [("--hedge", "50ms"), ("--hedge", "100%", "--attempts", "2"),
                                     ("--hedge", "soon", "--attempts", "2"), ("--hedge", "0", "--attempts", "2")])
def test_a_hedge_that_cannot_be_is_wrong_usage(world, options):
    result = world.cli(world.broker(), "call", "work", "x", *options)
    assert result.code == 2 and "--hedge" in result.error(), result
