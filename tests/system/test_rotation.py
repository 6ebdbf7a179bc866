# SPDX-License-Identifier: MPL-2.0
"""The broker's key is replaced while it serves: for a while it has two, each at an endpoint of its own."""

from support import programs
from support.keys import Keys
from support.programs import SLOW
from support.waiting import until

RULES = """\
principal = "ada"
    call = "echo"
    serve = "echo"
    observe = 1
"""


def _rotated(world):
    keys = Keys(world)
    keys.rules(RULES)
    keys.authorize("ada")
    result = world.run(programs.CLI, "keys", "rotate", "broker", "--dir", keys.directory)
    assert result.code == 0 and b"--next-bind" in result.err, result
    return keys


def _options(keys):
    return ("--key-file", keys.directory / "broker.old.key_secret", "--authorized", keys.authorized, "--rules",
            keys.rules_file)


def test_both_keys_lead_to_the_same_services_each_at_its_own_endpoint(world):
    keys = _rotated(world)
    broker = world.broker(*_options(keys), "--next-key-file", keys.secret("broker"), "--next-bind",
                          "tcp://127.0.0.1:*")
    later = (world.directory / "ports-1").read_text().split()[1]
    old, new = ({"RIPOSTE_KEY_FILE": str(keys.secret("ada")), "RIPOSTE_SERVER_KEY": str(keys.directory / name)}
                for name in ("broker.old.key", "broker.key"))
    world.environment.update(old)
    world.builtin(broker, "echo")  # it comes with the old key
    for endpoint, environment, code in ((broker.endpoint, old, 0), (later, new, 0), (broker.endpoint, new, 3),
                                        (later, old, 3)):
        result = world.cli(endpoint, "call", "echo", "hi", "--wait-broker", f"{SLOW}s", environment=environment)
        assert result.code == code, (endpoint, environment, result)
    world.environment.update(new)
    world.builtin(broker, "echo", endpoint=later, ready=False)
    until(lambda: world.cli(later, "workers").out.count(b"ready") == 2, 10, "both workers are in one service", broker)


def test_the_same_key_twice_and_half_of_a_rotation_are_refused(world):
    keys = _rotated(world)
    old = keys.directory / "broker.old.key_secret"
    for options, told in ((("--next-key-file", old, "--next-bind", "tcp://127.0.0.1:*"), "riposte keys rotate"),
                          (("--next-key-file", keys.secret("broker")), "belong together"),
                          (("--next-bind", "tcp://127.0.0.1:*"), "belong together")):
        result = world.run(programs.BROKER, "--bind", "tcp://127.0.0.1:*", *_options(keys), *options)
        assert result.code == 2 and told in result.err.decode(), result
