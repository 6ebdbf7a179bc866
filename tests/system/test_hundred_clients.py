# SPDX-License-Identifier: MPL-2.0
"""One hundred clients at once, three site workers, each client with a name of its own. Every client
sees its own data at step 10, in every run, whichever process is killed on the way.

RIPOSTE_ROUNDS=20 repeats each scenario 20 times.
"""

import os

import pytest

from support.waiting import until

ROUNDS = int(os.environ.get("RIPOSTE_ROUNDS")
             or (20 if os.environ.get("RIPOSTE_LONG") == "1" else 1))
CLIENTS = 100
EVERY_ROUND = pytest.mark.parametrize("round_number", range(1, ROUNDS + 1))
# The statuses of the contract's table that are possible after a worker or the broker was killed.
OF_A_LOST_WORKER = {"OK", "WORKER_LOST", "CONVERSATION_LOST"}
OF_A_LOST_BROKER = {"OK", "UNKNOWN", "NO_BROKER", "CONVERSATION_LOST"}


def _all_saw_their_own(report, rounds=1):
    assert report["conversations"] == CLIENTS * rounds
    assert report["own_data"] == CLIENTS * rounds, report
    assert report["gave_up"] == 0, report


def _release(conversations):
    conversations.popen.stdin.write(b"go\n")
    conversations.popen.stdin.flush()


@EVERY_ROUND
def test_all_is_well(world, round_number):
    broker = world.broker()
    sites = world.sites(broker)
    report = world.report(world.conversations(broker.endpoint, "--rounds", "3"))
    _all_saw_their_own(report, rounds=3)
    assert report["statuses"] == {"OK": 5 * 3 * CLIENTS}
    assert report["disturbed"] == 0
    replies = [world.worker_of(broker, site)["replies"] for site in sites]
    assert sum(replies) == 5 * 3 * CLIENTS
    assert min(replies) > 0, "every worker had its part"
    until(lambda: world.services(broker)["site"]["conversations"] == 0, 3, "all have ended")


@EVERY_ROUND
def test_a_worker_killed_between_requests(world, round_number):
    """The conversations of the killed worker get CONVERSATION_LOST, once each; the others are not
    disturbed."""
    broker = world.broker()
    sites = world.sites(broker)
    conversations = world.conversations(broker.endpoint, "--hold", "4")
    conversations.wait_for("holding", 30)
    hers = world.worker_of(broker, sites[0])["conversations"]
    assert 0 < hers < CLIENTS
    sites[0].kill()
    until(lambda: len(world.workers(broker)) == 2, 2.5, "the broker knows")
    _release(conversations)
    report = world.report(conversations)
    _all_saw_their_own(report)
    assert report["troubles"] == {"CONVERSATION_LOST": hers}
    assert (report["disturbed"], report["begun_anew"]) == (hers, hers)


@EVERY_ROUND
def test_a_worker_killed_with_requests_in_its_hands(world, round_number):
    """A request that the worker held ends with WORKER_LOST, and the conversation's next one with
    CONVERSATION_LOST. A request that waited for it ends with CONVERSATION_LOST. The others are not
    disturbed."""
    broker = world.broker()
    sites = world.sites(broker)
    conversations = world.conversations(broker.endpoint, "--hold", "4")
    conversations.wait_for("holding", 30)
    hers = world.worker_of(broker, sites[0])["conversations"]
    sites[0].freeze()
    _release(conversations)

    def fill():
        """Returns the number of requests that the frozen worker holds, once its window or its
        conversations allow no more."""
        worker = world.worker_of(broker, sites[0])
        return worker["running"] == min(hers, worker["window"]) and worker["running"]

    full = until(fill, 3, "it has its fill")
    sites[0].kill()
    report = world.report(conversations)
    _all_saw_their_own(report)
    expected = {"WORKER_LOST CONVERSATION_LOST": full}
    if hers > full:
        expected["CONVERSATION_LOST"] = hers - full
    assert report["troubles"] == expected
    assert report["disturbed"] == hers
    assert set(report["statuses"]) <= OF_A_LOST_WORKER


@EVERY_ROUND
def test_a_worker_killed_at_any_moment(world, round_number):
    """Kills a worker in the middle of the load: how many clients are disturbed is not known, only
    which statuses they may get."""
    broker = world.broker()
    sites = world.sites(broker)
    conversations = world.conversations(broker.endpoint, "--rounds", "4", "--pause", "20")
    until(lambda: world.worker_of(broker, sites[1])["replies"] >= 60, 20, "all are at work",
          conversations)
    sites[1].kill()
    report = world.report(conversations)
    _all_saw_their_own(report, rounds=4)
    assert set(report["statuses"]) <= OF_A_LOST_WORKER
    assert set(report["troubles"]) <= {
        "CONVERSATION_LOST", "WORKER_LOST CONVERSATION_LOST",
        # WORKER_LOST alone: a conversation's first request, when there was no state to lose.
        "WORKER_LOST"}
    assert 0 < report["disturbed"] <= CLIENTS


@EVERY_ROUND
def test_the_broker_killed_and_started_again(world, round_number):
    """Clients and workers reconnect by themselves, every call ends with a status of the contract,
    and the next calls succeed."""
    broker = world.broker()
    world.sites(broker)
    conversations = world.conversations(broker.endpoint, "--rounds", "3", "--pause", "20")
    until(lambda: world.status(broker)["finals"]["OK"] >= 300, 20, "all are at work", conversations)
    broker.kill()
    broker = world.restart(broker)
    report = world.report(conversations)
    _all_saw_their_own(report, rounds=3)
    assert set(report["statuses"]) <= OF_A_LOST_BROKER
    assert report["disturbed"] >= 1
    until(lambda: len(world.workers(broker, "site")) == 3, 5, "all workers are back")
    again = world.report(world.conversations(broker.endpoint))
    _all_saw_their_own(again)
    assert again["statuses"] == {"OK": 5 * CLIENTS}


@EVERY_ROUND
def test_the_broker_killed_while_all_wait(world, round_number):
    """No client has a request open; the next one reports once that the conversation is lost."""
    broker = world.broker()
    world.sites(broker)
    conversations = world.conversations(broker.endpoint, "--hold", "3")
    conversations.wait_for("holding", 30)
    broker.kill()
    world.restart(broker)
    _release(conversations)
    report = world.report(conversations)
    _all_saw_their_own(report)
    assert set(report["statuses"]) <= OF_A_LOST_BROKER
    assert report["begun_anew"] == CLIENTS
    assert report["statuses"]["CONVERSATION_LOST"] == CLIENTS
