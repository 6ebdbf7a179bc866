# SPDX-License-Identifier: MPL-2.0
"""README.md names the tests that prove each point: they exist, and no cell is empty."""

import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
README = (HERE / "README.md").read_text()
TESTS = {name for path in HERE.glob("test_*.py")
         for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)}

#: Tests with every client in each case; a case has the worker's name.
WITH_ALL = {"test_clients_of_all_protocols_share_one_worker"}


def _rows():
    """Returns the cells of every row of every table, without the lines below the headings."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in README.splitlines() if line.startswith("|")]
    return [row for row in rows if not set("".join(row)) <= set("-: ")]


def test_every_test_that_is_named_exists():
    named = set(re.findall(r"`(test_\w+)`", README))
    files = {path.stem for path in HERE.glob("test_*.py")}
    assert named, "it names tests"
    assert not named - TESTS - files


def test_every_abbreviation_is_explained_and_used():
    explained = set(re.findall(r"^- \*\*(\w+)\*\*: `test_", README, re.M))
    used = set(re.findall(r"\[(\w+)\]", README))
    assert explained == used


def test_what_a_row_names_runs_with_its_protocol():
    """Looks at the names of the tests' parameters. `req-mdp01` also counts as a case of "mdp01"."""
    told = dict(re.findall(r"^- \*\*(\w+)\*\*: `(test_\w+)`", README, re.M))
    listing = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", HERE],
        env={**os.environ, "PYTEST_ADDOPTS": ""}, capture_output=True, text=True, check=True).stdout
    cases = {}
    for name, case in re.findall(r"::(test_\w+)(?:\[(.*)\])?$", listing, re.M):
        cases.setdefault(name, []).append(case)
    for row in _rows():
        if not re.fullmatch(r"`[a-z0-9-]+`", row[0]) or len(row) < 5:
            continue
        protocol = row[0].strip("`")
        words = [protocol, *(word for word in protocol.split("-") if word.startswith("mdp"))]
        for test in (told[short] for short in re.findall(r"\[(\w+)\]", " ".join(row))):
            about = {"native": "native", "plain": "plain|rep"}.get(protocol.split("-")[0])
            if about and re.search(f"_({about})_", test):
                continue  # the test is for this protocol alone
            assert test in WITH_ALL or any(
                case == "" or any(word in case for word in words) for case in cases[test]), \
                f"{test} does not run with {protocol}"


def test_no_cell_is_empty():
    assert all(cell not in ("", "-", "–", "?") for row in _rows() for cell in row)


def test_every_statement_names_its_tests():
    rows = {int(row[0]): row for row in _rows() if row[0].isdigit()}
    assert sorted(rows) == list(range(1, 26))
    for number, row in rows.items():
        named = re.findall(r"`(test_\w+)`", row[-1])
        existing = {name for name in TESTS if name.startswith(f"test_{number:02d}_")}
        assert set(named) == existing, f"statement {number}"
