# SPDX-License-Identifier: MPL-2.0
"""riposte check: a Nagios plugin. One line on standard output; exit codes 0 to 3."""

import re
import subprocess

import pytest

from support.programs import CLI

NOBODY = "tcp://127.0.0.1:1"
#: An item of performance data: label, value with its unit, and up to four bounds.
ITEM = re.compile(r"'(?:[^'=]|'')+'=[0-9.]+(?:s|B|c|%)?(?:;(?:[0-9.]+:?)?){0,2}(?:;[0-9.]*){0,2}(?: |$)")


def check(world, broker, *words, code):
    result = world.cli(broker, "check", *words)
    lines = result.out.decode().splitlines()
    assert (result.code, len(lines), result.err) == (code, 1, b""), result
    word = ("OK", "WARNING", "CRITICAL", "UNKNOWN")[code]
    assert lines[0].startswith(f"RIPOSTE {word} - "), result
    return lines[0]


def test_a_broker_that_is_well_is_ok(world):
    broker = world.broker()
    world.builtin(broker, "upper")
    assert check(world, broker, code=0) == "RIPOSTE OK - 1 service, 1 worker, 0 waiting, 0 running"
    check(world, broker, "--services", "upper", "--min-workers", "1", "--max-waiting", "10:100", code=0)


def test_a_broker_that_is_not_there_is_critical(world):
    line = check(world, NOBODY, "--wait-broker", "50ms", code=2)
    assert f"no broker at {NOBODY}" in line


def test_a_named_service_without_a_worker_is_critical(world):
    broker = world.broker()
    world.builtin(broker, "upper")
    assert "mail: no worker" in check(world, broker, "--services", "upper,mail", code=2)


def test_requests_that_wait_pass_a_warning_and_then_the_critical_bound(world):
    broker = world.broker()
    gate = world.gate()
    world.worker(broker, "slow", *gate.command)
    clients = [world.start_cli(broker, "call", "slow", "x", "--timeout", "60s")]
    world.wait_for_running(broker, 1, "slow")
    for count in (1, 2, 3):
        clients.append(world.start_cli(broker, "call", "slow", "x", "--timeout", "60s"))
        world.wait_for_waiting(broker, count)
    assert "slow: 3 requests wait (over 2)" in check(world, broker, "--max-waiting", "2:3", code=1)
    assert "slow: 3 requests wait (over 2)" in check(world, broker, "--max-waiting", "1:2", code=2)
    check(world, broker, "--max-waiting", "3", code=0)
    line = check(world, broker, "--max-waiting", "2:", "--max-oldest", "1ms", code=2)
    assert line.index("has waited") < line.index("requests wait"), "the worst first"
    assert "slow: 1 worker (under 2)" in check(world, broker, "--min-workers", "2:1", code=1)
    assert "requests and replies take" in check(world, broker, "--max-memory", "1B", code=2)
    gate.open()
    for client in clients:
        assert world.finish(client).code == 0


def test_performance_data_are_in_nagios_syntax(world):
    broker = world.broker()
    world.builtin(broker, "upper", service="it's upper")
    line = check(world, broker, "--services", "it's upper", "--perfdata", "--max-oldest", "1s:5s", "--max-memory",
                 "50%:90%", "--min-workers", "1", code=0)
    text, data = line.split(" | ")
    assert "1 worker" in text
    assert ITEM.sub("", data) == "", data
    assert "'it''s upper workers'=1;;1:;0" in data and "'memory'=0B;536870912;966367641;0;1073741824" in data
    assert "|" not in check(world, broker, code=0)


@pytest.mark.parametrize("words, text", [
    (("--bogus",), "--bogus"),
    (("extra",), "takes no argument"),
    (("--max-waiting", "100:10"), "--max-waiting wants a WARNING that is not more than its CRITICAL"),
    (("--max-oldest", "5"), "--max-oldest wants"),
    (("--count", "2"), "--count"),
    (("--services", ""), "--services wants names"),
    (("--services", ",,"), "--services wants names"),
])
def test_a_wrong_command_line_is_unknown(world, words, text):
    assert text in check(world, None, *words, code=3)


def test_other_commands_keep_their_exit_codes(world):
    assert world.run(CLI, "rules", "check", "--bogus").code == 2
    assert world.run(CLI, "status", "--bogus").code == 2


def test_the_verdict_as_json(world):
    broker = world.broker()
    result = world.cli(broker, "check", "--services", "mail", "-o", "json")
    assert result.code == 2
    verdict = result.json()
    assert verdict["state"] == "CRITICAL"
    assert verdict["causes"] == [{"state": "CRITICAL", "text": "mail: no worker"}]
    missing = world.cli(NOBODY, "check", "-o", "json", "--wait-broker", "50ms")
    assert (missing.code, missing.json()["error"]["code"]) == (2, "NO_BROKER")


def test_what_cannot_be_written_is_unknown(world):
    broker = world.broker()
    with open("/dev/full", "wb") as full:
        for output in ((), ("-o", "json")):
            result = subprocess.run(world.cli_command(broker, "check", *output), stdout=full, stderr=subprocess.PIPE,
                                    timeout=20, check=False)
            assert (result.returncode, b"is the disk full?" in result.stderr) == (3, True), result
        plain = subprocess.run(world.cli_command(broker, "status"), stdout=full, stderr=subprocess.PIPE, timeout=20,
                               check=False)
        assert plain.returncode == 1
