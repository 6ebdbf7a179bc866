# SPDX-License-Identifier: MPL-2.0
"""A disk without space: jobs draw BUSY, everything else goes on, and what was accepted is done once there is
space again. And a store full of jobs that wait, which nobody has to wait for."""

import json
import os
import pathlib
import statistics
import time

import pytest

from run import LONG, Run, free_port, ping, private_disk
from support import programs
from support.peer import ACCEPTED, DURABLE, REPLY, STATUSES, Peer
from support.programs import PATIENCE
from support.waiting import until

BODY = b"x" * 4096
WINDOW = 500


def submit(peer, service, body, most=1_000_000):
    """Submits jobs until one is refused, or until there are so many. Returns their ids, and the status
    of the refusal."""
    ids, refused, open_ = [], None, 0
    while (refused is None and len(ids) + open_ < most) or open_:
        if refused is None and open_ < WINDOW and len(ids) + open_ < most:
            peer.request(service, body, flags=DURABLE, attempts=10)
            open_ += 1
            continue
        message = peer.receive(20)
        assert message, "no answer to a job"
        open_ -= 1
        if message.command == ACCEPTED:
            ids.append(message.conversation)
        else:
            assert message.command == REPLY, vars(message)
            refused = (STATUSES[message.status], message.text.decode())
    return ids, refused


def results(peer, ids, wait_ms=20_000):
    """Fetches the results of jobs: (status, body) by id."""
    found, asked, rest = {}, {}, list(reversed(ids))  # the first ones first, as they are done
    while rest or asked:
        while rest and len(asked) < WINDOW:
            job = rest.pop()
            asked[peer.request(b"riposte.result", b'{"id":%d,"wait_ms":%d}' % (job, wait_ms), time_ms=60_000)] = job
        message = peer.receive(30)
        assert message, f"no result of {len(asked)}"
        job = asked.pop(message.id)
        assert message.conversation == job, f"job {job}: {STATUSES[message.status]} {message.text} {message.body}"
        found[job] = STATUSES[message.status], message.body
    return found


def test_a_full_disk_refuses_jobs_and_nothing_else(world):
    words, why = private_disk("32m")
    if not words:
        pytest.skip(f"no file system of its own: {why}")
    disk = world.directory / "disk"
    disk.mkdir()
    broker = world.broker("--store", disk / "jobs.db", prefix=(*words, disk))
    inside = f"/proc/{broker.pid}/root{disk}"
    with open(f"{inside}/filler", "wb") as file:
        file.write(b"x" * (20 << 20))
    peer = world.peer(broker)
    peer.hello(heartbeat_ms=60_000)
    ids, refused = submit(peer, b"echo", BODY)
    assert refused and refused[0] == "BUSY" and "full" in refused[1], refused
    assert len(ids) > 100
    echo = world.builtin(broker, "echo", service="plain")
    assert echo.alive()
    worst = 0
    for number in range(200):
        begin = time.monotonic()
        reply = peer.call(b"plain", b"%d" % number)
        worst = max(worst, time.monotonic() - begin)
        assert (STATUSES[reply.status], reply.body) == ("OK", b"%d" % number)
    world.builtin(broker, "echo", "--slots", "16")  # takes what waits, as far as starts can be written
    until(lambda: submit(peer, b"echo", BODY, 1)[1], 10, "jobs are refused")
    os.unlink(f"{inside}/filler")
    begin = time.monotonic()
    more = until(lambda: submit(peer, b"echo", BODY, 1)[0], 5, "a job is accepted again")
    back = time.monotonic() - begin
    done = results(peer, ids + more)
    assert all(final == ("OK", BODY) for final in done.values())
    print(f"{len(ids)} jobs accepted, then {refused}; 200 ordinary requests meanwhile, the slowest "
          f"{worst * 1000:.1f} ms; accepted again {back * 1000:.0f} ms after there was space; {len(done)} results")
    assert back <= 1 * PATIENCE
    assert worst <= 1 * PATIENCE


def test_jobs_accepted_before_a_full_disk_survive_a_kill_on_it(world):
    words, why = private_disk("12m")
    if not words:
        pytest.skip(f"no file system of its own: {why}")
    disk = world.directory / "disk"
    disk.mkdir()
    # The shell stays, and with it the file system, when its broker is killed.
    port = free_port()
    script = ('for round in 1 2; do "$0" "$@" & echo $! > "$PIDS/$round"; wait $!; done')
    world.environment["PIDS"] = str(world.directory)
    shell = world.start("brokers", *words, disk, "sh", "-c", script, programs.BROKER, "--store", disk / "jobs.db",
                        "--bind", f"tcp://127.0.0.1:{port}")
    shell.handles_sigterm = False
    endpoint = f"tcp://127.0.0.1:{port}"
    assert ping(endpoint), shell.log()
    with Peer(endpoint) as peer:
        peer.hello(heartbeat_ms=60_000)
        ids, refused = submit(peer, b"echo", BODY)
    assert refused and refused[0] == "BUSY", refused
    first = int((world.directory / "1").read_text())
    os.kill(first, 9)
    until(lambda: (world.directory / "2").exists() and ping(endpoint, 1), 10, "the broker is back", shell)
    second = int((world.directory / "2").read_text())
    try:
        with Peer(endpoint) as peer:
            peer.hello(heartbeat_ms=60_000)
            for job in ids:
                peer.request(b"riposte.job", b'{"id":%d}' % job)
                message = peer.receive(10)
                assert STATUSES[message.status] == "OK" and json.loads(message.body)["state"] == "waiting", \
                    (job, message.text, message.body)
        print(f"{len(ids)} jobs are there after a kill on a full disk")
    finally:
        os.kill(second, 9)
        until(lambda: not shell.alive(), 5, "the shell has ended")


def backup(world, store, copy, *words):
    """Makes a copy beside a running broker. Returns how it went, and the files that are beside the copy then."""
    script = '"$@"; code=$?; ls -A "${0%/*}" >&2; exit $code'
    said = world.run(*words, "sh", "-c", script, copy, programs.CLI, "store", "backup", store, copy)
    line, *files = said.err.decode().splitlines() if said.code else ["", *said.err.decode().split()]
    return said.code, line, files


def test_a_backup_onto_a_full_disk_leaves_nothing_there(world):
    words, why = private_disk("1m")
    if not words:
        pytest.skip(f"no file system of its own: {why}")
    disk = world.directory / "disk"
    disk.mkdir()
    broker = world.broker("--store", world.directory / "jobs.db")
    peer = world.peer(broker)
    peer.hello(heartbeat_ms=60_000)
    ids, refused = submit(peer, b"echo", BODY, 400)
    assert refused is None
    code, line, files = backup(world, world.directory / "jobs.db", disk / "copy.db", *words, disk)
    assert (code, files) == (1, []), (code, line, files)
    assert "copy.db" in line and "No space left on device" in line and "another file" in line, line
    assert sorted(file.name for file in world.directory.glob("jobs.db*")) == ["jobs.db", "jobs.db-wal"]
    world.builtin(broker, "echo")
    assert len(results(peer, ids + submit(peer, b"echo", BODY, 1)[0])) == 401
    code, line, files = backup(world, world.directory / "jobs.db", disk / "copy.db")
    assert (code, files) == (0, ["copy.db"]), (code, line, files)


def test_a_backup_for_which_the_store_has_no_space_beside_it_is_refused(world):
    words, why = private_disk("24m")
    if not words:
        pytest.skip(f"no file system of its own: {why}")
    disk = world.directory / "disk"
    disk.mkdir()
    broker = world.broker("--store", disk / "jobs.db", prefix=(*words, disk))
    peer = world.peer(broker)
    peer.hello(heartbeat_ms=60_000)
    ids, refused = submit(peer, b"echo", BODY, 400)
    assert refused is None
    inside = pathlib.Path(f"/proc/{broker.pid}/root{disk}")
    room = os.statvfs(inside)
    size = sum(file.stat().st_size for file in inside.glob("jobs.db*"))
    with open(inside / "filler", "wb") as file:
        file.write(b"x" * (room.f_bavail * room.f_frsize - size // 2))
    enter = ("nsenter", "--mount", "--target", str(broker.pid))
    code, line, files = backup(world, disk / "jobs.db", disk / "copy.db", *enter)
    assert code == 1 and files == ["filler", "jobs.db", "jobs.db-wal"], (code, line, files)
    assert "there is space for" in line and "make room" in line, line
    ids += submit(peer, b"echo", BODY, 1)[0]
    os.unlink(inside / "filler")
    world.builtin(broker, "echo")
    assert len(results(peer, ids)) == 401
    code, line, files = backup(world, disk / "jobs.db", disk / "copy.db", *enter)
    assert code == 0 and "copy.db" in files, (code, line, files)


def test_a_store_full_of_waiting_jobs_delays_no_start(world):
    count = 1_000_000 if LONG else 5_000
    run = Run(world, count)
    assert run.begin_broker(), run.broker.log()
    with Peer(run.endpoint) as peer:
        peer.hello(heartbeat_ms=60_000)
        ids, refused = submit(peer, b"echo", b"waits", count)
    assert refused is None, refused
    for _ in range(5):
        assert run.kill(), run.broker.log()
    begin = time.monotonic()
    run.begin_worker("echo-0")
    with Peer(run.endpoint) as peer:
        peer.hello(heartbeat_ms=60_000)
        done = results(peer, ids[:1], 60_000)
        flows = run.ready[-1] + (time.monotonic() - begin) * 1000
        print(f"{count} jobs wait: ready in {statistics.median(run.ready[1:]):.0f} ms (median), "
              f"{max(run.ready[1:]):.0f} ms (longest); without a store {statistics.median(run.bare):.0f} ms (median), "
              f"{max(run.bare):.0f} ms (longest); the first job done {flows:.0f} ms after the start, its worker "
              f"started then, too; load {os.getloadavg()[0]:.1f}")
        done.update(results(peer, ids[1:], 60_000))
    assert all(final == ("OK", b"waits") for final in done.values())
    print(f"all {len(done)} done and fetched {time.monotonic() - begin:.1f} s after a worker came")
    run.check_ready()
    assert flows <= 5_000 * PATIENCE
