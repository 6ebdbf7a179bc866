# SPDX-License-Identifier: MPL-2.0
"""A key is revoked while its owner and others work: within a second nothing from the owner is
accepted, and no request of others fails."""

import json
import time

from support.keys import Keys
from support.programs import SLOW
from support.waiting import until

RULES = """\
principal = "worker"
    serve = "echo"
principal = "ada"
    call = "echo"
principal = "bob"
    call = "echo"
principal = "ops"
    observe = 1
    admin = 1
"""


def _stage(world):
    keys = Keys(world)
    keys.rules(RULES)
    for name in ("worker", "ada", "bob", "ops"):
        keys.authorize(name)
    world.environment.update(keys.environment("ops"))
    broker = world.broker("--history", world.directory / "history", *keys.of_broker)
    world.worker(broker, "echo", options=("--builtin", "echo", "--slots", "4", *keys.of("worker")))
    return keys, broker


def _history(world):
    """Returns (µs, event, fields) of each line."""
    lines = [line.split("\t") for line in (world.directory / "history").read_text().splitlines()]
    return [(int(at), event, dict(field.split("=", 1) for field in fields)) for at, _, event, *fields in lines]


def _load(world, keys, broker, name):
    return world.start_cli(broker, "bench", "echo", "--rate", "200", "--clients", "2", "--duration", "4s",
                           "-o", "json", "--wait-broker", f"{2 * SLOW}s", *keys.of(name))


def test_a_revoked_client_is_cut_within_a_second_and_nobody_else_notices(world):
    keys, broker = _stage(world)
    ada, bob = (_load(world, keys, broker, name) for name in ("ada", "bob"))
    until(lambda: world.status(broker)["counters"]["requests"] > 400, 10, "both are at work", broker)
    keys.revoke("ada")
    assert world.cli(broker, "reload").code == 0
    reloaded = time.monotonic_ns() // 1000  # the clock that the history uses
    reports = {name: load.popen.communicate(timeout=30)[0] for name, load in (("ada", ada), ("bob", bob))}
    bob_report = json.loads(reports["bob"])
    assert bob_report["failed"] == {}, bob_report
    assert bob_report["requests"] == 800, bob_report
    records = _history(world)
    ada = {fields["session"] for _, event, fields in records
           if event == "join" and fields.get("principal") == "ada"}
    accepted = [at for at, event, fields in records if event == "accept" and fields["session"] in ada]
    assert accepted and max(accepted) < reloaded + 1_000_000, (max(accepted), reloaded)


def test_a_revoked_worker_gets_nothing_more_and_its_requests_have_an_end(world):
    keys, broker = _stage(world)
    keys.rules(RULES + 'principal = "other"\n    serve = "echo"\n')
    keys.authorize("other")
    assert world.cli(broker, "reload").code == 0
    bob = _load(world, keys, broker, "bob")
    until(lambda: world.status(broker)["counters"]["requests"] > 100, 10, "bob is at work", broker)
    world.worker(broker, "echo", options=("--builtin", "echo", "--slots", "4", *keys.of("other")), ready=False)
    until(lambda: len(world.workers(broker, "echo")) == 2, 10, "the other worker is there", broker)
    keys.revoke("worker")
    assert world.cli(broker, "reload").code == 0
    until(lambda: [worker["principal"] for worker in world.workers(broker, "echo")] == ["other"], 2.5,
          "the revoked worker is gone", broker)
    report = json.loads(bob.popen.communicate(timeout=30)[0])
    assert set(report["failed"]) <= {"WORKER_LOST"}, report


def test_rules_that_shrink_apply_to_the_next_request_and_what_runs_may_finish(world):
    keys, broker = _stage(world)
    gate = world.gate()
    keys.rules(RULES.replace('serve = "echo"', 'serve = "echo"\n    serve = "slow"')
               .replace('principal = "bob"', 'principal = "bob"\n    call = "slow"'))
    assert world.cli(broker, "reload").code == 0
    world.worker(broker, "slow", *gate.command, options=keys.of("worker"))
    bob = world.start_cli(broker, "call", "slow", "x", "--timeout", "30s", *keys.of("bob"))
    until(gate.starts, 10, "it runs")
    keys.rules(RULES)
    assert world.cli(broker, "reload").code == 0
    denied = world.cli(broker, "call", "slow", "x", *keys.of("bob"))
    assert denied.code == 6 and b'"bob" may not call "slow"; ask for: call slow' in denied.err, denied
    gate.open()
    out, _ = bob.popen.communicate(timeout=20)
    assert (bob.popen.returncode, out) == (0, b"delivery 1")
