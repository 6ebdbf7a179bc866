# SPDX-License-Identifier: MPL-2.0
"""The sentences about requests that a library ends itself are the same in C, Python and Go."""

import ast
import pathlib
import re

import pytest

from riposte import _explain as explain

SOURCE = pathlib.Path(__file__).resolve().parents[2]
ONLY_C = {"this process stood still for {}, and its session with the broker ended",
          "the conversation was over before this request was sent; the next request begins anew"}
#: C has no deadline that has passed when it is set.
NOT_C = {"the deadline had passed before the request was submitted, so it was not sent; allow more time"}


def sentences(texts):
    """Those that are more than a name or a unit, with {} for what is put in."""
    texts = {re.sub(r"%[a-z+]+|\{[^}]*\}", "{}", text) for text in texts}
    return {text for text in texts if len(text) > 20 and not text.endswith((".c", ".h", ".py"))}


def of_c():
    texts = set()
    for path in ("client/explain.c", "common/wire/advice.c", "common/wire/advice.h"):
        text = re.sub(r"/\*.*?\*/", "", (SOURCE / path).read_text(encoding="utf-8"), flags=re.S)
        text = re.sub(r"#include.*|\\\n", "", text)
        for run in re.findall(r'"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*', text):
            texts.add("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', run)))
    return sentences(texts)


def of_python():
    tree = ast.parse((SOURCE / "python/riposte/_explain.py").read_text(encoding="utf-8"))
    described = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.FunctionDef))
                 and isinstance(node.body[0], ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    texts = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described | parts:
            texts.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            texts.add("".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values))
    return sentences(texts)


def of_go():
    texts = set()
    text = re.sub(r"//.*", "", (SOURCE / "go/explain.go").read_text(encoding="utf-8"))
    text = text.replace(text[:text.index(")") + 1], "") if "import (" in text else text
    for run in re.findall(r'"(?:[^"\\]|\\.)*"(?:\s*\+\s*"(?:[^"\\]|\\.)*")*', text):
        texts.add("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', run)))
    return sentences(texts)


@pytest.mark.parametrize("found", [of_python, of_go])
def test_the_sentences_are_those_of_C(found):
    assert len(of_c()) > 30
    assert found() - NOT_C - of_c() == set()
    assert of_c() - ONLY_C - found() == set()
    assert NOT_C <= found()


@pytest.mark.parametrize("seconds, text", [
    (0.0000005, "0 µs"), (0.0003, "300 µs"), (0.3, "300 ms"), (0.9994, "999 ms"), (0.9996, "1 s"), (1.25, "1.3 s"),
    (5, "5 s"), (59.94, "59.9 s"), (59.96, "1 m"), (150, "2 m 30 s"), (3600, "1 h"), (86400, "24 h"),
    (5430, "1 h 30 m")])
def test_durations_are_written_as_in_C(seconds, text):
    assert explain.duration(seconds) == text


@pytest.mark.parametrize("octets, text", [
    (0, "0 B"), (1000, "1000 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (1 << 20, "1 MiB"), ((1 << 20) + 1, "1 MiB"),
    (5 << 30, "5 GiB")])
def test_sizes_are_written_as_in_C(octets, text):
    assert explain.size(octets) == text


def test_of_several_reasons_the_first_of_the_list_decides_what_to_do():
    text = f"tcp://a:1: {explain.UNREACHED}; tcp://b:1: host b {explain.UNRESOLVED}: Name or service not known"
    assert explain.unreached(1, text).endswith(explain.CHECK)
    text += f"; tcp://c:1: {explain.KEY_MISSING}"
    assert explain.unreached(1, text).endswith("name your key file and the broker's key: --key-file, --server-key")
    assert explain.refused(text).endswith("--key-file, --server-key")
