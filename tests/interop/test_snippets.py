# SPDX-License-Identifier: MPL-2.0
"""The programs of docs/INTEROP.md, as they stand there, against the real broker. A reader changes
their endpoint and nothing else; so does this."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from support.waiting import until

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "INTEROP.md"
#: Those that run here, by the name in their first line.
RUN = {"upper.py", "ask.py", "hwserver.c", "hwclient.c"}
#: The endpoints that the document names.
PORT, FRONT, BACK = (f"tcp://127.0.0.1:{number}" for number in (5555, 5559, 5560))


def _blocks():
    """Language and text of each block that has a language."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.S | re.M)


def _snippets():
    named = {}
    for _, text in _blocks():
        first = re.match(r"(?:#|/\*) (\w+\.(?:py|c))\b", text)
        if first:
            named[first[1]] = text
    return named


def _program(stage, name, endpoints):
    """Writes a snippet with other endpoints, compiles it if it is C; the command that runs it."""
    text = _snippets()[name]
    assert sum(text.count(endpoint) for endpoint in endpoints) == 1, "one line changes"
    for endpoint, real in endpoints.items():
        text = text.replace(endpoint, real)
    source = stage.directory / name
    source.write_text(text, encoding="utf-8")
    if name.endswith(".py"):
        return sys.executable, source
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    assert compiler, "no C compiler"
    program = source.with_suffix("")
    subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", source, "-o", program, "-lzmq"],
                   check=True, timeout=60)
    return (program,)


def _start(stage, name, endpoints):
    """A worker."""
    process = stage.start(name, *_program(stage, name, endpoints))
    process.handles_sigterm = False
    return process


def test_every_snippet_that_the_document_says_is_run_is_run():
    assert set(_snippets()) == RUN
    assert {language for language, _ in _blocks()} == {"python", "c", "go", "java", "js"}


@pytest.fixture
def upper(stage):
    """A broker, and upper.py at work."""
    broker = stage.interop_broker(foreign_heartbeat="200ms")
    worker = _start(stage, "upper.py", {PORT: broker.endpoint})
    until(lambda: stage.count(broker, b"upper") == 1, 5, "it is registered")
    return broker, worker


def test_the_python_programs(stage, upper):
    broker, worker = upper
    result = stage.run(*_program(stage, "ask.py", {PORT: broker.endpoint}))
    assert (result.code, result.out) == (0, b"HELLO\n"), result
    assert stage.client(broker, "mdp02").call(b"upper", b"any client").body == (b"ANY CLIENT",)
    assert worker.alive()


def test_the_python_worker_stays_while_it_is_idle(stage, upper):
    broker, worker = upper
    stage.pass_time([], 2)  # of ten intervals, three without a word would end it
    assert stage.count(broker, b"upper") == 1
    assert stage.status(broker)["counters"]["workers_joined"] == 1
    assert worker.alive()


def test_the_python_worker_comes_back_when_the_broker_does(stage, upper):
    broker, worker = upper
    broker.kill()
    broker = stage.restart(broker)
    until(lambda: stage.count(broker, b"upper") == 1, 15, "it has said READY again")
    assert worker.alive()


def test_the_c_programs(stage):
    broker = stage.interop_broker(plain=("hello",))
    front, back = stage.pair(b"hello")
    for _ in range(2):
        _start(stage, "hwserver.c", {BACK: back})
    client = _program(stage, "hwclient.c", {FRONT: front})
    for _ in range(2):
        result = stage.run(*client)
        assert (result.code, result.out) == (0, b"World\n"), result
    result = stage.cli(broker, "call", "hello", "Hello")
    assert (result.code, result.out) == (0, b"World"), result
