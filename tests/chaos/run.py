# SPDX-License-Identifier: MPL-2.0
"""The chaos run: load on a broker, faults from a seed, and all histories checked against the
contract. script/chaos builds what it needs."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

from cast import IN_GO, PYTHON, Cast, Proxy, duration, now_us
from faults import LOADS, WORKERS, Injector, plan
from security import Security
import books
import report
import traces

CHECK = pathlib.Path(__file__).resolve().parents[1] / "history" / "check.py"
CALM = 4        # seconds before the first fault, in which throughput is measured
SETTLE = 1.5    # seconds before those, in which processes connect
QUIET = 10      # seconds after the last fault
#: Workers and loads in Go, where that is built, beside those in C; some of each are behind a proxy, and are killed.
GO_PARTS = frozenset(("echo-3", "echo-6", "visit-2", "remote", "victim-2"))
#: The same in Python; its loads are threads and asyncio, half each.
PYTHON_PARTS = frozenset(("echo-2", "echo-5", "visit-1", "victim-1"))
QUIET_ENOUGH = 0.9  # share of the first throughput that there must be at the end


def start(cast):
    """Starts all processes; returns the injector."""
    cast.start_broker()
    proxies = {name: Proxy(cast, f"proxy-{name}", cast.endpoint) for name in ("clients", "workers")}
    injector = Injector(cast, proxies)
    for name, *_ in WORKERS:
        injector.start_worker(name)
    time.sleep(SETTLE)  # interpreters start slowly; until then NO_WORKER would be right
    for name, *_ in LOADS:
        injector.start_load(name)
    time.sleep(SETTLE)
    return injector


def run(cast, seed, seconds):
    """Runs load and faults; returns the injector, the sampler of traces, the reader of metrics, and when each phase
    began."""
    injector = start(cast)
    reader = books.Reader(cast)
    reader.start()
    times = {"calm": now_us()}
    length = max(seconds - 2 * SETTLE - QUIET, CALM + 5)
    begin = time.monotonic()
    injector.load(plan(seed, CALM, length, bool(cast.security)), begin)
    sampler = traces.Sampler(cast, seed)
    sampler.start()
    try:
        times = inflict(cast, injector, begin + length, times)
    finally:
        sampler.stop()
    if not reader.end():
        cast.troubles.append("the broker's metrics could not be read at the end")
    return injector, sampler, reader, times


def inflict(cast, injector, end, times):
    """Runs the faults and the quiet time after them; returns when each phase began."""
    times["faults"] = times["calm"] + CALM * 1_000_000
    injector.run(end)
    times["quiet"] = now_us()
    injector.healed.append((times["quiet"], "the last fault", "steady"))
    injector.run(time.monotonic() + QUIET)
    times["end"] = now_us()
    cast.end_load()
    return times


def check(files):
    """Returns whether the invariants hold, and the lines of the checker."""
    done = subprocess.run([PYTHON, CHECK, *files], capture_output=True, text=True, check=False)
    return done.returncode == 0, (done.stdout + done.stderr).splitlines()


def judge(cast, got):
    """Returns the faults of the run, as lines."""
    wrong = list(cast.troubles)
    if got["unnoticed_deaths"]:
        wrong.append(f"the broker never noticed that these died: {got['unnoticed_deaths']}")
    if got["quiet_troubles"]:
        wrong.append(f"in the last seconds, without a fault: {dict(got['quiet_troubles'])}")
    if got["quiet_per_s"] < QUIET_ENOUGH * got["baseline_per_s"]["steady"]:
        wrong.append(f"throughput at the end is {got['quiet_per_s']:.0f} a second")
    if not got["finals"].get("OK"):
        wrong.append("nothing ended with OK")
    return wrong


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, prog="script/chaos", description=__doc__)
    parser.add_argument("--duration", type=duration, default=120,
                        help="such as 60s or 30m (default: 2m)")
    parser.add_argument("--long", type=duration, help="duration instead, if RIPOSTE_LONG is set")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the plan of faults")
    parser.add_argument("--secure", action="store_true", help="with keys and rules, which change too")
    parser.add_argument("--report", type=pathlib.Path, help="write the figures there, as JSON")
    parser.add_argument("--keep", type=pathlib.Path, help="keep histories and logs in this new folder")
    arguments = parser.parse_args()
    if arguments.long and os.environ.get("RIPOSTE_LONG"):
        arguments.duration = arguments.long

    directory = arguments.keep or pathlib.Path(tempfile.mkdtemp(prefix="riposte-chaos-"))
    security = Security(directory) if arguments.secure else None
    cast = Cast(directory, arguments.seed, security)
    cast.in_python = PYTHON_PARTS
    cast.has_streams = True
    if IN_GO.exists():
        cast.in_go = GO_PARTS
    else:
        print("without clients and workers in Go: go/check programs builds them")
    wrong, got = [], None
    try:
        injector, sampler, reader, times = run(cast, arguments.seed, arguments.duration)
    except (AssertionError, OSError) as error:
        traceback.print_exc()
        wrong.append(f"the run broke off: {error}")
    except KeyboardInterrupt:
        wrong.append("interrupted")
    cast.end()
    if not wrong:
        got = report.figures(report.Histories(cast.files()), injector, times)
        print(report.text(arguments.seed, arguments.duration, got))
        wrong = judge(cast, got)
        holds, said = check(cast.files())
        print("checked       " + "\n              ".join(said[-4:]))
        wrong += [] if holds else said
        lies, said = traces.judge(sampler, cast.history)
        print(f"traces        {said}")
        wrong += lies
        count, counted, wrongs = books.wrongs(reader, cast)
        print(f"metrics       {count} readings of {len(reader.readings)} brokers; the last one counts {counted} "
              "requests")
        wrong += wrongs
        if security:
            wrong += security.wrongs(cast.files(), injector.stood_still)
    else:
        wrong += cast.troubles
    if got and arguments.report:
        arguments.report.write_text(json.dumps(
            {"seed": arguments.seed, "seconds": arguments.duration, "wrong": wrong, **got}, indent=1))
    if wrong:
        print("\n".join(wrong[:40]))
        print(f"FAILED; seed {arguments.seed}; histories and logs are in {directory}")
        return 1
    if not arguments.keep:
        shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
