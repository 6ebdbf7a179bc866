# SPDX-License-Identifier: MPL-2.0
"""riposte bench: what it sends and measures, and what it reports."""

import os
import shutil
import subprocess
import time
import xml.etree.ElementTree

import pytest

from support import programs
from support.programs import SLOW
from support.terminal import open_terminal
from support.waiting import until

KEYS = ["service", "protocol", "loop", "clients", "inflight", "asked_rate", "workers", "size",
        "duration_s", "rate", "requests", "failed", "unsent", "latency_us"]
PERCENTILES = ["p50", "p90", "p99", "p999", "max"]


def bench(world, broker, *arguments, **more):
    return world.cli(broker, "bench", *arguments, "-o", "json", **more)


def accepted(world, broker):
    """How many requests the broker has accepted, without its own services'."""
    return world.status(broker)["counters"]["requests"]


def hdr_rows(path):
    """Returns value, percentile and count of each line."""
    lines = path.read_text().splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    return [(float(words[0]), float(words[1]), int(words[2]))
            for words in map(str.split, lines[1:]) if words and not words[0].startswith("#")]


# ---- Another protocol -----------------------------------------------------------------------------


@pytest.mark.parametrize("load", [(), ("--rate", "5000")])
def test_majordomo_clients_get_a_count_from_any_worker(world, load):
    broker = world.broker()
    result = bench(world, broker, "echo", "--workers", "1", "--protocol", "mdp01", "--count", "1001",
                   "--clients", "7", "--inflight", "5", *load)
    said = result.json()
    assert result.code == 0 and said["requests"] == 1001 and said["failed"] == {}
    assert said["protocol"] == "mdp01" and said["latency_us"]["p50"] > 0
    status = world.status(broker)
    assert status["foreign"]["ever"]["MDP01"] == 7 and status["finals"]["OK"] == 1001


def test_without_an_answer_in_time_a_majordomo_request_counts_as_unknown(world):
    result = bench(world, world.broker(), "nobody", "--protocol", "mdp01", "--count", "3",
                   "--timeout", "100ms")
    assert result.code == 8 and result.json()["failed"] == {"UNKNOWN": 3}
    assert "--timeout" in result.json()["error"]["message"]


@pytest.mark.parametrize("warmup", ["0", "30s"])
def test_a_majordomo_bench_ends_when_its_broker_dies(world, warmup):
    broker = world.broker()
    process = world.start("bench", *world.cli_command(
        broker, "bench", "nobody", "--protocol", "mdp01", "--timeout", "60s", "--warmup", warmup))
    until(lambda: world.status(broker)["counters"]["requests"] >= 64, what="all have asked")
    broker.kill()
    assert process.wait(5) == 8


def test_majordomo_clients_want_one_broker(world):
    result = world.cli(world.broker(), "bench", "echo", "--protocol", "mdp01",
                       "-s", "tcp://a:1,tcp://b:1")
    assert result.code == 2 and b"one --server" in result.err


# ---- Closed loop ----------------------------------------------------------------------------------


def test_a_closed_loop_with_workers_of_its_own(world):
    broker = world.broker()
    result = bench(world, broker, "echo", "--workers", "2", "--clients", "3", "--inflight", "5",
                   "--size", "1KiB", "--duration", "300ms", "--warmup", "50ms")
    assert (result.code, result.err) == (0, b""), "no progress where there is no terminal"
    said = result.json()
    assert list(said) == KEYS and list(said["latency_us"]) == PERCENTILES
    assert (said["service"], said["loop"], said["asked_rate"]) == ("echo", "closed", None)
    assert [said[key] for key in ("clients", "inflight", "workers", "size")] == [3, 5, 2, 1024]
    assert said["failed"] == {} and said["unsent"] == 0
    assert said["requests"] > 0 and said["duration_s"] >= 0.3
    assert said["rate"] == pytest.approx(said["requests"] / said["duration_s"], rel=1e-3)
    times = [said["latency_us"][key] for key in PERCENTILES]
    assert times == sorted(times) and times[0] > 0
    until(lambda: world.workers(broker) == [], what="its workers have left")


@pytest.mark.parametrize("load", [(), ("--rate", "5000")])
def test_a_count_is_exact(world, load):
    broker = world.broker()
    world.builtin(broker, "echo", "--slots", "16")
    result = bench(world, broker, "echo", "--count", "1001", "--clients", "7", *load)
    assert result.code == 0 and result.json()["requests"] == 1001
    assert accepted(world, broker) == 1001, "no warm-up either"


def test_the_warm_up_is_sent_and_not_counted(world):
    broker = world.broker()
    world.builtin(broker, "echo")
    said = bench(world, broker, "echo", "--count", "10", "--warmup", "100ms").json()
    assert said["requests"] == 10
    assert accepted(world, broker) > 10


def test_bodies_have_their_size(world):
    broker = world.broker()
    world.worker(broker, "size", "sh", "-c", "test $(wc -c) = 70000")
    assert bench(world, broker, "size", "--count", "3", "--size", "70kB").code == 0
    assert bench(world, broker, "size", "--count", "3", "--size", "70001B").code == 8


def test_people_get_three_lines(world):
    broker = world.broker()
    result = world.cli(broker, "bench", "echo", "--workers", "1", "--count", "50")
    lines = [line.split() for line in result.out.decode().splitlines()]
    assert [line[0] for line in lines] == ["rate", "latency", "failed"]
    assert "(50 requests in" in result.out.decode() and lines[2] == ["failed", "0"]
    assert [word for word in lines[1] if word.startswith(("p", "max"))] == [
        "p50", "p90", "p99", "p99.9", "max"]


# ---- Open loop ------------------------------------------------------------------------------------


def test_an_open_loop_holds_its_rate(world):
    broker = world.broker()

    def holds():
        said = bench(world, broker, "echo", "--workers", "1", "--clients", "3", "--rate", "500",
                     "--duration", "1s", "--warmup", "0").json()
        assert said["loop"] == "open" and said["asked_rate"] == 500
        assert said["requests"] == 500 and said["unsent"] == 0
        assert said["rate"] <= 500, said
        return said["rate"] >= 450
    assert any(holds() for _ in range(5)), "on a busy machine, at some time"


def test_an_open_loop_does_not_hide_a_stall(world):
    broker = world.broker()
    cli = world.start_cli(broker, "bench", "echo", "--workers", "1", "--clients", "2",
                          "--rate", "500", "--duration", f"{2 * SLOW}s", "--warmup", "0", "-o", "json")
    until(lambda: accepted(world, broker) >= 200, 5, "the load runs", cli)
    broker.freeze()
    stalled = time.monotonic()
    until(lambda: time.monotonic() - stalled >= 0.3 * SLOW, what="the stall is long enough")
    broker.thaw()
    result = world.finish(cli)
    assert result.code == 0, result
    said = result.json()
    assert said["requests"] == 1000 * SLOW, "what was due during the stall was asked for as well"
    assert said["rate"] >= 400
    assert said["latency_us"]["max"] >= 250000
    # A closed loop would have sent almost nothing during the stall: one request in a thousand.
    assert said["latency_us"]["p90"] >= 50000, "15% of the requests were due during the stall"


def test_what_was_due_and_not_sent_is_told(world):
    broker = world.broker()
    result = bench(world, broker, "echo", "--workers", "1", "--clients", "1", "--inflight", "1",
                   "--rate", "10000000", "--duration", "20ms", "--warmup", "0")
    said = result.json()
    assert result.code == 0
    assert said["unsent"] > 0 and said["requests"] + said["unsent"] == 200000
    assert f"{said['unsent']} more requests were due" in result.error()
    assert said["latency_us"]["max"] >= 500000, "who waits for room is counted with that wait"


# ---- Failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [(), ("--rate", "2000")])
def test_failures_are_counted_by_status_and_end_it_with_8(world, load):
    broker = world.broker()
    world.builtin(broker, "upper")
    result = bench(world, broker, "uper", "--count", "100", "--clients", "2", *load)
    assert result.code == 8
    said = result.json()
    assert list(said) == KEYS + ["error"]
    assert said["requests"] == 100 and said["failed"] == {"NO_WORKER": 100}
    assert (said["error"]["code"], said["error"]["hint"]) == ("NO_WORKER", "upper")
    assert said["rate"] == 0 and set(said["latency_us"].values()) == {None}
    told = world.cli(broker, "bench", "uper", "--count", "100", *load)
    assert told.code == 8
    assert told.out.splitlines()[2] == b"failed    100: NO_WORKER 100"
    assert 'did you mean "upper"?' in told.error()


def test_what_a_worker_refuses_is_a_failure_beside_what_it_does(world):
    broker = world.broker()
    world.worker(broker, "picky", "sh", "-c", "test $RIPOSTE_ID != 7")
    result = bench(world, broker, "picky", "--count", "20")
    said = result.json()
    assert result.code == 8 and said["requests"] == 20 and said["failed"] == {"APP_ERROR": 1}
    assert said["rate"] == pytest.approx(19 / said["duration_s"], rel=1e-3), "of those that are OK"


def test_without_a_broker_it_ends_with_3(world):
    assert world.cli("tcp://127.0.0.1:1", "bench", "echo", "--workers", "1", within=5).code == 3


@pytest.mark.parametrize("load", [(), ("--rate", "2000")])
def test_an_interrupt_ends_it_with_what_there_is(world, load):
    broker = world.broker()
    cli = world.start_cli(broker, "bench", "echo", "--workers", "1", "--warmup", "0",
                          "--duration", "1h", "-o", "json", *load)
    until(lambda: accepted(world, broker) >= 100, 5, "the load runs", cli)
    cli.interrupt()
    result = world.finish(cli)
    assert result.code == 130
    said = result.json()
    assert said["requests"] > 0 and said["failed"] == {} and said["latency_us"]["p50"] > 0


@pytest.mark.parametrize("load", [(), ("--rate", "100")])
def test_what_is_open_at_an_interrupt_is_not_counted(world, load):
    broker = world.broker()
    gate = world.gate()
    world.worker(broker, "gate", *gate.command)
    cli = world.start_cli(broker, "bench", "gate", "--warmup", "0", "--timeout", "1h",
                          "-o", "json", *load)
    until(gate.starts, 5, "a request runs", cli)
    cli.interrupt()
    result = world.finish(cli)
    assert (result.code, result.err) == (130, b"")
    assert result.json()["requests"] == 0 and result.json()["failed"] == {}


# ---- Options --------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments, says", [
    ((), "service"),
    (("echo", "body"), "body"),
    (("echo", "--clients", "0"), "1 to 1000"),
    (("echo", "--clients", "1001"), "1 to 1000"),
    (("echo", "--inflight", "0"), "1 to 10000"),
    (("echo", "--rate", "0"), "1 to 10000000"),
    (("echo", "--rate", "fast"), "fast"),
    (("echo", "--size", "64q"), "a size such as 64KiB"),
    (("echo", "--duration", "10"), "unit"),
    (("echo", "--duration", "1ms"), "10ms"),
    (("echo", "--count", "10", "--duration", "1s"), "do not go together"),
    (("echo", "--workers", "-1"), "-1"),
    (("echo", "--parallel", "2"), "does not go with bench"),
])
def test_wrong_options_are_one_line_and_exit_code_2(world, arguments, says):
    result = world.cli(None, "bench", *arguments, within=5)
    assert (result.code, result.out) == (2, b""), result
    assert says in result.error()


@pytest.mark.parametrize("option", ["--hdr", "--plot"])
def test_a_file_that_cannot_be_written_is_told_before_the_run(world, option):
    broker = world.broker()
    fake_gnuplot(world, "exit 0")
    result = world.cli(broker, "bench", "echo", option, "/does/not/exist.svg", within=5,
                       environment={"PATH": f"{world.directory}:/usr/bin:/bin"})
    assert result.code == 2 and "cannot write /does/not/exist.svg" in result.error()
    assert accepted(world, broker) == 0


def test_its_help_shows_its_options(world):
    text = world.cli(None, "bench", "--help").out.decode()
    assert text.startswith("usage: riposte bench [OPTION]... SERVICE\n")
    for option in ("--clients", "--inflight", "--rate", "--size", "--duration", "--count", "--warmup",
                   "--workers", "--hdr", "--plot"):
        assert option in text
    assert "--rate" not in world.cli(None, "call", "--help").out.decode()


def read_all(terminal):
    """Reads all that was written to a terminal whose other end is closed; it may come in pieces."""
    shown = b""
    try:
        while True:
            shown += terminal.read(65536)
    except OSError:  # EIO: there is no more
        return shown


def test_progress_is_shown_on_a_terminal(world):
    broker = world.broker()
    master, slave = open_terminal()
    with open(master, "rb", buffering=0) as terminal:
        cli = subprocess.Popen(
            [str(word) for word in world.cli_command(
                broker, "bench", "echo", "--workers", "1", "--duration", "500ms", "--rate", "200", "-o", "json")],
            stdout=subprocess.PIPE, stderr=slave, env=world.environment)
        os.close(slave)
        out, _ = cli.communicate(timeout=20 * programs.PATIENCE)
        shown = read_all(terminal)
    assert cli.returncode == 0 and out.startswith(b"{")
    assert b"warms up" in shown and b"measures" in shown
    assert shown.endswith(b"\r\x1b[K"), "and it is taken away"


# ---- Files ----------------------------------------------------------------------------------------


def fake_gnuplot(world, script):
    path = world.directory / "gnuplot"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"PATH": f"{world.directory}:/usr/bin:/bin"}


def test_the_hdr_file_agrees_with_the_result(world):
    broker = world.broker()
    path = world.directory / "echo.hdr"
    said = bench(world, broker, "echo", "--workers", "1", "--count", "5000", "--hdr", path).json()
    rows = hdr_rows(path)
    assert len(rows) > 20
    for before, after in zip(rows, rows[1:]):
        assert all(old <= new for old, new in zip(before, after)), (before, after)
    assert rows[-1] == (said["latency_us"]["max"], 1.0, 5000)
    median = next(value for value, percentile, _ in rows if percentile >= 0.5)
    assert median == said["latency_us"]["p50"]


def test_a_plot_without_gnuplot_is_refused_before_the_run(world):
    broker = world.broker()
    result = bench(world, broker, "echo", "--plot", "echo.svg", within=5,
                   environment={"PATH": "/does/not/exist"})
    assert result.code == 1 and "gnuplot" in result.error() and "--hdr" in result.error()
    assert accepted(world, broker) == 0
    assert not (world.directory / "echo.svg").exists()


def test_gnuplot_gets_the_percentiles_and_the_name_as_it_is(world):
    broker = world.broker()
    environment = fake_gnuplot(world, 'test "$1" = --version || cat')
    result = bench(world, broker, "it's", "--workers", "1", "--count", "100", "--plot", "echo.svg",
                   environment=environment)
    assert result.code == 0
    script = (world.directory / "echo.svg").read_text()
    assert "set title 'it''s: 8 clients, 8 in flight each, 64 B' noenhanced" in script
    assert f"{result.json()['latency_us']['max']}.000 1.000000000000        100" in script


def test_a_gnuplot_that_fails_is_told(world):
    broker = world.broker()
    result = bench(world, broker, "echo", "--workers", "1", "--count", "100", "--plot", "echo.svg",
                   environment=fake_gnuplot(world, 'test "$1" = --version'))
    assert result.code == 1 and "gnuplot failed" in result.error()
    assert result.json()["requests"] == 100, "the result is not lost"


@pytest.mark.skipif(not shutil.which("gnuplot"), reason="gnuplot is not installed")
def test_a_plot_is_an_svg_picture(world):
    broker = world.broker()
    result = bench(world, broker, "echo", "--workers", "1", "--count", "100", "--plot", "echo.svg")
    assert (result.code, result.err) == (0, b"")
    assert xml.etree.ElementTree.parse(world.directory / "echo.svg").getroot().tag.endswith("svg")
