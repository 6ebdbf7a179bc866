# SPDX-License-Identifier: MPL-2.0
"""docker-compose.yml as a project of its own, with its clients; tests can do harm to its
containers."""

import fcntl
import functools
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import tempfile
import time

from visits import Account

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RIPOSTE_BUILD") or SOURCE / "build").resolve()
FILES = ("docker-compose.yml",)
KEYS = "keys"  # the service that makes the keys, and ends
GRACE = 45  # seconds, stop_grace_period in docker-compose.yml
BOUND = 60  # seconds; nothing waits for it to pass
LONG = bool(os.environ.get("RIPOSTE_LONG"))


def until(condition, what, within=BOUND):
    """Returns the first true value of condition. Most conditions cost some processes, so the pauses grow."""
    begin = time.monotonic()
    while not (value := condition()):
        passed = time.monotonic() - begin
        assert passed < within, f"not within {within} s: {what}"
        time.sleep(min(max(0.1, passed / 4), 1))
    return value


def run(*command, within=300, **more):
    """Runs a program that must succeed; returns what it wrote."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=within, check=False, **more)
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}"
    return done.stdout


def _works(*command):
    return shutil.which(command[0]) and subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        timeout=60, check=False).returncode == 0


@functools.lru_cache
def compose_command():
    """Returns docker-compose 1.x or the v2 plugin, whichever is there; RIPOSTE_COMPOSE names
    another."""
    chosen = os.environ.get("RIPOSTE_COMPOSE", "").split()
    for command in [chosen] if chosen else [["docker-compose"], ["docker", "compose"]]:
        if _works(*command, "version"):
            return command
    return None


def why_not():
    """Returns why these tests cannot run here, or None."""
    if not shutil.which("docker"):
        return "docker is not installed"
    if not _works("docker", "version"):
        return "no Docker engine answers (docker version)"
    if not compose_command():
        return "there is neither docker-compose nor the plugin docker compose"
    return None


def inspect(containers, template):
    """Returns what the engine says of each of these containers: one process for all."""
    return run("docker", "inspect", "--format", template, *(one.id for one in containers)).splitlines()


class Container:
    def __init__(self, number):
        self.id = number
        self.host = number[:12]  # its host name, by which its worker is known

    def inspect(self, template):
        return inspect([self], template)[0].strip()

    def state(self):
        return json.loads(self.inspect("{{json .State}}"))

    def health(self):
        return self.state().get("Health", {}).get("Status")

    def logs(self):
        return run("docker", "logs", self.id)

    def execute(self, *command):
        return run("docker", "exec", self.id, *command)

    def attempt(self, *command):
        """Returns the exit code of a command that may fail."""
        return subprocess.run(["docker", "exec", self.id, *command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
                              check=False).returncode

    def start(self):
        run("docker", "start", self.id)

    def stop(self):
        """Stops it with SIGTERM; returns the exit code."""
        run("docker", "stop", "--time", str(GRACE), self.id)
        return self.state()["ExitCode"]

    def kill(self):
        run("docker", "kill", self.id)

    def crash(self):
        """Kills all its processes with SIGKILL; its restart policy must start it again."""
        self.attempt("sh", "-c", "kill -9 -1")

    def pause(self):
        """The engine gives up, with an error, if not all processes stand still soon; it is asked again."""
        until(lambda: _works("docker", "pause", self.id), f"{self.host} is paused")

    def unpause(self):
        run("docker", "unpause", self.id)


class Client:
    """A client's container, and its account so far."""

    def __init__(self, container, directory):
        self.container = container
        self.account = Account(container.host)
        self._path = directory / f"client-{container.host}.log"
        self._out = open(self._path, "wb")
        self._errors = open(self._path.with_suffix(".err"), "wb")
        self._follower = subprocess.Popen(["docker", "logs", "--follow", container.id],
                                          stdin=subprocess.DEVNULL, stdout=self._out,
                                          stderr=self._errors)
        self._in = open(self._path, encoding="utf-8", errors="replace")
        self._rest = ""

    def visits(self):
        *lines, self._rest = (self._rest + self._in.read()).split("\n")
        for line in lines:
            self.account.add(line)
        return self.account.visits

    def ended(self):
        """Waits until all lines that it printed before its end have been read."""
        self._follower.wait(BOUND)
        self.visits()

    def close(self):
        if self._follower.poll() is None:
            self._follower.kill()
        self._follower.wait()
        for file in (self._out, self._errors, self._in):
            file.close()


class Topology:
    def __init__(self, directory, profile=None, files=FILES, **environment):
        """profile: of these files; None: none. environment: of docker-compose."""
        self.name = f"riposte-test-{secrets.token_hex(4)}"
        self.clients = []
        self._directory = directory
        self._compose = compose_command()
        self._environment = {name: value for name, value in os.environ.items()
                             if not name.startswith(("RIPOSTE_", "VISITS_", "ORDERS_", "COMPOSE_"))}
        self._environment.update(environment)
        self._environment["PROMETHEUS_PORT"] = "0"  # any that is free
        self._files = [word for file in files for word in ("-f", str(SOURCE / file))]
        self._profile = ["--profile", profile] if profile else []
        self._scales = {}
        self._broker = None

    # ---- The whole ------------------------------------------------------------------------------

    def compose(self, *arguments, within=600):
        return run(*self._compose, *self._files, "-p", self.name, *self._profile, *arguments, within=within,
                   cwd=SOURCE, env=self._environment)

    def build(self):
        """Another that builds at the same time is waited for: its image is this one."""
        print(run(str(SOURCE / "script/base-image"), within=600))
        with open(f"{tempfile.gettempdir()}/riposte-image.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if LONG:
                self.compose("build", "--force-rm", within=1800)
                return
            self._build_image()
            if self._profile:
                self.compose("build", "--force-rm", "prometheus")

    def _build_image(self):
        """Makes the image as the Dockerfile does, but from the build that is tested: to compile all once more, in a
        container that first installs a compiler, takes minutes, which only RIPOSTE_LONG has."""
        stages = (SOURCE / "Dockerfile").read_text(encoding="utf-8").split("\nFROM ")
        (compiled,) = [stage for stage in stages if " AS build\n" in stage]
        stages.remove(compiled)
        text = "\nFROM ".join(stages)
        assert text.count("--from=build /image /") == 1
        (self._directory / "Dockerfile").write_text(text.replace("--from=build /image /", "image /"), encoding="utf-8")
        run(str(SOURCE / "script/image-tree"), str(BUILD), str(self._directory / "image"))
        run("docker", "build", "--force-rm", "-t", "riposte", str(self._directory), within=600)

    def up(self, *services, **scales):
        """Starts what is missing, of these services and those that they need, or of all; a scale stays until
        another is given."""
        self._scales.update(scales)
        numbers = [word for service, count in self._scales.items()
                   for word in ("--scale", f"{service}={count}")]
        self.compose("up", "-d", "--no-build", *numbers, *services)

    def load(self, count):
        """Starts this many clients, which visit about once a second and report everything: each visit is six processes,
        and without a pause they would take all processors from other tests. Returns what they have seen so far."""
        self._environment.update(RIPOSTE_OUTPUT="jsonl", VISITS_PAUSE="0.1" if LONG else "0.7")
        self.up(client=count)
        self.clients = [Client(one, self._directory) for one in self.containers("client")]
        return self.after([0] * count)

    def down(self):
        for client in self.clients:
            client.close()
        for one in self.containers():
            if one.state()["Paused"]:
                one.unpause()
        self.compose("down", "--timeout", "5", "--remove-orphans", "--volumes")
        left = [run("docker", *kind, "--quiet", "--filter", self._label()).split()
                for kind in (("ps", "--all"), ("network", "ls"), ("volume", "ls"))]
        assert left == [[], [], []], f"left behind: {left}"

    def _label(self):
        return f"label=com.docker.compose.project={self.name}"

    def containers(self, *services):
        """Returns the containers of some services, in this order, or of all services that stay."""
        found = [line.split() for line in run(
            "docker", "ps", "--all", "--no-trunc", "--filter", self._label(), "--format",
            '{{.Label "com.docker.compose.service"}} {{.ID}}').splitlines()]
        wanted = services or [service for service in dict(found) if service != KEYS]
        return [Container(number) for one in wanted for service, number in found if service == one]

    def broker(self):
        """Returns its container, which stays the same when it is restarted."""
        if not self._broker:
            (self._broker,) = self.containers("broker")
        return self._broker

    # ---- Its networks ---------------------------------------------------------------------------

    def disconnect(self, container, network):
        run("docker", "network", "disconnect", f"{self.name}_{network}", container.id)

    def connect(self, container, network, alias=None):
        name = ["--alias", alias] if alias else []
        run("docker", "network", "connect", *name, f"{self.name}_{network}", container.id)

    # ---- What its broker says -------------------------------------------------------------------

    def ask(self, what):
        return json.loads(self.broker().execute("riposte", what, "-o", "json"))

    def workers(self):
        """Returns the workers that take new requests, by their hosts."""
        return {worker["name"].rsplit("-", 1)[0]: worker
                for worker in self.ask("workers")["workers"] if not worker["draining"]}

    def wait_for_workers(self, containers=None):
        """Waits until the broker has exactly the workers of these containers; by default, of
        all."""
        hosts = {one.host for one in containers or self.containers("site", "upper")}
        until(lambda: set(self.workers()) == hosts, f"the workers are those of {hosts}")

    # ---- What its clients say -------------------------------------------------------------------

    def now(self):
        """Returns how many visits each client has made."""
        return [len(client.visits()) for client in self.clients]

    def since(self, then):
        return [visit for client, count in zip(self.clients, then)
                for visit in client.visits()[count:]]

    def after(self, then=None):
        """Returns what the clients saw since `then`, once each has begun and ended a good visit
        after this call; so all that it had begun before has ended too."""
        now = self.now()

        def is_good(visit):
            return visit.talk_code == 0 and visit.call_code == 0

        until(lambda: all(any(map(is_good, client.visits()[count + 1:]))
                          for client, count in zip(self.clients, now)),
              "every client has had a good visit again")
        return self.since(then or now)
