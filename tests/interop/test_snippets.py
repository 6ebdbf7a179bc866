# SPDX-License-Identifier: MPL-2.0
"""The programs of docs/INTEROP.md, as they are printed there, against the real broker. The test
changes only their endpoint, as a reader does."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from support.programs import CLI
from support.waiting import until

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "INTEROP.md"
#: The programs that run here, by the name in their first line.
SECURE = {"secure_upper.py", "secure_ask.py", "secure_upper.c", "secure_ask.c"}
RUN = {"upper.py", "ask.py", "hwserver.c", "hwclient.c"} | SECURE
#: The endpoints that the document names.
PORT, FRONT, BACK = (f"tcp://127.0.0.1:{number}" for number in (5555, 5559, 5560))


def _blocks():
    """Returns language and text of each block that has a language."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.S | re.M)


def _snippets():
    named = {}
    for _, text in _blocks():
        first = re.match(r"(?:#|/\*) (\w+\.(?:py|c))\b", text)
        if first:
            named[first[1]] = text
    return named


def _program(stage, name, endpoints):
    """Writes a snippet with other endpoints, compiles it if it is C; returns the command that runs
    it."""
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
    libraries = ["-lczmq", "-lzmq"] if name in SECURE else ["-lzmq"]
    subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", source, "-o", program, *libraries],
                   check=True, timeout=60)
    return (program,)


def _start(stage, name, endpoints):
    """Starts a worker."""
    process = stage.start(name, "env", "-C", stage.directory, *_program(stage, name, endpoints))
    process.handles_sigterm = False
    return process


def test_every_snippet_that_the_document_says_is_run_is_run():
    assert set(_snippets()) == RUN
    assert {language for language, _ in _blocks()} == {"python", "c", "go", "java", "js"}


@pytest.fixture
def upper(stage):
    """A broker, and upper.py as its worker."""
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
    stage.pass_time([], 2)  # ten intervals; three of silence would end its session
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


# ---- With keys -----------------------------------------------------------------------------------

def _rules():
    """Returns the rules in the document, and a principal that may observe."""
    shown = re.search(r"^```\n(principal = .*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.S | re.M)
    return shown[1] + 'principal = "ops"\n    observe = 1\n'


@pytest.fixture
def secure_broker(stage):
    """A broker with a key. Its directory K and the authorized keys lie where the programs run;
    `riposte` of this stage has the key of ops."""
    for name in ("broker", "ada", "ops"):
        assert stage.run(CLI, "keys", "new", name, "--dir", "K").code == 0
    for name in ("ada", "ops"):
        assert stage.run(CLI, "keys", "authorize", f"K/{name}.key", "--principal", name, "--into", "A").code == 0
    (stage.directory / "rules").write_text(_rules(), encoding="utf-8")
    keys = stage.directory / "K"
    stage.environment.update(RIPOSTE_KEY_FILE=f"{keys}/ops.key_secret", RIPOSTE_SERVER_KEY=f"{keys}/broker.key")
    return stage.interop_broker("--key-file", keys / "broker.key_secret", "--authorized", stage.directory / "A",
                                "--rules", stage.directory / "rules")


@pytest.mark.parametrize("worker", ["secure_upper.py", "secure_upper.c"])
def test_the_programs_with_keys(stage, secure_broker, worker):
    process = _start(stage, worker, {PORT: secure_broker.endpoint})
    until(lambda: stage.count(secure_broker, b"upper") == 1, 5, "it is registered")
    for client in ("secure_ask.py", "secure_ask.c"):
        result = stage.run(*_program(stage, client, {PORT: secure_broker.endpoint}))
        assert (result.code, result.out) == (0, b"HELLO\n"), result
    assert process.alive()


def test_the_programs_without_keys_get_nothing_from_a_broker_with_one(stage, secure_broker):
    _start(stage, "secure_upper.py", {PORT: secure_broker.endpoint})
    until(lambda: stage.count(secure_broker, b"upper") == 1, 5, "it is registered")
    result = stage.run(*_program(stage, "ask.py", {PORT: secure_broker.endpoint}))
    assert (result.code, result.out) == (1, b""), result
    assert "lost" not in secure_broker.log(), "a worker that only waits stays"
