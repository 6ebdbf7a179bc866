# SPDX-License-Identifier: MPL-2.0
"""Pictures, drawn by gnuplot: throughput by system, latency by load, cost by the number that
grows."""
import os
import shutil
import subprocess

import growth
import report
from systems import Shape, SYSTEMS, measure

LOADS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CLIENTS = (1, 2, 4, 8, 16, 32)
PEERS = (1, 10, 100, 1000)
QUEUES = (0, 1000, 10000, 100000, 1000000)
STYLE = ("set terminal svg size 800,480 font 'sans-serif,12' background 'white' noenhanced\n"
         "set grid\nset border 3\nset tics nomirror\nset format y '%.0f'\n")


def _gnuplot(path, script):
    run = subprocess.run(["gnuplot"], input=f"{STYLE}set output '{path}'\n{script}", text=True,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    return run.returncode == 0 and os.path.exists(path)


def _data(name, rows):
    return f"${name} << END\n" + "\n".join(" ".join(map(str, row)) for row in rows) + "\nEND\n"


def _throughput(bench, path):
    rows = next((rows for shape, rows in bench.tables if shape == Shape()), None)
    if rows is None:
        rows = bench.table(Shape(), list(SYSTEMS))
    bars = [(f'"{SYSTEMS[name].label}"', report.median_run(good).rate / 1000)
            for name, runs in rows.items() if (good := [run for run in runs if run])]
    bars.sort(key=lambda item: item[1])
    return _gnuplot(path, _data("d", bars) + (
        f"set title '{Shape()}'\nset xlabel 'thousand requests a second'\n"
        f"set yrange [-0.6:{len(bars)}-0.4]\n"
        "set style fill solid 0.6\nset xrange [0:*]\nset rmargin 8\n"
        "plot $d using ($2/2):0:($2/2):(0.35):ytic(1) with boxxyerror lc rgb '#33658a' notitle, "
        "$d using 2:0:(sprintf(' %.0f', $2)) with labels left notitle\n"))


def _latency(bench, path):
    """Plots latency by load, up to the first load that is not sustained."""
    most = bench.attempt("latency by load", measure, bench.build, "riposte", Shape(), 1)
    points = []
    for share in LOADS if most else ():
        out = bench.attempt("latency by load", growth.latency_at, bench.build, most.rate * share, 2)
        if not out or not out["latency_us"]:
            continue
        times = out["latency_us"]
        points.append((out["rate"] / 1000, times["p50"], times["p99"], times["p999"]))
        if out["rate"] < 0.95 * most.rate * share or times["p50"] > 100000:
            break
    return bool(points) and _gnuplot(path, _data("d", points) + (
        "set title 'Riposte: latency by load (open loop, from when a request was due)'\n"
        "set xlabel 'thousand requests a second'\nset ylabel 'µs'\nset logscale y\nset key left top\n"
        "plot for [i=2:4] $d using 1:i with linespoints title word('p50 p99 p99.9', i-1)\n"))


def _cost(bench, path):
    """Plots the broker's CPU time for a request against the number that grows."""
    seconds = min(bench.seconds, 1)

    def sweep(name, values, function):
        runs = [(value, bench.attempt(f"cost by {name}", function, value)) for value in values]
        return [(value, run.cpu) for value, run in runs if run and run.cpu]

    lines = {
        "clients": sweep("clients", CLIENTS, lambda count: measure(
            bench.build, "riposte", Shape(clients=count), seconds)),
        "workers": sweep("workers", PEERS, lambda count: growth.rate_with_workers(
            bench.build, seconds, count)),
        "services": sweep("services", PEERS, lambda count: growth.rate_with_workers(
            bench.build, seconds, growth.crowd(1000)[0], count)),
        "waiting": sweep("queue length", QUEUES, lambda count: growth.rate_beside_queue(
            bench.build, seconds, count)[0])}
    titles = {"clients": "clients, 64 in flight each", "workers": "workers, one message at a time",
              "services": "services of 1,000 workers",
              "waiting": "requests waiting for another service"}
    lines = {name: points for name, points in lines.items() if points}
    script = "".join(_data(name, [(max(value, 1), cpu) for value, cpu in points])
                     for name, points in lines.items())
    script += ("set title 'Riposte: CPU of the broker by what grows'\nset logscale xy\n"
               "set key left top\nset ylabel 'µs a request'\nset format y '%g'\nset yrange [0.1:*]\nplot "
               + ", ".join(f"${name} using 1:2 with linespoints title '{titles[name]}'"
                           for name in lines)
               + "\n")
    return bool(lines) and _gnuplot(path, script)


def draw(bench, folder):
    """Returns (title, path) of each plot drawn."""
    if not shutil.which("gnuplot"):
        bench.note("no pictures: gnuplot is not installed: apt-get install gnuplot-nox")
        return []
    os.makedirs(folder, exist_ok=True)
    pictures = []
    for name, title, function in (("throughput", "Throughput by system", _throughput),
                                  ("latency", "Latency by load", _latency),
                                  ("cost", "Cost by what grows", _cost)):
        path = os.path.join(folder, f"{name}.svg")
        if function(bench, path):
            pictures.append((title, path))
            print(f"drawn: {path}", flush=True)
        else:
            bench.note(f"{path} could not be drawn")
    return pictures
