# SPDX-License-Identifier: MPL-2.0
"""Weights in the rules: clients that wait for one service share its worker in proportion."""

import collections
import time

from support.keys import Keys
from support.peer import CREDIT, REQUEST, head

CLIENTS = range(1, 11)
#: Requests of a client for each of its weight: none runs out of them.
EACH = 8


def rules(weight):
    """weight: gives the line of a client; may be none."""
    return 'principal = "worker"\n    serve = "shared"\n' + "".join(
        f'principal = "p{client}"\n    call = "shared"\n{weight(client)}' for client in CLIENTS)


def shares(world, weight, most):
    """How many requests of each client a worker gets, which takes one at a time, while all have some waiting."""
    keys = Keys(world)
    keys.rules(rules(weight))
    keys.authorize("worker")
    for client in CLIENTS:
        keys.authorize(f"p{client}")
    broker = world.broker(*keys.of_broker)
    worker = world.peer(broker, curve=keys.curve("worker"))
    worker.register(b"shared", window=0, heartbeat_ms=60000)
    for client in CLIENTS:
        peer = world.peer(broker, curve=keys.curve(f"p{client}"))
        peer.hello(heartbeat_ms=60000)
        for _ in range(EACH * 10):
            peer.request(b"shared", str(client).encode(), time_ms=60000)
        peer.call(b"riposte.ping")  # all have come
    started = starts(worker, most)
    return {client: started[str(client).encode()] for client in CLIENTS}


def starts(worker, most):
    """How many requests with each body a worker gets, which takes one at a time."""
    worker.send(head(CREDIT, value=1))
    started = collections.Counter()
    for count in range(most + 20):
        message = worker.expect(REQUEST)
        if count >= 20:  # until all have come, and what they take is known
            started[message.body] += 1
        time.sleep(0.003)
        worker.reply(message.id)
    return started


def test_clients_get_what_their_weights_say(world):
    started = shares(world, lambda client: f"    weight = {client}\n", 330)
    for client, count in started.items():
        assert 0.6 * client - 1 <= count / 6 <= 1.5 * client + 1, started
    assert sum(started[client] for client in (9, 10)) > 3 * sum(started[client] for client in (1, 2)), started


def test_without_weights_all_get_the_same(world):
    started = shares(world, lambda client: "", 100)
    assert max(started.values()) - min(started.values()) <= 2, started


def test_without_keys_the_names_of_clients_give_their_weights(world):
    rules_file = world.directory / "rules"
    rules_file.write_text('principal = "anonymous"\n    call = "shared"\n    serve = "shared"\n'
                          'client = "batch-*"\n    weight = 2\nclient = "web"\n    weight = 6\n')
    broker = world.broker("--rules", rules_file)
    worker = world.peer(broker)
    worker.register(b"shared", window=0, heartbeat_ms=60000)
    weights = {b"web": 6, b"batch-1": 2, b"batch-2": 2, b"other": 1}
    for name in weights:
        peer = world.peer(broker)
        peer.hello(name=name, heartbeat_ms=60000)
        for _ in range(100):
            peer.request(b"shared", name, time_ms=60000)
        peer.call(b"riposte.ping")  # all have come
    started = starts(worker, 110)
    for name, weight in weights.items():
        assert 0.6 * weight - 1 <= started[name] / 10 <= 1.5 * weight + 1, started
    assert started[b"web"] > 2 * started[b"batch-1"] > 2 * started[b"other"], started
