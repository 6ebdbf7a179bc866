# SPDX-License-Identifier: MPL-2.0
"""Where a request's time goes: at full speed by process and object, with perf; and the broker's
instructions by what they are for, under callgrind."""
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

# By what a DSO's name begins with.
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


def by_process(build, name, shape, seconds=2):
    """Where a request's CPU time goes: [(process, µs a request, {object: share of that})]."""
    system = SYSTEMS[name]
    with Stage(build) as stage:
        middle, front, worker = start_all_but_clients(stage, system, shape)
        client = stage.start("bench_load", system.load, "client", front, shape.clients, shape.inflight,
                             shape.size, seconds + 1, stdout=subprocess.PIPE)
        time.sleep(WARM_UP_S + 0.3)
        parts = {str(client.pid): "clients", str(middle.pid): "in the middle", str(worker.pid): "workers"}
        before = {pid: cpu_seconds(pid)[0] for pid in parts}
        begin = time.monotonic()
        record, perf = _record(stage, parts, seconds)
        owner = {tid: pid for pid in parts for tid in os.listdir(f"/proc/{pid}/task")}
        time.sleep(seconds)
        took = time.monotonic() - begin
        spent = {pid: cpu_seconds(pid)[0] - before[pid] for pid in parts}
        rate = json.loads(client.communicate(timeout=seconds + 40)[0])["rate"]
        samples = _report(record, perf, "pid,dso")
    table = []
    for pid, part in parts.items():
        objects = {}
        for (thread, dso), share in samples.items():  # perf's "pid" is a thread
            if owner.get(thread.split(":")[0]) == pid:
                label = next((label for start, label in OBJECTS if dso.startswith(start)),
                             "its own code")
                objects[label] = objects.get(label, 0) + share
        total = sum(objects.values())
        objects = {label: share / total for label, share in objects.items()}
        table.append((part, spent[pid] / took / rate * 1e6, objects))
    return table


def idle_broker(build, start, seconds=6):
    """The same of a broker that start(stage, endpoint) gave peers, which do nothing: [(symbol, share)]."""
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


def breakdown(build, seconds=4):
    """[(part, instructions a request)], by the broker's threads, at 8 clients × 64."""
    if not shutil.which("valgrind"):
        raise Failed("valgrind is not there; apt-get install valgrind")
    shape = Shape()
    with Stage(build) as stage:
        ports = os.path.join(stage.where, "ports")
        process = stage.start(
            "valgrind", "--tool=callgrind", "--separate-threads=yes",
            f"--callgrind-out-file={stage.where}/out", stage.program("riposte-broker"), "--bind",
            "tcp://127.0.0.1:*", "--ports-file", ports)
        end = time.monotonic() + 20
        while not (os.path.exists(ports) and os.path.getsize(ports)):
            if time.monotonic() > end or process.poll() is not None:
                raise Failed("riposte-broker under valgrind did not start")
            time.sleep(0.05)
        with open(ports, encoding="utf-8") as file:
            endpoint = file.read().split()[0]
        stage.start_ready("bench_load", "riposte", "worker", endpoint, shape.workers, shape.window)
        run = measure_clients(stage, process, "riposte", endpoint, shape, seconds)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        threads = sorted(glob.glob(f"{stage.where}/out-*") or glob.glob(f"{stage.where}/out"))
        costs = [_inclusive(path) for path in threads]
    main, main_total = max(costs, key=lambda item: item[0].get("rp_dispatch_handle", 0))
    rows = [(part, sum(main.get(name, 0) for name in names) / run.total)
            for part, names in PARTS.items()]
    rows.append(("bundles, sessions, the loop: the rest of the broker's thread",
                 main_total / run.total - sum(count for _, count in rows)))
    rows.append(("libzmq's I/O thread", sum(total for _, total in costs) / run.total
                 - main_total / run.total))
    return rows
