# SPDX-License-Identifier: MPL-2.0
"""riposte context: named sets of brokers, keys and a timeout, and which of several values counts."""

import pytest

from support.programs import BRIEFLY, CLI, WORKER
from support.secure_broker import Keys, SecureBroker
from support.waiting import until

NOBODY = "tcp://127.0.0.1:1"


def contexts_file(world):
    return world.directory / "own-config" / "riposte" / "contexts"


def context(world, *words, code=0, **more):
    result = world.run(CLI, "context", *words, **more)
    assert result.code == code, result
    return result


@pytest.fixture(name="secure")
def secure_broker(world):
    keys = [Keys(world.directory, name) for name in ("broker", "ada")]
    broker = SecureBroker(keys[0], keys[1:])
    world._others.append(broker)
    broker.keys, broker.ada = keys
    return broker


def test_a_context_has_all_that_a_command_line_needs(world, secure):
    context(world, "add", "prod", "-s", secure.endpoint, "--key-file", "ada.key_secret", "--server-key",
            "broker.key", "--timeout", "30s", "--spread")
    (world.directory / "elsewhere").mkdir()
    result = world.run("sh", "-c", f"cd elsewhere && {CLI} call upper hi --context prod")
    assert (result.code, result.out) == (0, b"HI"), result
    shown = context(world, "show", "prod", "-o", "json").json()
    assert shown == {"name": "prod", "used": False, "server": secure.endpoint, "timeout": "30s", "spread": "yes",
                     "key-file": str(secure.ada.secret_file), "server-key": str(secure.keys.file)}


def test_the_broker_s_key_itself_stays_what_it_is(world, secure):
    context(world, "add", "prod", "-s", secure.endpoint, "--server-key", secure.keys.public)
    assert context(world, "show", "prod", "-o", "json").json()["server-key"] == secure.keys.public


def test_the_file_is_its_owners_alone_and_written_whole(world):
    context(world, "add", "one", "-s", NOBODY)
    file = contexts_file(world)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["contexts"]


def test_flag_beats_environment_beats_context_beats_default(world):
    broker = world.broker()
    world.builtin(broker, "upper")
    here, wrong = broker.endpoint, NOBODY
    context(world, "add", "here", "-s", here)
    context(world, "add", "wrong", "-s", wrong)

    def server(*words, **environment):
        result = world.run(CLI, "call", "upper", "x", "--wait-broker", "50ms", *words, environment=environment)
        return {0: "here", 3: "wrong"}[result.code]
    assert server("--context", "here") == "here"
    assert server("--context", "wrong", "-s", here) == "here"
    assert server("--context", "wrong", RIPOSTE_SERVER=here) == "here"
    assert server("-s", wrong, RIPOSTE_SERVER=here) == "wrong"
    assert server(RIPOSTE_CONTEXT="here") == "here"
    assert server("--context", "wrong", RIPOSTE_CONTEXT="here") == "wrong"
    context(world, "use", "here")
    assert server() == "here"
    assert server("--context", "wrong") == "wrong"
    assert server(RIPOSTE_CONTEXT="wrong") == "wrong"


def test_the_timeout_of_a_context_is_a_default(world):
    broker = world.broker()
    gate = world.gate()
    world.worker(broker, "slow", *gate.command)
    context(world, "add", "short", "-s", broker.endpoint, "--timeout", BRIEFLY)
    result = world.run(CLI, "call", "slow", "x", "--context", "short")
    assert result.code == 5
    assert "deadline" in result.error().lower()


def test_whether_a_client_spreads_is_a_value_of_its_context(world):
    brokers = [world.broker() for _ in range(2)]
    context(world, "add", "both", "-s", ",".join(broker.endpoint for broker in brokers), "--spread")
    assert "spread = yes" in context(world, "show", "both").out.decode()

    result = world.run(CLI, "bench", "riposte.ping", "--context", "both", "--clients", "40", "--count", "40")
    assert result.code == 0, result
    joined = [world.status(broker)["counters"]["clients_joined"] for broker in brokers]
    assert min(joined) > 1, "beside the one that asks; all choose the same once in 5 * 10 ** 11 runs"
    context(world, "add", "first", "-s", brokers[1].endpoint)
    assert "spread" not in context(world, "show", "first").out.decode()


def test_contexts_are_listed_and_removed(world):
    assert "no contexts" in context(world, "list").error()
    context(world, "add", "one", "-s", NOBODY)
    context(world, "add", "two", "--timeout", "2s")
    context(world, "use", "two")
    lines = [line.split() for line in context(world, "list").out.decode().splitlines()]
    assert lines == [["NAME", "SERVER", "KEY", "FILE", "TIMEOUT"], ["one", NOBODY, "-", "-"],
                     ["*", "two", "-", "-", "2s"]]
    assert [one["name"] for one in context(world, "list", "-o", "json").json()] == ["one", "two"]
    assert context(world, "show").out == b"name = two\ntimeout = 2s\n"
    context(world, "remove", "two")
    assert "no context is in use" in context(world, "show", code=2).error()
    assert [one["name"] for one in context(world, "list", "-o", "json").json()] == ["one"]


def test_a_worker_takes_a_context_by_its_name(world, secure):
    context(world, "add", "prod", "-s", secure.endpoint, "--key-file", secure.ada.secret_file, "--server-key",
            secure.keys.file)
    worker = world.start("worker", WORKER, "--context", "prod", "--builtin", "upper", "upper")
    until(lambda: "registered with" in worker.log(), 5, "it is registered", worker)
    result = world.run(WORKER, "--context", "nowhere", "--builtin", "upper", "upper")
    assert (result.code, 'no context "nowhere"' in result.error()) == (2, True)


def test_what_is_wrong_is_said(world, secure):
    assert 'no context "nowhere"' in world.run(CLI, "status", "--context", "nowhere").error()
    assert 'no context "nowhere"' in context(world, "use", "nowhere", code=2).error()
    assert 'no context "nowhere"' in context(world, "remove", "nowhere", code=2).error()
    assert "wants one NAME" in context(world, "add", "a/b", code=2).error()
    assert "wants one NAME" in context(world, "add", code=2).error()
    assert "cannot be found" in context(world, "add", "one", "--key-file", "missing", code=2).error()
    assert "--server-key" in context(world, "add", "one", "--key-file", secure.ada.secret_file, code=2).error()
    assert not contexts_file(world).exists()
    context(world, "add", "one", "-s", NOBODY)
    assert "remove it first" in context(world, "add", "one", "-s", NOBODY, code=2).error()
    contexts_file(world).write_text('context = "one"\n    colour = "red"\n')
    assert f"{contexts_file(world)}:2:5: context/colour is not known here" in context(world, "list", code=2).error()


def test_without_a_home_there_are_no_contexts(world):
    environment = {"XDG_CONFIG_HOME": "", "HOME": ""}
    assert world.run(CLI, "status", "-s", NOBODY, "--wait-broker", "50ms", environment=environment).code == 3
    result = context(world, "add", "one", "-s", NOBODY, code=1, environment=environment)
    assert "HOME" in result.error()
