# SPDX-License-Identifier: MPL-2.0
"""The helpers of the system tests: brokers, workers and clients, all of them real processes
on ports of their own, ended by their pid when the test is over."""

import importlib.util
import json
import os
import pathlib
import signal
import subprocess

from support import programs
from support.process import Process
from support.programs import PATIENCE
from support.proxy import Proxy
from support.waiting import until

PEERS = importlib.util.find_spec("zmq") is not None  # script/demo goes without


class Broker(Process):
    """endpoint: the address that the broker reports; None until then."""

    endpoint = None
    hangups = 0

    def lines(self):
        """The log's lines of all that the broker has done. A thread of its own writes them, so the line about a SIGHUP,
        which is left out, is waited for. Beyond twenty at once the broker holds such lines back, one a second."""
        word = "SIGHUP: reloaded settings"
        said = self.log().count(word)
        self.hangups += 1
        self.signal(signal.SIGHUP)
        until(lambda: self.log().count(word) > said, 10, "the log is complete", self)
        return [line for line in self.log().splitlines() if word not in line]

    def ready_ms(self):
        """The time to readiness, as the broker's log reports it."""
        until(lambda: "ready in " in self.log(), 5, "it says that it is ready", self)
        value, unit = self.log().split("ready in ")[1].split()[:2]
        return float(value) * {"µs": 0.001, "ms": 1, "s": 1000}[unit]


class Gate:
    """A command for riposte-worker that does not end before the gate is open, so that a test
    decides how long a request runs. It records each start, and answers with the number of the
    delivery."""

    def __init__(self, directory, number):
        self._open = directory / f"gate-{number}"
        self._starts = directory / f"starts-{number}"
        self.command = ("sh", "-c", f"echo $RIPOSTE_ATTEMPT >> {self._starts}; "
                        f"while test ! -e {self._open}; do sleep 0.02; done; "
                        "printf 'delivery %s' $RIPOSTE_ATTEMPT")

    def starts(self):
        return self._starts.read_text().split() if self._starts.exists() else []

    def open(self):
        self._open.touch()


class Result:
    """The result of a run of a program."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        return json.loads(self.out)

    def error(self):
        """The one line on standard error."""
        lines = self.err.decode().splitlines()
        assert len(lines) == 1, f"not one line: {lines}"
        return lines[0]

    def __repr__(self):
        return f"exit {self.code}, out {self.out!r}, err {self.err!r}"


class World:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.processes = []
        self._others = []
        self._gates = []
        self._names = {}
        # A test must not depend on the environment of the user who runs it.
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("RIPOSTE_", "ZSYS_")) and not name.lower().endswith("_proxy")}
        self.environment["NO_COLOR"] = "1"
        self.environment["RIPOSTE_HTTP"] = "off"  # where it is not what is tested: its port is one for all
        self.environment["XDG_CONFIG_HOME"] = str(self.directory / "own-config")

    # ---- Starting -------------------------------------------------------------------------------

    def _name(self, kind):
        self._names[kind] = self._names.get(kind, 0) + 1
        return f"{kind}-{self._names[kind]}"

    def start(self, kind, *command, process=Process, **more):
        one = process(self._name(kind), command, self.directory, self.environment, **more)
        self.processes.append(one)
        return one

    def broker(self, *options, port="*", limits=None, prefix=(), within=5):
        """Starts a broker, by default on a free port, and waits until it reports that it is ready.
        prefix: a command that then runs the broker. within: s until it has its sockets."""
        number = self._names.get("broker", 0) + 1
        ports = self.directory / f"ports-{number}"
        if limits:
            config = self.directory / f"config-{number}"
            lines = [f"    {name} = {value}\n" for name, value in limits.items()]
            config.write_text("limits\n" + "".join(lines))
            options = ("--config", config, *options)
        broker = self.start("broker", *prefix, programs.BROKER, "--bind", f"tcp://127.0.0.1:{port}",
                            "--ports-file", ports, *options, process=Broker)
        until(lambda: ports.exists() and ports.read_text().endswith("\n"), within,
              "the broker has written its ports file", broker)
        broker.endpoint = ports.read_text().splitlines()[0].strip()
        until(lambda: "security o" in broker.log(), 5, "the broker has said that it is ready", broker)
        return broker

    def restart(self, broker, *options, **more):
        """Starts a broker at the endpoint of one that has ended."""
        return self.broker(*options, port=broker.endpoint.rsplit(":", 1)[1], **more)

    def worker(self, broker, service, *command, options=(), ready=True, endpoint=None):
        """Starts riposte-worker: for a command, or with --builtin among the options."""
        tail = ["--", *command] if command else []
        worker = self.start("worker", programs.WORKER, "-s", endpoint or broker.endpoint, *options,
                            service, *tail)
        if ready:
            self.wait_for_worker(broker, worker, service)
        return worker

    def builtin(self, broker, what, *options, service=None, **more):
        return self.worker(broker, service or what, options=("--builtin", what, *options), **more)

    def site(self, broker, *options, ready=True, endpoint=None):
        site = self.start("site", programs.SITE, "-s", endpoint or broker.endpoint, *options)
        if ready:
            self.wait_for_worker(broker, site, "site")
        return site

    def sites(self, broker, count=3):
        started = [self.site(broker, ready=False) for _ in range(count)]
        for site in started:
            self.wait_for_worker(broker, site, "site")
        return started

    def conversations(self, endpoint, *options):
        one = self.start("conversations", programs.CONVERSATIONS, "--server", endpoint, *options,
                         stdin=subprocess.PIPE, piped=True)
        one.handles_sigterm = False
        return one

    def report(self, conversations, within=60):
        """Waits for the load program and returns what it reports."""
        try:
            out, _ = conversations.popen.communicate(timeout=within * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the conversations still run after {within} s") from None
        assert out, f"no report (exit {conversations.poll()}): {conversations.log()}"
        return json.loads(out)

    def gate(self):
        self._gates.append(Gate(self.directory, len(self._gates)))
        return self._gates[-1]

    def peer(self, broker, **options):
        from support.peer import Peer  # needs python3-zmq, which script/demo goes without
        peer = Peer(broker.endpoint, **options)
        self._others.append(peer)
        return peer

    def script(self, body=""):
        """Writes a shell script; a test may delete it and write it again."""
        program = self.directory / "program"
        program.write_text(f"#!/bin/sh\n{body}")
        program.chmod(0o755)
        return program

    def proxy(self, broker, rate=None):
        proxy = Proxy(broker.endpoint, rate)
        self._others.append(proxy)
        return proxy

    # ---- The command line -----------------------------------------------------------------------

    def cli_command(self, broker, *arguments):
        """broker may be an endpoint, or None to leave out --server."""
        if broker is None:
            return (programs.CLI, *arguments)
        server = broker if isinstance(broker, str) else broker.endpoint
        return (programs.CLI, "--server", server, *arguments)

    def cli(self, broker, *arguments, **more):
        """Runs riposte to its end."""
        return self.run(*self.cli_command(broker, *arguments), **more)

    def run(self, *command, stdin=b"", within=20, environment=None):
        command = [str(word) for word in command]
        try:
            done = subprocess.run(
                command, input=stdin, capture_output=True, timeout=within * PATIENCE,
                env={**self.environment, **(environment or {})}, cwd=self.directory)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"hangs: {' '.join(command)}") from None
        result = Result(done.returncode, done.stdout, done.stderr)
        assert b"Sanitizer" not in done.stderr and b"runtime error:" not in done.stderr, result
        assert done.returncode >= 0, result
        return result

    def start_cli(self, broker, *arguments, stdin=subprocess.DEVNULL):
        """Starts riposte and leaves it running; its standard output is popen.stdout."""
        return self.start("cli", *self.cli_command(broker, *arguments), stdin=stdin, piped=True)

    def finish(self, cli, within=20):
        """Waits for the end of a program that start_cli started."""
        try:
            out, _ = cli.popen.communicate(timeout=within * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{cli.name} hangs") from None
        return Result(cli.poll(), out, cli.path.read_bytes())

    # ---- The broker's answers about itself ------------------------------------------------------

    def ask(self, broker, what):
        """services, workers or status, as JSON. A peer asks, as riposte does, since a process for each question
        would be most of what these tests cost; riposte itself does where a key is needed, or python3-zmq is missing."""
        if "RIPOSTE_KEY_FILE" in self.environment or not PEERS:
            result = self.cli(broker, what, "-o", "json")
            assert result.code == 0, result
            return result.json()
        from support.peer import Peer
        with Peer(broker if isinstance(broker, str) else broker.endpoint) as peer:
            return json.loads(peer.ask(f"riposte.{what}"))

    def workers(self, broker, service=None):
        return [worker for worker in self.ask(broker, "workers")["workers"]
                if service in (None, worker["service"])]

    def worker_of(self, broker, process):
        """The row of this process in the broker's list of workers; None if there is none."""
        for worker in self.workers(broker):
            if worker["name"].endswith(f"-{process.pid}"):
                return worker
        return None

    def services(self, broker):
        return {service["name"]: service for service in self.ask(broker, "services")["services"]}

    def status(self, broker):
        return self.ask(broker, "status")

    def wait_for_worker(self, broker, process, service, within=5):
        until(lambda: self.worker_of(broker, process), within,
              f"{process.name} is registered for {service}", process)

    def wait_for_running(self, broker, count, service=None, within=5):
        until(lambda: sum(worker["running"] for worker in self.workers(broker, service)) == count,
              within, f"{count} requests run")

    def wait_for_waiting(self, broker, count, within=5):
        until(lambda: self.status(broker)["gauges"]["waiting"] == count, within,
              f"{count} requests wait")

    # ---- The end --------------------------------------------------------------------------------

    def end(self):
        """Ends all processes, clients first; returns the faults in how they ended."""
        failures = []
        for gate in self._gates:
            gate.open()  # the process of a worker that was killed ends by itself now
        for other in self._others:
            try:
                other.close()
            except Exception as failure:  # the other processes must end too
                failures.append(f"{other}: {failure}")
        return failures + [trouble for one in reversed(self.processes) if (trouble := one.end())]

    def logs(self):
        """The logs of all processes, for a report of failure."""
        parts = []
        for one in self.processes:
            text = one.log() if one.path.exists() else ""
            if len(text) > 8000:
                text = text[:4000] + "\n[...]\n" + text[-4000:]
            parts.append(f"---- {one.name}, pid {one.pid}, exit {one.poll()}\n{text}")
        return "\n".join(parts)


def clean_words(data):
    """Bytes as text, with each run of blanks as one; for tables."""
    return " ".join(data.decode().split())
