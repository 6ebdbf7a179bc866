# SPDX-License-Identifier: MPL-2.0
"""riposte-worker: any program is a worker."""

import json
import shutil
import signal
import subprocess
import sys

from support.programs import BRIEFLY, BUILD, EXAMPLES, SLOW
from support.talk import Talk
from support.waiting import until


def test_body_in_and_output_out_byte_for_byte(world):
    broker = world.broker()
    world.worker(broker, "upper", "tr", "a-z", "A-Z")
    assert world.cli(broker, "call", "upper", "-", stdin=b"hello\n").out == b"HELLO\n"
    assert world.cli(broker, "call", "upper", "no newline").out == b"NO NEWLINE"
    world.worker(broker, "cat", "cat")
    data = bytes(range(256)) * 4096
    assert world.cli(broker, "call", "cat", "-", stdin=data).out == data
    assert world.cli(broker, "call", "cat", "-", stdin=b"").out == b""


def test_the_child_sees_the_request_in_its_environment(world):
    broker = world.broker()
    world.worker(broker, "env", "sh", "-c",
                 'printf "%s %s %s" "$RIPOSTE_SERVICE" "$RIPOSTE_ATTEMPT" "$RIPOSTE_HEADER_TENANT"')
    assert world.cli(broker, "call", "env", "-H", "tenant: blue").out == b"env 1 blue"


def test_status_75_of_an_ordinary_request_is_an_error_like_any(world):
    broker = world.broker()
    world.worker(broker, "busy", "sh", "-c", 'printf "%s,%s" "$RIPOSTE_DURABLE" "$RIPOSTE_KEY"; exit 75')
    result = world.cli(broker, "call", "busy", "--exit-code-from-worker", "--attempts", "3")
    assert (result.code, result.out) == (75, b"0,")


def test_a_command_that_cannot_be_started_is_said(world):
    """The command exists when the worker begins, and is deleted later. Nothing ran, so the request
    may be tried again."""
    broker = world.broker()
    program = world.script()
    worker = world.worker(broker, "none", program)
    program.unlink()
    result = world.cli(broker, "call", "none", "x")
    assert result.code == 4
    assert f"cannot start {program}" in result.error()
    assert "may have run" not in result.error()
    worker.wait_for(f"cannot start {program}")


def _window(world, broker, worker):
    return world.worker_of(broker, worker)["window"]


def test_a_worker_that_cannot_start_its_command_takes_nothing_from_a_healthy_one(world):
    broker = world.broker()
    program = world.script()
    sick = world.worker(broker, "both", program)
    program.unlink()
    world.worker(broker, "both", "cat")
    for number in range(30):
        assert world.cli(broker, "call", "both", str(number)).out == b"%d" % number
    sick.wait_for("takes no requests, next try in")
    assert _window(world, broker, sick) == 0
    world.script("cat\n")
    until(lambda: _window(world, broker, sick) > 0, 15, "it is found to be there again")


def test_what_a_worker_holds_when_its_command_vanishes_goes_to_another(world):
    broker = world.broker()
    program = world.directory / "program"
    # A script would not do: its shell opens it only after it was started.
    shutil.copy("/bin/sleep", program)
    sick = world.worker(broker, "both", program, "0.02", options=("--slots", "4"))
    assert world.cli(broker, "call", "both", "x").code == 0, "it has answered before"
    batch = world.start_cli(broker, "call", "both", "x", "--count", "200", "--parallel", "20", "-o", "jsonl",
                            "--timeout", "30s")
    until(lambda: world.worker_of(broker, sick)["replies"] > 10, 10, "it is at work")
    world.worker(broker, "both", "echo", "other")
    program.unlink()
    result = world.finish(batch, within=60)
    statuses = {json.loads(line)["status"] for line in result.out.splitlines()}
    assert (result.code, statuses) == (0, {"OK"})
    sick.wait_for("takes no requests")


def test_a_persistent_program_that_ends_at_once_takes_nothing_from_a_healthy_one(world):
    broker = world.broker()
    sick = world.worker(broker, "upper", "sh", "-c", "echo no library >&2; exit 3",
                        options=("--persistent",))
    _persistent(world, broker)
    for number in range(30):
        assert world.cli(broker, "call", "upper", "a").out == b"A"
    assert _window(world, broker, sick) == 0
    until(lambda: "exit status 3: no library, next start in" in sick.log(), 3, "it is told")


def test_a_command_that_fails_is_a_line_in_the_log(world):
    broker = world.broker()
    worker = world.worker(broker, "fails", "sh", "-c", "echo no such file >&2; exit 7")
    assert world.cli(broker, "call", "fails", "x").code == 1
    until(lambda: "failed: exit status 7: no such file" in worker.log(), 3, "it is told")


LOADS = """
import sys, time
time.sleep(%s)
%s
while words := sys.stdin.buffer.readline().split():
    while sys.stdin.buffer.readline() != b"\\n":
        pass
    if words[1] == b"END":
        continue
    body = sys.stdin.buffer.read(int(words[3]))
    sys.stdout.buffer.write(b"RP/1 OK %%s %%d\\n\\n" %% (words[2], len(body)) + body)
    sys.stdout.buffer.flush()
"""


def _loading(world, seconds, says=""):
    script = world.directory / "loads.py"
    script.write_text(LOADS % (seconds, says))
    return sys.executable, script


def test_a_persistent_program_that_loads_for_longer_than_its_callers_wait_comes_up(world):
    broker = world.broker()
    worker = world.worker(broker, "slow", *_loading(world, 3 * SLOW), options=("--persistent",))
    until(lambda: _window(world, broker, worker) == 1, 5, "it is offered once")
    children = worker.children()
    assert world.cli(broker, "call", "slow", "x", "--timeout", BRIEFLY).code == 5
    until(lambda: _window(world, broker, worker) == 0, 5, "it owes an answer, and gets nothing more")
    assert world.cli(broker, "call", "slow", "y", "--timeout", "30s").out == b"y"
    assert worker.children() == children, "the deadline did not end it"


def test_a_program_that_announces_itself_gets_nothing_before(world):
    broker = world.broker()
    go = world.directory / "go"
    wait = f'import os\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)\nprint("RP/1 READY\\n", flush=True)'
    worker = world.worker(broker, "slow", *_loading(world, 0, wait),
                          options=("--persistent", "--wait-ready"))
    assert world.cli(broker, "call", "slow", "x", "--timeout", BRIEFLY).code == 5
    assert world.worker_of(broker, worker)["window"] == 0
    go.touch()
    assert world.cli(broker, "call", "slow", "y", "--timeout", "30s").out == b"y"


def test_a_program_that_does_not_get_ready_is_ended_after_the_start_limit(world):
    broker = world.broker()
    worker = world.worker(broker, "never", "sleep", "600",
                          options=("--persistent", "--wait-ready", "--start-limit", "300ms"))
    worker.wait_for("did not get ready within --start-limit")


def test_a_program_that_has_never_answered_ends_with_its_worker(world):
    """Though it would outlive the request while the worker stays."""
    broker = world.broker()
    worker = world.worker(broker, "deaf", "sleep", "600", options=("--persistent", "--drain", "300ms"))
    call = world.start_cli(broker, "call", "deaf", "x", "--timeout", "60s")
    world.wait_for_running(broker, 1)
    worker.terminate()
    assert worker.wait(3) == 0
    assert world.finish(call).code == 9, "it may have run"


def test_a_worker_whose_stderr_nobody_reads_goes_on_and_ends_on_sigterm(world):
    broker = world.broker()
    program = subprocess.Popen(
        [BUILD / "riposte-worker", "-s", broker.endpoint, "-v", "loud", "--", "sh", "-c",
         "head -c 300000 /dev/zero >&2; echo done"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        for _ in range(3):
            assert world.cli(broker, "call", "loud", "--wait-worker", "5s", "--timeout", "10s").out == b"done\n"
        program.terminate()
        assert program.wait(5) == 0
    finally:
        program.kill()
        program.wait()
        program.stderr.close()


def test_a_signal_is_told_like_a_status(world):
    broker = world.broker()
    world.worker(broker, "crash", "sh", "-c", "kill -SEGV $$")
    told = world.cli(broker, "call", "crash", "-o", "json").json()
    assert (told["status"], told["code"]) == ("APP_ERROR", 128 + signal.SIGSEGV)
    assert "SEGV" in told["message"]


def test_output_over_the_limit_is_an_error_that_names_it(world):
    broker = world.broker()
    worker = world.worker(broker, "flood", "sh", "-c", "yes | head -c 100000; sleep 60",
                          options=("--max-output", "64KiB"))
    result = world.cli(broker, "call", "flood")
    assert (result.code, result.out) == (1, b"")
    assert "64 KiB" in result.error()
    until(lambda: not worker.children(), 3, "it was ended")


def test_the_deadline_terms_and_then_kills(world):
    broker = world.broker()
    mark = world.directory / "termed"
    worker = world.worker(
        broker, "stubborn", "sh", "-c", f"trap 'touch {mark}' TERM; while :; do sleep 0.05; done",
        options=("--kill-after", "300ms"))
    assert world.cli(broker, "call", "stubborn", "--timeout", BRIEFLY).code == 5
    until(mark.exists, 3, "TERM came")
    until(lambda: not worker.children(), 3, "KILL came")
    until(lambda: world.worker_of(broker, worker)["abandoned"] == 0, 3, "the slot is free again")


def test_slots_run_side_by_side(world):
    broker = world.broker()
    gate = world.gate()
    world.worker(broker, "held", *gate.command, options=("--slots", "3"))
    calls = [world.start_cli(broker, "call", "held", "--timeout", "30s") for _ in range(3)]
    until(lambda: len(gate.starts()) == 3, 5, "all three run at once")
    gate.open()
    assert [world.finish(call).code for call in calls] == [0, 0, 0]


def test_the_builtins(world):
    broker = world.broker()
    for name in ("echo", "upper", "sleep", "fail"):
        world.builtin(broker, name)
    assert world.cli(broker, "call", "echo", "as it is").out == b"as it is"
    assert world.cli(broker, "call", "upper", "big").out == b"BIG"
    assert world.cli(broker, "call", "sleep", "10ms").code == 0
    told = world.cli(broker, "call", "fail", "42", "-o", "json").json()
    assert (told["status"], told["code"]) == ("APP_ERROR", 42)


def _persistent(world, broker, *options):
    return world.worker(broker, "upper", sys.executable, EXAMPLES / "upper-persistent.py",
                        options=("--persistent", *options))


def test_a_persistent_child_serves_many_requests(world):
    broker = world.broker()
    worker = _persistent(world, broker)
    assert world.cli(broker, "call", "upper", "one").out == b"ONE"
    children = worker.children()
    assert len(children) == 1
    lines = b"".join(b"line %d\n" % number for number in range(50))
    assert world.cli(broker, "call", "upper", "--lines", stdin=lines).out == lines.upper()
    assert worker.children() == children, "it is the same process"


def test_a_persistent_child_that_crashes_is_started_again(world):
    broker = world.broker()
    worker = _persistent(world, broker)
    assert world.cli(broker, "call", "upper", "one").out == b"ONE"
    child, = worker.children()
    world.run("kill", "-KILL", str(child))
    until(lambda: worker.children() not in ([], [child]), 5, "another one runs")
    assert world.cli(broker, "call", "upper", "two").out == b"TWO"


def test_a_request_of_a_child_that_crashed_is_redelivered(world):
    """The first delivery crashes the child; the second one is answered."""
    broker = world.broker()
    script = world.directory / "crash-once.py"
    script.write_text(CRASH_ONCE)
    for _ in range(2):
        world.worker(broker, "once", sys.executable, script, options=("--persistent",))
    told = world.cli(broker, "call", "once", "x", "--attempts", "3", "-o", "json").json()
    assert (told["status"], told["body"], told["attempts"]) == ("OK", "delivery 2", 2)
    told = world.cli(broker, "call", "once", "x", "-o", "json").json()
    assert (told["status"], told["attempts"]) == ("WORKER_LOST", 1)


CRASH_ONCE = """
import sys
while True:
    words = sys.stdin.buffer.readline().split()
    if not words:
        break
    while sys.stdin.buffer.readline() != b"\\n":
        pass
    if words[1] != b"REQUEST":
        continue
    sys.stdin.buffer.read(int(words[3]))
    if words[5] == b"1":
        sys.exit(3)
    body = b"delivery " + words[5]
    sys.stdout.buffer.write(b"RP/1 OK %s %d\\n\\n" % (words[2], len(body)) + body)
    sys.stdout.buffer.flush()
"""


def test_sigterm_drains_it(world):
    broker = world.broker()
    gate = world.gate()
    worker = world.worker(broker, "held", *gate.command)
    call = world.start_cli(broker, "call", "held", "--timeout", "30s")
    until(gate.starts, 5, "it has started")
    worker.terminate()
    worker.wait_for("drain")
    gate.open()
    assert world.finish(call).out == b"delivery 1"
    assert worker.wait(3) == 0


def test_a_persistent_child_is_told_when_a_conversation_is_over(world):
    broker = world.broker()
    ended = world.directory / "ended"
    script = world.directory / "listener.py"
    script.write_text(LISTENER % str(ended))
    world.worker(broker, "talker", sys.executable, script, options=("--persistent",))
    talk = Talk(world, broker, "talker")
    number = talk.say(b"which conversation is this?").split()[0]
    assert number != "0"
    assert talk.say(b"and now?").split()[0] == number
    assert not ended.exists()
    talk.end()
    until(lambda: ended.exists() and ended.read_text() == number, 3, "it is told")


LISTENER = """
import sys
while words := sys.stdin.buffer.readline().split():
    while sys.stdin.buffer.readline() != b"\\n":
        pass
    if words[1] == b"END":
        open(%r, "wb").write(words[2])
        continue
    sys.stdin.buffer.read(int(words[3]))
    sys.stdout.buffer.write(b"RP/1 OK %%s %%d\\n\\n" %% (words[2], len(words[6])) + words[6])
    sys.stdout.buffer.flush()
"""


def test_a_command_s_exit_status_is_passed_on_where_that_is_asked_for(world):
    broker = world.broker()
    world.worker(broker, "seven", "sh", "-c", "exit 7")
    assert world.cli(broker, "call", "seven").code == 1
    assert world.cli(broker, "call", "seven", "--exit-code-from-worker").code == 7
    assert world.cli(broker, "call", "none", "--exit-code-from-worker").code == 4
    assert world.cli(broker, "call", "seven", "--exit-code-from-worker", "--count", "2").code == 2


def test_reply_headers_are_shown(world):
    broker = world.broker()
    world.worker(broker, "cat", "cat")
    told = world.cli(broker, "call", "cat", "x", "-v", "-o", "json")
    (key, name), = told.json()["headers"]
    assert (key, name) == ("worker", told.json()["worker"])
    assert f"  worker: {name}\n" in told.err.decode()
    assert f"  worker: {name}\n" in world.cli(broker, "talk", "cat", "-v", stdin=b"x\n").err.decode()
