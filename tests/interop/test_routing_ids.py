# SPDX-License-Identifier: MPL-2.0
"""Two peers that chose the same routing id. libzmq never lets a ROUTER hear the second."""

import time

import pytest

import peers

from support.waiting import until

# Three heartbeat intervals of the broker's default.
SERVED_WITHIN = 7.5


def serve_until_replied(worker, client, within):
    """Serves as workers do: beats, answers, and says READY again when it is told to go, until the
    client has a reply. Returns its body, None if none came. One that came to life in the place of
    another may be given what was meant for that one, which the client is then not told of."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        word = worker.next(within=0.1)
        if word is None:
            worker.heartbeat()
        elif word.command == "DISCONNECT":
            worker.ready(b"svc")
        elif word.command == "REQUEST":
            worker.answer(word, *word.body)
        if reply := client.reply(within=0.1):
            return reply.body
    return None


def keep_asking(client, service, body, within):
    """Repeats a request, as clients do whose reply does not come. Returns whether one came."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        client.request(service, body)
        try:
            if client.reply(within=0.5):
                return True
        except AssertionError:
            pass
    return False


@pytest.mark.parametrize("Client", [peers.Mdp01DealerClient, peers.Mdp02Client, peers.PlainDealer])
def test_the_second_client_is_told_of_and_served_once_the_first_has_gone(stage, Client):
    broker = stage.broker("--plain", "svc=tcp://127.0.0.1:*,tcp://127.0.0.1:*")
    stage.builtin(broker, "echo", service="svc")
    endpoint = broker.endpoint
    if Client is peers.PlainDealer:
        endpoint = (stage.directory / "ports-1").read_text().split()[1]
    first = stage.own(Client(endpoint, routing_id=b"the same"))
    assert first.call(b"svc", b"one")
    before = broker.log()
    second = stage.own(Client(endpoint, routing_id=b"the same"))
    second.request(b"svc", b"two")
    until(lambda: "another connection had the same routing id" in broker.log()[len(before):], 10,
          "the log tells of it")
    assert first.call(b"svc", b"three")  # who was first is not disturbed
    first.close()
    assert keep_asking(second, b"svc", b"four", SERVED_WITHIN)


def test_a_worker_that_restarts_at_once_with_its_id_is_served_again(stage):
    broker = stage.broker()
    client = stage.own(peers.Mdp01DealerClient(broker.endpoint))
    for _ in range(40):
        worker = stage.own(peers.Mdp01Worker(broker.endpoint, routing_id=b"worker one"))
        worker.ready(b"svc")
        client.request(b"svc", b"job")
        assert serve_until_replied(worker, client, SERVED_WITHIN) == (b"job",)
        worker.close()


def test_a_peer_with_an_id_that_has_not_spoken_yet_is_left_alone(stage):
    broker = stage.broker()
    stage.builtin(broker, "echo", service="svc")
    other = stage.own(peers.Mdp01DealerClient(broker.endpoint, routing_id=b"another"))
    assert other.call(b"svc", b"one")
    silent = stage.own(peers.Mdp01DealerClient(broker.endpoint, routing_id=b"mine"))
    time.sleep(4)
    assert "routing id" not in broker.log()
    assert silent.call(b"svc", b"two")


def test_a_silent_peer_with_heartbeats_of_libzmq_is_left_alone(stage):
    broker = stage.broker()
    stage.builtin(broker, "echo", service="svc")
    other = stage.own(peers.Mdp01DealerClient(broker.endpoint, routing_id=b"one"))
    assert other.call(b"svc", b"one")
    silent = stage.own(peers.Mdp01DealerClient(broker.endpoint, heartbeat_ivl=300))
    time.sleep(8)
    assert "routing id" not in broker.log()
    assert silent.call(b"svc", b"two")
