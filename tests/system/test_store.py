# SPDX-License-Identifier: MPL-2.0
"""`riposte store`: what people do with a store; most of it while no broker has it open."""

import json

from support import programs
from support.waiting import until


def _store(world):
    """A store in which one job is done and one waits; no broker has it."""
    path = world.directory / "jobs.db"
    broker = world.broker("--store", path)
    world.builtin(broker, "echo", service="echo")
    until(lambda: world.workers(broker, "echo"), 5, "there is a worker")
    sent = world.cli(broker, "send", "echo", "hello")
    assert sent.code == 0, sent
    result = world.cli(broker, "result", sent.out.decode().strip(), "--wait", "5s")
    assert (result.code, result.out) == (0, b"hello")
    assert world.cli(broker, "send", "nobody", "waits").code == 0
    return path, broker


def test_a_store_is_refused_while_a_broker_has_it(world):
    path, broker = _store(world)
    for command in ("check", "compact"):
        refused = world.run(programs.CLI, "store", command, path)
        assert refused.code == 1 and b"another" in refused.err.lower(), refused
    broker.terminate()
    assert broker.wait() == 0
    assert world.run(programs.CLI, "store", "check", path).code == 0


def test_a_copy_is_a_store_with_the_same_jobs(world):
    path, broker = _store(world)
    broker.terminate()
    assert broker.wait() == 0
    copy = world.directory / "copy.db"
    assert world.run(programs.CLI, "store", "backup", path, copy).code == 0
    again = world.run(programs.CLI, "store", "backup", path, copy)
    assert again.code == 1, "it would replace a file"
    assert world.run(programs.CLI, "store", "compact", copy).code == 0
    said = world.run(programs.CLI, "-o", "json", "store", "check", copy)
    assert "1 waiting" in json.loads(said.out)["result"] and "1 ended" in json.loads(said.out)["result"]
    broker = world.broker("--store", copy)
    jobs = json.loads(world.cli(broker, "-o", "json", "jobs").out)["jobs"]
    assert sorted(job["state"] for job in jobs) == ["done", "waiting"]


def test_a_copy_is_made_beside_a_running_broker(world):
    path, broker = _store(world)
    copy = world.directory / "copy.db"
    assert world.run(programs.CLI, "store", "backup", path, copy).code == 0
    again = world.run(programs.CLI, "store", "backup", path, copy)
    assert again.code == 1, "it would replace a file"
    sent = world.cli(broker, "send", "nobody", "not in the copy")
    assert sent.code == 0, sent
    assert sorted(file.name for file in world.directory.glob("jobs.db*")) == ["jobs.db", "jobs.db-wal"]
    said = world.run(programs.CLI, "-o", "json", "store", "check", copy)
    assert "1 waiting" in json.loads(said.out)["result"] and "1 ended" in json.loads(said.out)["result"]
    other = world.broker("--store", copy)
    jobs = json.loads(world.cli(other, "-o", "json", "jobs").out)["jobs"]
    assert sorted(job["state"] for job in jobs) == ["done", "waiting"]
    assert len(json.loads(world.cli(broker, "-o", "json", "jobs").out)["jobs"]) == 3


def test_a_damaged_file_is_told(world):
    path, broker = _store(world)
    broker.terminate()
    assert broker.wait() == 0
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 2, len(data) // 2 + 64):
        data[at] ^= 0xff
    path.write_bytes(data)
    damaged = world.run(programs.CLI, "store", "check", path)
    assert damaged.code == 1 and damaged.err, damaged
