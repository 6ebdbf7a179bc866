# SPDX-License-Identifier: MPL-2.0
"""The systems that bench/compare compares: how each is started, at its best setting, and
one measurement of one of them."""
import ctypes
import dataclasses
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time

# Seconds of load before a client begins to measure; load.c has the same value.
WARM_UP_S = 0.5


class Failed(Exception):
    """A run gave no figures; the text says why."""


@dataclasses.dataclass(frozen=True)
class Shape:
    clients: int = 8
    inflight: int = 64
    size: int = 64
    workers: int = 4
    window: int = 256

    def __str__(self):
        size = f"{self.size} B"
        for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
            if self.size >= unit and self.size % unit == 0:
                size = f"{self.size // unit} {name}"
                break
        return f"{self.clients} clients × {self.inflight}, {size}, {self.workers} workers"


@dataclasses.dataclass
class Run:
    rate: float
    total: int
    failed: int
    p50: float
    p99: float
    cpu: float | None     # CPU of all threads of the process in the middle, µs a request
    kernel: float | None  # share of it that was spent in the kernel
    memory: int | None    # peak memory of the process in the middle, bytes


# ---- Processes -------------------------------------------------------------------------------------

def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Stage:
    """Processes that are ended together with this object."""

    def __init__(self, build):
        self.build = build
        self.started = []
        self.where = None
        self.environment = None  # of what is started from now on; None: ours

    def __enter__(self):
        self.where = tempfile.mkdtemp(prefix="riposte-bench-")
        return self

    def __exit__(self, *_):
        for process in reversed(self.started):
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        shutil.rmtree(self.where, ignore_errors=True)

    def program(self, name):
        for folder in ("", "bin", "bench"):
            path = os.path.join(self.build, folder, name)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return path
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if not path:
            raise Failed(f"{name} is not in {self.build}; build it with script/build")
        return path

    def start(self, name, *words, stdout=subprocess.DEVNULL):
        with open(os.path.join(self.where, "errors"), "ab") as errors:
            process = subprocess.Popen(
                [self.program(name), *map(str, words)], stdin=subprocess.DEVNULL, stdout=stdout,
                stderr=errors, preexec_fn=_die_with_parent, env=self.environment)
        self.started.append(process)
        return process

    def start_ready(self, name, *words, bound=30):
        """Starts a program, and waits until it prints "ready"."""
        process = self.start(name, *words, stdout=subprocess.PIPE)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(bound) or process.stdout.readline() != b"ready\n":
                raise Failed(f"{name} {words[0]} was not ready: {self.errors()}")
        return process

    def run(self, name, *words, bound=60):
        """Runs a program, and returns the JSON that it prints."""
        try:
            with open(os.path.join(self.where, "errors"), "ab") as errors:
                done = subprocess.run(
                    [self.program(name), *map(str, words)], stdin=subprocess.DEVNULL, check=False,
                    stdout=subprocess.PIPE, stderr=errors, timeout=bound,
                    preexec_fn=_die_with_parent, env=self.environment)
            return json.loads(done.stdout)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{name} did not end within {bound} s") from error
        except json.JSONDecodeError as error:
            raise Failed(f"{name} printed no result: {self.errors()}") from error

    def errors(self):
        with open(os.path.join(self.where, "errors"), encoding="utf-8", errors="replace") as file:
            lines = file.read().strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def secure(self):
        """From now on, bench_load uses CURVE. Makes keys, and all that the broker wants. Returns its options."""
        keys = os.path.join(self.where, "keys")
        authorized = os.path.join(keys, "authorized")
        os.makedirs(authorized, mode=0o700)
        self.environment = {**os.environ, "BENCH_KEYS": keys}
        subprocess.run([self.program("bench_load"), "keys", keys], check=True)
        shutil.copy(os.path.join(keys, "peer.key"), authorized)
        rules = os.path.join(keys, "rules")
        with open(rules, "w", encoding="ascii") as file:
            file.write('principal = "peer"\n    call = "*"\n    serve = "*"\n')
        return ("--key-file", os.path.join(keys, "broker.key_secret"), "--authorized", authorized, "--rules", rules)

    def broker(self, *limits, options=()):
        """Riposte's broker. Returns process and endpoint."""
        ports = os.path.join(self.where, f"ports{len(self.started)}")
        words = [word for limit in limits for word in ("--limit", limit)]
        process = self.start("riposte-broker", "--bind", "tcp://127.0.0.1:*", "--ports-file", ports,
                             "--log-level", "error", *words, *options)
        end = time.monotonic() + 10
        while not (os.path.exists(ports) and os.path.getsize(ports)):
            if time.monotonic() > end or process.poll() is not None:
                raise Failed(f"riposte-broker did not start: {self.errors()}")
            time.sleep(0.01)
        with open(ports, encoding="utf-8") as file:
            return process, file.read().split()[0]


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def wait_for_port(stage, process, port, bound=10):
    end = time.monotonic() + bound
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise Failed(f"{process.args[0]} does not listen: {stage.errors()}")


def cpu_seconds(pid):
    """CPU time of all threads of a process, in user code and in the kernel."""
    exact = 0.0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            exact += int(file.read().split()[0]) / 1e9
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    user, kernel = int(fields[11]), int(fields[12])
    if exact == 0:  # a kernel without schedstat
        exact = (user + kernel) / os.sysconf("SC_CLK_TCK")
    return exact, user, kernel


def memory(pid, key):
    """VmRSS or VmHWM, bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    raise Failed(f"no {key} in /proc")


# ---- Systems ---------------------------------------------------------------------------------------

def _broker(*limits, curve=False):
    def start(stage, _shape):
        process, endpoint = stage.broker(*limits, options=stage.secure() if curve else ())
        return process, endpoint, endpoint
    return start


def _proxy(stage, _shape):
    ports = free_ports(2)
    front, back = (f"tcp://127.0.0.1:{port}" for port in ports)
    process = stage.start("bench_load", "zmq", "proxy", front, back)
    for port in ports:
        wait_for_port(stage, process, port)
    return process, front, back


def _proxy_curve(stage, shape):
    stage.secure()
    return _proxy(stage, shape)


def _direct(_stage, shape):
    endpoints = ",".join(f"tcp://127.0.0.1:{port}" for port in free_ports(shape.workers))
    return None, endpoints, endpoints


def _textbook(stage, _shape):
    port = free_ports(1)[0]
    process = stage.start("textbook_majordomo", f"tcp://127.0.0.1:{port}")
    wait_for_port(stage, process, port)
    return process, f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{port}"


def _nats(stage, _shape):
    port = free_ports(1)[0]
    process = stage.start("nats-server", "-a", "127.0.0.1", "-p", port)
    wait_for_port(stage, process, port)
    return process, f"nats://127.0.0.1:{port}", f"nats://127.0.0.1:{port}"


def _gearman(stage, _shape):
    port = free_ports(1)[0]
    process = stage.start("gearmand", "-L", "127.0.0.1", "-p", port, "--log-file", "stderr",
                          "--threads", 2)
    wait_for_port(stage, process, port)
    return process, f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{port}"


@dataclasses.dataclass(frozen=True)
class System:
    name: str
    load: str  # its name in bench_load
    start: object
    label: str
    setting: str
    install: str = ""
    server: str = ""  # the program that it needs
    window: object = lambda shape: shape.window
    option: str = ""  # that riposte-broker has to know


SYSTEMS = {system.name: system for system in (
    System("direct", "direct", _direct, "no broker",
           "DEALER to the workers' ROUTERs, in turn; no high-water mark"),
    System("zmq_proxy", "zmq", _proxy, "zmq_proxy",
           "ROUTER and DEALER, DEALERs on both sides; one frame; no high-water mark; a send buffer of 256 KiB, as "
           "Riposte has on one machine"),
    System("riposte", "riposte", _broker(), "Riposte",
           "its libraries on both sides; workers state a window of 256, and of 1024 where 512 are in "
           "flight for each client, so that as many are with them as are open; broker as it comes"),
    System("bare", "native", _broker(), "Riposte, bare sockets",
           "sockets as bare as the proxy's, one message a frame (no bundles); the same windows"),
    System("zmq_proxy-curve", "zmq", _proxy_curve, "zmq_proxy, CURVE",
           "as zmq_proxy, with CURVE on both legs; it lets everybody in"),
    System("riposte-curve", "riposte", _broker(curve=True), "Riposte, CURVE",
           "as Riposte, with CURVE on both legs, one authorized key, and rules for it",
           option="--key-file"),
    System("mdp", "mdp", _broker(), "Riposte, MDP 0.1",
           "DEALER clients; workers get one request at a time (foreign_window 1, the default)"),
    System("mdp-64", "mdp", _broker("foreign_window=64"), "Riposte, MDP 0.1, window 64",
           "the same peers; foreign_window 64"),
    System("textbook", "mdp", _textbook, "textbook Majordomo",
           "bench/textbook_majordomo.c: the guide's broker in C on plain libzmq; the same peers"),
    System("nats", "nats", _nats, "nats-server",
           "asynchronous inbox and queue subscriptions; sends at once where one request is open, and "
           "gathers otherwise; each is faster there",
           "apt-get install nats-server libnats-dev", "nats-server",
           lambda shape: 1 if shape.inflight == 1 else 0),
    System("gearman", "gearman", _gearman, "gearmand",
           "tasks added from the callback of one that is complete; short unique names; two I/O "
           "threads (1, 2 and 4 were tried, and could not be told apart on a busy machine)",
           "apt-get install gearman-job-server libgearman-dev", "gearmand"),
)}


def missing(stage, name):
    """Returns why a system cannot be measured, or None."""
    system = SYSTEMS[name]
    loads = subprocess.run([stage.program("bench_load"), "systems"], stdout=subprocess.PIPE, text=True,
                           check=True).stdout.split()
    try:
        if system.server:
            stage.program(system.server)
        if system.option and system.option not in subprocess.run(
                [stage.program("riposte-broker"), "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout:
            return f"{system.label} is left out: riposte-broker has no {system.option}"
        if system.load in loads:
            return None
    except Failed:
        pass
    return f"{system.label} is not installed: {system.install}; then build again (script/build)"


def start_all_but_clients(stage, system, shape):
    """Returns what is in the middle, the clients' endpoint, and the workers' process."""
    middle, front, back = system.start(stage, shape)
    workers = stage.start_ready("bench_load", system.load, "worker", back, shape.workers,
                                system.window(shape))
    return middle, front, workers


def measure(build, name, shape, seconds):
    """One run of one system. Raises Failed."""
    system = SYSTEMS[name]
    with Stage(build) as stage:
        middle, front, _ = start_all_but_clients(stage, system, shape)
        return measure_clients(stage, middle, system.load, front, shape, seconds)


def measure_clients(stage, middle, load, endpoint, shape, seconds, services=0):
    """The clients' part, with everything else in place."""
    before = cpu_seconds(middle.pid) if middle else None
    out = stage.run("bench_load", load, "client", endpoint, shape.clients, shape.inflight, shape.size,
                    seconds, services, bound=seconds + 40)
    run = Run(out["rate"], out["total"], out["failed"], out["p50"], out["p99"], None, None, None)
    if run.rate == 0:
        raise Failed(f"no request ended ({run.failed} failed)")
    if middle:
        if middle.poll() is not None:
            raise Failed(f"what is in the middle has ended: {stage.errors()}")
        exact, user, kernel = (after - one for after, one in zip(cpu_seconds(middle.pid), before))
        run.cpu = exact / run.total * 1e6
        run.kernel = kernel / (user + kernel) if user + kernel else None
        run.memory = memory(middle.pid, "VmHWM")
    return run
