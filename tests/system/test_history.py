# SPDX-License-Identifier: MPL-2.0
"""riposte-broker --history: how each request ended, for people and for the checker."""

import collections
import os
import resource
import signal
import subprocess
import sys

from support import programs
from support.programs import BRIEFLY, SOURCE
from support.waiting import until

#: Each 100 kB of history is a rotation; a longer load only adds more lines, which must be checked
#: too.
LOAD = "3s" if os.environ.get("RIPOSTE_LONG") else "1s"


def events(path, name):
    """Returns the history's records of a request, as events with their fields."""
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    lines = [(line[2], dict(pair.split("=", 1) for pair in line[3:])) for line in lines
             if line[-1] != "torn"]
    keys = {(fields["session"], fields["id"]) for event, fields in lines
            if event == "request" and fields["req"] == name}
    return [(event, fields) for event, fields in lines
            if (fields.get("session"), fields.get("id")) in keys]


def check(*paths):
    done = subprocess.run([sys.executable, SOURCE / "tests/history/check.py", *paths],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_history_tells_what_became_of_a_request(world):
    path = world.directory / "history"
    broker = world.broker("--history", path)
    gate = world.gate()
    world.worker(broker, "held", *gate.command)
    world.builtin(broker, "echo")
    assert world.cli(broker, "call", "--header", "request-id:one", "echo").code == 0
    world.cli(broker, "call", "--header", "request-id:two", "held", "--timeout", BRIEFLY)
    assert world.cli(broker, "call", "--header", "request-id:three", "nobody", "--timeout", "10s")
    gate.open()
    broker.terminate()
    assert broker.wait() == 0
    one = events(path, "one")
    assert [event for event, _ in one] == ["request", "accept", "dispatch", "answer", "final"]
    assert one[-1][1]["status"] == "OK" and one[-1][1]["attempts"] == "1"
    two = events(path, "two")
    assert two[-1][0] == "final" and two[-1][1]["status"] == "DEADLINE"
    three = events(path, "three")
    assert three[-1][1]["status"] == "NO_WORKER" and "dispatch" not in dict(three)
    assert path.read_text().splitlines()[-1].endswith("\tend")
    assert "all invariants hold" in check(path)


def test_redeliveries_are_in_the_history(world):
    path = world.directory / "history"
    broker = world.broker("--history", path)
    gate = world.gate()
    first = world.worker(broker, "held", *gate.command)
    call = world.start_cli(broker, "call", "--header", "request-id:one", "held", "--attempts", "2",
                           "--timeout", "30s")
    until(lambda: len(gate.starts()) == 1, 10, "the first worker has started it", first)
    world.worker(broker, "held", *gate.command)
    first.kill()
    until(lambda: len(gate.starts()) == 2, 10, "the second worker has it")
    gate.open()
    assert world.finish(call).out == b"delivery 2"
    told = events(path, "one")
    assert [fields["attempt"] for event, fields in told if event == "dispatch"] == ["1", "2"]
    assert "redeliveries" in check(path)


def test_a_broker_that_was_killed_leaves_its_history_and_the_next_one_goes_on(world):
    path = world.directory / "history"
    broker = world.broker("--history", path)
    world.builtin(broker, "echo")
    assert world.cli(broker, "call", "--header", "request-id:one", "echo").code == 0
    broker.kill()
    assert events(path, "one")[-1][0] == "final", "it is written before the client is told"
    with open(path, "ab") as file:
        file.write(b"1234\tbroker:00")  # a broken line, as if the broker had died while it wrote it
    again = world.restart(broker, "--history", path)
    until(lambda: world.cli(again, "call", "--header", "request-id:two", "echo").code == 0, 10,
          "the worker is back")
    again.terminate()
    assert again.wait() == 0
    said = check(path)
    assert "1 torn; 2 brokers, 1 of them killed" in said


def test_a_full_disk_ends_the_history_and_not_the_broker(world):
    broker = world.broker("--history", "/dev/full")
    world.builtin(broker, "echo")
    for _ in range(3):
        assert world.cli(broker, "call", "echo", "hi").out == b"hi"
    broker.wait_for("cannot write the history: No space left on device")
    assert broker.log().count("cannot write") == 1


def test_a_limit_of_file_sizes_ends_the_history_and_not_the_broker(world):
    broker = world.broker("--history", world.directory / "history")
    world.builtin(broker, "echo")
    resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (2048, 2048))
    for _ in range(10):
        assert world.cli(broker, "call", "echo", "hi").out == b"hi"
    broker.wait_for("cannot write the history: File too large")
    assert broker.log().count("cannot write") == 1


def rotate(broker, path, number):
    """Renames the file as logrotate does, and returns its new path."""
    moved = path.with_name(f"{path.name}.{number}")
    path.rename(moved)
    broker.signal(signal.SIGHUP)
    until(path.exists, 5, "the history has a new file", broker)
    return moved


def test_a_rotation_under_load_neither_loses_a_line_nor_writes_it_twice(world):
    path = world.directory / "history"
    broker = world.broker("--history", path)
    world.builtin(broker, "echo", "--slots", "64")
    load = world.start_cli(broker, "bench", "echo", "--clients", "4", "--inflight", "16",
                           "--rate", "4000", "--duration", LOAD, "--warmup", "0s", "-o", "json")
    files = []
    while until(lambda: path.stat().st_size > 100000 or not load.alive(), 5, "it is written to") and load.alive():
        files.append(rotate(broker, path, len(files)))
    report = world.finish(load).json()
    broker.terminate()
    assert broker.wait() == 0
    files.append(path)
    assert len(files) > 5, "there was load in each of several files"
    assert all(file.read_bytes().endswith(b"\n") for file in files), "no line is cut in two"
    lines = [line.split("\t") for file in files for line in file.read_text().splitlines()]
    told = collections.Counter((line[2], *line[3:5]) for line in lines
                               if line[2] in ("request", "accept", "dispatch", "answer", "final"))
    assert set(told.values()) == {1}, "each thing happened once"
    finals = sum(line[2] == "final" for line in lines)
    assert report["failed"] == {} and finals >= report["requests"] > 1000
    said = check(*files)
    assert "0 torn; 1 brokers" in said and "all invariants hold" in said


def test_a_history_that_cannot_be_opened_anew_goes_on_in_the_old_file(world):
    path = world.directory / "history"
    broker = world.broker("--history", path)
    world.builtin(broker, "echo")
    moved = world.directory / "moved"
    path.rename(moved)
    path.mkdir()
    broker.signal(signal.SIGHUP)
    broker.wait_for("the history goes on in the file that was open")
    assert world.cli(broker, "call", "--header", "request-id:one", "echo").code == 0
    assert events(moved, "one")[-1][0] == "final"
    path.rmdir()
    broker.signal(signal.SIGHUP)
    until(path.exists, 5, "it is there again", broker)
    assert world.cli(broker, "call", "--header", "request-id:two", "echo").code == 0
    assert events(path, "two")[-1][0] == "final"
    broker.terminate()
    assert broker.wait() == 0
    assert "all invariants hold" in check(moved, path)


def test_a_history_that_had_ended_begins_again_and_says_that_lines_are_missing(world):
    path = world.directory / "history"
    broker = world.broker("--history", path)
    world.builtin(broker, "echo")
    resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (2048, resource.RLIM_INFINITY))
    until(lambda: world.cli(broker, "call", "echo").code == 0 and "cannot write" in broker.log(), 10,
          "the history has ended")
    resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    broker.signal(signal.SIGHUP)
    broker.wait_for("what happened since it ended is missing")
    assert world.cli(broker, "call", "--header", "request-id:one", "echo").code == 0
    assert [event for event, _ in events(path, "one")] == [
        "request", "accept", "dispatch", "answer", "final"]
    done = subprocess.run([sys.executable, SOURCE / "tests/history/check.py", path],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "are missing" in done.stderr, done


def test_a_history_that_cannot_be_opened_is_said_at_the_start(world):
    result = world.run(programs.BROKER, "--history", world.directory / "no" / "where")
    assert result.code == 1
    assert "give --history another place" in result.error()
