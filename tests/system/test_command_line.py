# SPDX-License-Identifier: MPL-2.0
"""The command lines of the three programs. A wrong one gives exit code 2 and one line that says
what is wrong, why, and what to do next."""

import json
import re
import signal

import pytest
import zmq

from support import programs
from support.waiting import until


@pytest.mark.parametrize("program, arguments, says", [
    (programs.BROKER, ("--no-such-option",), "no-such-option"),
    (programs.BROKER, ("--port", "7000"), "unknown option --port (did you mean --ports-file?)"),
    (programs.BROKER, ("surplus",), "surplus"),
    (programs.BROKER, ("--bind", "nonsense"), "nonsense"),
    (programs.BROKER, ("--bind", "tcp://127.0.0.1:99999"), "99999"),
    (programs.BROKER, ("--bind", "udp://127.0.0.1:5555"), "udp"),
    (programs.BROKER, ("--plain", "svc"), "SERVICE=FRONTEND,BACKEND"),
    (programs.BROKER, ("--plain", "svc=nonsense,ipc:///tmp/b"), "frontend"),
    (programs.BROKER, ("--plain", "svc=ipc:///tmp/a,tcp://127.0.0.1"), "backend"),
    (programs.BROKER, ("--plain", "mmi.svc=ipc:///tmp/a,ipc:///tmp/b"), "belongs to the broker"),
    (programs.BROKER, ("--plain", "svc=ipc:///tmp/a,ipc:///tmp/b",
                       "--plain", "svc=ipc:///tmp/c,ipc:///tmp/d"), "already"),
    (programs.BROKER, ("--limit", "max_body"), "max_body"),
    (programs.BROKER, ("--limit", "no_such_limit=1"), "no_such_limit"),
    (programs.BROKER, ("--limit", "max_body=1"), "max_body"),
    (programs.BROKER, ("--drain-limit", "30"), "30"),
    (programs.BROKER, ("--log-level", "chatty"), "chatty"),
    (programs.BROKER, ("--config", "/does/not/exist"), "/does/not/exist"),
    (programs.WORKER, ("--no-such-option",), "no-such-option"),
    (programs.WORKER, ("--slot", "2", "upper", "--", "cat"), "--slots"),
    (programs.WORKER, (), "service"),
    (programs.WORKER, ("upper",), "--"),
    (programs.WORKER, ("upper", "--", "/does/not/exist"), "/does/not/exist"),
    (programs.WORKER, ("--builtin", "fly", "x"), "fly"),
    (programs.WORKER, ("--slots", "0", "upper", "--", "cat"), "0"),
    (programs.WORKER, ("--slots", "4097", "upper", "--", "cat"), "4097"),
    (programs.WORKER, ("-s", "nonsense", "upper", "--", "cat"), "nonsense"),
    (programs.WORKER, ("up\nper", "--", "cat"), "control"),
    (programs.CLI, ("--no-such-option",), "no-such-option"),
    (programs.CLI, ("call", "upper", "x", "--time", "5s"), "--timeout"),
    (programs.CLI, (), "command"),
    (programs.CLI, ("fly",), "fly"),
    (programs.CLI, ("call",), "service"),
    (programs.CLI, ("call", "up\nper", "x"), "control"),
    (programs.CLI, ("call", "n" * 128, "x"), "127"),
    (programs.CLI, ("call", "upper", "@/does/not/exist"), "/does/not/exist"),
    (programs.CLI, ("call", "upper", "x", "y"), "y"),
    (programs.CLI, ("call", "upper", "x", "--timeout", "5"), "5"),
    (programs.CLI, ("call", "upper", "x", "--timeout", "5 parsecs"), "parsecs"),
    (programs.CLI, ("call", "upper", "x", "--attempts", "11"), "11"),
    (programs.CLI, ("-o", "xml", "status"), "xml"),
    (programs.CLI, ("-s", "nonsense", "status"), "nonsense"),
    (programs.CLI, ("talk", "site", "/does/not/exist"), "/does/not/exist"),
    (programs.CLI, ("bench", "echo", "--plot", "x.png"), ".svg"),
    (programs.SITE, ("--serv", "ipc:///tmp/x"), "--server"),
])
def test_wrong_usage_is_one_line_and_exit_code_2(world, program, arguments, says):
    result = world.run(program, *arguments, within=5)
    assert result.code == 2, result
    assert result.out == b""
    line = result.error()
    assert line.startswith(program.name + ": ")
    assert says in line, line


@pytest.mark.parametrize("arguments, says", [
    (("call", "-o", "json"), "service"), (("call", "upper", "x", "--nonsense", "-o", "json"), "--nonsense"),
    (("--nonsense", "-ojsonl"), "--nonsense"), (("--output=json",), "command"),
    (("call", "-o", "json", "upper", "@/does/not/exist"), "/does/not/exist"),
    (("-s", "nonsense", "status", "-o", "jsonl"), "nonsense")])
def test_wrong_usage_is_an_object_where_json_is_asked_for(world, arguments, says):
    result = world.run(programs.CLI, *arguments, within=5)
    assert (result.code, result.err) == (2, b""), result
    error = result.json()["error"]
    assert error["code"] == "USAGE" and says in error["message"]
    assert not error["message"].startswith("riposte:") and "\n" not in error["message"]


def test_a_port_in_use_is_said_with_the_next_step(world):
    broker = world.broker()
    result = world.run(programs.BROKER, "--bind", broker.endpoint, within=5)
    assert result.code == 1
    line = result.error()
    assert broker.endpoint in line and "in use" in line and "--bind" in line
    assert world.cli(broker, "ping").code == 0, "the first one is not harmed"


def test_an_endpoint_of_a_plain_service_in_use_is_said_with_the_next_step(world):
    broker = world.broker()
    for front, back in ((broker.endpoint, "tcp://127.0.0.1:*"), ("tcp://127.0.0.1:*", broker.endpoint)):
        result = world.run(programs.BROKER, "--bind", "tcp://127.0.0.1:*", "--plain",
                           f"svc={front},{back}", within=5)
        assert result.code == 1
        line = result.error()
        assert broker.endpoint in line and "in use" in line and "--plain" in line


def test_an_address_of_another_machine_is_said(world):
    result = world.run(programs.BROKER, "--bind", "tcp://192.0.2.1:5555", "--insecure", within=5)
    assert result.code == 1
    assert "192.0.2.1" in result.error()


def test_every_mistake_in_a_configuration_is_told_with_its_place(world):
    path = world.directory / "broken.cfg"
    path.write_text("limits\n    max_body = 5 bananas\n    colour = blue\nlog\n    level = loud\n")
    for option in ("--check-config", "--print-config", "--bind=tcp://127.0.0.1:*"):
        result = world.run(programs.BROKER, "--config", path, option, within=5)
        assert result.code == 2
        lines = result.err.decode().splitlines()
        assert len(lines) == 3, "all at once"
        for line, place, word in zip(lines, ("2:16", "3:5", "5:13"), ("bananas", "colour", "loud")):
            assert f"{path}:{place}: " in line, line
            assert word in line, line


@pytest.mark.parametrize("text", (
    "[limits]\n", "limits:\n  max_body: 16MiB\n", '{"limits": {"max_body": "16MiB"}}\n'))
def test_a_configuration_in_another_syntax_is_told_which_is_wanted(world, text):
    path = world.directory / "other.cfg"
    path.write_text(text)
    result = world.run(programs.BROKER, "--config", path, "--check-config", within=5)
    assert result.code == 2
    line = result.err.decode().splitlines()[0]
    assert "ZPL" in line and "max_body = 16MiB" in line


def test_a_printed_configuration_reads_back_to_itself(world):
    path = world.directory / "broker.cfg"
    first = world.run(programs.BROKER, "--print-config", "--limit", "max_body=3MiB", "--limit",
                      "drain_limit=1m", "--bind", "tcp://127.0.0.1:7777", "--log-level", "debug",
                      "--plain", "hello=ipc:///tmp/front,ipc:///tmp/back")
    assert first.code == 0
    path.write_bytes(first.out)
    second = world.run(programs.BROKER, "--config", path, "--print-config")
    assert re.sub(b"; source: .*", b"", second.out) == re.sub(b"; source: .*", b"", first.out)
    assert b"max_body = 3MiB" in second.out
    assert b'plain = "hello=ipc:///tmp/front,ipc:///tmp/back"' in second.out
    checked = world.run(programs.BROKER, "--config", path, "--check-config")
    assert (checked.code, checked.err) == (0, b"the settings are good\n")


def test_flag_beats_environment_beats_file_beats_default(world):
    path = world.directory / "broker.cfg"
    path.write_text("limits\n    drain_limit = 7s\n")

    def drain_limit(*options, **environment):
        out = world.run(programs.BROKER, "--print-config", *options, environment=environment).out
        return next(line.split()[-1] for line in out.decode().splitlines()
                    if line.strip().startswith("drain_limit ="))

    assert drain_limit() == "30s"
    assert drain_limit("--config", path) == "7s"
    assert drain_limit("--config", path, RIPOSTE_DRAIN_LIMIT="8s") == "8s"
    assert drain_limit("--config", path, "--drain-limit", "9s", RIPOSTE_DRAIN_LIMIT="8s") == "9s"


def test_settings_are_held_against_each_other_when_all_of_them_are_known(world):
    path = world.directory / "broker.cfg"
    path.write_text("limits\n    total_queue_bytes = 64MiB\n    max_body = 64MiB\n")
    check = (programs.BROKER, "--config", path, "--check-config")
    rest = ("--limit", "service_queue_bytes=64MiB", "--limit", "connection_backlog_bytes=32MiB")

    assert world.run(*check, *rest, "--limit", "max_body=32MiB").code == 0, "an option mends what the file says"

    result = world.run(*check, *rest)
    assert result.code == 2
    assert f"{path}:3:16: limits/max_body (64MiB) must not be more than half of" in result.error()

    path.write_text("limits\n    max_body = 32MiB\n")
    result = world.run(*check, "--limit", "total_queue_bytes=1GiB", "--limit", "max_body=1GiB")
    assert result.code == 2
    assert "--limit: limits/max_body (1GiB) must not be more than half of" in result.error()


def test_each_setting_has_a_variable_and_an_error_names_it(world):
    def maximum(*options, **environment):
        out = world.run(programs.BROKER, "--print-config", *options, environment=environment).out
        return next(line.split()[-1] for line in out.decode().splitlines()
                    if line.strip().startswith("max_body ="))

    assert maximum(RIPOSTE_LIMITS_MAX_BODY="2MiB") == "2MiB"
    assert maximum("--limit", "max_body=3MiB", RIPOSTE_LIMITS_MAX_BODY="2MiB") == "3MiB"
    result = world.run(programs.BROKER, "--check-config", environment={"RIPOSTE_LIMITS_MAX_BODY": "2"})
    assert result.code == 2
    assert result.error() == 'riposte-broker: RIPOSTE_LIMITS_MAX_BODY wants 1KiB to 1GiB, not "2"'


def test_a_size_without_a_unit_is_in_bytes_wherever_one_is_given(world):
    rules = world.directory / "rules"
    rules.write_text('principal = "ada"\n    open_bytes = 4096\n')
    assert world.run(programs.CLI, "rules", "check", rules).code == 0
    broker = world.broker("--limit", "max_body=4096")
    world.worker(broker, "four", "cat", options=("--max-output", "4"))
    assert world.cli(broker, "call", "four", "1234").out == b"1234"
    assert world.cli(broker, "call", "four", "12345").code == 1
    world.builtin(broker, "echo")
    assert world.cli(broker, "bench", "echo", "--count", "1", "--size", "4096").code == 0
    assert world.cli(broker, "bench", "echo", "--count", "1", "--size", "4097").code == 8
    assert world.cli(broker, "check", "--max-memory", "1048576:1073741824").code == 0
    for option in ("--max-body", "--total-body", "--header-bytes"):
        result = world.run(programs.BUILD / "riposte-http", option, "100000", "--nonsense", within=5)
        assert result.code == 2 and "--nonsense" in result.error(), "only what comes behind it is wrong"


def test_history_and_ports_file_stand_in_a_configuration_too(world):
    path = world.directory / "broker.cfg"
    ports, history = world.directory / "file.ports", world.directory / "file.history"
    path.write_text(f'bind = "tcp://127.0.0.1:*"\nports_file = "{ports}"\nhistory = "{history}"\n')
    world.start("broker", programs.BROKER, "--config", path)
    endpoint = until(lambda: ports.exists() and ports.read_text().strip(), within=5)
    assert world.cli(endpoint, "ping").code == 0
    assert world.cli(endpoint, "ping").code == 0
    until(lambda: history.exists() and history.read_text(), within=5)


def test_plain_services_of_options_beat_those_of_the_environment_and_of_the_file(world):
    path = world.directory / "broker.cfg"
    path.write_text('plain = "file=ipc:///tmp/a,ipc:///tmp/b"\n')

    def services(*options, **environment):
        out = world.run(programs.BROKER, "--print-config", *options, environment=environment).out
        return [line.split('"')[1].split("=")[0] for line in out.decode().splitlines()
                if line.startswith("plain =")]

    twin = {"RIPOSTE_PLAIN": "twin=ipc:///tmp/c,ipc:///tmp/d"}
    assert services() == []
    assert services("--config", path) == ["file"]
    assert services("--config", path, **twin) == ["twin"]
    two = ("--plain", "one=ipc:///tmp/e,ipc:///tmp/f", "--plain", "two=ipc:///tmp/g,ipc:///tmp/h")
    assert services("--config", path, *two, **twin) == ["one", "two"]


def test_options_stand_before_or_after_the_command_or_in_the_environment(world):
    broker = world.broker()
    world.builtin(broker, "upper")
    for arguments in (("-s", broker.endpoint, "call", "upper", "x"),
                      ("call", "-s", broker.endpoint, "upper", "x"),
                      ("call", "upper", "x", "-s", broker.endpoint)):
        assert world.cli(None, *arguments).out == b"X"
    environment = {"RIPOSTE_SERVER": broker.endpoint, "RIPOSTE_OUTPUT": "json"}
    result = world.cli(None, "call", "upper", "x", environment=environment)
    assert result.json()["body"] == "X"
    assert world.cli(None, "call", "upper", "x", "-o", "table", environment=environment).out == b"X"


def test_bodies_from_argument_file_and_input(world):
    broker = world.broker()
    world.builtin(broker, "echo")
    path = world.directory / "body"
    path.write_bytes(b"from a file\0\n")
    assert world.cli(broker, "call", "echo", "argument").out == b"argument"
    assert world.cli(broker, "call", "echo", f"@{path}").out == b"from a file\0\n"
    assert world.cli(broker, "call", "echo", "-", stdin=b"dash").out == b"dash"
    assert world.cli(broker, "call", "echo", stdin=b"no argument").out == b"no argument"
    assert world.cli(broker, "call", "echo", "--", "@literally").out == b"@literally"


def test_many_calls_keep_their_order_and_a_batch_that_fails_in_part_ends_with_8(world):
    broker = world.broker()
    world.worker(broker, "picky", "sh", "-c", "read x; test $x != 7 && echo $x",
                 options=("--slots", "4"))
    lines = b"".join(b"%d\n" % number for number in range(20))
    result = world.cli(broker, "call", "picky", "--lines", "--parallel", "8", stdin=lines)
    assert result.code == 8
    assert result.out == lines.replace(b"7\n", b"", 1)
    assert b"1 of 20 calls failed: APP_ERROR 1" in result.err
    world.builtin(broker, "echo")
    result = world.cli(broker, "call", "echo", "x", "--count", "50", "--parallel", "10")
    assert (result.code, result.out) == (0, b"x" * 50)


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_many_pings_end_at_a_signal_with_what_they_measured(world, number):
    cli = world.start_cli(world.broker(), "ping", "--count", "1000000000")
    assert cli.popen.stdout.readline().startswith(b"pong from ")
    cli.signal(number)
    result = world.finish(cli, within=5)
    assert (result.code, result.err) == (130, b"")
    last = result.out.splitlines()[-1]
    assert b" pings: least " in last or last.startswith(b"1 ping: least ")


def test_a_ping_names_the_broker_that_answered(world):
    broker = world.broker()
    both = f"tcp://127.0.0.1:1,{broker.endpoint}"
    assert world.cli(both, "ping").out.startswith(f"pong from {broker.endpoint} in ".encode())
    assert world.cli(both, "ping", "-o", "json").json()["server"] == broker.endpoint
    line = world.cli(both, "ping", "-o", "jsonl").out.splitlines()[0]
    assert json.loads(line)["server"] == broker.endpoint


@pytest.mark.parametrize("arguments", (
    ("call", "echo", "x" * 1000 + "\n", "--count", "1000", "--parallel", "100"),
    ("call", "echo", "x" * 1000 + "\n", "--count", "1000", "--parallel", "100", "-o", "jsonl"),
    ("call", "echo", "x" * 1000 + "\n", "--count", "1000", "--parallel", "100", "-o", "csv"),
    ("ping", "--count", "1000000000"),
))
def test_a_closed_output_is_the_end_and_quiet(world, arguments):
    broker = world.broker()
    world.builtin(broker, "echo")
    cli = world.start_cli(broker, *arguments)
    assert cli.popen.stdout.readline()
    cli.popen.stdout.close()
    assert cli.wait(5) == 1
    assert cli.log() == ""


def test_help_version_man_and_completions_of_each_program(world):
    for program in (programs.BROKER, programs.WORKER, programs.CLI):
        helped = world.run(program, "--help")
        assert helped.code == 0 and b"usage: " + program.name.encode() in helped.out
        assert world.run(program, "--version").out.strip()
        assert world.run(program, "--man").out.startswith(b".TH")
        assert program.name.encode() in world.run(program, "--completions", "bash").out


def test_the_first_line_tells_what_to_try(world):
    broker = world.broker()
    broker.wait_for("try:")
    first, second = broker.log().splitlines()[:2]
    assert first.startswith("riposte ") and first.endswith(broker.endpoint)
    assert "security off (loopback only)" in second
    words = second.split("try:")[1].split()
    worker = world.start("worker", programs.WORKER, *words[1:])
    world.wait_for_worker(broker, worker, "upper")
    assert world.cli(broker, "call", "upper", "hello").out == b"HELLO"


def test_the_first_lines_tell_of_plain_services(world):
    broker = world.broker("--plain", "adder=tcp://127.0.0.1:*,tcp://127.0.0.1:*")
    broker.wait_for("try:")
    first, second, _ = broker.log().splitlines()[:3]
    ports = (world.directory / "ports-1").read_text().split()
    assert first.endswith(ports[0]) and ports[0] == broker.endpoint
    assert second == f'  plain "adder": REQ at {ports[1]}, REP at {ports[2]}'


def test_a_plain_service_for_everyone_is_warned_of(world):
    broker = world.start("broker", programs.BROKER, "--bind", "tcp://127.0.0.1:*", "--plain",
                         "adder=tcp://127.0.0.1:*,tcp://0.0.0.0:*", "--insecure")
    broker.wait_for("whoever can reach tcp://0.0.0.0:")
    until(broker.alive, 1)


def test_the_status_tells_of_foreign_if_there_were_any(world):
    """Foreign here is a REQ client, whose request waits because its service has no worker."""
    broker = world.broker("--plain", f"svc=ipc://{world.directory}/front,ipc://{world.directory}/back")
    assert b"foreign" not in world.cli(broker, "status").out
    context = zmq.Context()
    req = context.socket(zmq.REQ)
    try:
        req.linger = 0
        req.connect(f"ipc://{world.directory}/front")
        req.send(b"nobody is there")
        world.wait_for_waiting(broker, 1)
        lines = [line.split() for line in world.cli(broker, "status").out.decode().splitlines()
                 if line.startswith("foreign")]
        assert lines[0][:3] == ["foreign", "envelopes", "1"]
        assert lines[1:] == [["foreign", "now", "PLAIN", "1"], ["foreign", "ever", "PLAIN", "1"]]
    finally:
        context.destroy()
    until(lambda: world.status(broker)["foreign"]["envelopes"] == 0, 5, "it is gone")
    assert world.status(broker)["foreign"]["ever"]["PLAIN"] == 1


def test_binding_to_everyone_is_warned_of(world):
    broker = world.start("broker", programs.BROKER, "--bind", "tcp://0.0.0.0:*", "--insecure")
    broker.wait_for("warning: security off")
    until(broker.alive, 1)


@pytest.mark.parametrize("options", [("--bind", "tcp://0.0.0.0:*"), ("--bind", "tcp://[::]:*"),
                                     ("--plain", "adder=tcp://127.0.0.1:*,tcp://0.0.0.0:*")])
def test_listening_for_everyone_without_a_key_is_refused_with_the_way_to_have_one(world, options):
    for check in ((), ("--check-config",)):
        result = world.run(programs.BROKER, *options, *check)
        assert result.code == 2
        for command in ("riposte keys new broker --dir K", "riposte keys authorize K/ada.key --principal ada --into A",
                        "--key-file K/broker.key_secret --authorized A --rules FILE", "--insecure"):
            assert command in result.error(), result
