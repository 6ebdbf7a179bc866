# SPDX-License-Identifier: MPL-2.0
"""Clients and workers with keys, at a broker that has one. Each failing handshake ends within
--wait-broker, and the error says why it failed."""

import json
import socket
import subprocess
import threading
import time

import pytest

from support.programs import CLI, PATIENCE, WORKER
from support.secure_broker import Keys, SecureBroker
from support.waiting import until

WAIT_MS = 1000 * PATIENCE


class Keyring:
    def __init__(self, world):
        self.broker, self.ada, self.eve = (Keys(world.directory, name) for name in ("broker", "ada", "eve"))
        self._world = world

    def secure(self, *authorized):
        broker = SecureBroker(self.broker, authorized or (self.ada,))
        self._world._others.append(broker)
        return broker

    def open(self):
        broker = SecureBroker(None)
        self._world._others.append(broker)
        return broker


@pytest.fixture(name="keys")
def keyring(world):
    return Keyring(world)


def options(own, server):
    words = ["--key-file", own.secret_file] if own else []
    return [*words, *(["--server-key", server.file] if server else [])]


def call(world, broker, own, server, *more):
    """Makes one call, which must end within --wait-broker, plus the time that a program needs."""
    begin = time.monotonic()
    result = world.cli(broker, "call", "upper", "hi", "--wait-broker", f"{WAIT_MS}ms", "--timeout", "30s",
                       *options(own, server), *more)
    assert time.monotonic() - begin < WAIT_MS / 1000 + 5 * PATIENCE
    return result


# ---- Getting in -----------------------------------------------------------------------------------------------

def test_a_known_key_gets_in(world, keys):
    broker = keys.secure()
    result = call(world, broker, keys.ada, keys.broker)
    assert (result.code, result.out, result.err) == (0, b"HI", b"")


def test_the_brokers_key_may_be_given_itself(world, keys):
    broker = keys.secure()
    result = call(world, broker, keys.ada, None, "--server-key", keys.broker.public)
    assert (result.code, result.out) == (0, b"HI")


def test_the_environment_names_files(world, keys):
    broker = keys.secure()
    named = {"RIPOSTE_KEY_FILE": str(keys.ada.secret_file), "RIPOSTE_SERVER_KEY": str(keys.broker.file),
             "RIPOSTE_SERVER": broker.endpoint}
    assert world.run(CLI, "call", "upper", "hi", environment=named).out == b"HI"
    # The command line overrides the environment.
    denied = world.run(CLI, "call", "upper", "hi", "--key-file", keys.eve.secret_file, environment=named)
    assert denied.code == 6


@pytest.mark.parametrize("command", ["services", "workers", "status", "ping"])
def test_every_command_that_connects_takes_keys(world, keys, command):
    broker = keys.secure()
    result = world.cli(broker, command, *options(keys.eve, keys.broker))
    assert result.code == 6
    assert "it does not accept this key" in result.error()


def test_every_command_that_asks_a_broker_has_an_option_for_its_key(world):
    listed = world.cli(None, "--help").out.decode().split("\nCommands:\n")[1].split("\n\n")[0]
    commands = {line.split()[0] for line in listed.splitlines() if line[:3].strip()}
    assert {"call", "brokers", "store"} <= commands
    for command in commands - {"context", "keys", "rules", "store"}:
        assert b"--key-file" in world.cli(None, command, "--help").out, command


def test_bench_takes_keys(world, keys):
    broker = keys.secure()
    measure = ("bench", "upper", "--count", "100", "--clients", "2", "-o", "json")
    result = world.cli(broker, *measure, *options(keys.ada, keys.broker))
    assert (result.code, result.json()["failed"]) == (0, {})
    assert world.cli(broker, *measure, *options(keys.eve, keys.broker)).code == 6
    foreign = world.cli(broker, *measure, "--protocol", "mdp01", *options(keys.eve, keys.broker))
    assert foreign.code == 6


def test_a_worker_gets_in_with_its_key(world, keys):
    broker = keys.secure()
    worker = world.start("worker", WORKER, "-s", broker.endpoint, "--builtin", "upper",
                         *options(keys.ada, keys.broker), "upper")
    until(lambda: "registered with" in worker.log(), 5, "it is registered", worker)


# ---- Not getting in -------------------------------------------------------------------------------------------

def test_an_unknown_key_is_denied(world, keys):
    broker = keys.secure()
    result = call(world, broker, keys.eve, keys.broker)
    assert (result.code, result.out) == (6, b"")
    assert result.error() == (
        f"riposte: no session with {broker.endpoint} (it does not accept this key); authorize it there: "
        "riposte keys authorize NAME.key --principal NAME, then riposte reload")
    told = call(world, broker, keys.eve, keys.broker, "-o", "json").json()
    assert told["error"]["code"] == "DENIED"
    assert broker.requests == 0


def test_a_key_that_was_made_for_want_of_one_is_named_so(world, keys):
    broker = keys.secure()
    result = call(world, broker, None, keys.broker)
    assert result.code == 6
    assert result.error() == (
        f"riposte: no session with {broker.endpoint} (it does not accept the key that was made for want of a key "
        "file); name a key file (--key-file) whose key that broker has authorized")


def test_another_key_than_the_brokers_is_no_session(world, keys):
    broker = keys.secure()
    result = call(world, broker, keys.ada, keys.eve)
    assert (result.code, result.out) == (3, b"")
    assert result.error() == (
        f"riposte: no session with {broker.endpoint} (it ended the handshake: its key is not the one that is "
        "given here); compare --server-key with what riposte keys show says there")


def test_no_key_at_a_broker_with_one_says_what_to_name(world, keys):
    broker = keys.secure()
    result = call(world, broker, None, None)
    assert (result.code, result.out) == (3, b"")
    assert result.error() == (
        f"riposte: no session with {broker.endpoint} (it wants a key, and none is given); name your key file and "
        "the broker's key: --key-file, --server-key")


def test_a_key_at_a_broker_without_one_sends_nothing(world, keys):
    broker = keys.open()
    result = call(world, broker, keys.ada, keys.broker)
    assert (result.code, result.out) == (3, b"")
    assert result.error() == (
        f"riposte: no session with {broker.endpoint} (it has no security, and a broker with a key is wanted); "
        "leave out --server-key and --key-file, or name a secure endpoint")
    assert broker.requests == 0


def test_who_listens_and_says_nothing_does_not_hang_it(world, keys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = call(world, f"tcp://127.0.0.1:{silent.getsockname()[1]}", keys.ada, keys.broker,
                      "--timeout", "1s")
    assert result.code == 3
    assert "no connection within" in result.error() or "no broker" in result.error()


def test_who_hangs_up_is_no_broker(world, keys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def hang_up():
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return
        threading.Thread(target=hang_up, daemon=True).start()
        result = call(world, f"tcp://127.0.0.1:{listener.getsockname()[1]}", keys.ada, keys.broker)
        listener.shutdown(socket.SHUT_RDWR)
    assert result.code == 3
    assert "does not speak ZMTP, or hung up" in result.error()


def test_a_broker_that_cannot_check_keys_is_tried_again(world, keys):
    broker = keys.secure()
    broker.refusal = b"500"
    result = call(world, broker, keys.eve, keys.broker)
    assert result.code == 3
    assert "could not check" in result.error()


# ---- Several brokers ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("first", ["denies the key", "has another key", "has no key"])
def test_the_next_broker_of_a_list_is_tried(world, keys, first):
    brokers = {"denies the key": lambda: keys.secure(keys.eve),
               "has another key": lambda: SecureBroker(keys.eve, (keys.ada,)),
               "has no key": keys.open}
    one, other = brokers[first](), keys.secure()
    world._others.append(one)
    result = call(world, f"{one.endpoint},{other.endpoint}", keys.ada, keys.broker)
    assert (result.code, result.out) == (0, b"HI")


def test_of_a_list_where_one_denies_and_one_is_not_there_both_are_named(world, keys):
    broker = keys.secure()
    nobody = "tcp://127.0.0.1:1"
    result = call(world, f"{broker.endpoint},{nobody}", keys.eve, keys.broker)
    assert result.code == 3
    assert "it does not accept this key" in result.error()
    assert f"{nobody}: nothing listens there" in result.error()


# ---- Revoked, and authorized later ----------------------------------------------------------------------------

def test_a_key_that_is_revoked_ends_what_runs_and_what_comes(world, keys):
    broker = keys.secure()
    cli = world.start_cli(broker, "call", "hold", "-n", "--timeout", "30s", "-o", "jsonl",
                          *options(keys.ada, keys.broker), stdin=subprocess.PIPE)
    cli.popen.stdin.write(b"one\ntwo\nthree\n")
    cli.popen.stdin.flush()
    until(lambda: broker.requests == 1, 5, "the first request has come", cli)
    broker.revoke(keys.ada)
    result = world.finish(cli)
    told = [json.loads(line) for line in result.out.splitlines()]
    assert [one["status"] for one in told] == ["UNKNOWN", "DENIED", "DENIED"]
    assert "it does not accept this key" in told[1]["message"]
    assert "riposte keys authorize" in told[1]["message"]


def test_a_worker_whose_key_is_denied_waits_until_it_is_authorized(world, keys):
    broker = keys.secure()
    worker = world.start("worker", WORKER, "-s", broker.endpoint, "--builtin", "upper",
                         *options(keys.eve, keys.broker), "upper")
    until(lambda: "it does not accept this key" in worker.log(), 5, "it says so", worker)
    worker.wait_for("riposte keys authorize")
    broker.authorized.add(keys.eve.public)
    until(lambda: "registered with" in worker.log(), 5, "it is registered", worker)
    assert worker.log().count("does not accept") == 1
    broker.revoke(keys.eve)
    until(lambda: worker.log().count("does not accept") == 2, 5, "it says it again", worker)


# ---- Riposte's own broker --------------------------------------------------------------------------------------

@pytest.fixture(name="own_broker")
def riposte_broker(world, keys):
    authorized = world.directory / "authorized"
    authorized.mkdir(mode=0o700)
    for pair in (keys.broker, keys.ada):
        text = pair.file.read_text().replace("metadata\n", f'metadata\n    principal = "{pair.name}"\n')
        (authorized / pair.file.name).write_text(text)
    (authorized / keys.broker.file.name).unlink()
    rules = world.directory / "rules"
    rules.write_text('principal = "ada"\n    call = "upper"\n    serve = "upper"\n')
    return world.broker("--key-file", keys.broker.secret_file, "--authorized", authorized, "--rules", rules)


def test_riposte_s_broker_is_reached_with_an_authorized_key_alone(world, keys, own_broker):
    worker = world.start("worker", WORKER, "-s", own_broker.endpoint, "--builtin", "upper",
                         *options(keys.ada, keys.broker), "upper")
    until(lambda: "registered with" in worker.log(), 5, "it is registered", worker)
    assert call(world, own_broker, keys.ada, keys.broker).out == b"HI"
    # Which side ends a handshake first is chance; the error must not depend on it.
    for _ in range(5):
        for own, server, code, why in ((keys.eve, keys.broker, 6, "it does not accept this key"),
                                       (None, keys.broker, 6, "made for want of a key file"),
                                       (keys.ada, keys.eve, 3, "its key is not the one that is given here"),
                                       (None, None, 3, "it wants a key, and none is given")):
            result = call(world, own_broker, own, server)
            assert (result.code, why in result.error()) == (code, True), result


def test_the_example_takes_its_keys_from_the_environment(world, keys, own_broker):
    rules = world.directory / "rules"
    assert "site" not in rules.read_text()
    named = {"RIPOSTE_KEY_FILE": str(keys.ada.secret_file), "RIPOSTE_SERVER_KEY": str(keys.broker.file)}
    world.environment.update(named)
    site = world.site(own_broker, ready=False)
    until(lambda: "serve site" in site.log(), 5, "the broker has let its key in, and said which rule is missing",
          site)
    site.handles_sigterm = False


def test_what_a_rule_does_not_allow_is_another_thing_than_a_key_that_is_not_accepted(world, keys, own_broker):
    result = world.cli(own_broker, "call", "secret", "x", *options(keys.ada, keys.broker))
    assert result.code == 6
    assert 'ask for: call secret' in result.error()


# ---- Wrong command lines --------------------------------------------------------------------------------------

@pytest.mark.parametrize("program", [(CLI, "call", "upper", "hi"), (WORKER, "--builtin", "upper", "upper")])
def test_wrong_keys_are_said_before_anything_connects(world, keys, program):
    def error(*words):
        result = world.run(*program[:1], *program[1:-1], *words, program[-1]) if program[0] is WORKER \
            else world.run(*program, *words)
        assert result.code == 2, result
        return result.error()
    assert "goes with --server-key" in error("--key-file", keys.ada.secret_file)
    server = ("--server-key", keys.broker.file)
    assert "no-such-file" in error("--key-file", "no-such-file", *server)
    assert "key_secret" in error("--key-file", keys.ada.file, *server)
    assert "--server-key" in error("--key-file", keys.ada.secret_file, "--server-key", "no-such-file")


def test_a_key_file_that_others_can_read_is_refused(world, keys):
    keys.ada.secret_file.chmod(0o644)
    broker = keys.secure()
    result = call(world, broker, keys.ada, keys.broker)
    assert result.code == 2
    assert "chmod" in result.error()
