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
from support import verdict
import books
import report
import traces

CHECK = pathlib.Path(__file__).resolve().parents[1] / "history" / "check.py"
#: By which nothing is late, however busy the machine is, ms.
MUCH_MS = 30_000
CALM = 4        # seconds before the first fault, in which throughput is measured
SETTLE = 1.5    # seconds before those, in which processes connect
QUIET = 10      # seconds after the last fault
PAUSE = 4       # seconds more, as long as the end is not as it was before
LONGEST = 60    # seconds that a busy machine may need for that
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
    """Runs load and faults; returns the injector, the sampler of traces, the reader of metrics, the histories as far as
    they were read, and when each phase began."""
    injector = start(cast)
    reader = books.Reader(cast)
    reader.start()
    times = {"calm": now_us()}
    length = max(seconds - 2 * SETTLE - QUIET, CALM + 5)
    begin = time.monotonic()
    injector.load(plan(seed, CALM, length, bool(cast.security)), begin)
    sampler = traces.Sampler(cast, seed)
    sampler.start()
    histories = report.Histories()
    try:
        inflict(cast, injector, begin + length, times, histories)
    finally:
        sampler.stop()
    if not reader.end():
        cast.late.append("the broker's metrics could not be read at the end")
    return injector, sampler, reader, histories, times


def inflict(cast, injector, end, times, histories):
    """Runs the faults and the quiet time after them; adds when each phase began."""
    times["faults"] = times["calm"] + CALM * 1_000_000
    injector.run(end)
    times["quiet"] = now_us()
    injector.healed.append((times["quiet"], "the last fault", "steady"))
    injector.run(time.monotonic() + QUIET)
    times["end"] = now_us()
    while not is_quiet(cast, histories, times) and times["end"] < times["quiet"] + LONGEST * 1_000_000:
        injector.run(time.monotonic() + PAUSE)
        times["end"] = now_us()
    cast.end_load()


def is_quiet(cast, histories, times):
    """Returns whether the last seconds are as those before the faults."""
    histories.read(cast.files())
    rate, troubles = report.at_the_end(histories, times)
    return rate >= QUIET_ENOUGH * report.before(histories, times)["steady"] and not troubles


def check(files, *options):
    """Returns what is wrong, and what is wrong unless something was late, as lines; and the summary."""
    def run(*more):
        done = subprocess.run([PYTHON, CHECK, *options, *more, *files], capture_output=True, text=True, check=False)
        return done.returncode != 0, (done.stdout + done.stderr).splitlines()

    broken, said = run()
    wrong = broken and run("--slack", str(MUCH_MS))[0]
    return said if wrong else [], said if broken and not wrong else [], said[-5:]


def by_the_clock(got):
    """Returns what the machine may be to blame for, as lines."""
    late = []
    if got["unnoticed_deaths"]:
        late.append(f"the broker never noticed that these died: {got['unnoticed_deaths']}")
    if got["quiet_troubles"]:
        late.append(f"in the last seconds, without a fault: {dict(got['quiet_troubles'])}")
    if got["quiet_per_s"] < QUIET_ENOUGH * got["baseline_per_s"]["steady"]:
        late.append(f"throughput at the end is {got['quiet_per_s']:.0f} a second")
    if not got["finals"].get("OK"):
        late.append("nothing ended with OK")
    return late


def judge(cast, security, injector, sampler, reader):
    """Looks at all that the run has left, and says what it saw. Returns what is wrong, and what is late, as lines."""
    wrong, late = [], []

    def take(name, found):
        wrong.extend(found[0])
        late.extend(found[1])
        print(f"{name:14}" + ("\n" + " " * 14).join(found[2]))
    take("checked", check(cast.files()))
    *found, said = traces.judge(sampler, cast.history)
    take("traces", (*found, [said]))
    *found, said = books.judge(reader, cast)
    take("metrics", (*found, [said]))
    if security:
        found = security.judge(cast, injector.stood_still)
        wrong += found[0]
        late += found[1]
    return wrong, late


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
    late, got = [], None
    try:
        injector, sampler, reader, histories, times = run(cast, arguments.seed, arguments.duration)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        traceback.print_exc()
        cast.watch()
        late.append(f"the run broke off: {error}")
    except KeyboardInterrupt:
        late.append("interrupted")
    cast.end()
    wrong = cast.troubles
    if not late:
        histories.read(cast.files())
        got = report.figures(histories, injector, times)
        print(report.text(arguments.seed, arguments.duration, got))
        late = by_the_clock(got)
        more = judge(cast, security, injector, sampler, reader)
        wrong, late = wrong + more[0], late + more[1]
    late += cast.late
    if got and arguments.report:
        arguments.report.write_text(json.dumps(
            {"seed": arguments.seed, "seconds": arguments.duration, "wrong": wrong + late, **got}, indent=1))
    if wrong or late:
        print("\n".join(verdict.lines(wrong, late)[:40]))
        print(f"FAILED; seed {arguments.seed}; histories and logs are in {directory}")
        return 1
    if not arguments.keep:
        shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
