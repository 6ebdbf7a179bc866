# SPDX-License-Identifier: MPL-2.0
"""riposte top: on a terminal, and as tables."""

import csv
import datetime
import fcntl
import io
import json
import os
import re
import signal
import struct
import subprocess
import termios
import threading

import pytest

from support.programs import PATIENCE, SLOW
from support.terminal import open_terminal
from support.waiting import until

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"


class Screen:
    """A terminal with riposte top on it."""

    def __init__(self, world, broker, *words, width=120, height=20, own_session=False,
                 **environment):
        self._terminal, other = open_terminal()
        self.before = termios.tcgetattr(other)
        self._other = other
        self.resize(width, height)
        self.written = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        environment = {**world.environment, "TERM": "xterm", **environment}
        # Ctrl-C is a signal only to processes whose terminal it is.
        prefix = ["setsid", "--ctty"] if own_session else []
        # A group of its own, in the session of its parent: other groups cannot be stopped.
        self.popen = subprocess.Popen(
            prefix + [str(word) for word in world.cli_command(broker, "top", *words)], stdin=other, stdout=other,
            stderr=subprocess.PIPE, env=environment, cwd=world.directory,
            process_group=None if own_session else 0)
        world._others.append(self)

    def _read(self):
        while True:
            try:
                data = os.read(self._terminal, 65536)
            except OSError:
                return
            if not data:
                return
            self.written += data

    def resize(self, width, height):
        fcntl.ioctl(self._other, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def lines(self):
        """The last whole picture."""
        pictures = self.written.split(b"\x1b[H")[1:]
        whole = [picture for picture in pictures if b"\x1b[J" in picture]
        if not whole:
            return []
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", whole[-1].split(b"\x1b[J")[0].decode())
        return text.split("\r\n")

    def row(self, name):
        """The words of the row of this service; [] if there is none."""
        for line in self.lines()[2:]:
            words = line.lstrip("> ").split()
            if words and words[0] == name:
                return words
        return []

    def see(self, text, within=5):
        until(lambda: any(text in line for line in self.lines()), within, f"the picture has {text!r}")

    def press(self, keys):
        os.write(self._terminal, keys)

    def attributes(self):
        return termios.tcgetattr(self._other)

    def is_taken(self):
        return not self.attributes()[3] & termios.ICANON

    def wait(self, within=5):
        return self.popen.wait(within * PATIENCE)

    def assert_restored(self):
        until(lambda: self.written.endswith(LEAVE), 5, "the screen of before is back")
        assert self.attributes() == self.before

    def close(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        self.popen.stderr.close()
        os.close(self._other)
        self._reader.join(1)
        os.close(self._terminal)


@pytest.fixture(name="broker")
def busy_broker(world):
    """upper and lower have nothing to do; one request runs at slow, and two wait."""
    broker = world.broker()
    gate = world.gate()
    world.builtin(broker, "upper")
    world.builtin(broker, "echo", service="a\u202eb")
    world.worker(broker, "slow", *gate.command)
    broker.gate = gate
    broker.calls = [world.start_cli(broker, "call", "slow", "x", "--timeout", "60s")]
    world.wait_for_running(broker, 1, "slow")
    broker.calls += [world.start_cli(broker, "call", "slow", "x", "--timeout", "60s") for _ in range(2)]
    world.wait_for_waiting(broker, 2)
    return broker


@pytest.fixture(name="screen")
def screen_of(world, broker):
    screen = Screen(world, broker, "--interval", "100ms")
    screen.see("slow")
    return screen


# ---- On a terminal --------------------------------------------------------------------------------


def test_the_worst_service_is_first_and_follows_the_broker(world, broker, screen):
    until(lambda: screen.lines()[3].startswith("> slow"), 5, "slow, whose queue is old, is first")
    until(lambda: screen.row("slow")[1:3] == ["0", "2"] and "1/1" in screen.row("slow"), 5, "with its numbers")
    broker.gate.open()
    until(lambda: screen.row("slow")[2] == "0", 10, "its queue is empty")
    assert all(world.finish(call).code == 0 for call in broker.calls)


def test_names_of_services_cannot_control_the_terminal(screen):
    screen.see("a\\xe2\\x80\\xaeb")
    assert "\u202e".encode() not in screen.written


@pytest.mark.parametrize("keys", [b"q", b"\x03"])
def test_leaving_gives_the_terminal_back(world, broker, keys):
    screen = Screen(world, broker, "--interval", "100ms", own_session=True)
    screen.see("slow")
    assert screen.is_taken()
    screen.press(keys)
    assert screen.wait() == (0 if keys == b"q" else 130)
    screen.assert_restored()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT, signal.SIGSEGV])
def test_a_signal_gives_the_terminal_back(screen, number):
    screen.popen.send_signal(number)
    assert screen.wait() in (130, -number)
    screen.assert_restored()


def test_a_stop_gives_the_terminal_back_until_it_goes_on(screen):
    screen.popen.send_signal(signal.SIGTSTP)
    until(lambda: os.waitid(os.P_PID, screen.popen.pid, os.WSTOPPED | os.WNOHANG), 5, "it is stopped")
    screen.assert_restored()
    screen.popen.send_signal(signal.SIGCONT)
    until(screen.is_taken, 5, "it has the terminal again")
    screen.written = b""
    screen.see("slow")
    screen.press(b"q")
    assert screen.wait() == 0
    screen.assert_restored()


def test_a_terminal_that_changes_its_size_is_filled(screen):
    assert len(screen.lines()) == 20
    screen.resize(60, 10)
    screen.popen.send_signal(signal.SIGWINCH)
    until(lambda: len(screen.lines()) == 10, 5, "the picture has the new height")
    assert all(len(line) <= 60 for line in screen.lines())


def test_keys_sort_reverse_freeze_and_help(broker, screen):
    screen.see("s sort (worst)")
    screen.press(b"s")
    screen.see("s sort (service)")
    until(lambda: [line[2:6] for line in screen.lines()[3:6]] == ["a\\xe", "slow", "uppe"], 5, "by name")
    screen.press(b"r")
    until(lambda: [line[2:6] for line in screen.lines()[3:6]] == ["uppe", "slow", "a\\xe"], 5, "and back")
    screen.press(b" ")
    screen.see("FROZEN")
    broker.gate.open()
    screen.press(b"?")
    screen.see("sort by the next column")
    screen.press(b"x")
    until(lambda: screen.row("slow"), 5, "the services are back")
    assert screen.row("slow")[2] == "2", "what was frozen stays"
    screen.press(b" ")
    until(lambda: screen.row("slow")[2] == "0", 10, "it goes on")


def test_enter_opens_a_service_and_shows_its_workers(world, broker, screen):
    worker = world.workers(broker, "slow")[0]["name"]
    until(lambda: screen.lines()[3].startswith("> slow"), 5, "slow is first")
    screen.press(b"\r")
    screen.see(worker[:20])
    assert not any("upper" in line for line in screen.lines())
    screen.press(b"\x1b[D")
    screen.see("upper")
    screen.press(b"\x1b[B\x1bOB")
    until(lambda: screen.lines()[5].startswith("> "), 5, "the third one is selected")


def test_a_broker_that_goes_away_is_said_and_tried_again(world):
    broker = world.broker()
    worker = world.builtin(broker, "upper")
    screen = Screen(world, broker, "--interval", "100ms", "--timeout", "1s")
    screen.see("upper")
    worker.terminate()
    broker.terminate()
    broker.wait()
    until(lambda: screen.lines()[0].startswith("trying again: no "), 10, "the top line says it")
    assert screen.row("upper"), "what was last known stays"
    screen.press(b"?")
    screen.see("any key: back")
    screen.press(b"?")
    world.restart(broker)
    until(lambda: "riposte-broker" in screen.lines()[0], 15, "it is asked again")
    screen.see("no services")


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color_is_obeyed(world, broker, no_color):
    screen = Screen(world, broker, "--interval", "100ms", NO_COLOR=no_color)
    screen.see("slow")
    assert (b"\x1b[1m" in screen.written) == (no_color == "")


# ---- Without one ----------------------------------------------------------------------------------


def test_tables_come_one_per_interval(world, broker):
    result = world.cli(broker, "top", "--interval", "100ms", "--count", "2")
    assert (result.code, result.err) == (0, b"")
    tables = result.out.decode().strip().split("\n\n")
    assert len(tables) == 2
    for table in tables:
        lines = table.splitlines()
        assert lines[1].split()[:3] == ["SERVICE", "REQ/S", "WAITING"]
        assert lines[2].split()[:3] == ["slow", "0", "2"], "the worst first"


def test_the_same_as_json_lines_and_csv(world, broker):
    def top(output):
        return world.cli(broker, "top", "--interval", "100ms", "--count", "2", "-o", output)
    rounds = [json.loads(line) for line in top("jsonl").out.splitlines()]
    assert len(rounds) == 2
    assert rounds[0]["services"][0]["name"] == "slow" and rounds[0]["services"][0]["waiting"] == 2
    assert [len(one["services"]) for one in top("json").json()] == [3, 3]
    rows = list(csv.DictReader(io.StringIO(top("csv").out.decode())))
    assert len(rows) == 6 and rows[0]["name"] == "slow" and float(rows[0]["requests_per_second"]) == 0


def _rate(top):
    """Returns when the next line was written, and the rate of its only service."""
    line = json.loads(top.popen.stdout.readline())
    return (datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")),
            line["services"][0]["requests_per_second"])


def test_rates_are_those_of_the_interval(world):
    broker = world.broker()
    world.builtin(broker, "upper")
    top = world.start_cli(broker, "top", "--interval", "500ms", "-o", "jsonl")
    last, rate = _rate(top)
    assert rate == 0
    assert world.cli(broker, "call", "upper", "x", "--count", "100", "--parallel", "10").code == 0
    counted = 0
    for _ in range(20):
        at, rate = _rate(top)
        counted += rate * (at - last).total_seconds()  # an interval is not exactly half a second
        last = at
        if counted > 80:
            break
    assert 80 < counted < 125
    top.signal(signal.SIGINT)
    assert world.finish(top).code == 130


def test_a_broker_that_does_not_answer_is_a_line_for_each_table(world):
    broker = world.broker()
    top = world.start_cli(broker, "top", "--interval", f"{500 * SLOW}ms", "--timeout", f"{SLOW}s",
                          "--count", "4")
    assert b"Z\n" in top.popen.stdout.readline()
    broker.kill()
    result = world.finish(top, within=60)
    assert result.code == 3 and b"no broker" in result.err


def test_no_broker_at_the_start_is_an_error(world):
    result = world.cli("tcp://127.0.0.1:1", "top", "--wait-broker", "50ms")
    assert result.code == 3
    assert "no broker at" in result.error()
