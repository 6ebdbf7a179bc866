# SPDX-License-Identifier: MPL-2.0
"""The matrix of connection kind, principal and action: every cell is asserted, a denial as strictly
as a permission."""

import os
import pathlib
import re
import tempfile

import pytest

from support import programs
from support.keys import Keys
from support.waiting import until
from support.world import Result, World

RULES = """\
role = "caller"
    call = "upper"
    call = "billing.*"
role = "server"
    serve = "upper"
    serve = "billing.*"
principal = "ada"
    role = "caller"
principal = "sam"
    role = "server"
principal = "eve"
    observe = 1
principal = "ops"
    admin = 1
    observe = 1
principal = "root"
    call = "*"
    serve = "*"
    observe = 1
    admin = 1
principal = "empty"
principal = "anonymous"
    call = "upper"
principal = "uid:0"
    call = "billing.x"
principal = "uid:4711"
    observe = 1
"""

#: Exit codes.
OK, NO_BROKER, NO_WORKER, DENIED = 0, 3, 4, 6


def _call(service):
    return lambda cast, *who: cast.cli(who, "call", service, "hi")


def _ask(*command):
    return lambda cast, *who: cast.cli(who, *command)


#: Actions: the name of each, which begins with its rule, and a function that tries it.
ACTIONS = {
    "call upper": _call("upper"),
    "call billing.x": _call("billing.x"),
    "call billing.x.y": _call("billing.x.y"),
    "call billing": _call("billing"),
    "call pay": _call("pay"),
    "serve upper": lambda cast, *who: cast.serve(who, "upper"),
    "serve billing.x": lambda cast, *who: cast.serve(who, "billing.x"),
    "serve pay": lambda cast, *who: cast.serve(who, "pay"),
    "observe services": _ask("services"),
    "observe workers": _ask("workers"),
    "observe status": _ask("status"),
    "observe slow": _ask("slow"),
    "observe explain": _ask("explain"),
    "observe trace": _ask("call", "riposte.trace", '{"id": "order-17"}'),
    "admin reload": _ask("reload"),
    "ping": _ask("ping"),
}

EVERYTHING = set(ACTIONS)
SEES = {action for action in ACTIONS if action.startswith("observe ")}
CALLS = {"call upper", "call billing.x", "call billing.x.y"}

#: What the rules allow, by kind of connection and name. All else must be denied.
ALLOWED = {
    ("curve", "ada"): CALLS,
    ("curve", "sam"): {"serve upper", "serve billing.x"},
    ("curve", "eve"): SEES,
    ("curve", "ops"): SEES | {"admin reload"},
    ("curve", "root"): EVERYTHING,
    ("curve", "empty"): set(),
    ("curve", "unnamed"): set(),
    ("curve", "granted"): {"serve upper", "serve billing.x"} | CALLS,
    ("ipc", "uid:0"): {"call billing.x"},
    ("ipc", "uid:4711"): SEES,
    ("ipc", "uid:4712"): set(),
    ("plain", "anonymous"): {"call upper"},
}
#: Names of keys that do not even pass the handshake.
UNAUTHORIZED = ("unknown", "revoked", "expired")

#: All in one process, which makes keys and brokers once.
pytestmark = pytest.mark.xdist_group("matrix")


class Cast:
    """A broker, and the programs that connect to it. who: a kind of connection and a name."""

    def __init__(self, world, secure):
        self.world, self.keys = world, _keys(world)
        # Other users must reach it, which they cannot in world.directory.
        self.reachable = tempfile.TemporaryDirectory()
        pathlib.Path(self.reachable.name).chmod(0o755)
        self.ipc = f"ipc://{self.reachable.name}/broker"
        config = world.directory / "config"
        config.write_text("security\n    ipc_mode = 0666\n")
        security = self.keys.of_broker if secure else ("--rules", self.keys.rules_file)
        self.broker = world.broker("--bind", self.ipc, "--config", config, *security)
        if not secure:
            return
        services = ("upper", "billing.x", "billing.x.y", "billing", "pay")
        for service in services:
            world.worker(self.broker, service, ready=False,
                         options=("--builtin", "upper", *self.keys.of("root")))
        until(lambda: self.cli(("curve", "root"), "workers").out.count(b"ready") == len(services), 10,
              "the workers are there", self.broker)

    def command(self, program, who):
        way, name = who
        if way == "curve":
            return (program, "-s", self.broker.endpoint, *self.keys.of(name))
        if way == "plain":
            return (program, "-s", self.broker.endpoint)
        user = int(name.split(":")[1])
        other = ("setpriv", f"--reuid={user}", "--clear-groups") if user != os.geteuid() else ()
        return (*other, program, "-s", self.ipc)

    def cli(self, who, *arguments):
        return self.world.run(*self.command(programs.CLI, who), *arguments)

    def serve(self, who, service):
        """Runs a worker. A worker that no rule allows ends by itself. A worker whose key is not
        authorized tries again, because its key may be authorized later, so it is ended here, as a
        registered one is."""
        worker = self.world.start("worker", *self.command(programs.WORKER, who), "--builtin", "echo", service)
        until(lambda: re.search("registered|does not accept this key", worker.log()) or worker.poll() is not None, 10,
              "the worker is registered or refused", worker)
        code = DENIED if "does not accept" in worker.log() else worker.poll() or OK
        if worker.poll() is None:
            worker.popen.terminate()
        worker.popen.wait(10)
        return Result(code, b"", worker.log().encode())


def _keys(world):
    keys = Keys(world)
    keys.rules(RULES)
    for name in ("ada", "sam", "eve", "ops", "root", "empty", "revoked"):
        keys.authorize(name)
    keys.authorize("unnamed")  # the rules do not name this principal
    keys.authorize("granted", "--role", "caller", "--role", "server")
    keys.authorize("expired", "--expires", "2099-01-01", principal="root")
    expired = keys.authorized / "expired.key"
    expired.write_text(expired.read_text().replace("2099-", "2020-"))
    keys.revoke("revoked")
    keys.new("unknown")
    return keys


@pytest.fixture(scope="module")
def casts(tmp_path_factory):
    worlds = {secure: World(tmp_path_factory.mktemp("world")) for secure in (True, False)}
    made = {}

    def cast(way):
        secure = way != "plain"
        if secure not in made:
            made[secure] = Cast(worlds[secure], secure)
        return made[secure]

    yield cast
    troubles = [trouble for world in worlds.values() for trouble in world.end()]
    assert not troubles, troubles


@pytest.mark.parametrize("way,name", ALLOWED)
def test_every_cell_is_as_the_rules_say(casts, way, name):
    if way == "ipc" and os.geteuid() != 0:
        pytest.skip("SKIPPED: processes of other users need root")
    cast = casts(way)
    for action, attempt in ACTIONS.items():
        result = attempt(cast, way, name)
        if action == "ping" or action in ALLOWED[way, name]:
            # A permission shows by the next error where there is no worker.
            assert result.code in (OK, NO_WORKER if way == "plain" else OK), (action, result)
        else:
            assert result.code == DENIED, (action, result)
            assert f'"{name}" may not '.encode() in result.err, (action, result)
            assert f"ask for: {action.split()[0]}".encode() in result.err, (action, result)


@pytest.mark.parametrize("name", UNAUTHORIZED)
def test_a_key_that_is_not_authorized_gets_nothing(casts, name):
    cast = casts("curve")
    for action in ("call upper", "ping", "observe status", "serve upper"):
        result = ACTIONS[action](cast, "curve", name)
        assert result.code == DENIED and b"key" in result.err, (action, result)


def test_without_a_key_nobody_passes_the_handshake(casts):
    result = casts("curve").cli(("plain", "nobody"), "call", "upper", "hi")
    assert result.code == NO_BROKER and b"--key-file" in result.err, result


def test_a_denial_does_not_tell_whether_the_service_exists(casts):
    there, missing = (casts("curve").cli(("curve", "ada"), "call", service, "hi")
                      for service in ("pay", "no-such-service"))
    assert there.code == missing.code == DENIED
    assert there.err.replace(b"pay", b"X") == missing.err.replace(b"no-such-service", b"X")
