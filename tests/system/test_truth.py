# SPDX-License-Identifier: MPL-2.0
"""The output of services, workers, status and ping agrees with the processes that run."""

import csv
import io
import json

from support.peer import CREDIT, head
from support.programs import BRIEFLY, SLOW
from support.waiting import until
from support.world import clean_words


def test_workers_and_services_agree_with_what_runs(world):
    broker = world.broker()
    assert world.workers(broker) == []
    assert world.services(broker) == {}
    echoes = [world.builtin(broker, "echo", ready=False) for _ in range(3)]
    world.builtin(broker, "upper", "--slots", "4", ready=False)
    until(lambda: len(world.workers(broker)) == 4, 5, "all four are there")
    services = world.services(broker)
    assert {name: one["workers"] for name, one in services.items()} == {"echo": 3, "upper": 1}
    # A worker that runs one request at a time begins with a window of 1, whatever its slots.
    assert (services["echo"]["window"], services["upper"]["window"]) == (3, 1)
    assert {one["name"].rsplit("-", 1)[1] for one in world.workers(broker, "echo")} \
        == {str(echo.pid) for echo in echoes}
    echoes[0].kill()
    until(lambda: world.services(broker)["echo"]["workers"] == 2, 2.5, "two are left")
    echoes[1].terminate()
    assert echoes[1].wait() == 0
    until(lambda: world.services(broker)["echo"]["workers"] == 1, 2.5, "one is left")


def test_running_and_waiting_are_counted(world):
    broker = world.broker()
    gate = world.gate()
    worker = world.worker(broker, "held", *gate.command, options=("--slots", "2"))
    calls = [world.start_cli(broker, "call", "held", "--timeout", "30s") for _ in range(5)]
    until(lambda: world.services(broker)["held"]["waiting"] == 3, 5, "three wait")
    service = world.services(broker)["held"]
    assert (service["running"], service["waiting"], service["workers"]) == (2, 3, 1)
    assert service["oldest_us"] > 0
    told = world.worker_of(broker, worker)
    assert (told["running"], told["window"]) == (2, 2)
    gate.open()
    assert [world.finish(call).code for call in calls] == [0] * 5
    service = world.services(broker)["held"]
    assert (service["running"], service["waiting"], service["requests"]) == (0, 0, 5)
    assert world.worker_of(broker, worker)["replies"] == 5


def test_a_worker_whose_command_cannot_run_is_not_called_ready(world):
    broker = world.broker()
    program = world.script()
    worker = world.worker(broker, "gone", program)
    assert world.worker_of(broker, worker)["state"] == "ready"
    program.unlink()
    assert world.cli(broker, "call", "gone", "x").code == 4
    assert world.worker_of(broker, worker)["state"] == "unready"
    assert "unready" in clean_words(world.cli(broker, "workers").out)
    table = world.cli(broker, "workers", "-o", "csv").out.decode()
    assert [row["state"] for row in csv.DictReader(io.StringIO(table))] == ["unready"]


def test_a_worker_that_has_more_than_its_window_is_said_to_be_over_it(world):
    broker = world.broker()
    peer = world.peer(broker)
    peer.register(b"held", window=2, heartbeat_ms=30000)
    calls = [world.start_cli(broker, "call", "held", "--timeout", "30s") for _ in range(2)]
    world.wait_for_running(broker, 2)
    peer.send(head(CREDIT, value=1))
    until(lambda: world.workers(broker)[0]["window"] == 1, 5, "it has lowered its window")
    told = world.workers(broker)[0]
    assert (told["running"], told["window"], told["state"]) == (2, 1, "over")
    for call in calls:
        call.interrupt()
        assert world.finish(call).code == 130


def test_the_log_says_when_a_worker_left_and_why(world):
    broker = world.broker()
    drained = world.builtin(broker, "echo")
    drained.terminate()
    assert drained.wait() == 0
    broker.wait_for(f'{drained.pid} of "echo" left: drained')
    stopped = world.builtin(broker, "sleep", "--drain", "500ms")
    call = world.start_cli(broker, "call", "sleep", "30s", "--timeout", "60s")
    world.wait_for_running(broker, 1)
    stopped.terminate()
    stopped.wait()
    broker.wait_for(f'{stopped.pid} of "sleep" left: it said BYE; it held 1')
    assert world.finish(call).code == 9


def test_a_timeout_over_before_a_broker_could_answer_is_not_called_a_missing_broker(world):
    broker = world.broker()
    broker.freeze()
    line = world.cli(broker, "call", "echo", "x", "--timeout", "1ms").error()
    assert "within 1 ms" in line and "allow more time: --timeout" in line
    assert "start one" not in line


def test_a_client_that_stood_still_says_so(world):
    broker = world.broker(limits={"heartbeat_max": f"{300 * SLOW}ms"})
    world.builtin(broker, "sleep")
    client = world.start_cli(broker, "call", "sleep", "30s", "--timeout", "60s")
    world.wait_for_running(broker, 1)
    client.freeze()
    until(lambda: world.status(broker)["counters"]["clients_lost"] == 1, 10, "the broker gave it up")
    client.thaw()
    line = world.finish(client).error()
    assert "this process stood still for" in line
    assert "broker was lost" not in line


def test_the_books_balance(world):
    """accepted = final + waiting + running, whenever the status is read (invariant 10)."""
    broker = world.broker(limits={"rejoin_grace": "0s"})
    gate = world.gate()
    world.worker(broker, "held", *gate.command)
    world.builtin(broker, "fail")

    def check():
        status = world.status(broker)
        gauges = status["gauges"]
        assert status["counters"]["requests"] == (
            sum(status["finals"].values()) + gauges["waiting"] + gauges["running"]), status
        return status

    calls = [world.start_cli(broker, "call", "held", "--timeout", "30s") for _ in range(3)]
    world.wait_for_waiting(broker, 2)
    check()
    world.cli(broker, "call", "fail")
    world.cli(broker, "call", "nobody")
    world.cli(broker, "call", "held", "--timeout", BRIEFLY)
    check()
    gate.open()
    for call in calls:
        world.finish(call)
    finals = check()["finals"]
    assert {name: count for name, count in finals.items() if count} \
        == {"OK": 3, "APP_ERROR": 1, "NO_WORKER": 1, "EXPIRED": 1}


def test_status_tells_who_the_broker_is(world):
    broker = world.broker()
    status = world.status(broker)
    assert status["pid"] == broker.pid
    assert status["endpoints"] == [broker.endpoint]
    assert status["draining"] is False
    assert status["limits"]["max_body"] == 16 * 1024 * 1024
    words = clean_words(world.cli(broker, "status").out)
    assert f"pid {broker.pid}" in words
    assert broker.endpoint in words


def test_every_list_comes_as_table_json_jsonl_and_csv(world):
    broker = world.broker()
    world.builtin(broker, "echo")
    world.builtin(broker, "upper")
    for what in ("services", "workers"):
        table = world.cli(broker, what)
        assert table.code == 0 and table.err == b""
        assert len(table.out.splitlines()) == 3, "titles and two rows"
        whole = world.cli(broker, what, "-o", "json").json()[what]
        lines = world.cli(broker, what, "-o", "jsonl").out.splitlines()
        assert len(whole) == 2
        assert sorted(json.loads(line)["name"] for line in lines) \
            == sorted(item["name"] for item in whole)
        text = world.cli(broker, what, "-o", "csv").out.decode()
        rows = list(csv.DictReader(io.StringIO(text)))
        assert sorted(row["name"] for row in rows) == sorted(item["name"] for item in whole)
    rows = list(csv.reader(io.StringIO(world.cli(broker, "status", "-o", "csv").out.decode())))
    assert len(rows) > 10


def test_ping(world):
    broker = world.broker()
    result = world.cli(broker, "ping")
    assert result.code == 0 and result.out.startswith(b"pong from tcp://")
    told = world.cli(broker, "ping", "--count", "5", "-o", "json").json()
    assert told["count"] == 5
    assert 0 < told["least_us"] <= told["mean_us"] <= told["most_us"]


def test_a_quiet_ping_says_nothing(world):
    result = world.cli(world.broker(), "-q", "ping")
    assert (result.code, result.out, result.err) == (0, b"", b"")


def test_the_verbose_line_tells_the_id_as_the_history_does(world):
    path = world.directory / "history"
    broker = world.broker("--history", path)
    world.builtin(broker, "upper")
    result = world.cli(broker, "call", "-v", "upper", "hi")
    client, number = result.err.decode().split("  id ")[1].split()[0].split("/")
    until(lambda: f"\tid={number}\t" in path.read_text(), 5, "it is written")
    assert f"\trole=client\tname={client}\t" in path.read_text()


def test_the_verbose_line_tells_where_the_time_went(world):
    broker = world.broker()
    worker = world.builtin(broker, "upper")
    result = world.cli(broker, "call", "-v", "upper", "hi")
    assert result.out == b"HI"
    there, back, header = result.err.decode().splitlines()
    assert header.strip() == f"worker: {back.split('worker ')[1].split()[0]}"
    assert there.startswith("→ upper 2 B")
    assert back.startswith("← ok 2 B")
    assert f"-{worker.pid}" in back
    assert all(word in back for word in ("queue", "work", "total"))
