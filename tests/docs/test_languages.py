# SPDX-License-Identifier: MPL-2.0
"""The blocks of python/README.md and go/README.md."""

import os
import re
import shutil
import subprocess

import pytest

from blocks import SOURCE, block_with, steps


def readme(words):
    return block_with("README.md", words)


def python(words):
    return block_with("python/README.md", words)


def go(words):
    return block_with("go/README.md", words)


def test_python(session):
    session.play_text("riposte-broker --store jobs.db")
    (session.directory / "worker.py").write_text(python("worker.run()").text, encoding="utf-8")
    session.command("python3 worker.py &")
    session.command("build/examples/site > /dev/null 2>&1 &")
    session.offered("upper")
    session.offered("site")
    said = session.python(python("client.map(").text).splitlines()
    assert said[:4] == ["b'HELLO'", "b'A'", "b'B'", "b'C'"] and len(said) == 5
    assert session.python(python("asyncio.run").text) == "100"
    client = 'import riposte\nclient = riposte.Client("tcp://127.0.0.1:5555")\nimage = b""\n'
    assert session.python(client + python("client.send(").text) == "b'HELLO'"
    assert session.python(client + python("riposte.AppError").text).startswith("NO_WORKER ")


#: Where go/check looks for it first.
GO = "/usr/bin/go" if os.path.exists("/usr/bin/go") else shutil.which("go")


def go_function(text):
    """Makes a function of statements; what they declare is used."""
    text = text.replace("\n...\n", "\n")
    names = sorted({name for found in re.findall(r"^([\w, ]+) :=", text, re.M) for name in found.split(", ")})
    return f"func _(ctx context.Context) {{\n{text}\n" + "".join(f"_ = {name}\n" for name in names) + "}\n"


@pytest.mark.skipif(GO is None, reason="no Go; script/deps golang-go installs it")
def test_go(tmp_path):
    (tmp_path / "riposte").symlink_to(SOURCE)
    program = tmp_path / "program"
    program.mkdir()
    (program / "go.mod").write_text("module example.org/program\n\ngo 1.19\n")
    text = "".join(go_function(block.text) for block in
                   (readme("riposte.Dial(ctx"), go("riposte.WithAttempts(3)"), go("riposte.NewWorker(")))
    used = "".join(f'"{name}"\n' for name in ("bytes", "context", "errors") if f"{name}." in text)
    (program / "main.go").write_text(
        f'package main\n\nimport (\n{used}"github.com/riposte-broker/riposte/go"\n)\n\n{text}\nfunc main() {{}}\n')
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false", "CGO_ENABLED": "0",
                   "HOME": os.environ.get("HOME", "/tmp")}

    def run(*command):
        return subprocess.run(command, cwd=program, env=environment, capture_output=True, text=True, timeout=300,
                              check=False)

    for command, _ in steps(go("go mod edit")):
        done = run(GO, *command.split()[1:])
        if "dial tcp" in done.stderr or "proxyconnect" in done.stderr:
            pytest.skip(f"its modules cannot be fetched: {done.stderr.splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
    done = run(GO, "vet", ".")
    assert done.returncode == 0, f"{text}\n{done.stderr}"
