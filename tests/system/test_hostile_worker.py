# SPDX-License-Identifier: MPL-2.0
"""A worker that has a key and may serve one service, and that does what it must not do: none of it
reaches a client, and all of it is counted."""

import secrets

import pytest

from support.keys import Keys
from support.peer import BYE, HELLO, REPLY, REQUEST, WORKER, head
from support.waiting import until

RULES = """\
principal = "mallory"
    serve = "hers"
principal = "good"
    serve = "svc"
    call = "svc"
    call = "hers"
    observe = 1
"""
FLOOD = 20_000


@pytest.fixture
def stage(world):
    keys = Keys(world)
    keys.rules(RULES)
    keys.authorize("mallory")
    keys.authorize("good")
    world.environment.update(keys.environment("good"))
    broker = world.broker(*keys.of_broker)
    world.builtin(broker, "echo", service="svc")
    return world, broker, keys


def _mallory(world, broker, keys, service=b"hers", window=1):
    peer = world.peer(broker, curve=keys.curve("mallory"))
    peer.register(service, window=window)
    return peer


def _late(world, broker):
    return world.status(broker)["counters"]["late_replies"]


def test_it_may_not_offer_the_service_of_another(stage):
    world, broker, keys = stage
    peer = world.peer(broker, curve=keys.curve("mallory"))
    peer.send(head(HELLO, name=b"svc", key=b"mallory", flags=WORKER, value=1, time=1000))
    bye = peer.expect(BYE)
    assert bye.status_name() == "DENIED"
    assert bye.text == b'"mallory" may not serve "svc"; ask for: serve svc'


def test_guessed_tokens_answer_nobody(stage):
    world, broker, keys = stage
    asking = world.peer(broker, curve=keys.curve("good"))
    asking.hello()
    mallory = _mallory(world, broker, keys, window=4)
    worker = world.peer(broker, curve=keys.curve("good"))
    worker.register(b"svc", window=4)
    # A request that the worker itself holds; the guesses are neighbours of its token.
    asking.send(head(REQUEST, name=b"hers", id=1, time=20000, attempts=1, flags=1) + b"mine")
    held = mallory.expect(REQUEST)
    before = _late(world, broker)
    guesses = [held.id ^ bit for bit in (1 << shift for shift in range(64))] + \
        [secrets.randbits(64) or 1 for _ in range(200)]
    for guess in guesses:
        mallory.send(head(REPLY, id=guess, flags=1) + b"forged")
    until(lambda: _late(world, broker) >= before + len(guesses), 5, "all are counted as late replies")
    assert asking.receive(within=0.2) is None, "a forged reply reached a client"
    mallory.send(head(REPLY, id=held.id, flags=1) + b"right")
    assert asking.expect(REPLY).body == b"right"


def test_a_second_reply_to_the_same_delivery_reaches_nobody(stage):
    world, broker, keys = stage
    asking = world.peer(broker, curve=keys.curve("good"))
    asking.hello()
    mallory = _mallory(world, broker, keys)
    asking.send(head(REQUEST, name=b"hers", id=1, time=20000, attempts=1, flags=1) + b"x")
    held = mallory.expect(REQUEST)
    before = _late(world, broker)
    for _ in range(50):
        mallory.send(head(REPLY, id=held.id, flags=1) + b"once")
    assert asking.expect(REPLY).body == b"once"
    until(lambda: _late(world, broker) == before + 49, 5, "the others are counted")
    assert asking.receive(within=0.2) is None


def test_a_flood_of_replies_disturbs_nobody_and_is_counted(stage):
    world, broker, keys = stage
    mallory = _mallory(world, broker, keys)
    before = _late(world, broker)
    for number in range(1, FLOOD + 1):
        mallory.send(head(REPLY, id=number << 20, flags=1) + b"flood")
    result = world.cli(broker, "call", "svc", "still here")
    assert (result.code, result.out) == (0, b"still here"), result
    until(lambda: _late(world, broker) == before + FLOOD, 20, "each is counted")
