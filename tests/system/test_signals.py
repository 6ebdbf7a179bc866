# SPDX-License-Identifier: MPL-2.0
"""Signals that are not meant to end a program end neither it nor its requests."""

import signal

import pytest

from support import programs
from support.programs import SLOW
from support.waiting import until

#: Signals that users, timers and limits send; the default action of each ends the process.
STRAYS = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF,
          signal.SIGPOLL, signal.SIGPWR, signal.SIGSTKFLT, signal.SIGPIPE, signal.SIGXFSZ,
          signal.SIGRTMIN, signal.SIGRTMAX]
#: glibc's own signals, which posix_spawn leaves ignored.
LIBC = {32, 33}


@pytest.fixture(autouse=True)
def without_nohup():
    """The tests themselves decide which process ignores SIGHUP, even when nohup runs them."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def is_ignored(pid, number):
    """True if the process ignores the signal, by proc(5)."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        mask = next(line.split()[1] for line in file if line.startswith("SigIgn:"))
    return bool(int(mask, 16) >> number - 1 & 1)


def hold_a_request(world, broker, prefix=()):
    """Returns a worker that has a request, the call that waits for it, and the gate that lets it go
    on."""
    gate = world.gate()
    worker = world.start("worker", *prefix, programs.WORKER, "-s", broker.endpoint, "held", "--",
                         *gate.command)
    world.wait_for_worker(broker, worker, "held")
    call = world.start_cli(broker, "call", "held", "--timeout", "60s")
    until(gate.starts, 5, "it has started")
    return worker, call, gate


def test_a_stray_signal_ends_neither_the_broker_nor_a_worker(world):
    broker = world.broker()
    worker, call, gate = hold_a_request(world, broker)
    for number in STRAYS:
        broker.signal(number)
        worker.signal(number)
        assert world.cli(broker, "ping").code == 0, number
    gate.open()
    assert world.finish(call).out == b"delivery 1"
    assert broker.alive() and worker.alive()
    for one in (worker, broker):
        one.terminate()
        assert one.wait() == 0


def test_sighup_at_the_broker_is_logged_and_ends_nothing(world):
    broker = world.broker()
    _, call, gate = hold_a_request(world, broker)
    for count in (1, 2):
        broker.signal(signal.SIGHUP)
        until(lambda: broker.log().count("SIGHUP") == count, 5, "it says so", broker)
    gate.open()
    assert world.finish(call).out == b"delivery 1"
    assert "drain" not in broker.log()


def test_a_drain_after_sighup_is_still_the_first_signal(world):
    broker = world.broker()
    _, call, gate = hold_a_request(world, broker)
    broker.signal(signal.SIGHUP)
    broker.wait_for("SIGHUP")
    broker.terminate()
    broker.wait_for("drain")
    broker.signal(signal.SIGHUP)
    gate.open()
    assert world.finish(call).out == b"delivery 1", "a SIGHUP in a drain does not end it"
    assert broker.wait() == 0


def test_nohup_is_heeded_by_broker_and_worker(world):
    broker = world.broker(prefix=("nohup",))
    worker, call, gate = hold_a_request(world, broker, prefix=("nohup",))
    for one in (broker, worker):
        assert is_ignored(one.pid, signal.SIGHUP)
        one.signal(signal.SIGHUP)
    assert world.cli(broker, "ping").code == 0
    gate.open()
    assert world.finish(call).out == b"delivery 1"
    again = world.cli(broker, "call", "held", "--timeout", "10s")
    assert again.out == b"delivery 1", "the worker still takes requests"
    for one, word in ((broker, "SIGHUP"), (worker, "drain")):
        assert word not in one.log()


def test_what_a_worker_runs_under_nohup_ignores_sighup_too(world):
    broker = world.broker()
    ignored = ("sh", "-c", "grep SigIgn /proc/self/status | cut -f 2")
    world.worker(broker, "plain", *ignored)
    hardy = world.start("worker", "nohup", programs.WORKER, "-s", broker.endpoint, "hardy", "--",
                        *ignored)
    world.wait_for_worker(broker, hardy, "hardy")

    def ignores(service):
        mask = int(world.cli(broker, "call", service).out, 16)
        return {number for number in range(1, signal.SIGRTMAX + 1) if mask >> number - 1 & 1} - LIBC

    assert ignores("plain") == set(), "as a shell would start it"
    assert ignores("hardy") == {signal.SIGHUP}


@pytest.mark.parametrize("options", [("--builtin", "sleep"), ()], ids=["builtin", "command"])
def test_sighup_drains_a_worker(world, options):
    broker = world.broker()
    gate = world.gate()
    worker = world.worker(broker, "work", *() if options else gate.command, options=options)
    call = world.start_cli(broker, "call", "work", f"{2 * SLOW}s", "--timeout", "30s")
    world.wait_for_running(broker, 1)
    worker.signal(signal.SIGHUP)
    worker.wait_for("drain")
    gate.open()
    assert world.finish(call).code == 0
    assert worker.wait() == 0
