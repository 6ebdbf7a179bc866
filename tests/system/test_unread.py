# SPDX-License-Identifier: MPL-2.0
"""Pipes that nobody reads: text for people never holds a program up; an answer waits for its
reader, and SIGTERM still ends the program."""

import os
import pathlib
import subprocess
import time

import pytest

from support import programs
from support.programs import PATIENCE, SLOW
from support.waiting import until

SECOND = 1 * PATIENCE


@pytest.fixture
def unread():
    """The writing end of a full pipe that nobody reads."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 512)
    except BlockingIOError:
        pass
    os.set_blocking(writer, True)
    yield writer
    os.close(reader)
    os.close(writer)


@pytest.fixture
def start(world):
    """Starts a program with its own streams; a program that still runs at the end is killed."""
    started = []

    def start(*command, **streams):
        started.append(subprocess.Popen([str(word) for word in command], env=world.environment,
                                        stdin=subprocess.DEVNULL, **streams))
        return started[-1]
    yield start
    for one in started:
        one.kill()
        one.wait()


def stops_on_sigterm(process):
    process.terminate()
    try:
        return process.wait(SECOND)
    except subprocess.TimeoutExpired:
        raise AssertionError("it still runs a second after SIGTERM") from None


def test_a_broker_whose_stderr_nobody_reads_starts_serves_and_ends(world, start, unread):
    ports = world.directory / "ports"
    broker = start(programs.BROKER, "--bind", "tcp://127.0.0.1:*", "--ports-file", ports, "--log-level", "debug",
                   stderr=unread)
    until(lambda: ports.exists() and ports.read_text().endswith("\n"), 5, "it has bound its port")
    endpoint = ports.read_text().split()[0]
    worker = start(programs.WORKER, "-s", endpoint, "--builtin", "upper", "upper", stderr=subprocess.DEVNULL)
    assert world.cli(endpoint, "call", "upper", "hi", "--wait-worker", "5s").out == b"HI"
    assert stops_on_sigterm(worker) == 0
    assert stops_on_sigterm(broker) == 0


@pytest.mark.parametrize("tail", [("--builtin", "upper", "upper"), ("upper", "--", "tr", "a-z", "A-Z")],
                         ids=["builtin", "command"])
def test_a_worker_whose_stderr_nobody_reads_serves_and_ends(world, start, unread, tail):
    broker = world.broker()
    worker = start(programs.WORKER, "-s", broker.endpoint, "-v", *tail, stderr=unread)
    for _ in range(3):
        assert world.cli(broker, "call", "upper", "hi", "--wait-worker", "5s").out == b"HI"
    assert stops_on_sigterm(worker) == 0


@pytest.mark.parametrize("options", [(), ("-q",)], ids=["told", "quiet"])
@pytest.mark.parametrize("tail", [("--builtin", "upper", "riposte.mine"), ("riposte.mine", "--", "cat")],
                         ids=["builtin", "command"])
def test_a_worker_that_is_refused_ends_though_nobody_reads_why(world, start, unread, options, tail):
    broker = world.broker()
    worker = start(programs.WORKER, "-s", broker.endpoint, *options, *tail, stderr=unread)
    assert worker.wait(5 * PATIENCE) == 6


@pytest.mark.parametrize("code, command", [
    (0, ("call", "-v", "--count", "1000", "upper", "hi")), (4, ("call", "missing", "hi")), (2, ("call",)),
    (0, ("bench", "upper", "--count", "100", "--clients", "1"))], ids=["verbose", "error", "usage", "bench"])
def test_a_client_whose_stderr_nobody_reads_goes_on(world, start, unread, code, command):
    broker = world.broker()
    world.builtin(broker, "upper")
    client = start(programs.CLI, "-s", broker.endpoint, *command, stderr=unread, stdout=subprocess.DEVNULL)
    assert client.wait(20 * PATIENCE) == code


def is_held_up(process):
    """True while the program waits in a write to its standard output, by proc(5)."""
    return pathlib.Path(f"/proc/{process.pid}/syscall").read_text().split()[:2] == ["1", "0x1"]


ANSWERS = {
    "call": ("call", "--count", "1000000", "--parallel", "10", "echo", "x" * 5000),
    "large": ("call", "echo", "@body"),
    "lines": ("call", "-o", "jsonl", "--count", "1000000", "echo", "x" * 100),
    "table": ("call", "-o", "csv", "--count", "1000000", "echo", "x" * 100),
    "talk": ("talk", "echo", "script"),
    "ping": ("ping", "--count", "1000000"),
    "status": ("status",),
    "bench": ("bench", "echo", "--count", "100"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_nobody_reads_waits_and_sigterm_ends_the_client(world, start, unread, name):
    broker = world.broker(limits={"heartbeat_max": f"{300 * SLOW}ms"})
    world.builtin(broker, "echo")
    (world.directory / "body").write_bytes(b"x" * 1000000)
    (world.directory / "script").write_text("request\n" * 100000)
    client = start(programs.CLI, "-s", broker.endpoint, *ANSWERS[name], cwd=world.directory, stdout=unread,
                   stderr=subprocess.PIPE)
    until(lambda: is_held_up(client), 10, "it waits for its reader")
    if name in ("call", "lines", "talk", "ping"):
        time.sleep(3 * SLOW)  # ten heartbeats; three missed ones would end the session
        assert world.status(broker)["clients"] == 2, "it is held for alive, beside the one that asks"
    assert stops_on_sigterm(client) == 130
    assert client.stderr.read().count(b"\n") <= 1, "one line at most"
