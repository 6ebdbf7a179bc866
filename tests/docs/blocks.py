# SPDX-License-Identifier: MPL-2.0
"""The blocks of code in the documents, between lines of ```."""

import os
import pathlib
import re
import typing

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RIPOSTE_BUILD") or SOURCE / "build").resolve()


class Block(typing.NamedTuple):
    document: str  # relative to the source
    line: int      # of its first line of text
    language: str  # "" where the document names none
    text: str

    def __str__(self):
        return f"{self.document}:{self.line}: {self.text.splitlines()[0]}"


def documents():
    """The documents whose blocks are tested."""
    return ["README.md", "RELEASING.md", *sorted(f"docs/{path.name}" for path in (SOURCE / "docs").glob("*.md")),
            "python/README.md", "go/README.md"]


def blocks_of(document):
    """Returns the blocks of a document, in their order."""
    text = (SOURCE / document).read_text(encoding="utf-8")
    return [Block(document, text.count("\n", 0, found.start(2)) + 1, found[1], found[2])
            for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)]


def every_block():
    return [block for document in documents() for block in blocks_of(document)]


def block_with(document, words):
    """Returns the one block of a document that has these words."""
    found = [block for block in blocks_of(document) if words in block.text]
    assert len(found) == 1, f"{document} has {len(found)} blocks with {words!r}"
    return found[0]


def steps(block):
    """Returns (command, lines shown below it) of each command at a prompt; a block without prompts is all commands."""
    lines = block.text.splitlines()
    if not any(line.startswith("$ ") for line in lines):
        return [(line, []) for line in lines if line]
    result = []
    for line in lines:
        if line.startswith("$ "):
            result.append((line[2:], []))
        elif result and line:
            result[-1][1].append(line)
    return result


#: What differs from run to run, and what stands for it: numbers with their unit, names made of the host's and a pid.
_MOVING = re.compile(r"(?P<more>…)"
                     r"|(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z)"
                     r"|(?P<name>[A-Za-z]\w*-\d+)\b"
                     r"|(?P<amount>\d[\d.,]*(?: (?:µs|ms|s|m|h)\b)?)"
                     r"|(?P<space>\s+)")
_STANDS_FOR = {"more": r".*", "time": r"\d{4}-\d\d-\d\dT[\d:.]+Z", "name": r"[\w.-]+-\d+",
               "amount": r"\d[\d.,]*(?: (?:µs|ms|s|m|h)\b)?", "space": r"\s+"}


def pattern(shown):
    """Returns the expression for a line of output that says what the shown one does."""
    parts, at = [], 0
    for found in _MOVING.finditer(shown):
        parts += [re.escape(shown[at:found.start()]), _STANDS_FOR[found.lastgroup]]
        at = found.end()
    return re.compile("".join(parts) + re.escape(shown[at:]) + r"\s*")
