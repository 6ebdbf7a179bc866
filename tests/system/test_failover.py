# SPDX-License-Identifier: MPL-2.0
"""Lists of endpoints, and a broker that goes and comes back."""

import json
import os
import shutil
import statistics
import subprocess

import pytest

from support import programs
from support.programs import PATIENCE
from support.waiting import until


def test_a_broker_is_ready_within_100_ms(world):
    broker = world.broker()
    times = [broker.ready_ms()]
    for _ in range(4):  # on a busy machine, most times
        broker.kill()
        broker = world.restart(broker)
        times.append(broker.ready_ms())
    assert statistics.median(times) < 100 * PATIENCE, times


def test_a_worker_serves_every_broker_of_its_list(world):
    one, two = world.broker(), world.broker()
    both = f"{one.endpoint},{two.endpoint}"
    worker = world.builtin(one, "echo", endpoint=both)
    world.wait_for_worker(two, worker, "echo")
    for broker in (one, two):
        assert world.cli(broker, "call", "echo", "hi").out == b"hi"
    one.kill()
    assert world.cli(two, "call", "echo", "still").out == b"still"
    again = world.restart(one)
    world.wait_for_worker(again, worker, "echo")
    assert world.cli(again, "call", "echo", "back").out == b"back"


def test_a_client_takes_the_next_broker_of_its_list(world):
    gone, here = world.broker(), world.broker()
    world.builtin(here, "echo")
    gone.kill()
    result = world.cli(f"{gone.endpoint},{here.endpoint}", "call", "echo", "found")
    assert (result.code, result.out) == (0, b"found")


def test_a_broker_that_says_nothing_does_not_make_the_list_useless(world):
    """A stopped broker: the kernel accepts connections for it, but nothing answers."""
    silent, good = world.broker(), world.broker()
    world.builtin(good, "echo")
    silent.freeze()
    try:
        both = f"{silent.endpoint},{good.endpoint}"
        assert world.cli(both, "ping").code == 0
        result = world.cli(both, "call", "echo", "found")
        assert (result.code, result.out) == (0, b"found")
    finally:
        silent.thaw()


def test_of_a_list_that_is_down_each_broker_is_named_with_its_cause(world):
    silent, gone = world.broker(), world.broker()
    gone.kill()
    silent.freeze()
    try:
        result = world.cli(f"{silent.endpoint},{gone.endpoint}", "ping", "--wait-broker", "1s")
        assert result.code == 3
        assert f"{silent.endpoint}: connected, but no WELCOME came" in result.error() \
            or f"{silent.endpoint}: no connection within" in result.error()
        assert f"{gone.endpoint}: nothing listens there" in result.error()
    finally:
        silent.thaw()


def test_a_running_client_moves_to_the_other_broker(world):
    one, two = world.broker(), world.broker()
    both = f"{one.endpoint},{two.endpoint}"
    worker = world.builtin(one, "echo", endpoint=both)
    world.wait_for_worker(two, worker, "echo")
    batch = world.start_cli(one, "call", "echo", "--server", both, "--lines", "-o", "jsonl",
                            "--timeout", "10s", stdin=subprocess.PIPE)

    def call(text):
        batch.popen.stdin.write(text + b"\n")
        batch.popen.stdin.flush()
        return json.loads(batch.popen.stdout.readline())

    assert call(b"first")["status"] == "OK"
    one.kill()
    until(lambda: call(b"again")["status"] == "OK", 10, "the other broker serves it")
    assert world.status(two)["finals"]["OK"] >= 1
    batch.popen.stdin.close()
    batch.popen.stdin = None
    assert world.finish(batch).code in (0, 8)


def test_a_draining_broker_hands_its_clients_over(world):
    one, two = world.broker(), world.broker()
    both = f"{one.endpoint},{two.endpoint}"
    worker = world.builtin(one, "echo", endpoint=both)
    world.wait_for_worker(two, worker, "echo")
    one.terminate()
    assert one.wait(3) == 0
    assert world.cli(both, "call", "echo", "moved").out == b"moved"


def test_with_attempts_a_request_survives_the_brokers_restart(world):
    broker = world.broker()
    gate = world.gate()
    worker = world.worker(broker, "held", *gate.command)
    call = world.start_cli(broker, "call", "held", "--attempts", "3", "--timeout", "30s", "-o",
                           "json")
    until(gate.starts, 5, "it has started")
    broker.kill()
    until(lambda: not worker.children(), 5, "nobody waits for it any more")
    gate.open()
    world.restart(broker)
    told = world.finish(call).json()
    assert told["status"] == "OK"
    assert len(gate.starts()) == 2


def test_workers_register_again_by_themselves(world):
    broker = world.broker()
    workers = [world.builtin(broker, "echo") for _ in range(3)]
    for _ in range(2):
        broker.kill()
        broker = world.restart(broker)
        result = world.cli(broker, "call", "echo", "at once")
        assert (result.code, result.out) == (0, b"at once"), "the grace waits for workers"
        for worker in workers:
            world.wait_for_worker(broker, worker, "echo")
        assert len(world.workers(broker)) == 3


def test_a_client_waits_for_a_broker_that_is_about_to_come(world):
    broker = world.broker()
    broker.kill()
    call = world.start_cli(broker, "ping", "--wait-broker", "20s")
    broker = world.restart(broker)
    assert world.finish(call).code == 0


def test_an_ipc_path_without_permission_is_told_as_such(world, tmp_path):
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can run a program as somebody else, with setpriv")
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    endpoint = f"ipc://{folder}/s"
    world.broker("--bind", endpoint)
    told = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", programs.CLI,
                           "-s", endpoint, "ping"], capture_output=True, timeout=20, check=False)
    assert told.returncode == 3
    assert b"not permitted" in told.stderr
    assert b"; ask for that right, or name another endpoint" in told.stderr


def test_a_broker_with_too_few_descriptors_says_so_and_what_to_do(world):
    told = subprocess.run(["sh", "-c", f"ulimit -n 10; exec {programs.BROKER} --bind tcp://127.0.0.1:0"],
                          capture_output=True, timeout=20, check=False)
    assert told.returncode == 1
    assert b"Too many open files; raise the limit: ulimit -n" in told.stderr


def test_a_worker_with_too_few_descriptors_says_so_and_what_to_do(world):
    told = subprocess.run(["sh", "-c", f"ulimit -n 6; exec {programs.WORKER} echo --builtin echo"],
                          capture_output=True, timeout=20, check=False)
    assert told.returncode > 0
    assert told.stderr.endswith(b"; raise the limit: ulimit -n\n"), told.stderr


def test_a_client_with_too_few_descriptors_says_so_and_what_to_do(world):
    for few in (8, 12, 16):
        told = subprocess.run(["sh", "-c", f"ulimit -n {few}; exec {programs.CLI} --wait-broker 200ms ping"],
                              capture_output=True, timeout=20, check=False)
        assert told.returncode > 0
        assert told.stderr.endswith(b"; raise the limit: ulimit -n\n"), told.stderr
