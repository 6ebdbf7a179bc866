# SPDX-License-Identifier: MPL-2.0
"""The blocks of docs/, as they are printed there."""

import re
import shutil

import pytest

from blocks import block_with, steps


def operations(words):
    return block_with("docs/OPERATIONS.md", words)


def metrics(words):
    return block_with("docs/METRICS.md", words)


def http(words):
    return block_with("docs/HTTP.md", words)


@pytest.fixture
def etc(session):
    """/etc/riposte of the reader alone: /etc is a copy in the session's directory."""
    code, out = session.command("mkdir etc && { cp -a /etc/. etc 2> /dev/null; rm -rf etc/riposte; "
                                "mkdir etc/riposte && mount --bind etc /etc; }")
    assert code == 0, out
    return session.directory / "etc" / "riposte"


def test_a_file_of_settings(session):
    (session.directory / "broker.cfg").write_text(operations('bind = "ipc:///run').text, encoding="utf-8")
    assert session.command("riposte-broker --config broker.cfg --check-config")[0] == 0
    (session.directory / "terms.cfg").write_text(operations('service = "resize').text, encoding="utf-8")
    assert session.command("riposte-broker --config terms.cfg --check-config")[0] == 0


def test_rules(session, etc):
    (etc / "rules").write_text(operations('    call = "billing.*"\nprincipal').text, encoding="utf-8")
    session.command("mkdir -p /etc/riposte/authorized")
    session.play(operations("riposte rules check"))


def test_an_authorized_key(session):
    (session.directory / "A").mkdir()
    (session.directory / "A" / "ada.key").write_text(operations("public-key = ").text, encoding="utf-8")
    code, out = session.command("riposte keys list --from A")
    assert code == 0 and re.search(r"^ada +ada +caller,ops +2027-01-31 ", out, re.M), out


def test_several_brokers(session):
    """The brokers of the example, at their addresses."""
    for number in (1, 2, 3):
        session.command(f"ip addr add 10.0.0.{number}/8 dev lo")
        session.command(f"riposte-broker --insecure --bind tcp://10.0.0.{number}:5555 > /dev/null 2>&1 &")
        session.until(f"riposte -s tcp://10.0.0.{number}:5555 ping > /dev/null 2>&1")
    (worker, _), (call, _), (look, _) = steps(operations("--spread call upper"))
    session.command(f"{worker} > /dev/null 2>&1 &")
    assert session.command(call.replace("call", "call --wait-worker 20s")) == (0, "HI")
    code, out = session.command(look)
    assert code == 0 and out.splitlines()[-1].startswith("total "), out


def test_settings_that_differ(session, etc):
    """The broker of the example: its address, its file with the level in line 4, its environment."""
    session.command("ip addr add 10.0.0.2/8 dev lo")
    (etc / "broker.cfg").write_text("# 1\n# 2\nlog\n    level = warning\n", encoding="utf-8")
    session.command("RIPOSTE_LIMITS_MAX_BODY=64MiB riposte-broker --config /etc/riposte/broker.cfg --insecure "
                    "--bind tcp://10.0.0.2:5555 > /dev/null 2>&1 &")
    session.command("export RIPOSTE_SERVER=tcp://10.0.0.2:5555")
    session.until("riposte ping > /dev/null 2>&1")
    session.play(operations("riposte config diff"))


def test_a_history(session):
    block = operations("grep req=order-17")
    session.play_text("riposte-broker --history broker.history")
    session.play_text("riposte-worker upper -- tr a-z A-Z")
    (call, _), (look, shown), (follow, _) = steps(block)
    assert session.command(call) == (0, "HELLO")
    session.until(f"{look} > /dev/null")
    line = session.command(look)[1].splitlines()[0]
    form = re.compile(r"[0-9a-f]{16,}|\d+")
    assert form.sub("N", line) == form.sub("N", shown[0])
    for name in ("session", "id"):
        follow = re.sub(rf"{name}=\d+", re.search(rf"\b{name}=\d+", line)[0], follow)
    code, out = session.command(follow)
    assert code == 0 and "req=order-17" in out, out


def test_contexts(session):
    for name in ("ada", "broker"):
        session.command(f"riposte keys new {name} --dir .")
    for text, _ in steps(operations("riposte context add prod")):
        code, out = session.command(text.replace("riposte call", "riposte --wait-broker 10ms call"))
        assert code == (3 if "riposte call" in text else 0), f"{text}\n{out}"  # 3: no broker there


def test_the_bench(session):
    block = operations("--hdr echo.hdr --plot")
    text = block.text.replace("--rate 5000", "--rate 500 --duration 300ms --warmup 0s")
    session.play_text("riposte-broker")
    session.play(block._replace(text=text if shutil.which("gnuplot") else text.replace("--plot echo.svg", "")))
    assert (session.directory / "echo.hdr").exists()


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not there; script/deps test installs it")
def test_metrics(session):
    session.play_text("riposte-broker")
    session.play_text("riposte-worker upper -- tr a-z A-Z")
    session.play(metrics("grep waiting"))
    (stream, _), = steps(metrics("curl -N"))
    code, out = session.command(f"timeout 60 {stream} 2> /dev/null | grep -m 1 '^event: '")
    assert (code, out.strip()) == (0, "event: overview")


def test_the_gateway_starts(session):
    session.play_text("riposte-broker")
    session.play(http("riposte-http --listen 127.0.0.1:8080"))
