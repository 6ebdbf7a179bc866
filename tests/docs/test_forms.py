# SPDX-License-Identifier: MPL-2.0
"""Blocks that cannot be run as they stand: what they show is made for the purpose, their lines are looked at one by
one, or they are compared with what they are about."""

import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys

import pytest

from blocks import SOURCE, Block, block_with, pattern, steps

sys.path.insert(0, str(SOURCE / "python"))

from riposte import _wire as wire  # noqa: E402


def readme(words):
    return block_with("README.md", words)


def architecture(words):
    return block_with("docs/ARCHITECTURE.md", words)


def protocol(words):
    return block_with("docs/PROTOCOL.md", words)


def operations(words):
    return block_with("docs/OPERATIONS.md", words)


def metrics(words):
    return block_with("docs/METRICS.md", words)


def interop(words):
    return block_with("docs/INTEROP.md", words)


# ---- Drawings and grammars ----------------------------------------------------------------------------

@pytest.mark.parametrize("block", [
    architecture(" your program "), architecture("clients ── KEYED"), architecture("client ── DURABLE"),
    architecture("client ── ALL"), architecture("REQ client of MDP 0.1"), protocol("REQUEST ───────► waiting")],
    ids=lambda block: str(block.line))
def test_what_a_drawing_names_is_there(block):
    paths = re.findall(r"(?<![\w/])((?:broker|client|worker|common|protocol)/[\w/]+)", block.text)
    for path in paths:
        assert any((SOURCE / folder / path).is_dir() or list((SOURCE / folder).glob(f"{path}.[ch]"))
                   for folder in (".", "broker")), path
    sources = [SOURCE / "common/wire/head.h", *(SOURCE / "broker/core").glob("*.h")]
    known = "".join(path.read_text(encoding="utf-8") for path in sources)
    words = set(re.findall(r"\b[A-Z]{3,}\b", block.text)) - {"REQ", "MDP", "DEALER", "ROUTER"}
    for word in words:
        assert re.search(rf"[A-Z_]*_{word}\b|\b{word}\b", known), word
    assert paths or words


def sizes(text):
    """{name: octets} of the rules of a grammar that have a fixed size."""
    found = {}
    for name, rule in re.findall(r"^([a-z-]+?)\s*= (\S.*?)(?:;.*)?$", text, re.M):
        octets = sum(int(count or 1) if what in ("OCTET", "%x") else 0
                     for count, what in re.findall(r"(?<!\S)(\d*)(OCTET|%x)", rule))
        if octets and not re.search(r"[*/\[]", rule):
            found[name] = octets
    return found


def test_the_grammar_of_messages_is_the_codecs():
    text = protocol("message     = head").text
    names = re.search(r"fixed       = (.*?)\nsignature", text, re.S)[1].split()
    found = [sizes(text)[name] for name in names]
    assert sum(found) == wire.HEAD_MIN == struct.calcsize(wire._FIXED.format)
    codes = re.findall(r"\d*[a-zA-Z]", wire._FIXED.format.lstrip(">"))
    assert found == [struct.calcsize(">" + code) for code in codes]
    limits = dict(re.findall(r"^([a-z-]+)\s*=.*; (?:\d+) to (\d+)$", text, re.M))
    assert limits == {"name-size": str(wire.NAME_MAX), "key-size": str(wire.KEY_MAX), "text-size": str(wire.TEXT_MAX),
                      "headers-size": str(wire.HEADERS_MAX), "header-key-size": str(wire.HEADER_KEY_MAX),
                      "value-size": str(wire.HEADER_VALUE_MAX)}


def test_the_grammar_of_bundles_is_the_codecs():
    text = protocol("bundle      = ").text
    assert sizes(text)["entry-size"] == 4 and f"at most {wire.BUNDLE_MAX} octets" in text
    assert wire.bundle([b"x"]) == b"RB\x01\x00\x00\x00\x00\x01x"


def test_the_grammar_of_streams_is_whole_and_its_messages_are_the_codecs():
    text = protocol("reply-stream   = ").text
    rules = {name: rule.partition(";") for name, rule in re.findall(r"^([a-z-]+)\s*= (\S.*)$", text, re.M)}
    used = {word for rule, _, _ in rules.values() for word in re.findall(r"[a-z]+(?:-[a-z]+)*", rule)}
    assert used - set(rules) == {"message"}
    words = {word for _, _, comment in rules.values() for word in re.findall(r"\b[A-Z]{3,}\b", comment)}
    assert words == {"STREAM", "REQUEST", "GRANT", "REPLY", "MORE", "PART"}
    assert all(hasattr(wire, word) for word in words)


def test_the_grammar_of_requests_for_all_workers_is_whole():
    text = protocol("all         = request").text
    rules = dict(re.findall(r"^([a-z-]+)\s*= ([^;\n]*)", text, re.M))
    used = {word for rule in rules.values() for word in re.findall(r"(?<![%\w])[a-z]+(?:-[a-z]+)*", rule)}
    assert used - set(rules) == {"message"}
    assert {word for word in ("REQUEST", "ALL", "REPLY", "MORE") if word in text and hasattr(wire, word)} == {
        "REQUEST", "ALL", "REPLY", "MORE"}


# ---- Programs in languages whose libraries are not here -------------------------------------------------

@pytest.mark.skipif(not shutil.which("gofmt"), reason="no gofmt")
def test_go_for_zmq4_is_go(tmp_path):
    text = "".join(f"\t{line}\n" for line in interop("github.com/pebbe/zmq4").text.splitlines())
    (tmp_path / "a.go").write_text(f"package main\n\nfunc main() {{\n{text}}}\n", encoding="utf-8")
    done = subprocess.run(["gofmt", "-l", tmp_path], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.skipif(not shutil.which("node"), reason="no node")
def test_javascript_for_zeromq_is_javascript(tmp_path):
    (tmp_path / "a.mjs").write_text(interop("zeromq, version 6").text, encoding="utf-8")
    done = subprocess.run(["node", "--check", tmp_path / "a.mjs"], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr


#: Debian's, which is older than the text: there the kinds of sockets are numbers of another class.
JEROMQ = pathlib.Path("/usr/share/java/jeromq.jar")
KINDS = "package org.zeromq; public interface SocketType { int REQ = ZMQ.REQ; }"


@pytest.mark.skipif(not (shutil.which("javac") and JEROMQ.exists()), reason="no JeroMQ: libjeromq-java, and a JDK")
def test_java_for_jeromq_gets_an_answer(session):
    (session.directory / "org/zeromq").mkdir(parents=True)
    (session.directory / "org/zeromq/SocketType.java").write_text(KINDS, encoding="utf-8")
    (session.directory / "Ask.java").write_text(
        "import org.zeromq.*;\nclass Ask { public static void main (String[] words) throws Exception {\n"
        + interop("org.zeromq:jeromq").text + "}}\n", encoding="utf-8")
    session.play_text("riposte-broker")
    session.play_text("riposte-worker upper -- tr a-z A-Z")
    code, out = session.command(f"javac -cp {JEROMQ} Ask.java org/zeromq/SocketType.java && java -cp {JEROMQ}:. Ask",
                                patience=60)
    assert (code, out.strip()) == (0, "HELLO"), out


# ---- Houses with a history, made small --------------------------------------------------------------------

def compare(out, shown):
    """Each line that is shown, but for what moves, is among those that came, in this order."""
    lines = iter(out.splitlines())
    for line in shown:
        assert any(pattern(line).fullmatch(one) for one in lines), f"{line}\nis not in\n{out}"


def lines_but(shown, *words):
    return [line for line in shown if not any(word in line for word in words)]


def test_a_trace_shows_the_worker_that_was_lost(session):
    session.play_text("riposte-broker")
    (session.directory / "resize").write_text("test $RIPOSTE_ATTEMPT = 2 || sleep 60; echo small\n", encoding="utf-8")
    session.command("for at in 1 2; do riposte-worker resize -- sh resize 2> /dev/null & done")
    session.until("test $(riposte workers | grep -c ' resize ') = 2")
    (call, _), (trace, shown) = steps(operations("resize @photo.jpg"))
    (session.directory / "photo.jpg").write_text("a photo", encoding="utf-8")
    session.command(f"{call} &")
    session.until("riposte workers | grep -q '1/1'")
    session.command("kill -9 $(riposte workers | sed -n 's|^[^ ]*-\\([0-9]*\\) .* 1/1 .*|\\1|p')")
    session.until("grep -q small small.jpg")
    readme_trace, readme_shown = steps(readme("riposte trace order-17"))[0]
    for command, lines in ((trace, shown), (readme_trace, readme_shown)):
        code, out = session.command(command)
        assert code == 0
        compare(out, [line.replace("web-1-812", "host-812") for line in lines_but(lines, "waited")])


def test_a_trace_of_a_job_shows_its_attempts(session):
    session.play_text("riposte-broker --store jobs.db")
    session.command("riposte-worker import -- sh -c 'exit 75' 2> /dev/null &")
    session.offered_by_name("import")
    _, job = session.command("riposte send import --attempts 2 --backoff 100ms x")
    job = job.strip()
    session.until(f"riposte job {job} | grep -q dead")
    (trace, shown), = steps(operations("riposte trace 17"))
    code, out = session.command(trace.replace("17", job))
    assert code == 0
    compare(out, [line.replace("job 17", f"job {job}") for line in lines_but(shown, "18 ms  given")])


def test_explain_says_what_waits_without_a_worker(session):
    session.play_text("riposte-broker")
    session.command("for at in 1 2 3; do riposte call --wait-worker 60s --timeout 60s mail x & done")
    (command, shown), = steps(operations("mail: no worker"))
    session.until(f"{command} | grep -q '3 requests'")
    code, out = session.command(command)
    assert code == 0
    compare(out, [line for line in shown if line.startswith("mail")])
    assert steps(readme("riposte trace order-17"))[1][0] == command


def test_check_is_critical_where_nobody_works(session):
    session.play_text("riposte-broker")
    (command, shown), = steps(operations("RIPOSTE CRITICAL"))
    code, out = session.command(command)
    assert code == 2 and out.strip().startswith(shown[0].split(":")[0].rsplit(" ", 1)[0]) and "resize: no worker" in out


def test_events_are_lines_of_json_with_the_same_members(session):
    session.play_text("riposte-broker")
    session.play_text("riposte-worker upper -- tr a-z A-Z")
    (command, shown), = steps(operations("riposte events --since"))
    code, out = session.command(f"timeout 60 {command.replace('41', '0')} | grep -m 1 '\"topic\":\"worker\"'")
    assert code == 0 and list(json.loads(out)) == list(json.loads(shown[0])), out


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not there; script/deps test installs it")
def test_jobs_over_the_brokers_http(session):
    block = operations("api/dead/retry")
    session.play_text("riposte-broker --store jobs.db")
    _, waiting = session.command("riposte send resize x")
    (jobs, shown), (retry, _) = steps(block)
    code, out = session.command(jobs)
    found = json.loads(out)["jobs"][0]
    assert code == 0 and found["id"] == waiting.strip() and found["state"] == "waiting"
    assert list(found)[:4] == re.findall(r'"(\w+)":', shown[0])[1:5]
    session.command("riposte-worker broken -- sh -c 'exit 75' 2> /dev/null &")
    session.offered_by_name("broken")
    _, dead = session.command("riposte send broken --attempts 1 x")
    session.until("riposte dead list | grep -q broken")
    code, out = session.command(retry.replace('"9"', f'"{dead.strip()}"'))
    assert code == 0 and json.loads(out)["parent"] == dead.strip(), out


# ---- Keys ---------------------------------------------------------------------------------------------------

@pytest.fixture
def etc(session):
    """/etc/riposte of the reader alone."""
    code, out = session.command("mkdir etc && { cp -a /etc/. etc 2> /dev/null; rm -rf etc/riposte; "
                                "mkdir etc/riposte && mount --bind etc /etc; }")
    assert code == 0, out
    return session.directory / "etc" / "riposte"


def play_keys(session, block):
    """Runs what a block does with keys; the rest of its lines is systemd's, the system's or an editor's."""
    for text, _ in steps(block):
        for command in re.sub(r"\s+# .*", "", text).split("&&"):
            if re.match(r"\s*(install -d|riposte keys)", command):
                code, out = session.command(command)
                assert code == 0, f"{command}\n{out}"


def test_keys_of_a_new_house_of_its_tokens_and_their_rotation(session, etc):
    play_keys(session, operations("secure.conf"))
    assert {"broker.key", "broker.key_secret", "ada.key", "authorized"} <= {path.name for path in etc.iterdir()}
    play_keys(session, operations("useradd --system"))
    session.command("mkdir /etc/prometheus")
    play_keys(session, Block("docs/OPERATIONS.md", 0, "", operations("/etc/prometheus").text.replace("# ", "$ ")))
    assert len(session.command("cat /etc/prometheus/riposte.token")[1].strip()) > 20
    play_keys(session, metrics("Bearer 7f3a"))
    play_keys(session, operations("riposte keys rotate ada"))
    play_keys(session, operations("riposte keys rotate broker"))
    assert {"ada.old.key", "broker.old.key_secret"} <= {path.name for path in etc.iterdir()}
    (etc / "rules").write_text('role = "watcher"\n    observe = 1\n', encoding="utf-8")
    for text, _ in steps(Block("", 0, "", operations("riposte keys rotate broker").text.replace("\\\n", ""))):
        if text.startswith("riposte-broker"):
            code, out = session.command(f"{text.replace('…', '')} --authorized /etc/riposte/authorized --rules "
                                        "/etc/riposte/rules --check-config")
            assert code == 0, f"{text}\n{out}"


def test_a_broker_with_a_store_in_var(session):
    session.command("mkdir -p var && mount --bind var /var/lib && mkdir /var/lib/riposte")
    session.command(f"{operations('riposte-broker --store /var').text.strip()} > /dev/null 2>&1 &")
    session.until("riposte ping > /dev/null 2>&1")
    assert (session.directory / "var/riposte/jobs.db").exists()


# ---- What other tests follow: that the words are right --------------------------------------------------------

def test_containers_of_the_example_are_those_of_the_file():
    file = (SOURCE / "docker-compose.yml").read_text(encoding="utf-8")
    assert (SOURCE / "script/base-image").exists() and "round 1" in readme("client_1  | round").text
    for text, _ in steps(readme("docker-compose kill site")):
        for service in re.findall(r"\b(site|broker|client)\b", text):
            assert re.search(rf"^  {service}:$", file, re.M), service


def test_units_and_scripts_that_are_named_exist():
    assert "script/demo" in readme("script/demo ").text
    for script in re.findall(r"script/\w+", readme("script/demo ").text):
        assert (SOURCE / script).stat().st_mode & 0o111
    assert "riposte-worker@upper" in operations("riposte-worker@upper").text
    for unit in ("riposte-worker@.service.in", "secure.conf"):
        assert (SOURCE / "packaging" / unit).exists()
    assert "systemctl reload riposte-broker" in operations("delaycompress").text
    assert "ExecReload" in (SOURCE / "packaging/riposte-broker.service.in").read_text(encoding="utf-8")
