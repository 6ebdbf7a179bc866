# SPDX-License-Identifier: MPL-2.0
"""`riposte rules`: each mistake of a rules file with its place, and the line that allows an
action."""

import csv
import io

import pytest

from support import programs

GOOD = """\
role = "caller"
    call = "upper"
    call = "billing.*"
principal = "ada"
    role = "caller"
    serve = "resize"
    open = 100
principal = "ops"
    observe = 1
    admin = 1
"""
WRONG = """\
rol = "x"
principal = "ada"
    call = "bill*"
    role = "callers"
    open = 0
    call = "riposte.status"
    open_bytes = much
    call = 'x
"""
PLACES = ("1:1", "3:12", "4:12", "5:12", "6:12", "7:18", "8:12")
WORDS = ("rol", "bill*", "callers", "at least 1", "riposte.status", "much", "quote")
KEY = """\
metadata
    principal = "{principal}"
    role = "{roles}"
curve
    public-key = "{key}"
"""
KEYS = ("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs")


@pytest.fixture(name="rules")
def fixture_rules(world):
    """Returns a function that runs `riposte rules` with a rules file, GOOD by default."""
    path = world.directory / "rules"
    path.write_text(GOOD)

    def run(*arguments, text=None, **more):
        if text is not None:
            path.write_text(text)
        return world.run(programs.CLI, "rules", *arguments, "--rules", path, within=5, **more)
    run.path = path
    return run


@pytest.fixture(name="keys")
def fixture_keys(world):
    """Returns a function that writes a directory of authorized keys: ada's with the role caller,
    eve's with the given roles."""
    directory = world.directory / "authorized"
    directory.mkdir()

    def write(roles):
        for key, principal, role in zip(KEYS, ("ada", "eve"), ("caller", roles)):
            text = KEY.format(principal=principal, roles=role, key=key)
            (directory / f"{principal}.key").write_text(text)
        return directory
    return write


def test_a_good_file_is_one_line_with_counts(rules, world):
    result = rules("check")
    assert result.code == 0 and result.err == b""
    assert result.out.decode() == f"{rules.path}: 2 principals, 1 role, 5 rules\n"
    named = world.run(programs.CLI, "rules", "check", rules.path, within=5)
    assert named.out == result.out
    assert rules("check", "-o", "json").json() == {
        "file": str(rules.path), "principals": 2, "roles": 1, "rules": 5, "mistakes": []}
    assert rules("check", "-o", "csv").out.decode() == "principals,roles,rules\n2,1,5\n"
    assert rules("check", "-q").out == b""


def test_an_empty_file_is_good_and_allows_nothing(rules):
    assert rules("check", text="").out.decode().endswith(": 0 principals, 0 roles, 0 rules\n")
    assert rules("explain", "ada", "call", "upper").code == 6


def test_a_file_may_come_from_standard_input(world):
    result = world.run(programs.CLI, "rules", "check", "-", stdin=b"rol = x\n", within=5)
    assert result.code == 2 and result.error().startswith("-:1:1: ")


@pytest.mark.parametrize("arguments", (("check",), ("explain", "ada", "call", "upper")))
def test_every_mistake_is_told_with_its_place(rules, arguments):
    result = rules(*arguments, text=WRONG)
    assert result.code == 2 and result.out == b""
    lines = result.err.decode().splitlines()
    assert len(lines) == len(PLACES), lines
    for line, place, word in zip(lines, PLACES, WORDS):
        assert line.startswith(f"{rules.path}:{place}: ") and word in line, line


@pytest.mark.parametrize("output", ("json", "jsonl"))
def test_mistakes_are_an_object_with_json(rules, output):
    result = rules("check", "-o", output, text=WRONG)
    assert result.code == 2 and result.err == b""
    answer = result.json()
    assert answer["file"] == str(rules.path)
    places = tuple(f'{mistake["line"]}:{mistake["column"]}' for mistake in answer["mistakes"])
    assert places == PLACES
    assert all(word in mistake["message"] for word, mistake in zip(WORDS, answer["mistakes"]))


def test_a_file_of_another_kind_cannot_control_the_terminal(rules):
    result = rules("check", text="principal = ada\n    call = \"\u202e*\u009b1m\"\n")
    assert result.code == 2
    assert b"\xc2\x9b" not in result.err


@pytest.mark.parametrize("question, answer", (
    ("ada call upper", 'yes: line 2: role "caller": call = "upper"'),
    ("ada call billing.eu.pay", 'yes: line 3: role "caller": call = "billing.*"'),
    ("ada serve resize", 'yes: line 6: principal "ada": serve = "resize"'),
    ("ops observe", 'yes: line 9: principal "ops": observe = 1'),
    ("ops admin", 'yes: line 10: principal "ops": admin = 1'),
    ("ada call billing", 'no: no rule of principal "ada" or of its roles allows it; '
                         'add: call = "billing"'),
    ("ada serve upper", 'no: no rule of principal "ada" or of its roles allows it; '
                        'add: serve = "upper"'),
    ("ada admin", 'no: no rule of principal "ada" or of its roles allows it; add: admin = 1'),
    ("anonymous call upper", 'no: there are no rules for principal "anonymous"'),
    ("ops call riposte.status", "no: no call rule is about \"riposte.status\""),
))
def test_explain_says_yes_or_no_with_the_line_that_decides(rules, question, answer):
    result = rules("explain", *question.split())
    assert result.code == (0 if answer.startswith("yes") else 6)
    assert result.out.decode().startswith(answer), result.out
    assert result.err == b""
    as_json = rules("explain", *question.split(), "-o", "json")
    assert as_json.code == result.code
    fields = as_json.json()
    assert fields["allowed"] == answer.startswith("yes")
    assert answer.split(": ", 1)[1] in fields["why"]
    words = question.split() + [None]
    assert [fields["principal"], fields["rule"], fields["service"]] == words[:3]
    table = rules("explain", *question.split(), "-o", "csv").out.decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert rows == [{"allowed": str(fields["allowed"]).lower(), "why": fields["why"]}]


WEIGHTS = GOOD + """\
    weight = 7
client = "batch-*"
    weight = 2
"""


@pytest.mark.parametrize("question, weight, why", (
    ("ops weight batch-7", 7, 'line 8: principal "ops"'),
    ("anonymous weight batch-7", 2, 'line 12: client "batch-*"'),
    ("ada weight web", 1, 'neither principal "ada" nor the name "web" has one'),
))
def test_explain_says_what_weight_a_client_has_and_where_it_is_stated(rules, question, weight, why):
    result = rules("explain", *question.split(), text=WEIGHTS)
    assert result.code == 0 and result.out.decode().startswith(f"{weight}: {why}"), result
    principal, _, client = question.split()
    assert rules("explain", *question.split(), "-o", "json").json() == {
        "weight": weight, "principal": principal, "client": client, "why": why}
    table = rules("explain", *question.split(), "-o", "csv").out.decode()
    assert list(csv.DictReader(io.StringIO(table))) == [{"weight": str(weight), "why": why}]


def test_authorized_keys_bring_roles_with_from(rules, keys):
    directory = keys("caller")
    assert "--from" in rules("explain", "eve", "call", "upper").out.decode()
    result = rules("explain", "eve", "call", "upper", "--from", directory)
    assert result.code == 0
    assert result.out.decode() == 'yes: line 2: role "caller": call = "upper"\n'
    denied = rules("explain", "eve", "call", "pay", "--from", directory)
    assert denied.code == 6 and "--from" not in denied.out.decode()


def test_what_is_wrong_with_the_keys_is_told(rules, keys, world):
    result = rules("explain", "eve", "call", "upper", "--from", keys("caller,callers"))
    assert result.code == 2 and result.out == b""
    assert "eve.key" in result.error() and "callers" in result.error()
    answer = rules("explain", "eve", "admin", "--from", keys("callers"), "-o", "json")
    assert "callers" in answer.json()["mistakes"][0]["message"]
    nowhere = world.directory / "nowhere"
    result = rules("explain", "eve", "call", "upper", "--from", nowhere)
    assert result.code == 2 and str(nowhere) in result.error()


@pytest.mark.parametrize("arguments, says", (
    ((), "behind rules"),
    (("fly",), "rules fly"),
    (("chek",), "check"),
    (("check", "--from", "x"), "--from"),
    (("check", "a", "b"), '"b"'),
    (("check", "/does/not/exist"), "/does/not/exist"),
    (("explain",), "PRINCIPAL RULE"),
    (("explain", "ada"), "PRINCIPAL RULE"),
    (("explain", "ada", "call"), "service"),
    (("explain", "ada", "fly", "upper"), "call, serve, observe, admin or weight"),
    (("explain", "ada", "weight"), "name of a client"),
    (("explain", "ada", "weight", "web", "x"), "name of a client"),
    (("explain", "ada", "call", "up\nper"), "control"),
    (("explain", "ada", "call", "n" * 128), "127"),
    (("explain", "a b", "call", "upper"), "a b"),
    (("explain", "ada", "call", "upper", "x"), '"x"'),
    (("explain", "ada", "admin", "upper"), '"upper"'),
))
def test_a_wrong_command_line_is_one_line(rules, arguments, says):
    result = rules(*arguments)
    assert result.code == 2 and result.out == b""
    assert says in result.error()


def test_the_usual_file_is_beside_the_keys(world):
    path = world.directory / "rules"
    path.write_text(GOOD)
    result = world.run(programs.CLI, "rules", "check", "--dir", world.directory, within=5)
    assert result.code == 0 and str(path) in result.out.decode()
    result = world.run(programs.CLI, "rules", "explain", "ops", "admin", "--dir", world.directory,
                       within=5)
    assert result.code == 0
    path.unlink()
    missing = world.run(programs.CLI, "rules", "check", "--dir", world.directory, within=5)
    assert missing.code == 2
    assert str(path) in missing.error() and "--rules" in missing.error()
