# SPDX-License-Identifier: MPL-2.0
"""Every block of the documents is run by a test here, or named below with the reason why not."""

import ast
import pathlib

import pytest

from blocks import block_with, documents, every_block

#: What tests call to read a block, and of which document.
READERS = {"readme": "README.md", "interop": "docs/INTEROP.md", "operations": "docs/OPERATIONS.md",
           "metrics": "docs/METRICS.md", "http": "docs/HTTP.md", "python": "python/README.md", "go": "go/README.md"}
#: (document, words of its block, who looks at it, or why nobody can)
NOT_RUN = [
    ("README.md", "script/demo ", "they build the project, or test all of it; that the programs exist is tested"),
    ("README.md", "apt install ./riposte-", "changes the system: tests/packages does it, in a root of its own"),
    ("README.md", "riposte trace order-17", "shows a house with a history: tests/system has trace and explain"),
    ("README.md", "client_1  | round", "needs Docker: tests/compose"),
    ("README.md", "docker-compose kill site", "needs Docker: tests/compose"),
    ("docs/ARCHITECTURE.md", " your program ", "a drawing, not code"),
    ("docs/ARCHITECTURE.md", "clients ── KEYED", "a drawing, not code"),
    ("docs/ARCHITECTURE.md", "client ── DURABLE", "a drawing, not code"),
    ("docs/ARCHITECTURE.md", "REQ client of MDP 0.1", "a drawing, not code"),
    ("docs/PROTOCOL.md", "REQUEST ───────► waiting", "a drawing, not code"),
    ("docs/PROTOCOL.md", "message     = head", "a grammar; Python's client was written from it"),
    ("docs/PROTOCOL.md", "bundle      = ", "a grammar; Python's client was written from it"),
    *(("docs/HTTP.md", words, "run by tests/gateway/test_document.py, with a broker of its own") for words in
      ("call/uper", "/conversations/upper", "/jobs/upper", "keys token")),
    *(("docs/INTEROP.md", words, "run by tests/interop/test_snippets.py") for words in
      ('principal = "ada"', "# secure_ask.py", "# secure_upper.py", "/* secure_ask.c", "/* secure_upper.c")),
    ("docs/INTEROP.md", "$ riposte-broker --plain", "the same line is run in the README's session"),
    ("docs/INTEROP.md", "/* hwserver.c */", "run in the README's session, and by tests/interop/test_snippets.py"),
    ("docs/INTEROP.md", "/* hwclient.c */", "run in the README's session, and by tests/interop/test_snippets.py"),
    ("docs/INTEROP.md", "# upper.py", "run in the README's session, and by tests/interop/test_snippets.py"),
    ("docs/INTEROP.md", "# ask.py", "run in the README's session, and by tests/interop/test_snippets.py"),
    ("docs/INTEROP.md", "github.com/pebbe/zmq4", "needs a module that nothing else here uses"),
    ("docs/INTEROP.md", "org.zeromq:jeromq", "needs JeroMQ, which nothing else here uses"),
    ("docs/INTEROP.md", "zeromq, version 6", "needs a package of npm, which nothing else here uses"),
    ("docs/METRICS.md", "Bearer 7f3a", "the token is made up; tests/system/test_http.py uses real ones"),
    ("docs/OPERATIONS.md", "riposte-worker@upper", "needs systemd: tests/install follows it"),
    ("docs/OPERATIONS.md", "secure.conf", "needs systemd: tests/install follows it"),
    ("docs/OPERATIONS.md", "useradd --system", "needs root and systemd: tests/install follows it"),
    ("docs/OPERATIONS.md", "riposte keys rotate ada", "the steps of several days: tests/system has rotation"),
    ("docs/OPERATIONS.md", "riposte keys rotate broker", "the steps of several days: tests/system has rotation"),
    ("docs/OPERATIONS.md", "riposte events --since", "shows a house with a history: tests/system has events"),
    ("docs/OPERATIONS.md", "delaycompress", "needs logrotate and systemd"),
    ("docs/OPERATIONS.md", "resize @photo.jpg", "shows a house with a history: tests/system has trace"),
    ("docs/OPERATIONS.md", "riposte trace 17", "shows a house with a history: tests/system has trace"),
    ("docs/OPERATIONS.md", "$ riposte explain", "shows a house with a history: tests/system has explain"),
    ("docs/OPERATIONS.md", "RIPOSTE CRITICAL", "shows a house under load: tests/system has check"),
    ("docs/OPERATIONS.md", "/etc/prometheus", "needs root and the user of Prometheus"),
    ("docs/OPERATIONS.md", "riposte-broker --store /var", "needs a folder of the system; the README's session has it"),
    ("docs/OPERATIONS.md", "api/dead/retry", "shows a house with a history: tests/system/test_http_jobs.py"),
]


def read_by_tests():
    """Returns (document, words) of each block that a test reads."""
    for path in pathlib.Path(__file__).parent.glob("test_*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in READERS
                    and isinstance(call.args[0], ast.Constant)):
                yield READERS[call.func.id], call.args[0].value


def test_every_block_is_run_or_named_with_a_reason():
    known = {block_with(*found) for found in read_by_tests()} | {block_with(*entry[:2]) for entry in NOT_RUN}
    assert not [str(block) for block in every_block() if block not in known]


@pytest.mark.parametrize("document, words, reason", NOT_RUN)
def test_what_is_not_run_is_there_once_and_has_a_reason(document, words, reason):
    assert document in documents() and len(reason) > 10
    block_with(document, words)
