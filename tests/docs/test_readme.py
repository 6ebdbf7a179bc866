# SPDX-License-Identifier: MPL-2.0
"""The blocks of README.md, as they are printed there, one terminal after the other."""

import os
import shutil
import subprocess

import pytest

from blocks import SOURCE, block_with

import programs

UPPER = "riposte-worker upper -- tr a-z A-Z"


def readme(words):
    return block_with("README.md", words)


def interop(words):
    return block_with("docs/INTEROP.md", words).text


def start(session, *options):
    session.play_text(" ".join(["riposte-broker", *options]))


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not there; script/deps test installs it")
def test_the_first_screen(session, prefix):
    start(session)
    session.play_text(UPPER)
    session.play_text("riposte-http")
    session.until("curl -s -o /dev/null http://127.0.0.1:8080/readyz")
    session.play(readme("curl -d hello"))
    python = readme("# Python: b'HELLO'").text.split("#")[0]
    assert session.python("import riposte\nprint(" + python.strip() + ")\n") == "b'HELLO'"
    program = programs.c_program(readme("/* C */").text, session.directory / "first", prefix,
                                 after="fwrite (rp_reply_body (reply), 1, rp_reply_size (reply), stdout);")
    assert session.command(f"{program}") == (0, "HELLO")


def test_five_minutes_by_hand(session):
    session.play(readme("export PATH=$PWD/build"))
    session.play(readme("nap 9s"))
    code, out = session.command("riposte workers")
    assert code == 0 and "-" in out
    session.play(readme("--key order-4711 nap 2s &"))
    session.play(readme("riposte call --stream ticks"))
    session.play(readme("build/examples/site &"))


def test_jobs(session):
    ids = session.play(readme("riposte-broker --store jobs.db"))
    session.play(readme("riposte result 1482276170983042357 --wait 30s"), ids)


def test_secure_it(session):
    session.play(readme("riposte keys new broker"))
    session.until("! riposte call --timeout 1s --key-file K/ada.key_secret --server-key K/broker.key upper hi "
                  "> /dev/null 2>&1")


def test_bring_your_own_zeromq_program(session):
    for name, text in (("upper.py", interop("# upper.py\n")), ("ask.py", interop("# ask.py\n"))):
        (session.directory / name).write_text(text, encoding="utf-8")
    for name, text in (("hwserver", interop("/* hwserver.c */")), ("hwclient", interop("/* hwclient.c */"))):
        source = session.directory / f"{name}.c"
        source.write_text(text, encoding="utf-8")
        subprocess.run(["cc", source, "-o", session.directory / name, "-lzmq"], check=True, timeout=60)
    block = readme("--plain hello=")
    assert interop("$ riposte-broker --plain") in block.text  # as the guide says it
    session.play(block)


def test_the_programs_in_c(session, prefix):
    client, worker = readme("fwrite (rp_reply_body"), readme("static void echo")
    call = programs.c_program(client.text, session.directory / "ask", prefix)
    echo = programs.c_program(worker.text, session.directory / "echo", prefix)
    send = programs.c_program(client.text + readme("rp_client_send").text.replace("int rc", "rc"),
                              session.directory / "send", prefix,
                              after="fwrite (rp_reply_body (reply), 1, rp_reply_size (reply), stdout);")
    start(session, "--store", "jobs.db")
    session.play_text(UPPER)
    session.command(f"{echo} &")
    session.offered("echo")
    assert session.command(f"{call}") == (0, "HELLO")
    assert session.command("riposte call echo hi") == (0, "hi")
    assert session.command(f"{send}") == (0, "HELLOHELLO")


def test_the_program_in_python(session):
    start(session)
    session.play_text(UPPER)
    assert session.python(readme("print(client.call(").text) == "b'HELLO'"


def test_the_bench(session):
    """Sends for a fraction of a second, with a lower rate; the text has ten."""
    block = readme("riposte bench echo --workers 4 --rate")
    text = block.text.replace("--workers 4\n", "--workers 4 --duration 300ms --warmup 0s\n")
    text = text.replace("--rate 5000", "--rate 500 --duration 300ms --warmup 0s")
    if not shutil.which("gnuplot"):
        text = text.replace("--plot echo.svg", "")
    start(session)
    session.play(block._replace(text=text))


def test_the_commands_of_the_source_are_there():
    for words in ("script/demo ", "script/base-image "):
        for line in readme(words).text.splitlines():
            command = line.removeprefix("$ ").split()[0]
            if command.startswith("script/"):
                assert os.access(SOURCE / command, os.X_OK), line
