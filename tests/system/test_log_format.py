# SPDX-License-Identifier: MPL-2.0
"""--log-format: lines that programs read, each with the documented keys."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from support.keys import Keys
from support.waiting import until

RULES = """\
principal = "worker"
    serve = "echo"
principal = "ada"
    call = "other"
"""
HOSTILE = 'quo"te \\ back\u202espace= \u2028x'
DOCUMENT = os.path.join(os.path.dirname(__file__), "../../docs/OPERATIONS.md")


def _documented():
    """Key of logfmt and JSON: field of the journal."""
    with open(DOCUMENT, encoding="utf-8") as file:
        table = file.read().split("| Key | journald |")[1].split("\n\n")[0]
    return dict(re.findall(r"\| `(\w+)` \| (?:`(\w+)`|none) \|", table))


def _lines(broker):
    return [json.loads(line) for line in broker.lines()]


def _logfmt(line):
    """Pairs of one line; fails if there is anything else."""
    pairs = re.findall(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^" =\\]+)(?: |$)', line)
    assert " ".join(f"{key}={value}" for key, value in pairs) == line
    return {key: json.loads(value) if value[0] == '"' else value for key, value in pairs}


@pytest.fixture(name="hall")
def _hall(world):
    """A world whose broker knows worker and ada."""
    keys = Keys(world)
    keys.rules(RULES)
    for name in ("worker", "ada"):
        keys.authorize(name)
    world.environment.update(keys.environment("worker"))
    world.keys = keys
    return world


def _go_through_everything(world, broker):
    """Draws lines with every key."""
    worker = world.worker(broker, "echo", "cat", ready=False)
    until(lambda: "joined" in broker.log(), 5, "the worker has joined", broker)
    call = world.cli(broker, "call", "echo", "x", "--header", f"request-id:{HOSTILE}",
                     environment={**world.environment, **world.keys.environment("ada")})
    assert call.code == 6, call
    until(lambda: "denied" in broker.log(), 5, "the denial is in the log", broker)
    worker.terminate()
    until(lambda: "left" in broker.log(), 5, "the worker has left", broker)

    def err():
        with world.peer(broker, curve=world.keys.curve("ada")) as peer:
            peer.send(b"no message of a protocol")
            return "more" in broker.log()
    until(err, 20, "a line says how many were held back", broker)


def test_every_line_is_json_with_documented_keys(hall):
    broker = hall.broker(*hall.keys.of_broker, "--log-format", "json", "--log-level", "debug")
    _go_through_everything(hall, broker)
    lines = _lines(broker)
    assert all({"time", "level", "topic", "message"} <= set(line) for line in lines)
    assert set().union(*lines) == set(_documented())
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)
    joined = next(line for line in lines if "joined" in line["message"] and line["topic"] == "worker")
    assert joined["service"] == "echo" and joined["principal"] == "worker"
    assert re.fullmatch(r"127\.0\.0\.1:\d+", joined["peer"]) and joined["level"] == "info"
    left = next(line for line in lines if " left: " in line["message"] and line["topic"] == "worker")
    assert left["service"] == "echo" and left["principal"] == "worker", "of the last worker too"
    denied = next(line for line in lines if line["topic"] == "denied")
    assert denied["service"] == "echo" and denied["principal"] == "ada"
    assert denied["request_id"] == 'quo"te \\\\ back\\xe2\\x80\\xaespace= \\xe2\\x80\\xa8x'
    assert any("security on" in line["message"] for line in lines), "what people are told at the start too"


def test_every_line_is_logfmt_with_documented_keys(hall):
    broker = hall.broker(*hall.keys.of_broker, "--log-format", "logfmt")
    _go_through_everything(hall, broker)
    lines = [_logfmt(line) for line in broker.lines()]
    assert all({"time", "level", "topic", "message"} <= set(line) for line in lines)
    assert set().union(*lines) == set(_documented())
    denied = next(line for line in lines if line["topic"] == "denied")
    assert denied["request_id"] == 'quo"te \\\\ back\\xe2\\x80\\xaespace= \\xe2\\x80\\xa8x'


def test_a_warning_at_the_start_is_a_line_with_its_level(world):
    broker = world.broker("--insecure", "--bind", "tcp://0.0.0.0:*", "--log-format", "json")
    warnings = [line["message"] for line in _lines(broker) if line["level"] == "warning"]
    assert any(text.startswith("security off") for text in warnings), warnings


def test_text_is_the_default_outside_the_journal(world):
    broker = world.broker()
    world.builtin(broker, "echo")
    line = next(line for line in broker.lines() if "joined" in line)
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info 127\.0\.0\.1:\d+: worker \S+ joined "echo" '
                        r"with a window of \d+", line), line


def test_a_reload_changes_the_format(world):
    file = world.directory / "settings"
    file.write_text("log\n    format = text\n")
    broker = world.broker("--config", file)
    file.write_text("log\n    format = json\n")
    broker.signal(signal.SIGHUP)
    broker.wait_for('"message":"SIGHUP: reloaded settings"')


class Journal:
    """A journal's socket, and the command that makes it the broker's and stderr its stream."""

    def __init__(self, directory):
        path = directory / "journal"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(10)
        self.prefix = ("unshare", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none /run "
                       '&& mkdir -p /run/systemd/journal && ln -s "$0" /run/systemd/journal/socket && '
                       'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"', path)

    def take(self, part):
        """Returns the fields of the next message that has part in its text."""
        while True:
            fields = dict(line.split("=", 1) for line in self._socket.recv(8192).decode().splitlines())
            if part in fields["MESSAGE"]:
                return fields

    def close(self):
        self._socket.close()


@pytest.mark.skipif(
    not shutil.which("unshare")
    or subprocess.run(["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/run"],
                      capture_output=True, check=False).returncode != 0,
    reason="a process may not have mounts of its own here")
def test_in_the_journal_lines_have_its_fields(hall):
    journal = Journal(hall.directory)
    broker = hall.broker(*hall.keys.of_broker, prefix=journal.prefix)
    hall.worker(broker, "echo", "cat", ready=False)
    fields = journal.take("joined")
    assert re.fullmatch(r'127\.0\.0\.1:\d+: worker \S+ joined "echo" as "worker" with a window of \d+',
                        fields.pop("MESSAGE"))
    assert fields.pop("RIPOSTE_PEER").startswith("127.0.0.1:")
    assert fields == {"PRIORITY": "6", "SYSLOG_IDENTIFIER": "riposte-broker", "RIPOSTE_TOPIC": "worker",
                      "RIPOSTE_SERVICE": "echo", "RIPOSTE_PRINCIPAL": "worker"}
    assert set(fields) - {"SYSLOG_IDENTIFIER"} <= set(_documented().values())
    assert "joined" not in broker.log()
    journal.close()
