# SPDX-License-Identifier: MPL-2.0
"""Every block of the documents is run by a test here, or named below with the reason why not."""

import ast
import pathlib

import pytest

from blocks import block_with, documents, every_block

#: What tests call to read a block, and of which document.
READERS = {"readme": "README.md", "interop": "docs/INTEROP.md", "operations": "docs/OPERATIONS.md",
           "metrics": "docs/METRICS.md", "http": "docs/HTTP.md", "architecture": "docs/ARCHITECTURE.md",
           "protocol": "docs/PROTOCOL.md", "python": "python/README.md", "go": "go/README.md"}
#: (document, words of its block, who looks at it, or why nobody can)
NOT_RUN = [
    *(("RELEASING.md", words, "run by tests/packages/test_release.py, with keys of its own") for words in
      ("gpg --import", "git verify-tag vVERSION\n")),
    ("README.md", "apt install ./riposte-", "changes the system: tests/packages does it, in a root of its own"),
    ("docs/OPERATIONS.md", "riposte store init postgresql://db1,db2/jobs",
     "run by tests/postgres, with a server of its own"),
    ("docs/OPERATIONS.md", "CREATE ROLE riposte_broker LOGIN;", "run as it stands by tests/postgres"),
    *(("docs/HTTP.md", words, "run by tests/gateway/test_document.py, with a broker of its own") for words in
      ("call/uper", "/conversations/upper", "/jobs/upper", "keys token")),
    *(("docs/INTEROP.md", words, "run by tests/interop/test_snippets.py") for words in
      ('principal = "ada"', "# secure_ask.py", "# secure_upper.py", "/* secure_ask.c", "/* secure_upper.c")),
    ("docs/INTEROP.md", "$ riposte-broker --plain", "the same line is run in the README's session"),
    ("docs/INTEROP.md", "/* hwserver.c */", "run in the README's session, and by tests/interop/test_snippets.py"),
    ("docs/INTEROP.md", "/* hwclient.c */", "run in the README's session, and by tests/interop/test_snippets.py"),
    ("docs/INTEROP.md", "# upper.py", "run in the README's session, and by tests/interop/test_snippets.py"),
    ("docs/INTEROP.md", "# ask.py", "run in the README's session, and by tests/interop/test_snippets.py"),
    ("docs/INTEROP.md", "org.zeromq:jeromq", "needs JeroMQ, and nothing here says whether Java is Java without it"),
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
