# SPDX-License-Identifier: MPL-2.0
"""Peers with keys that are not authorized try again and again, while keys are reloaded: none gets
in, the broker's memory does not grow, and peers with a good key are served."""

import multiprocessing
import os
import signal
import statistics
import time

import zmq

from load import LONG, costs_little
from support.keys import Keys
from support.waiting import until
from support.world import World

RULES = """\
principal = "good"
    call = "echo"
    serve = "echo"
    observe = 1
    admin = 1
"""
#: How many handshakes with unknown keys.
HANDSHAKES = 1_000_000 if LONG else 2_500
MIB = 1 << 20


def _knock(endpoint, server, pause, count, polite):
    """Opens count sockets, each with a key of its own; then as many new ones, because libzmq does not
    connect again after a refusal."""
    if polite:
        os.nice(19)  # the others must not have to wait for this process's own arithmetic
    context = zmq.Context()
    while True:
        sockets = []
        try:
            for _ in range(count):
                one = context.socket(zmq.DEALER)
                sockets.append(one)
                one.curve_publickey, one.curve_secretkey = zmq.curve_keypair()
                one.curve_serverkey = server
                one.linger = 0
                one.connect(endpoint)
                one.send(b"let me in")
        except zmq.ZMQError:  # its descriptors are used up: those of closed sockets come back
            pass
        time.sleep(pause)
        for one in sockets:
            one.close()


class Knockers:
    def __init__(self, broker, keys, pause, count, polite=False):
        server = keys.curve("good")[2]
        self._process = multiprocessing.get_context("spawn").Process(
            target=_knock, args=(broker.endpoint, server, pause, count, polite), daemon=True)

    def __enter__(self):
        self._process.start()
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.join()


def _stage(world):
    keys = Keys(world)
    keys.rules(RULES)
    keys.authorize("good")
    world.environment.update(keys.environment("good"))
    broker = world.broker("--io-threads", "2", *keys.of_broker)
    world.builtin(broker, "echo", "--slots", "4")
    return keys, broker


def _refused(world, broker):
    return world.status(broker)["handshakes"]["refused"]


def _p99(world, broker):
    result = world.cli(broker, "bench", "echo", "--clients", "2", "--rate", "500", "--duration", "1s", "-o",
                       "json", within=20)
    assert result.code == 0 and not result.json()["failed"], result
    return result.json()["latency_us"]["p99"]


def test_no_unknown_key_gets_in_whatever_happens_meanwhile(world):
    keys, broker = _stage(world)
    before = world.status(broker)
    with Knockers(broker, keys, pause=0.1, count=100):
        begin, memory = time.monotonic(), None
        while (count := _refused(world, broker)) < HANDSHAKES:
            assert time.monotonic() - begin < HANDSHAKES / 50 + 60, f"{count} of {HANDSHAKES} handshakes"
            broker.signal(signal.SIGHUP)
            assert world.cli(broker, "call", "echo", "hi").out == b"hi"
            if count > HANDSHAKES / 2 and memory is None:
                memory = broker.resident_bytes()  # what the most connections at once take has been taken by then
        more = broker.resident_bytes() - memory
        rate = count / (time.monotonic() - begin)
        after = world.status(broker)
        broker.signal(signal.SIGTERM)
        until(lambda: not broker.alive(), 10, "it ends while they knock")
    print(f"{count} handshakes refused, {rate:.0f} a second; {more / MIB:.1f} MiB more")
    assert more < 16 * MIB
    accepted = after["handshakes"]["accepted"] - before["handshakes"]["accepted"]
    sessions = after["counters"]["clients_joined"] - before["counters"]["clients_joined"]
    assert accepted == sessions, "only those with a key"
    assert after["counters"]["unknown_peers"] == 0
    assert broker.log().count("\n") < 500, "the log has a bounded rate"


def test_unknown_keys_that_keep_knocking_cost_others_little(world, tmp_path_factory):
    """Some 100 handshakes a second. What they take of the machine is not the broker's: so the p99 of others is at
    most 1.2 times what it is while as many knock at another broker."""
    keys, broker = _stage(world)
    elsewhere = World(tmp_path_factory.mktemp("elsewhere"))
    other_keys, other = _stage(elsewhere)

    def turn(target, target_keys):
        with Knockers(target, target_keys, pause=0.05, count=5, polite=True):
            until(lambda: target.log().count("its key is not authorized") > 0, 10, "they knock")
            return _p99(world, broker)

    little, there, here = costs_little(lambda: turn(other, other_keys), lambda: turn(broker, keys), 30 if LONG else 3)
    troubles = elsewhere.end()
    print(f"p99 while they knock at another broker {statistics.median(there)} µs, at this one "
          f"{statistics.median(here)} µs: {statistics.median(here) / statistics.median(there):.2f} times")
    assert little
    assert not troubles, troubles
