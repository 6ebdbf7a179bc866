# SPDX-License-Identifier: MPL-2.0
"""One test for each row of the contract's status table, with real programs: what the caller sees
(exit code, one line, JSON), and that no worker got the request where the contract says so."""

import json
import subprocess

from support.programs import BRIEFLY, EXAMPLES
from support.talk import Talk
from support.waiting import until

QUICK = {"rejoin_grace": "0s", "service_linger": "0s"}


def test_ok(world):
    broker = world.broker()
    world.builtin(broker, "upper")
    result = world.cli(broker, "call", "upper", "hello")
    assert (result.code, result.out, result.err) == (0, b"HELLO", b"")
    told = world.cli(broker, "call", "upper", "hello", "-o", "json").json()
    assert (told["status"], told["body"], told["attempts"]) == ("OK", "HELLO", 1)
    assert told["total_us"] >= told["work_us"] > 0
    assert "error" not in told


def test_app_error(world):
    broker = world.broker()
    world.worker(broker, "broken", "sh", "-c", "echo half an answer; echo out of paper >&2; exit 7")
    result = world.cli(broker, "call", "broken")
    assert (result.code, result.out) == (1, b"half an answer\n")
    assert result.error() == 'riposte: "broken" failed: out of paper (code 7)'
    told = world.cli(broker, "call", "broken", "-o", "json").json()
    assert (told["status"], told["code"], told["attempts"]) == ("APP_ERROR", 7, 1)
    assert told["error"]["number"] == 7


def test_no_worker_with_a_suggestion(world):
    broker = world.broker(limits=QUICK)
    world.builtin(broker, "upper")
    result = world.cli(broker, "call", "uper", "x")
    assert (result.code, result.out) == (4, b"")
    assert result.error() == ('riposte: no worker offers "uper" (did you mean "upper"?); '
                              'list them: riposte services')
    told = world.cli(broker, "call", "uper", "x", "-o", "json").json()
    error = told["error"]
    assert (error["code"], error["service"], error["hint"]) == ("NO_WORKER", "uper", "upper")
    assert told["attempts"] == 0
    far = world.cli(broker, "call", "entirely-different", "x", "-o", "json").json()["error"]
    assert "hint" not in far


def test_no_worker_becomes_ok_when_one_comes_in_time(world):
    broker = world.broker(limits=QUICK)
    call = world.start_cli(broker, "call", "upper", "late", "--wait-worker", "10s",
                           "--timeout", "10s")
    world.wait_for_waiting(broker, 1)
    world.builtin(broker, "upper", ready=False)
    result = world.finish(call)
    assert (result.code, result.out) == (0, b"LATE")


def test_busy_names_the_limit_and_spares_the_worker(world):
    broker = world.broker(limits={"service_queue": 1})
    world.builtin(broker, "sleep")
    running = world.start_cli(broker, "call", "sleep", "30s", "--timeout", "60s")
    world.wait_for_running(broker, 1)
    waiting = world.start_cli(broker, "call", "sleep", "30s", "--timeout", "60s")
    world.wait_for_waiting(broker, 1)
    result = world.cli(broker, "call", "sleep", "0s")
    assert result.code == 7
    assert '"sleep" was not taken: ' in result.error()
    assert "service_queue" in result.error()
    told = world.cli(broker, "call", "sleep", "0s", "-o", "json").json()
    assert (told["status"], told["attempts"]) == ("BUSY", 0)
    for one in (waiting, running):
        one.interrupt()
        assert world.finish(one).code == 130


def test_draining_takes_nothing_new(world):
    """A connected client gets the status; a new one is refused."""
    broker = world.broker()
    gate = world.gate()
    world.worker(broker, "held", *gate.command)
    running = world.start_cli(broker, "call", "held", "--timeout", "20s")
    until(gate.starts, 5, "it has started")
    queued = world.start_cli(broker, "call", "held", "--timeout", "20s")
    world.wait_for_waiting(broker, 1)
    batch = world.start_cli(broker, "call", "held", "--lines", "-o", "jsonl", stdin=subprocess.PIPE)
    until(lambda: world.status(broker)["clients"] == 4, 5, "the batch is connected")
    broker.terminate()
    result = world.finish(queued, within=3)
    assert (result.code, result.out) == (7, b"")
    assert '"held" was not taken: the broker is going away' in result.error()
    batch.popen.stdin.write(b"x\n")
    batch.popen.stdin.close()
    batch.popen.stdin = None
    told = json.loads(world.finish(batch).out)
    assert (told["status"], told["attempts"]) == ("DRAINING", 0)
    late = world.cli(broker, "call", "held", "--timeout", BRIEFLY)
    assert late.code == 3
    assert "the broker is going away" in late.error()
    gate.open()
    assert world.finish(running).out == b"delivery 1", "what ran may finish"
    assert broker.wait(5) == 0


def test_denied_for_names_of_the_brokers_own(world):
    broker = world.broker()
    for name in ("riposte.secrets", "riposte.x"):
        result = world.cli(broker, "call", name)
        assert result.code == 6
        assert f'"{name}" is not allowed' in result.error()
        told = world.cli(broker, "call", name, "-o", "json").json()
        assert (told["status"], told["attempts"]) == ("DENIED", 0)
    refused = world.worker(broker, "riposte.upper", options=("--builtin", "upper"), ready=False)
    assert refused.wait(5) == 6
    refused.wait_for("belong to the broker")


def test_invalid_is_what_a_broken_message_draws(world):
    """The library never sends an invalid message, so an independent peer sends it."""
    broker = world.broker()
    world.builtin(broker, "sleep")
    with world.peer(broker) as client:
        client.hello()
        first = client.request(b"sleep", b"300ms")
        assert client.request(b"sleep", b"0s", id=first) == first
        reply = client.receive()
        assert (reply.status_name(), reply.attempt, reply.id) == ("INVALID", 0, first)
        assert b"open" in reply.text
        assert client.receive().status_name() == "OK", "the first one is not harmed"


def test_too_large_names_the_limit(world):
    broker = world.broker(limits={"max_body": "1KiB"})
    world.builtin(broker, "upper")
    result = world.cli(broker, "call", "upper", "-", stdin=b"x" * 1025)
    assert (result.code, result.out) == (7, b"")
    assert "1024" in result.error() or "1 KiB" in result.error(), result.error()
    told = world.cli(broker, "call", "upper", "-", "-o", "json", stdin=b"x" * 1025).json()
    assert (told["status"], told["attempts"]) == ("TOO_LARGE", 0)
    assert world.cli(broker, "call", "upper", "-", stdin=b"x" * 1024).out == b"X" * 1024


def test_expired_never_ran(world):
    broker = world.broker()
    marks = world.directory / "marks"
    world.worker(broker, "slow", "sh", "-c", f"cat >> {marks}; sleep 30")
    running = world.start_cli(broker, "call", "slow", "first", "--timeout", "20s")
    world.wait_for_running(broker, 1)
    result = world.cli(broker, "call", "slow", "second", "--timeout", BRIEFLY)
    assert result.code == 5
    assert 'no worker took "slow": the deadline passed' in result.error()
    told = world.cli(broker, "call", "slow", "third", "--timeout", BRIEFLY, "-o", "json").json()
    assert (told["status"], told["attempts"]) == ("EXPIRED", 0)
    running.interrupt()
    assert world.finish(running).code == 130
    assert marks.read_text() == "first"


def test_cancelled_by_ctrl_c_ends_the_workers_process(world):
    broker = world.broker()
    worker = world.worker(broker, "slow", "sleep", "60")
    call = world.start_cli(broker, "call", "slow", "--timeout", "60s", "-o", "json")
    world.wait_for_running(broker, 1)
    until(worker.children, 5, "its process runs")
    call.interrupt()
    result = world.finish(call, within=3)
    assert result.code == 130
    told = result.json()
    assert (told["status"], told["attempts"]) == ("CANCELLED", 1), "it says that it was dispatched"
    until(lambda: not worker.children(), 3, "its process is gone")
    assert worker.alive()
    assert world.status(broker)["finals"]["CANCELLED"] == 1


def test_cancelled_while_it_waits_never_ran(world):
    broker = world.broker(limits={"rejoin_grace": "0s"})
    call = world.start_cli(broker, "call", "nobody", "--wait-worker", "60s", "--timeout", "60s",
                           "-o", "json")
    world.wait_for_waiting(broker, 1)
    call.interrupt()
    result = world.finish(call, within=3)
    assert result.code == 130
    assert (result.json()["status"], result.json()["attempts"]) == ("CANCELLED", 0)


def test_worker_lost(world):
    broker = world.broker()
    worker = world.builtin(broker, "sleep")
    call = world.start_cli(broker, "call", "sleep", "60s", "--timeout", "60s")
    world.wait_for_running(broker, 1)
    worker.kill()
    result = world.finish(call, within=2)
    assert result.code == 9
    assert 'no reply from "sleep": the worker was lost' in result.error()
    assert "it may have run" in result.error()
    assert world.status(broker)["finals"]["WORKER_LOST"] == 1


def test_worker_lost_in_json(world):
    broker = world.broker()
    worker = world.builtin(broker, "sleep")
    call = world.start_cli(broker, "call", "sleep", "60s", "--timeout", "60s", "-o", "json")
    world.wait_for_running(broker, 1)
    worker.kill()
    result = world.finish(call, within=2)
    assert result.code == 9
    told = result.json()
    assert (told["status"], told["attempts"]) == ("WORKER_LOST", 1)
    assert told["error"]["service"] == "sleep"


def test_deadline_while_a_worker_has_it(world):
    broker = world.broker()
    worker = world.worker(broker, "slow", "sleep", "60")
    result = world.cli(broker, "call", "slow", "--timeout", BRIEFLY)
    assert result.code == 5
    assert "it may have run" in result.error()
    until(lambda: not worker.children(), 3, "its process is gone")
    told = world.cli(broker, "call", "slow", "--timeout", BRIEFLY, "-o", "json").json()
    assert (told["status"], told["attempts"]) == ("DEADLINE", 1)


def test_conversation_lost_once_and_then_begun_anew(world):
    broker = world.broker()
    first, second = world.site(broker), world.site(broker)
    talk = Talk(world, broker)
    assert "302" in talk.say(b"POST /login user=ada")
    holder = next(one for one in (first, second)
                  if world.worker_of(broker, one)["conversations"] == 1)
    holder.kill()
    until(lambda: len(world.workers(broker)) == 1, 2.5, "the broker knows")
    assert 'riposte: the conversation with "site" is lost' in talk.say(b"GET /user")
    assert "403 Forbidden" in talk.say(b"GET /user"), "it begins anew, without the login"
    assert "302" in talk.say(b"POST /login user=ada")
    assert "ada" in talk.say(b"GET /user")
    assert talk.end() == 0
    assert world.status(broker)["finals"]["CONVERSATION_LOST"] == 1


def test_conversation_lost_ends_a_script_with_9_or_begins_it_again(world):
    broker = world.broker()
    for again, expected in (((), 9), (("--again", "1"), 0)):
        slow = world.site(broker, "--delay", "300")
        talk = world.start_cli(broker, "talk", "site", EXAMPLES / "site.talk", "-o", "json", *again)
        until(lambda: world.worker_of(broker, slow)["replies"] >= 1, 5, "it is under way")
        other = world.site(broker)
        slow.kill()
        result = world.finish(talk)
        assert result.code == expected, result
        statuses = [step["status"] for step in result.json()]
        assert set(statuses) & {"WORKER_LOST", "CONVERSATION_LOST"}
        if again:
            assert statuses[-5:] == ["OK"] * 5
        other.terminate()
        assert other.wait() == 0


def test_no_broker(world):
    broker = world.broker()
    broker.terminate()
    assert broker.wait() == 0
    result = world.cli(broker, "call", "upper", "x", "--timeout", "500ms")
    assert result.code == 3
    assert result.error().startswith(f"riposte: no broker at {broker.endpoint}")
    assert result.error().endswith("; start one: riposte-broker")
    told = world.cli(broker, "call", "upper", "x", "--timeout", "500ms", "-o", "json").json()
    assert told["error"]["code"] == "NO_BROKER"


def test_unknown_when_the_broker_is_lost_under_way(world):
    broker = world.broker()
    world.builtin(broker, "sleep")
    call = world.start_cli(broker, "call", "sleep", "30s", "--timeout", "30s")
    world.wait_for_running(broker, 1)
    broker.kill()
    result = world.finish(call, within=5)
    assert result.code == 3
    assert 'no reply from "sleep": the broker was lost' in result.error()
    assert "it may have run" in result.error()


def test_unknown_in_json(world):
    broker = world.broker()
    world.builtin(broker, "sleep")
    call = world.start_cli(broker, "call", "sleep", "30s", "--timeout", "30s", "-o", "json")
    world.wait_for_running(broker, 1)
    broker.kill()
    told = world.finish(call, within=5).json()
    assert told["status"] == "UNKNOWN"
    assert told["error"]["code"] == "UNKNOWN"
