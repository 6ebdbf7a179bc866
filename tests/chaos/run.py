# SPDX-License-Identifier: MPL-2.0
"""The chaos run: load on a broker, faults from a seed, and the histories of all held against the
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

from cast import PYTHON, Cast, Proxy, duration, now_us
from faults import LOADS, WORKERS, Injector, plan
import report

CHECK = pathlib.Path(__file__).resolve().parents[1] / "history" / "check.py"
CALM = 4        # seconds before the first fault: what throughput is
SETTLE = 1.5    # seconds before that, for connections
QUIET = 10      # seconds after the last
QUIET_ENOUGH = 0.9  # of the throughput before, at the end


def start(cast):
    """Everybody; returns the injector."""
    cast.start_broker()
    proxies = {name: Proxy(cast, f"proxy-{name}", cast.endpoint) for name in ("clients", "workers")}
    injector = Injector(cast, proxies)
    for name, *_ in WORKERS:
        injector.start_worker(name)
    time.sleep(SETTLE)  # interpreters start slowly, and nothing is wrong with NO_WORKER either
    for name, *_ in LOADS:
        injector.start_load(name)
    time.sleep(SETTLE)
    return injector


def run(cast, seed, seconds):
    """Returns what was done, and when its parts began."""
    injector = start(cast)
    times = {"calm": now_us()}
    length = max(seconds - 2 * SETTLE - QUIET, CALM + 5)
    begin = time.monotonic()
    injector.load(plan(seed, CALM, length), begin)
    times["faults"] = times["calm"] + CALM * 1_000_000
    injector.run(begin + length)
    times["quiet"] = now_us()
    injector.healed.append((times["quiet"], "the last fault", "steady"))
    injector.run(time.monotonic() + QUIET)
    times["end"] = now_us()
    cast.end_load()
    return injector, times


def check(files):
    """Whether the invariants hold, and what the checker of histories says."""
    done = subprocess.run([PYTHON, CHECK, *files], capture_output=True, text=True, check=False)
    return done.returncode == 0, (done.stdout + done.stderr).splitlines()


def judge(cast, got):
    """What is wrong with the run, as lines."""
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
    parser.add_argument("--report", type=pathlib.Path, help="write the figures there, as JSON")
    parser.add_argument("--keep", type=pathlib.Path, help="keep histories and logs in this new folder")
    arguments = parser.parse_args()
    if arguments.long and os.environ.get("RIPOSTE_LONG"):
        arguments.duration = arguments.long

    directory = arguments.keep or pathlib.Path(tempfile.mkdtemp(prefix="riposte-chaos-"))
    cast = Cast(directory, arguments.seed)
    wrong, got = [], None
    try:
        injector, times = run(cast, arguments.seed, arguments.duration)
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
