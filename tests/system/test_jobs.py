# SPDX-License-Identifier: MPL-2.0
"""Jobs, as people use them: riposte send, result, jobs, job, cancel and dead, with real processes."""

import datetime
import json
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import zmq

from support.keys import Keys
from support.peer import (
    ACCEPTED, BYE, CANCEL, DURABLE, HELLO, REPLY, REQUEST, STATUSES, WELCOME, Message, Peer, head, pack_headers)
from support.programs import PATIENCE
from support.waiting import until


@pytest.fixture(name="store")
def _store(world):
    return world.directory / "jobs.db"


def _broker(world, store):
    return world.broker("--store", store)


def _again(world, broker, store):
    """Kills the broker, and starts another one at the same endpoint with the same store."""
    broker.kill()
    return world.restart(broker, "--store", store)


def _send(world, broker, service, body="x", *options):
    result = world.cli(broker, "send", service, body, *options)
    assert result.code == 0 and result.err == b"", result
    assert result.out.endswith(b"\n") and result.out.strip().isdigit()
    return result.out.decode().strip()


def _result(world, broker, job, wait="20s", **more):
    return world.cli(broker, "result", job, "--wait", wait, within=40, **more)


def _job(world, broker, job):
    result = world.cli(broker, "job", job, "-o", "json")
    assert result.code == 0, result
    return result.json()


def _now(seconds=0):
    """So many seconds from now."""
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)


def _in(seconds):
    return _now(seconds).isoformat(timespec="milliseconds")


# ---- Sent, and fetched by somebody else ------------------------------------------------------------


def test_a_job_waits_for_a_worker_that_does_not_exist_yet(world, store):
    broker = _broker(world, store)
    job = _send(world, broker, "upper", "hello")
    early = world.cli(broker, "result", job)
    assert (early.code, early.out) == (5, b"")
    assert "is not done, but waiting" in early.error() and "--wait" in early.error()
    world.worker(broker, "upper", "tr", "a-z", "A-Z")
    for _ in range(2):  # as often as one likes
        result = _result(world, broker, job)
        assert (result.code, result.out, result.err) == (0, b"HELLO", b"")


def test_bodies_are_byte_for_byte(world, store):
    broker = _broker(world, store)
    world.worker(broker, "cat", "cat")
    for data in (bytes(range(256)) * 4096, b"", b"\n", b"no newline", bytes(5000)):
        sent = world.cli(broker, "send", "cat", "-", stdin=data)
        assert sent.code == 0, sent
        result = _result(world, broker, sent.out.decode().strip())
        assert (result.code, result.out) == (0, data)


def test_an_accepted_job_and_its_result_outlive_the_broker(world, store):
    broker = _broker(world, store)
    waiting = _send(world, broker, "upper", "late")
    world.worker(broker, "cat", "cat")
    done = _send(world, broker, "cat", "early")
    assert _result(world, broker, done).out == b"early"
    broker = _again(world, broker, store)
    assert _result(world, broker, done).out == b"early"
    assert _job(world, broker, waiting)["state"] == "waiting"
    world.worker(broker, "upper", "tr", "a-z", "A-Z")
    assert _result(world, broker, waiting).out == b"LATE"


def test_a_broker_that_dies_while_one_waits_for_the_result_is_asked_again(world, store):
    broker = _broker(world, store)
    job = _send(world, broker, "upper", "hello")
    waiting = world.start_cli(broker, "result", job, "--wait", "40s", "-v")
    until(lambda: "riposte.result" in waiting.log(), 5, "it has asked", waiting)
    broker = _again(world, broker, store)
    world.worker(broker, "upper", "tr", "a-z", "A-Z")
    result = world.finish(waiting, within=40)
    assert (result.code, result.out) == (0, b"HELLO"), result


def test_an_interrupt_ends_the_wait_and_not_the_job(world, store):
    broker = _broker(world, store)
    job = _send(world, broker, "upper", "hello")
    waiting = world.start_cli(broker, "result", job, "--wait", "40s", "-v")
    until(lambda: "riposte.result" in waiting.log(), 5, "it has asked", waiting)
    waiting.popen.send_signal(signal.SIGINT)
    assert world.finish(waiting, within=10).code == 130
    assert _job(world, broker, job)["state"] == "waiting"


# ---- When -----------------------------------------------------------------------------------------


def test_a_job_begins_at_its_time_and_not_before(world, store):
    broker = _broker(world, store)
    world.worker(broker, "cat", "cat")
    delayed = _send(world, broker, "cat", "later", "--delay", "700ms")
    assert _result(world, broker, delayed).out == b"later"
    life = _job(world, broker, delayed)
    assert life["attempt_list"][0]["started_us"] - life["accepted_us"] >= 700000
    when = _now(2)
    timed = _send(world, broker, "cat", "later", "--at", when.isoformat(timespec="milliseconds"))
    assert _result(world, broker, timed).out == b"later"
    assert _job(world, broker, timed)["attempt_list"][0]["started_us"] >= int(when.timestamp() * 1000) * 1000


def test_a_delay_survives_a_restart(world, store):
    broker = _broker(world, store)
    job = _send(world, broker, "cat", "later", "--delay", "1500ms")
    broker = _again(world, broker, store)
    world.worker(broker, "cat", "cat")
    assert _result(world, broker, job).out == b"later"
    life = _job(world, broker, job)
    assert life["attempt_list"][0]["started_us"] - life["accepted_us"] >= 1490000


def test_a_job_that_nobody_begins_by_its_deadline_expires(world, store):
    broker = _broker(world, store)
    for instant in (False, True):
        job = _send(world, broker, "nobody", "x", "--deadline", _in(2 * PATIENCE) if instant else "500ms")
        result = _result(world, broker, job)
        assert (result.code, result.out) == (5, b"")
        assert "ended with EXPIRED" in result.error()
        assert _job(world, broker, job)["attempt"] == 0


def test_times_that_make_no_sense_are_refused(world, store):
    broker = _broker(world, store)
    for options in (("--at", "tomorrow"), ("--at", "2027-02-30T10:00:00Z"), ("--at", "2027-02-03T10:00:00"),
                    ("--deadline", "soon"), ("--at", _in(1), "--delay", "1s"), ("--key", "")):
        result = world.cli(broker, "send", "cat", "x", *options)
        assert result.code == 2 and options[0] in result.error(), result
    late = world.cli(broker, "send", "cat", "x", "--delay", "2h", "--deadline", "1h")
    assert late.code == 2 and "deadline is before it may begin" in late.error()


# ---- Attempts --------------------------------------------------------------------------------------


def test_status_75_is_tried_again_until_it_works(world, store):
    broker = _broker(world, store)
    program = world.script('echo "away $RIPOSTE_ATTEMPT $RIPOSTE_DURABLE $RIPOSTE_KEY" >&2\n'
                           'test "$RIPOSTE_ATTEMPT" -ge 3 || exit 75\necho done\n')
    world.worker(broker, "mail", program)
    job = _send(world, broker, "mail", "x", "--backoff", "50ms", "--key", "order-7")
    result = _result(world, broker, job)
    assert (result.code, result.out) == (0, b"done\n")
    attempts = _job(world, broker, job)["attempt_list"]
    assert [(one["status"], one.get("text")) for one in attempts] == [
        ("WORKER_LOST", "the worker gave it up: away 1 1 order-7"),
        ("WORKER_LOST", "the worker gave it up: away 2 1 order-7"), ("OK", None)]
    shown = world.cli(broker, "job", job)
    text = shown.out.decode()
    assert text.startswith(f"job {job}  mail  done  attempt 3 of 5\n"), text
    assert "key order-7" in text and text.count(" (attempt ") == 3 and "away 2" in text
    assert "  replied OK after " in text.splitlines()[-1]


def test_a_command_that_a_signal_ends_is_tried_again(world, store):
    broker = _broker(world, store)
    program = world.script('test "$RIPOSTE_ATTEMPT" -ge 3 && echo done && exit 0\n'
                           'echo "attempt $RIPOSTE_ATTEMPT" >&2\nkill -SEGV $$\n')
    world.worker(broker, "mail", program)
    job = _send(world, broker, "mail", "x", "--backoff", "50ms")
    assert _result(world, broker, job).out == b"done\n"
    assert [(one["status"], one.get("text")) for one in _job(world, broker, job)["attempt_list"]] == [
        ("WORKER_LOST", "the worker gave it up: killed by SIGSEGV: attempt 1"),
        ("WORKER_LOST", "the worker gave it up: killed by SIGSEGV: attempt 2"), ("OK", None)]
    # A status that says the same is the command's own answer, and so is a signal without a job.
    world.worker(broker, "no", "sh", "-c", "exit 139")
    answered = _result(world, broker, _send(world, broker, "no"))
    assert answered.code == 1 and "(code 139)" in answered.error()
    world.worker(broker, "dies", "sh", "-c", "kill -SEGV $$")
    plain = world.cli(broker, "call", "--attempts", "3", "dies", "x")
    assert plain.code == 1 and "(code 139)" in plain.error(), plain


def test_a_process_that_stays_asks_for_another_attempt_with_number_75(world, store):
    broker = _broker(world, store)
    program = world.script('''while read -r word what id size left attempt rest; do
while read -r line && test -n "$line"; do :; done
head -c "$size" > /dev/null
if test "$attempt" -ge 2; then printf 'RP/1 OK %s 4\\n\\ndone' "$id"
else printf 'RP/1 ERROR %s 0 75 not yet\\n\\n' "$id"; fi
done
''')
    world.worker(broker, "stays", program, options=("--persistent",))
    job = _send(world, broker, "stays", "x", "--backoff", "20ms")
    assert _result(world, broker, job).out == b"done"
    assert _job(world, broker, job)["attempt_list"][0]["text"].endswith(": not yet")


def test_an_error_of_the_worker_is_the_result(world, store):
    broker = _broker(world, store)
    world.worker(broker, "no", "sh", "-c", "echo half; echo no luck >&2; exit 3")
    job = _send(world, broker, "no")
    result = _result(world, broker, job)
    assert (result.code, result.out) == (1, b"half\n")
    assert result.error() == f"riposte: job {job} ended with APP_ERROR: no luck (code 3)"
    whole = _result(world, broker, job, environment={"RIPOSTE_OUTPUT": "json"})
    assert whole.code == 1
    assert (whole.json()["id"], whole.json()["status"], whole.json()["code"]) == (job, "APP_ERROR", 3)
    assert whole.json()["error"]["job"] == job


def test_a_dead_job_is_shown_and_lives_again(world, store):
    broker = _broker(world, store)
    ready = world.directory / "ready"
    world.worker(broker, "mail", world.script(f"test -e {ready} && exec cat; echo away >&2; exit 75\n"))
    job = _send(world, broker, "mail", "letter", "--attempts", "2", "--backoff", "20ms")
    result = _result(world, broker, job)
    assert (result.code, result.out) == (9, b"")
    assert f"job {job} is dead" in result.error() and f"riposte dead retry {job}" in result.error()
    listed = world.cli(broker, "dead", "list", "-o", "json").json()["jobs"]
    assert [(one["id"], one["state"], one["attempt"]) for one in listed] == [(job, "dead", 2)]
    shown = world.cli(broker, "dead", "show", job)
    assert shown.code == 0 and shown.out.count(b": away\n") == 2, shown
    assert f"riposte dead retry {job}" in shown.error()

    broker = _again(world, broker, store)
    until(lambda: world.services(broker).get("mail", {}).get("workers"), 10, "the worker is back")
    ready.touch()
    retried = world.cli(broker, "dead", "retry", job)
    assert retried.code == 0 and retried.out.strip().isdigit(), retried
    new = retried.out.decode().strip()
    assert new != job
    assert _result(world, broker, new).out == b"letter"
    assert _job(world, broker, new)["parent"] == job
    assert f"as job {new}" in world.cli(broker, "job", job, "-q").out.decode()
    for words in (("dead", "retry", new), ("dead", "purge", new)):
        again = world.cli(broker, *words)
        assert again.code == 1 and "no such dead job" in again.error() and "riposte dead list" in again.error()
    with Peer(broker.endpoint) as client:
        client.hello()
        for name in (b"riposte.job", b"riposte.cancel", b"riposte.dead.retry", b"riposte.dead.purge"):
            assert client.call(name, b'{"id":"999"}').status_name() == "APP_ERROR", name
    alive = world.cli(broker, "dead", "show", new)
    assert alive.code == 1 and "is not dead, but done" in alive.error()


def test_dead_jobs_are_removed(world, store):
    broker = _broker(world, store)
    world.worker(broker, "mail", "sh", "-c", "exit 75")
    world.worker(broker, "fax", "sh", "-c", "exit 75")
    jobs = [_send(world, broker, service, "x", "--attempts", "1") for service in ("mail", "mail", "fax")]
    for job in jobs:
        assert _result(world, broker, job).code == 9
    for wrong in ((), ("mail", "fax"), ("mail", "--all")):
        assert world.cli(broker, "dead", "purge", *wrong).code == 2
    assert world.cli(broker, "dead", "purge", jobs[0]).out == b"removed 1\n"
    assert world.cli(broker, "dead", "purge", "mail").out == b"removed 1\n"
    assert len(world.cli(broker, "dead", "list", "-o", "json").json()["jobs"]) == 1
    assert world.cli(broker, "dead", "purge", "--all", "-o", "json").json() == {"purged": 1}
    empty = world.cli(broker, "dead", "list")
    assert (empty.code, empty.out, empty.error()) == (0, b"", "no dead jobs")
    gone = world.cli(broker, "result", jobs[0])
    assert gone.code == 1 and "there is no such job" in gone.error()


def test_a_purge_says_what_it_means(world, store):
    broker = _broker(world, store)
    world.worker(broker, "mail", "sh", "-c", "exit 75")
    job = _send(world, broker, "mail", "x", "--attempts", "1")
    assert _result(world, broker, job).code == 9
    with Peer(broker.endpoint) as client:
        client.hello()
        for meant in (b"", b"{}", b'{"service":""}', b'{"all":false}', b'{"all":1}', b'{"all":true,"service":"mail"}',
                      b'{"id":"%s","service":"mail"}' % job.encode(), b'{"id":0}', b'{"most":10}'):
            refused = client.call(b"riposte.dead.purge", meant)
            assert refused.status_name() == "APP_ERROR" and not refused.body, (meant, refused.text)
        assert _job(world, broker, job)["state"] == "dead"
        answer = client.call(b"riposte.dead.purge", b'{"all":true}')
        assert (answer.status_name(), json.loads(answer.body)) == ("OK", {"purged": 1, "more": False})


# ---- Cancel ----------------------------------------------------------------------------------------


def test_jobs_that_wait_and_run_are_cancelled(world, store):
    broker = _broker(world, store)
    gate = world.gate()
    world.worker(broker, "gate", *gate.command)
    waiting = _send(world, broker, "nobody")
    running = _send(world, broker, "gate")
    until(gate.starts, 10, "the job runs")
    both = world.cli(broker, "cancel", waiting, running)
    assert both.code == 0, both
    assert both.out.decode().splitlines() == [f"job {job} was cancelled" for job in (waiting, running)]
    for job in (waiting, running):
        result = _result(world, broker, job)
        assert result.code == 130 and "ended with CANCELLED" in result.error(), result
    assert world.cli(broker, "cancel", waiting).code == 0, "it is cancelled, as asked"
    assert gate.starts() == ["1"]


def test_what_is_done_cannot_be_cancelled(world, store):
    broker = _broker(world, store)
    world.worker(broker, "cat", "cat")
    job = _send(world, broker, "cat")
    assert _result(world, broker, job).code == 0
    late = world.cli(broker, "cancel", job)
    assert late.code == 1 and "has ended before, with OK" in late.error()


# ---- Keys ------------------------------------------------------------------------------------------


def test_a_key_has_one_job_and_one_body(world, store):
    broker = _broker(world, store)
    first = _send(world, broker, "cat", "a", "--key", "order-1")
    assert _send(world, broker, "cat", "a", "--key", "order-1") == first
    broker = _again(world, broker, store)
    again = world.cli(broker, "send", "cat", "a", "--key", "order-1", "-o", "json").json()
    assert (again["id"], again["replayed"]) == (first, True)
    assert _send(world, broker, "cat", "a", "--key", "order-2") != first
    other = world.cli(broker, "send", "cat", "b", "--key", "order-1")
    assert (other.code, other.out) == (2, b"")
    assert "key" in other.error() and '"cat" was not taken' in other.error()
    error = world.cli(broker, "send", "cat", "b", "--key", "order-1", "-o", "json").json()["error"]
    assert error["code"] == "KEY_MISMATCH"


def test_a_broker_that_dies_while_jobs_are_sent_costs_none_that_have_a_key(world, store):
    broker = _broker(world, store)
    world.builtin(broker, "echo", service="cat")
    lines = "".join(f"{number}\n" for number in range(3000)).encode()
    sending = world.start_cli(broker, "send", "cat", "-n", "--parallel", "50", "--key", "k", "--timeout", "30s",
                              stdin=subprocess.PIPE)
    sending.popen.stdin.write(lines[:8000])  # more than has been sent when some are accepted
    sending.popen.stdin.flush()
    until(lambda: world.cli(broker, "jobs", "-o", "jsonl", "--count", "100").out.count(b"\n") == 100, 10,
          "some are accepted")
    broker = _again(world, broker, store)
    sending.popen.stdin.write(lines[8000:])
    result = world.finish(sending, within=60)
    ids = result.out.decode().split()
    assert (result.code, len(ids), len(set(ids))) == (0, 3000, 3000), result.err
    listed = world.cli(broker, "jobs", "-o", "jsonl", within=60).out.decode().splitlines()
    assert sorted(map(int, ids)) == sorted(int(json.loads(line)["id"]) for line in listed)
    for number in (0, 1500, 2999):
        assert _result(world, broker, ids[number]).out == b"%d\n" % number


# ---- Many ------------------------------------------------------------------------------------------


def test_a_thousand_lines_become_a_thousand_jobs_in_their_order(world, store):
    broker = _broker(world, store)
    world.builtin(broker, "upper")
    lines = "".join(f"line {number}\n" for number in range(1000)).encode()
    sent = world.cli(broker, "send", "upper", "-n", "--parallel", "64", stdin=lines, within=60)
    ids = sent.out.decode().split()
    assert (sent.code, len(ids), len(set(ids))) == (0, 1000, 1000), sent.err
    for number in (0, 1, 500, 999):
        assert _result(world, broker, ids[number]).out == b"LINE %d\n" % number


def test_of_several_one_that_is_not_accepted_has_its_line(world, store):
    broker = _broker(world, store)
    _send(world, broker, "cat", "another\n", "--key", "k-2")
    sent = world.cli(broker, "send", "cat", "-n", "--key", "k", stdin=b"one\ntwo\nthree\n")
    assert sent.code == 8
    out = sent.out.decode().splitlines()
    assert len(out) == 3 and out[1] == "-" and out[0].isdigit() and out[2].isdigit()
    assert b"job 2: " in sent.err and b"1 of 3 jobs were not accepted: KEY_MISMATCH 1" in sent.err
    sent = world.cli(broker, "send", "cat", "-n", "--key", "k", "-o", "csv", stdin=b"one\ntwo\nthree\n")
    rows = sent.out.decode().splitlines()
    assert rows[0] == "number,status,id,replayed,message"
    assert rows[1] == f"1,OK,{out[0]},true," and rows[2].startswith("2,KEY_MISMATCH,,false,")


def test_lists_by_service_and_state(world, store):
    broker = _broker(world, store)
    world.worker(broker, "cat", "cat")
    done = _send(world, broker, "cat")
    assert _result(world, broker, done).code == 0
    waiting = [_send(world, broker, "nobody") for _ in range(3)]

    def ids(*options):
        result = world.cli(broker, "jobs", *options, "-o", "jsonl")
        assert result.code == 0, result
        return [json.loads(line)["id"] for line in result.out.splitlines()]

    assert ids() == [done, *waiting]
    assert ids("nobody") == waiting
    assert ids("--state", "done") == [done]
    assert ids("nobody", "--state", "waiting") == waiting
    assert ids("--count", "2") == [done, waiting[0]]
    table = world.cli(broker, "jobs", "--count", "3")
    lines = table.out.decode().splitlines()
    assert lines[0].split() == ["ID", "SERVICE", "STATE", "ATTEMPT", "ACCEPTED", "DUE", "ENDED", "STATUS"]
    assert lines[1].split()[:4] == [done, "cat", "done", "1/5"] and len(lines) == 4
    assert "there are more" in table.error()
    none = world.cli(broker, "jobs", "cat", "--state", "dead")
    assert (none.code, none.out) == (0, b"") and "no such jobs" in none.error()
    assert world.cli(broker, "jobs", "--state", "gone").code == 2


def test_more_than_a_page_is_listed_whole(world, store):
    broker = _broker(world, store)
    sent = world.cli(broker, "send", "nobody", "x", "--count", "1203", "--parallel", "200", within=60)
    assert sent.code == 0, sent.err
    listed = world.cli(broker, "jobs", "-o", "jsonl").out.decode().splitlines()
    jobs = [json.loads(line) for line in listed]
    assert sorted(job["id"] for job in jobs) == sorted(sent.out.decode().split())
    accepted = [job["accepted_us"] for job in jobs]
    assert accepted == sorted(accepted)
    table = world.cli(broker, "jobs")
    assert table.out.count(b"\n") == 1001 and "there are more" in table.error()


# ---- Brokers without jobs --------------------------------------------------------------------------


def test_a_broker_without_a_store_says_how_to_start_one(world):
    broker = world.broker()
    world.worker(broker, "cat", "cat")
    sent = world.cli(broker, "send", "cat", "x")
    assert (sent.code, sent.out) == (2, b"")
    assert "keeps no jobs" in sent.error() and "riposte-broker --store FILE" in sent.error()
    for words in (("result", "1"), ("jobs",), ("job", "1"), ("cancel", "1"), ("dead", "list"),
                  ("dead", "retry", "1"), ("dead", "purge", "--all")):
        result = world.cli(broker, *words)
        assert (result.code, result.out) == (2, b""), words
        assert "keeps no jobs" in result.error() and "riposte-broker --store FILE" in result.error()
    assert world.cli(broker, "call", "cat", "x").out == b"x", "everything else goes on"


def test_ids_that_are_none_are_refused(world, store):
    broker = _broker(world, store)
    for word in ("x", "0", "-1", "1.5", "99999999999999999999", "12a"):
        result = world.cli(broker, "result", "--", word)
        assert result.code == 2 and "id of a job" in result.error(), result
    assert world.cli(broker, "job").code == 2
    assert world.cli(broker, "job", "1", "2").code == 2
    unknown = world.cli(broker, "result", "4711", "--wait", "5s")
    assert unknown.code == 1 and "there is no such job" in unknown.error()
    assert world.cli(broker, "job", "4711", "-o", "json").json()["error"]["job"] == "4711"


def _serve_as_before_jobs(router):
    """A broker from before there were jobs: it welcomes, and refuses what is said to it."""
    seen = []
    while router.poll(10000):
        route, *frames = router.recv_multipart()
        message = Message(frames)
        seen.append((message.command, message.name))
        if message.command == HELLO:
            router.send_multipart([route, head(WELCOME, time=2000, value=100)])
        elif message.command == REQUEST:
            router.send_multipart([route, head(REPLY, id=message.id, status=STATUSES.index("DENIED"),
                                               text=b"names beginning with riposte. belong to the broker")])
        elif message.command == BYE:
            return seen
    raise AssertionError(f"no BYE came, only {seen}")


def test_a_broker_from_before_there_were_jobs_is_not_sent_any(world):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, ThreadPoolExecutor(1) as pool:
        port = router.bind_to_random_port("tcp://127.0.0.1")
        for words, said in ((("send", "cat", "x"), "keeps no jobs"), (("result", "1"), "too old to keep jobs")):
            serving = pool.submit(_serve_as_before_jobs, router)
            result = world.cli(f"tcp://127.0.0.1:{port}", *words)
            seen = serving.result()
            assert result.code == 2 and said in result.error(), result
            assert "riposte-broker --store FILE" in result.error()
            assert (REQUEST, b"cat") not in seen
        router.linger = 0


# ---- What nobody should send ---------------------------------------------------------------------


def test_a_question_about_jobs_is_no_job(world, store):
    broker = _broker(world, store)
    with Peer(broker.endpoint) as client:
        client.hello(heartbeat_ms=60000)
        for name in (b"riposte.result", b"riposte.job", b"riposte.cancel", b"riposte.jobs", b"riposte.brokers",
                     b"riposte.dead.list", b"riposte.dead.retry", b"riposte.dead.purge", b"riposte.remove"):
            reply = client.call(name, b'{"id":"1"}', flags=DURABLE)
            assert reply.status_name() == "INVALID", name
        assert json.loads(client.call(b"riposte.jobs", b"{}").body) == {"jobs": [], "more": False}
        assert json.loads(client.call(b"riposte.brokers", b"{}").body) == {"brokers": []}


def test_a_job_is_removed_with_its_result(world, store):
    broker = _broker(world, store)
    world.worker(broker, "cat", "cat")
    job = _send(world, broker, "cat", "x")
    assert _result(world, broker, job).out == b"x"
    with Peer(broker.endpoint) as client:
        client.hello(heartbeat_ms=60000)
        said = [client.call(b"riposte.remove", json.dumps({"id": job}).encode()).status_name() for _ in range(2)]
    assert said == ["OK", "APP_ERROR"]
    assert world.cli(broker, "result", job).code == 1


def test_a_crowd_of_questions_about_one_job_keeps_nobody_else_waiting(world, store):
    broker = _broker(world, store)
    job = _send(world, broker, "nobody")
    with Peer(broker.endpoint) as client:
        client.hello(heartbeat_ms=60000)
        question = json.dumps({"id": job, "wait_ms": 60000}).encode()
        asked = {client.request(b"riposte.result", question) for _ in range(1000)}
        cancel = client.request(b"riposte.cancel", json.dumps({"id": job}).encode())
        statuses = {}
        for _ in range(len(asked) + 1):
            reply = client.expect(REPLY)
            statuses.setdefault(reply.status_name(), set()).add(reply.id)
        assert statuses["OK"] == {cancel}
        assert {name: len(ids) for name, ids in statuses.items()} == {"OK": 1, "CANCELLED": 256, "BUSY": 744}


def test_a_question_that_waits_is_cancelled_at_once(world, store):
    broker = _broker(world, store)
    job = _send(world, broker, "nobody")
    question = json.dumps({"id": job, "wait_ms": 60000}).encode()
    with Peer(broker.endpoint) as client, Peer(broker.endpoint) as other:
        client.hello(heartbeat_ms=60000)
        other.hello(heartbeat_ms=60000)
        asked = [client.request(b"riposte.result", question) for _ in range(3)]
        client.send(head(CANCEL, id=asked[1]))
        reply = client.expect(REPLY)
        assert (reply.id, reply.status_name(), reply.conversation) == (asked[1], "CANCELLED", 0)
        client.send(head(CANCEL, id=asked[1]))
        # Those of a client that leaves make room for others.
        crowd = [other.request(b"riposte.result", question) for _ in range(255)]
        assert other.expect(REPLY).status_name() == "BUSY"
        client.send(head(BYE))
        until(lambda: world.cli(broker, "status", "-o", "json").json()["clients"] == 2, 5, "it has left", broker)
        again = other.request(b"riposte.result", question)
        assert world.cli(broker, "cancel", job).code == 0
        ended = [other.expect(REPLY) for _ in range(255)]
        assert {reply.status_name() for reply in ended} == {"CANCELLED"} and again in {reply.id for reply in ended}
        assert all(reply.conversation == int(job) for reply in ended) and len(crowd) == 255
    stats = world.cli(broker, "status", "-o", "json").json()["counters"]
    assert (stats["cancels"], stats["unknown_cancels"]) == (1, 1)


def test_a_key_is_answered_while_too_many_jobs_are_open(world, store):
    broker = world.broker("--store", store, "--limit", "jobs=1")
    job = _send(world, broker, "nobody", "x", "--key", "k")
    assert _send(world, broker, "nobody", "x", "--key", "k") == job
    other = world.cli(broker, "send", "nobody", "y", "--key", "k")
    assert other.code == 2 and "another body" in other.error(), other
    refused = world.cli(broker, "send", "nobody", "x", "--key", "l")
    assert refused.code != 0 and "limit jobs" in refused.error()


def test_ids_are_not_counted(world, store):
    broker = _broker(world, store)
    ids = {_send(world, broker, "nobody") for _ in range(5)}
    assert len(ids) == 5 and all(1000 < int(job) < 2**63 for job in ids)
    with Peer(broker.endpoint) as client:
        client.hello(heartbeat_ms=60000)
        near = {int(job) + step for job in ids for step in (-1, 1)}
        for number in [*range(1, 20), *near]:
            for name in (b"riposte.job", b"riposte.cancel", b"riposte.result", b"riposte.dead.purge"):
                reply = client.call(name, json.dumps({"id": str(number)}).encode())
                assert reply.status_name() == "APP_ERROR", (name, number)
        for job in ids:
            told = json.loads(client.call(b"riposte.job", json.dumps({"id": job}).encode()).body)
            assert (told["id"], told["state"]) == (job, "waiting")


def test_the_same_bytes_in_other_frames_are_another_body(world, store):
    broker = _broker(world, store)
    with Peer(broker.endpoint) as client:
        client.hello(heartbeat_ms=60000)
        told = []
        for number, frames in enumerate(((b"ab",), (b"a", b"b"), (b"ab",)), 1):
            client.send(head(REQUEST, name=b"nobody", headers=pack_headers([(b"idempotency-key", b"k")]), id=number,
                             attempts=5, flags=DURABLE), *frames)
            told.append(client.receive())
        assert [message.command for message in told] == [ACCEPTED, REPLY, ACCEPTED]
        assert told[1].status_name() == "KEY_MISMATCH"
        assert told[0].conversation == told[2].conversation


def test_names_for_which_jobs_wait_are_bounded(world, store):
    broker = world.broker("--store", store, "--limit", "max_services=3")
    for index in range(3):
        _send(world, broker, f"name{index}")
    refused = world.cli(broker, "send", "another", "x")
    assert refused.code != 0 and "max_services" in refused.error()
    _send(world, broker, "name0")


# ---- Many ----------------------------------------------------------------------------------------


def test_a_job_that_ran_behind_thousands_that_wait_is_found_after_a_crash(world, store):
    broker = _broker(world, store)
    with Peer(broker.endpoint) as client, Peer(broker.endpoint) as worker:
        client.hello(heartbeat_ms=60000)
        for _ in range(12000):
            client.request(b"nobody", b"x", flags=DURABLE)
        for _ in range(12000):
            client.expect(ACCEPTED)
        worker.register(b"cat", heartbeat_ms=60000)
        job = _send(world, broker, "cat", "lost", "--backoff", "10ms")
        worker.expect(REQUEST)
        broker = _again(world, broker, store)
    world.worker(broker, "cat", "cat")
    assert _result(world, broker, job).out == b"lost"


def test_a_job_is_its_senders_though_that_has_gone_before_it_is_taken(world, store):
    """The broker reads request and BYE at once. The job is that of the principal that sent it, so whoever asks again
    with its key gets the same job."""
    keys = Keys(world)
    keys.rules('principal = "ada"\n    call = "*"\n    observe = 1\n')
    keys.authorize("ada")
    world.environment.update(keys.environment("ada"))
    broker = world.broker("--store", store, *keys.of_broker)
    gone = world.peer(broker, curve=keys.curve("ada"))
    gone.hello(heartbeat_ms=60000)
    broker.signal(signal.SIGSTOP)
    gone.request(b"later", b"body", flags=DURABLE, headers=pack_headers([(b"idempotency-key", b"once")]))
    gone.send(head(BYE))
    gone.close(linger_ms=1000)
    broker.signal(signal.SIGCONT)
    until(lambda: world.status(broker)["clients"] == 1, 5, "its session is over")
    _send(world, broker, "later", "body", "--key", "once")
    jobs = world.cli(broker, "jobs", "-o", "json").json()["jobs"]
    assert len(jobs) == 1, jobs
