# SPDX-License-Identifier: MPL-2.0
"""Where a request's time goes: at full speed by process and object, with perf; and the broker's
instructions by what they are for, under callgrind."""
import contextlib
import dataclasses
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import time

from systems import (Failed, SYSTEMS, Shape, Stage, WARM_UP_S, cpu_seconds, measure_clients,
                     start_all_but_clients)

# Functions whose inclusive cost is a part; they do not call each other.
PARTS = {
    "libzmq, receive": ("zmq_msg_recv", "zmq_recvmsg", "zmq_msg_init", "zmq_msg_more"),
    "libzmq, send": ("zmq_msg_send", "zmq_sendmsg", "zmq_msg_init_size", "zmq_msg_init_data"),
    "libzmq, release of messages": ("zmq_msg_close",),
    "libzmq, poll": ("zmq_poll", "zmq_getsockopt"),
    "decode": ("rp_wire_decode",),
    "encode": ("rp_wire_encode", "rp_wire_patch"),
    "core": ("rp_dispatch_handle", "rp_dispatch_tick"),
}

# Functions that move bodies: the kernel's two directions, and libc's.
COPIES = re.compile(r"_copy_(to|from)_iter|mem(move|cpy)")

# By the beginning of a DSO's name.
OBJECTS = (("[", "kernel"), ("libzmq", "libzmq"), ("libc", "libc"))


def _record(stage, pids, seconds):
    if not shutil.which("perf"):
        raise Failed("perf is not there; apt-get install linux-perf")
    record = f"{stage.where}/perf"
    return record, stage.start("perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-o", record,
                               "-p", ",".join(map(str, pids)), "--", "sleep", seconds)


def _report(record, perf, keys):
    """{keys of a row: share of all samples}."""
    try:
        perf.wait(20)
    except subprocess.TimeoutExpired as error:
        raise Failed("perf record did not end") from error
    out = subprocess.run(["perf", "report", "-i", record, "--stdio", "-t", "|", "--sort", keys],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                         check=False).stdout
    rows = {}
    for line in out.splitlines():
        share, *words = (word.strip() for word in line.split("|"))
        if words and re.fullmatch(r"[\d.]+%", share):
            rows[tuple(words)] = rows.get(tuple(words), 0) + float(share[:-1]) / 100
    if not rows:
        raise Failed("perf saw nothing; may it count here (kernel.perf_event_paranoid)?")
    return rows


@dataclasses.dataclass
class Part:
    """The cost of one request in one process."""
    name: str
    cpu: float      # µs
    objects: dict   # share of that, by kernel, libzmq, libc, its own code
    copying: float  # share of that, in the kernel and in libc
    sleeps: float   # how often one of its threads went to sleep
    faults: float   # page faults


@dataclasses.dataclass
class Profile:
    """A request's cost in one system."""
    name: str
    label: str
    parts: list
    idle: float  # share of the machine

    def total(self, field):
        return sum(getattr(part, field) for part in self.parts)


def _sleeps(pid):
    count = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="utf-8") as file:
            count += int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", file.read(), re.M).group(1))
    return count


def _faults(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rsplit(")", 1)[1].split()[7])


def _machine():
    """(ticks idle, ticks in all)"""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def _counts(pid):
    return cpu_seconds(pid)[0], _sleeps(pid), _faults(pid)


def by_process(build, name, shape, seconds=2):
    """Shows where a request's time goes. CPU time, sleeps and page faults are counted without perf,
    which takes time itself; then other clients run under perf."""
    system = SYSTEMS[name]
    with Stage(build) as stage:
        middle, front, worker = start_all_but_clients(stage, system, shape)

        def clients():
            process = stage.start("bench_load", system.load, "client", front, shape.clients,
                                  shape.inflight, shape.size, seconds + 1, stdout=subprocess.PIPE)
            time.sleep(WARM_UP_S + 0.3)
            return process, {process.pid: "clients", middle.pid: "in the middle", worker.pid: "workers"}

        client, names = clients()
        before, idle, begin = {pid: _counts(pid) for pid in names}, _machine(), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - begin
        spent = {part: [after - one for after, one in zip(_counts(pid), before[pid])]
                 for pid, part in names.items()}
        idle = [after - one for after, one in zip(_machine(), idle)]
        rate = json.loads(client.communicate(timeout=seconds + 40)[0])["rate"]
        client, names = clients()
        owner = {tid: pid for pid in names for tid in os.listdir(f"/proc/{pid}/task")}
        record, perf = _record(stage, names, seconds)
        client.communicate(timeout=seconds + 40)
        samples = _report(record, perf, "pid,dso,sym")
    parts = []
    for pid, part in names.items():
        objects, copying = {}, 0
        for (thread, dso, symbol), share in samples.items():  # perf's "pid" is a thread
            if owner.get(thread.split(":")[0]) == pid:
                label = next((label for start, label in OBJECTS if dso.startswith(start)),
                             "its own code")
                objects[label] = objects.get(label, 0) + share
                copying += share if COPIES.search(symbol) else 0
        total = sum(objects.values())
        cpu, sleeps, faults = (figure / took / rate for figure in spent[part])
        parts.append(Part(part, cpu * 1e6, {label: share / total for label, share in objects.items()},
                          copying / total, sleeps, faults))
    return Profile(name, system.label, parts, idle[0] / idle[1])


def idle_broker(build, start, seconds=6):
    """The same for a broker whose peers are idle; start(stage, endpoint) starts them. Returns
    [(symbol, share)]."""
    with Stage(build) as stage:
        middle, endpoint = stage.broker()
        start(stage, endpoint)
        time.sleep(1)
        record, perf = _record(stage, [middle.pid], seconds)
        samples = _report(record, perf, "comm,dso,sym")
    return sorted(((f"{comm}: {symbol.split(']')[-1].strip()} ({dso})", share)
                   for (comm, dso, symbol), share in samples.items()), key=lambda row: -row[1])


def shares(build, seconds=2):
    """[(object, share of the broker's CPU time)], all threads, at 8 clients × 64."""
    shape = Shape()
    with Stage(build) as stage:
        process, endpoint = stage.broker()
        stage.start_ready("bench_load", "riposte", "worker", endpoint, shape.workers, shape.window)
        record, perf = _record(stage, [process.pid], seconds)
        measure_clients(stage, process, "riposte", endpoint, shape, seconds)
        samples = _report(record, perf, "dso")
    rows = sorted(((dso, share * 100) for (dso,), share in samples.items()), key=lambda row: -row[1])
    return [row for row in rows if row[1] >= 0.5]


def _inclusive(path):
    """Function to instructions, with what it calls."""
    out = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", path],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                         check=True).stdout
    costs = {}
    total = 0
    for line in out.splitlines():
        match = re.match(r"\s*([\d,]+)\s+\([\s\d.]+%\)\s+(\S.*)", line)
        if not match:
            continue
        count = int(match.group(1).replace(",", ""))
        if "PROGRAM TOTALS" in match.group(2):
            total = count
            continue
        name = re.sub(r"\s*\[.*", "", match.group(2)).rsplit(":", 1)[-1]
        name = name.split("'")[0].split("@")[0]
        costs[name] = max(costs.get(name, 0), count)
    return costs, total


def _callgrind(build, seconds, options=(), beside=None):
    """Runs the broker under callgrind at 8 clients × 64. beside: a context manager, entered meanwhile. Returns
    [(inclusive costs, all)] of the threads, and how many requests there were."""
    if not shutil.which("valgrind"):
        raise Failed("valgrind is not there; apt-get install valgrind")
    shape = Shape()
    with Stage(build) as stage:
        ports = os.path.join(stage.where, "ports")
        process = stage.start(
            "valgrind", "--tool=callgrind", "--separate-threads=yes",
            f"--callgrind-out-file={stage.where}/out", stage.program("riposte-broker"), "--bind",
            "tcp://127.0.0.1:*", "--ports-file", ports, *options)
        end = time.monotonic() + 20
        while not (os.path.exists(ports) and os.path.getsize(ports)):
            if time.monotonic() > end or process.poll() is not None:
                raise Failed("riposte-broker under valgrind did not start")
            time.sleep(0.05)
        with open(ports, encoding="utf-8") as file:
            endpoint = file.read().split()[0]
        stage.start_ready("bench_load", "riposte", "worker", endpoint, shape.workers, shape.window)
        with beside or contextlib.nullcontext():
            run = measure_clients(stage, process, "riposte", endpoint, shape, seconds)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        threads = sorted(glob.glob(f"{stage.where}/out-*") or glob.glob(f"{stage.where}/out"))
        return [_inclusive(path) for path in threads], run.total


def loop_instructions(build, http, beside=None, seconds=4):
    """Instructions a request in the loop of the broker's thread, without what its start takes."""
    costs, requests = _callgrind(build, seconds, ("--http", http), beside)
    return max(cost.get("rp_server_run", 0) for cost, _ in costs) / requests


def breakdown(build, seconds=4):
    """[(part, instructions a request)], by the broker's threads, at 8 clients × 64."""
    costs, requests = _callgrind(build, seconds)
    main, main_total = max(costs, key=lambda item: item[0].get("rp_dispatch_handle", 0))
    rows = [(part, sum(main.get(name, 0) for name in names) / requests)
            for part, names in PARTS.items()]
    rows.append(("bundles, sessions, the loop: the rest of the broker's thread",
                 main_total / requests - sum(count for _, count in rows)))
    rows.append(("libzmq's I/O thread", sum(total for _, total in costs) / requests
                 - main_total / requests))
    return rows
