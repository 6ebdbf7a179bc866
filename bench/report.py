# SPDX-License-Identifier: MPL-2.0
"""The text that bench/compare prints, and the file that it writes."""
import datetime
import os
import platform
import re
import statistics
import subprocess
import time

from bar import OFTEN
from profiles import Profile
from systems import Run, SYSTEMS

HEADER = ("run  system      requests/s   p50 µs   p99 µs   in the middle: CPU µs/request, kernel, "
          "peak MiB")


def median_run(runs):
    def of(field):
        values = [getattr(run, field) for run in runs if getattr(run, field) is not None]
        return statistics.median(values) if values else None
    return Run(of("rate"), 0, int(of("failed")), of("p50"), of("p99"), of("cpu"), of("kernel"),
               of("memory"))


def line(number, name, run):
    text = f"{number}  {name:<10} {run.rate:>11,.0f} {run.p50:>8.0f} {run.p99:>8.0f}"
    if run.cpu is not None:
        text += f" {run.cpu:>10.2f} {(run.kernel or 0) * 100:>5.0f}% {run.memory / 2**20:>7.0f}"
    return text + (f"   {run.failed} FAILED" if run.failed else "")


def _figure(value, unit):
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
    return f"{text} {unit}".strip()


def _met(row):
    if row.limit is None:
        return "–"
    return {True: "met", False: "**not met**", None: "not measured"}[row.met]


def _limit(row):
    if row.limit is None:
        return ""
    return f"{'≤' if row.op == '<=' else '≥'} {row.limit:g} {row.unit}".strip()


def verdict_line(row):
    spread = ""
    if row.low is not None and row.low != row.high:
        spread = f" ({_figure(row.low, '')} to {_figure(row.high, '')})"
    met = "" if row.limit is None else f"  bar {_limit(row)}: {_met(row).strip('*')}"
    return f"  {row.what}: {_figure(row.value, row.unit)}{spread}{met}"


# ---- The file --------------------------------------------------------------------------------------

def _output(*words):
    try:
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False).stdout.strip()
    except OSError:
        return ""


def _processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        match = re.search(r"model name\s*: (.*)", file.read())
    return match.group(1) if match else platform.machine()


def _versions(bench):
    where = os.path.dirname(os.path.abspath(__file__))
    commit = _output("git", "-C", where, "describe", "--always", "--dirty") or "unknown"
    nats = re.search(r"v?[\d.]+", _output("nats-server", "--version") or "")
    gearman = re.search(r"gearmand ([\d.]+)", _output("/usr/sbin/gearmand", "--version"))
    parts = [f"Riposte {commit}", f"libzmq {_output('pkg-config', '--modversion', 'libzmq')}"]
    if "nats" in bench.there:
        parts.append(f"nats-server {nats.group(0) if nats else '?'}, its C client "
                     f"{_output('pkg-config', '--modversion', 'libnats')}")
    if "gearman" in bench.there:
        parts.append(f"gearmand {gearman.group(1) if gearman else '?'}")
    parts.append(f"gcc {_output('gcc', '-dumpfullversion')}")
    return "; ".join(parts)


def _bar(bench):
    yield "## The bar\n"
    yield "Ratios are medians of pairs of neighbouring runs; lowest and highest beside them.\n"
    yield "| What | Measured | From, to | Bar | |\n|---|---|---|---|---|"
    for row in bench.verdicts:
        spread = ""
        if row.low is not None and row.low != row.high:
            spread = f"{_figure(row.low, '')}, {_figure(row.high, '')}"
        cells = (row.what, _figure(row.value, row.unit), spread, _limit(row), _met(row))
        yield f"| {' | '.join(cells)} |"
    judged = [row for row in bench.verdicts if row.limit is not None]
    yield f"\n{sum(row.met is True for row in judged)} of {len(judged)} rows are met.\n"
    for row in bench.verdicts:
        if row.met is False:
            yield f"- {row.what}: {_why(bench, row)}"


def _why(bench, row):
    """Returns what the run's own figures tell about a row that is not met."""
    parts = []
    if row.pairs > 1:
        parts.append(f"{row.pairs_met} of {row.pairs} pairs meet it")
    found = dict(bench.profiles).get(row.profile[0]) if row.profile else None
    if found and isinstance(found[0], Profile) and len(found) > 1:
        ours = found[0]
        theirs = next((one for one in found[1:] if one.name in row.what), found[1])
        figures = [f"{ours.total(field):{form}} {unit} against {theirs.total(field):{form}}"
                   for field, form, unit in (("cpu", ".1f", "µs of CPU"), ("sleeps", ".2f", "sleeps"),
                                             ("faults", ".1f", "page faults"))]
        parts.append(f"a request of {ours.label} takes {', '.join(figures)} of {theirs.label}, while "
                     f"{ours.idle * 100:.0f}% and {theirs.idle * 100:.0f}% of the machine are idle")
    if row.note:
        parts.append(row.note)
    return "; ".join(parts) + "." if parts else "see below."


def _table(shape, rows, runs):
    yield f"\n### {shape}\n"
    yield ("| System | Requests/s, median | From, to | p50 µs | p99 µs | CPU µs/request in the middle "
           "| Of it in the kernel | Peak memory |\n|---|---|---|---|---|---|---|---|")
    for name, all_runs in rows.items():
        good = [run for run in all_runs if run]
        if not good:
            yield f"| {SYSTEMS[name].label} | – | | | | | | |"
            continue
        mid = median_run(good)
        middle = "– | – | –"
        if mid.cpu is not None:
            kernel = f"{mid.kernel * 100:.0f}%" if mid.kernel is not None else "–"
            middle = f"{mid.cpu:.2f} | {kernel} | {mid.memory / 2**20:.0f} MiB"
        rates = [run.rate for run in good]
        failed = f" ({mid.failed} failed)" if mid.failed else ""
        short = f" ({len(good)} of {runs} runs)" if len(good) < runs else ""
        yield (f"| {SYSTEMS[name].label}{short} | {mid.rate:,.0f}{failed} | {min(rates):,.0f}, "
               f"{max(rates):,.0f} | {mid.p50:,.0f} | {mid.p99:,.0f} | {middle} |")


def _shares(bench):
    if not bench.shares:
        return
    yield "\n## Where the broker's CPU time goes\n"
    yield "All its threads, sampled by perf at full speed, at 8 clients × 64 with the libraries.\n"
    yield "| Object | Share |\n|---|---|"
    for name, share in bench.shares:
        yield f"| `{name}` | {share:.0f}% |"


def _breakdown(bench):
    if not bench.breakdown:
        return
    total = sum(count for _, count in bench.breakdown)
    yield "\n## Where a request's instructions go in the broker\n"
    yield ("User code only, under callgrind, at 8 clients × 64 with the libraries; the kernel's share "
           "of the CPU time is in the tables above. Under callgrind the broker is much slower than\n"
           "its peers, which probably fills bundles more than in life, and makes libzmq's parts smaller.\n")
    yield "| Part | Instructions a request | Share |\n|---|---|---|"
    for part, count in bench.breakdown:
        yield f"| {part} | {count:,.0f} | {count / total * 100:.0f}% |"
    yield f"| all | {total:,.0f} | |"


def _profiles(bench):
    """Writes, below the rows that are not met, where their time goes."""
    if bench.profiles:
        yield "\n## What limits the rows that are not met\n"
        yield ("Of all threads of each process: CPU time, how often a thread went to sleep, and page faults, "
               "for each request, counted by the kernel; then, sampled by perf, where that time went, and how "
               "much of all of it is copying. Where it is as low as another's and the rate is not, cores were "
               "idle, waiting for a thread to wake.")
    for title, rows in bench.profiles:
        yield f"\n### {title[0].upper()}{title[1:]}\n"
        if not isinstance(rows[0], Profile):
            yield "| Where | Share |\n|---|---|"
            for where, share in rows[:12]:
                yield f"| `{where}` | {share * 100:.0f}% |"
            continue
        names = ("kernel", "libzmq", "libc", "its own code")
        yield (f"| System | Process | µs a request | {' | '.join(names)} | copying | sleeps | page faults |\n"
               f"|---|---|---|{'---|' * len(names)}---|---|---|")
        for system in rows:
            for part in system.parts:
                cells = " | ".join(f"{part.cpu * part.objects.get(name, 0):.2f}" for name in names)
                yield (f"| {system.label} | {part.name} | {part.cpu:.2f} | {cells} "
                       f"| {part.cpu * part.copying:.2f} | {part.sleeps:.3f} | {part.faults:.2f} |")
        yield "\nIdle meanwhile: " + ", ".join(f"{system.label} {system.idle * 100:.0f}%" for system in rows)


def write(bench, path, pictures, argv):
    now = datetime.datetime.now(datetime.timezone.utc)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    lines = [
        "# Results\n",
        "Written by `bench/compare`; [README.md](README.md) says how, [NOTES.md](NOTES.md) what was "
        "tried.\n",
        f"- Command: `{' '.join(argv)}`, {time.monotonic() - bench.began:.0f} s",
        f"- Date: {now:%Y-%m-%d %H:%M} UTC; load average at the end {os.getloadavg()[0]:.1f}",
        f"- Machine: {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB; "
        f"Linux {platform.release()}",
        f"- Versions: {_versions(bench)}",
        f"- Runs: {bench.runs} of each, {OFTEN} times as many of two whose ratio is a row, twice of the skew, "
        f"interleaved, there and back, {bench.seconds:g} s each after a warm-up of 0.5 s; clients, workers and "
        "what is in the middle all on this machine, over TCP on loopback\n"]
    lines += _bar(bench) if bench.options.matrix else []
    lines.append("\n## Shape by shape")
    for shape, rows in bench.tables:
        lines += _table(shape, rows, bench.runs)
    lines += _shares(bench)
    lines += _breakdown(bench)
    lines += _profiles(bench)
    if pictures:
        lines.append("\n## Pictures\n")
        folder = os.path.dirname(os.path.abspath(path))
        for title, picture in pictures:
            lines.append(f"![{title}]({os.path.relpath(picture, folder)})\n")
    lines.append("\n## Settings\n")
    lines += [f"- {SYSTEMS[name].label}: {SYSTEMS[name].setting}" for name in bench.there]
    if bench.notes:
        lines.append("\n## Not measured, or not as asked\n")
        lines += [f"- {note}" for note in bench.notes]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    print(f"written to {path}")
