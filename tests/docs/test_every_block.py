# SPDX-License-Identifier: MPL-2.0
"""Every block of the documents is run by a test here, or named below with the test elsewhere that runs it."""

import ast
import pathlib

import pytest

from blocks import SOURCE, block_with, documents, every_block, steps
from session import services

#: What tests call to read a block, and of which document.
READERS = {"readme": "README.md", "interop": "docs/INTEROP.md", "operations": "docs/OPERATIONS.md",
           "metrics": "docs/METRICS.md", "http": "docs/HTTP.md", "architecture": "docs/ARCHITECTURE.md",
           "protocol": "docs/PROTOCOL.md", "python": "python/README.md", "go": "go/README.md"}
#: (document, words of its block, the test that runs it, words by which it finds the block or the document)
ELSEWHERE = [
    ("RELEASING.md", "gpg --import", "packages/test_release.py", 'releasing("gpg --import")'),
    ("RELEASING.md", "git verify-tag vVERSION\n", "packages/test_release.py", 'releasing("git verify-tag")'),
    ("README.md", "apt install ./riposte-", "packages/test_packages.py", "README.md"),
    ("docs/OPERATIONS.md", "riposte store init postgresql:", "postgres/test_command_line.py", "riposte store init"),
    ("docs/OPERATIONS.md", "CREATE ROLE riposte_broker LOGIN;", "postgres/test_command_line.py", "CREATE ROLE riposte"),
    ("docs/OPERATIONS.md", "kill db1", "compose/test_cluster.py", '"docs/OPERATIONS.md", "kill db1"'),
    *(("docs/HTTP.md", words, "gateway/test_document.py", "examples(DOCUMENT)") for words in
      ("call/uper", "/conversations/upper", "/jobs/upper", "keys token", "text/event-stream", "Riposte-All")),
    *(("docs/INTEROP.md", words, "interop/test_snippets.py", name) for words, name in
      (('principal = "ada"', "principal"), ("# secure_ask.py", "secure_ask.py"), ("/* secure_ask.c", "secure_ask.c"),
       ("# secure_upper.py", "secure_upper.py"), ("/* secure_upper.c", "secure_upper.c"))),
]


def read_by_tests():
    """Returns (document, words) of each block that a test reads."""
    for path in pathlib.Path(__file__).parent.glob("test_*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in READERS
                    and isinstance(call.args[0], ast.Constant)):
                yield READERS[call.func.id], call.args[0].value


def test_every_block_is_run_or_named_with_a_reason():
    known = {block_with(*found) for found in read_by_tests()} | {block_with(*entry[:2]) for entry in ELSEWHERE}
    assert not [str(block) for block in every_block() if block not in known]


def test_each_worker_of_a_block_is_waited_for_before_it_is_asked():
    commands = [text for block in every_block() for text, _ in steps(block) if "riposte-worker " in text]
    assert len(commands) > 5
    for text in commands:
        assert len(services(text)) == text.count("riposte-worker "), text


@pytest.mark.parametrize("document, words, test, by", ELSEWHERE)
def test_what_is_run_elsewhere_is_there_once_and_read_there(document, words, test, by):
    assert document in documents()
    block_with(document, words)
    text = (SOURCE / "tests" / test).read_text(encoding="utf-8")
    assert pathlib.Path(document).name in text and by in text
