# SPDX-License-Identifier: MPL-2.0
"""The manual pages are well formed, complete, and refer to what exists."""

import re

import pytest

from conftest import BUILD, PROGRAMS, run

# Pages of others that ours name.
OTHERS = {"systemd(1)"}


@pytest.fixture(scope="module")
def pages(prefix):
    """{"riposte(1)": path}"""
    return {f"{path.stem}({path.suffix[1:]})": path for path in sorted((prefix / "share/man").glob("man?/*"))}


def text(path):
    """Returns a page's text as man shows it, without line breaks that it puts in."""
    return run("man", "-l", path, MANWIDTH="1000", MAN_KEEP_FORMATTING="", MANROFFOPT="-c", GROFF_NO_SGR="1")


def plain(page):
    """Returns the source of a page without roff's marks."""
    return re.sub(r"\\f[BIR]", "", page.read_text()).replace("\\-", "-").replace("\\&", "").replace("\\e", "\\")


def test_every_section_has_its_pages(pages):
    expected = {f"{program}(1)" for program in PROGRAMS} | {
        "riposte-broker.cfg(5)", "riposte_client(3)", "riposte_worker(3)", "riposte_error(3)", "rp_client_call(3)",
        "riposte(7)", "riposte-protocol(7)", "riposte-contract(7)"}
    assert expected - set(pages) == set()


def test_neither_man_nor_mandoc_has_an_objection(pages):
    own = [path for path in pages.values() if not path.read_text().startswith(".so ")]
    assert run("mandoc", "-T", "lint", "-W", "warning", *own) == ""
    # As man runs it, but once for all pages. The widest table of the protocol has twelve columns.
    found = run("sh", "-c", 'groff -t -k -mandoc -Tutf8 -ww -rLL=120n "$@" 2>&1 > /dev/null', "sh", *own)
    assert found == ""


def test_every_line_of_help_is_in_the_page(pages):
    for program in PROGRAMS:
        told = run(BUILD / program, "--help")
        page = plain(pages[f"{program}(1)"])
        words = re.findall(r"^  (?:-.,|   ) (--[a-z-]+)", told, re.M) + re.findall(r"\[(RIPOSTE_[A-Z_]+)\]", told)
        commands = told.partition("\nCommands:\n")[2].partition("\n\n")[0]
        words += re.findall(r"^  ([a-z]+(?: [a-z]+)?)", commands, re.M)
        assert len(words) > 10
        missing = [word for word in words if not re.search(rf"(?<![\w-]){word}(?![\w-])", page)]
        assert missing == [], program


def test_every_setting_is_in_section_5(pages):
    page = plain(pages["riposte-broker.cfg(5)"])
    section, settings = "", []
    for line in run(BUILD / "riposte-broker", "--print-config").splitlines():
        entry = re.match(r"( *)(?:# )?([a-z_]+)( = .*)?$", line)
        if entry and not entry[3]:
            section = f"{entry[2]}/"
        elif entry:
            settings.append(section * bool(entry[1]) + entry[2])
    assert len(settings) > 50
    assert [name for name in settings if f"\n{name} = " not in page] == []


def test_every_function_has_a_page(pages):
    offered = run("nm", "-D", "--defined-only", BUILD / "libriposte.so")
    names = re.findall(r" T (rp_\w+)", offered)
    assert len(names) > 80
    assert [name for name in names if f"{name}(3)" not in pages] == []


def test_every_reference_leads_to_a_page(pages):
    dead = {reference for path in pages.values()
            for reference in re.findall(r"\b((?:rp_|riposte)[\w.-]*\([1-8]\))", plain(path))} - set(pages)
    assert dead - OTHERS == set()


def test_every_page_has_a_line_for_whatis(pages):
    found = run("lexgrog", "-m", *(path for path in pages.values() if not path.read_text().startswith(".so ")))
    assert "parse failed" not in found
