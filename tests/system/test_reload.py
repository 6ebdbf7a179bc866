# SPDX-License-Identifier: MPL-2.0
"""SIGHUP and `riposte reload` read settings, keys and rules again; either all take effect, or none."""

import json
import os
import signal
import time

import pytest

from support.keys import Keys
from support.waiting import until

RULES = """\
principal = "worker"
    serve = "echo"
principal = "ada"
    call = "echo"
principal = "ops"
    observe = 1
    admin = 1
    call = "echo"
"""


def _replace(path, text):
    """Replaces a file, so that the broker never reads half of it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)


class Stage:
    """A broker with a file of settings, and optionally with keys."""

    def __init__(self, world, settings="", keys=False, options=()):
        self.world = world
        self.file = world.directory / "settings"
        self.settings(settings)
        self.keys = None
        if keys:
            self.keys = Keys(world)
            self.keys.rules(RULES)
            for name in ("worker", "ada", "ops"):
                self.keys.authorize(name)
            world.environment.update(self.keys.environment("ops"))
            options = (*self.keys.of_broker, *options)
        self.broker = world.broker("--config", self.file, *options)

    def settings(self, text):
        _replace(self.file, text)

    def rules(self, text):
        _replace(self.keys.rules_file, text)

    def reload(self, *options):
        return self.world.cli(self.broker, "reload", *options)

    def hang_up(self):
        count = self.status()["reload"]["count"]
        self.broker.signal(signal.SIGHUP)
        until(lambda: self.status()["reload"]["count"] == count + 1, 5, "it has read again", self.broker)

    def status(self):
        return self.world.status(self.broker)


def _both(stage, how):
    """Reloads in one of the two ways."""
    if how == "signal":
        stage.hang_up()
    else:
        stage.reload()


@pytest.mark.parametrize("how", ["signal", "command"])
def test_a_limit_and_a_log_level_hold_after_a_reload(world, how):
    stage = Stage(world, "limits\n    client_open = 5\n")
    stage.settings("log\n    level = debug\nlimits\n    client_open = 7\n    drain_limit = 2s\n")
    assert b" debug " not in stage.broker.path.read_bytes()
    _both(stage, how)
    status = stage.status()
    assert status["limits"]["client_open"] == 7
    assert status["limits"]["drain_limit"] == 2000
    assert status["reload"] == {"count": 1, "failed": 0, "ok": True, "problems": [], "needs_restart": []}
    stage.broker.wait_for(" debug ")


def test_a_lower_limit_holds_for_the_next_request_and_what_waits_is_served(world):
    stage = Stage(world)
    gate = world.gate()
    world.worker(stage.broker, "slow", *gate.command)
    calls = [world.start_cli(stage.broker, "call", "slow", "x", "--timeout", "30s") for _ in range(3)]
    until(lambda: stage.status()["gauges"]["waiting"] == 2, 5, "two wait", stage.broker)
    stage.settings("limits\n    service_queue = 1\n")
    assert stage.reload().code == 0
    busy = world.cli(stage.broker, "call", "slow", "x")
    assert busy.code == 7 and b"service_queue" in busy.err, busy
    gate.open()
    assert [world.finish(call).code for call in calls] == [0, 0, 0]


@pytest.mark.parametrize("how", ["signal", "command"])
def test_a_mistake_leaves_everything_as_it_was_and_all_of_them_are_told(world, how):
    stage = Stage(world, "limits\n    client_open = 5\n", keys=True)
    stage.settings("limits\n    client_open = 7\n    service_queue = many\n")
    stage.rules(RULES + 'principal = "eve"\n    cal = "echo"\n')
    mistakes = [f"{stage.file}:3:21: limits/service_queue wants a plain number such as 100, not \"many\"",
                f"{stage.keys.rules_file}:10:5: unknown word \"cal\""]
    if how == "signal":
        stage.hang_up()
    else:
        result = stage.reload()
        assert result.code == 1, result
        lines = result.err.decode().splitlines()
        assert len(lines) == 2 and all(mistake in line for mistake, line in zip(mistakes, lines)), result
        told = json.loads(stage.reload("-o", "json").out)["error"]
        assert told["code"] == "APP_ERROR" and len(told["problems"]) == 2, told
    status = stage.status()
    assert status["limits"]["client_open"] == 5
    assert not status["reload"]["ok"] and status["reload"]["failed"] >= 1
    for mistake, problem in zip(mistakes, status["reload"]["problems"]):
        assert problem.startswith(mistake), status["reload"]
        stage.broker.wait_for(mistake)
    assert mistakes[0].encode() in world.cli(stage.broker, "status").out
    # With a good file again, all of its settings hold.
    stage.settings("limits\n    client_open = 7\n")
    stage.rules(RULES)
    assert stage.reload().out == b"reloaded\n"
    status = stage.status()
    assert status["limits"]["client_open"] == 7 and status["reload"]["ok"]
    assert status["reload"]["problems"] == []


def test_settings_that_a_running_broker_cannot_take_need_a_restart_and_stay(world):
    stage = Stage(world, "limits\n    max_body = 1MiB\n")
    stage.settings("io_threads = 2\nlimits\n    max_body = 2MiB\n    client_open = 9\n")
    result = stage.reload()
    assert (result.code, result.out) == (
        0, b"reloaded\nneeds a restart: io_threads\nneeds a restart: limits/max_body\n")
    status = stage.status()
    assert status["limits"]["max_body"] == 1 << 20 and status["limits"]["client_open"] == 9
    assert status["reload"]["needs_restart"] == ["io_threads", "limits/max_body"]
    stage.broker.wait_for("needs a restart: limits/max_body")
    stage.settings("limits\n    max_body = 1MiB\n")
    assert json.loads(stage.reload("-o", "json").out) == {"reloaded": True, "needs_restart": []}
    assert stage.status()["reload"]["needs_restart"] == []


def test_what_is_new_goes_together_with_what_stays(world):
    stage = Stage(world, "limits\n    max_body = 16MiB\n")
    stage.settings("limits\n    max_body = 1MiB\n    total_queue_bytes = 16MiB\n    service_queue_bytes = 1MiB\n"
                   "    connection_backlog_bytes = 1MiB\n")
    result = stage.reload()
    assert result.code == 1 and b"limits/max_body (16MiB) must not be more than half of" in result.err, result
    assert stage.status()["limits"]["total_queue_bytes"] == 1 << 30


def test_an_option_still_beats_the_file(world):
    stage = Stage(world, options=("--limit", "client_open=11"))
    stage.settings("limits\n    client_open = 5\n    service_queue = 6\n")
    assert stage.reload().code == 0
    limits = stage.status()["limits"]
    assert (limits["client_open"], limits["service_queue"]) == (11, 6)


def test_security_is_not_switched_on_or_off_by_a_reload(world):
    stage = Stage(world)
    rules = world.directory / "rules"
    rules.write_text('principal = "nobody"\n')
    stage.settings(f'security\n    rules = "{rules}"\n')
    assert stage.reload().out == b"reloaded\nneeds a restart: security/rules\n"
    status = stage.status()
    assert status["security"] == {"on": False, "keys": 0}
    world.builtin(stage.broker, "echo")
    assert world.cli(stage.broker, "call", "echo", "x").out == b"x"


def test_a_new_key_of_the_broker_needs_a_restart(world):
    stage = Stage(world, keys=True)
    world.run(world.cli_command(None)[0], "keys", "new", "other", "--dir", stage.keys.directory)
    os.replace(stage.keys.secret("other"), stage.keys.secret("broker"))
    assert stage.reload().out == b"reloaded\nneeds a restart: security/key_file\n"
    assert stage.reload().code == 0, "its clients still know it by the old one"


def test_only_an_admin_may_reload(world):
    stage = Stage(world, keys=True)
    result = world.cli(stage.broker, "reload", *stage.keys.of("ada"))
    assert result.code == 6 and b'"ada" may not' in result.err, result
    assert stage.status()["reload"]["count"] == 0
    assert stage.reload().code == 0


def test_a_key_is_let_in_and_cut_by_a_reload_while_others_go_on(world):
    stage = Stage(world, keys=True)
    keys, broker = stage.keys, stage.broker
    gate = world.gate()
    stage.rules(RULES.replace('serve = "echo"', 'serve = "*"').replace('call = "echo"', 'call = "*"'))
    assert stage.reload().code == 0
    world.worker(broker, "slow", *gate.command, options=("--slots", "2", *keys.of("worker")))
    ada = world.start_cli(broker, "call", "slow", "x", "--timeout", "30s", "--wait-broker", "1s", *keys.of("ada"))
    ops = world.start_cli(broker, "call", "slow", "x", "--timeout", "30s")
    until(lambda: len(gate.starts()) == 2, 10, "both run", broker)
    sessions = {principal["name"]: principal["sessions"] for principal in stage.status()["principals"]}
    assert sessions["ada"] == 1 and sessions["worker"] == 1
    keys.revoke("ada")
    assert stage.reload().code == 0
    assert world.finish(ada).code == 3, "its connection is cut"
    assert world.cli(broker, "call", "slow", "x", *keys.of("ada")).code == 6, "DENIED"
    gate.open()
    assert world.finish(ops).code == 0
    refused = stage.status()["handshakes"]["refused"]
    assert refused > 0 and stage.status()["security"] == {"on": True, "keys": 2}
    keys.authorize("ada")
    assert stage.reload().code == 0
    assert world.cli(broker, "call", "slow", "x", *keys.of("ada")).code == 0


def test_a_storm_of_hangups_under_load_loses_nothing(world):
    stage = Stage(world, "limits\n    client_open = 5000\n", keys=True)
    keys, broker = stage.keys, stage.broker
    world.worker(broker, "echo", options=("--builtin", "echo", "--slots", "4", *keys.of("worker")))
    load = world.start_cli(broker, "bench", "echo", "--rate", "500", "--clients", "2", "--duration", "1500ms",
                           "-o", "json", *keys.of("ada"))
    number = 0
    while load.poll() is None:
        number += 1
        stage.settings(f"limits\n    client_open = {5000 + number % 7}\n")
        stage.rules(RULES if number % 5 else RULES + "broken\n")
        broker.signal(signal.SIGHUP)
        if number % 20 == 0:
            stage.reload()
        time.sleep(0.005)  # which leaves the load a processor
    report = json.loads(world.finish(load).out)
    assert report["failed"] == {} and report["requests"] == 750, report
    stage.settings("limits\n    client_open = 42\n")
    stage.rules(RULES)
    assert stage.reload().code == 0
    status = stage.status()
    assert status["limits"]["client_open"] == 42
    assert status["reload"]["count"] >= 10 and status["reload"]["failed"] > 0


def test_a_request_with_a_key_that_lost_its_rule_goes_to_no_other_worker(world):
    """The broker asks for it itself, in its client's name."""
    stage = Stage(world, keys=True)
    rules = RULES.replace("    observe = 1\n", '    observe = 1\n    serve = "echo"\n')
    stage.rules(rules)
    assert stage.reload().code == 0
    starts = world.directory / "starts"
    workers = [world.worker(stage.broker, "echo", "sh", "-c", f"echo >> {starts}; exec sleep 60") for _ in range(2)]
    call = world.start_cli(stage.broker, *map(str, stage.keys.of("ada")), "call", "echo", "x", "--key", "k",
                           "--attempts", "2", "--timeout", "30s")
    until(starts.exists, 5, "it runs", call)
    stage.rules(rules.replace('principal = "ada"\n    call = "echo"\n', 'principal = "ada"\n    call = "other"\n'))
    assert stage.reload().code == 0
    next(worker for worker in workers if world.worker_of(stage.broker, worker)["running"]).kill()
    result = world.finish(call)
    assert result.code == 9 and b"no rule allows another attempt" in result.err, result
    assert starts.read_text() == "\n"
