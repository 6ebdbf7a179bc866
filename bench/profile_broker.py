# SPDX-License-Identifier: MPL-2.0
"""Where a request's time goes in the broker: at full speed by object, with perf; and its instructions
by what they are for, under callgrind."""
import glob
import os
import re
import shutil
import signal
import subprocess
import time

from systems import Failed, Stage, measure_clients, Shape

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


def shares(build, seconds=2):
    """[(object, share of the broker's CPU time)], all threads, at 8 clients × 64."""
    if not shutil.which("perf"):
        raise Failed("perf is not there; apt-get install linux-perf")
    shape = Shape()
    with Stage(build) as stage:
        process, endpoint = stage.broker()
        stage.start_ready("bench_load", "riposte", "worker", endpoint, shape.workers, shape.window)
        record = f"{stage.where}/perf"
        perf = stage.start("perf", "record", "-q", "-e", "cpu-clock", "-o", record, "-p", process.pid,
                           "--", "sleep", seconds)
        measure_clients(stage, process, "riposte", endpoint, shape, seconds)
        try:
            perf.wait(20)
        except subprocess.TimeoutExpired as error:
            raise Failed("perf record did not end") from error
        out = subprocess.run(["perf", "report", "-i", record, "--stdio", "--sort", "dso"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                             check=False).stdout
    rows = [(name, float(share)) for share, name in
            re.findall(r"^\s+([\d.]+)%\s+(\S+)", out, re.MULTILINE) if float(share) >= 0.5]
    if not rows:
        raise Failed("perf saw nothing; may it count here (kernel.perf_event_paranoid)?")
    return rows


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
