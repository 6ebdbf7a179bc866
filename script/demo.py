# SPDX-License-Identifier: MPL-2.0
"""The show of script/demo: real processes, and a line per check with what was seen."""

import pathlib
import shutil
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "system"))

from support.programs import EXAMPLES, PATIENCE  # noqa: E402
from support.waiting import until  # noqa: E402
from support.world import World  # noqa: E402

CLIENTS = 100
STEPS = 10
# What a request may end with (docs/CONTRACT.md) when its worker, or the broker, was killed.
OF_A_LOST_WORKER = {"OK", "WORKER_LOST", "CONVERSATION_LOST"}
OF_A_LOST_BROKER = {"OK", "UNKNOWN", "NO_BROKER", "CONVERSATION_LOST"}


class Show:
    def __init__(self, world):
        self.world = world
        self.held = 0
        self.failed = 0

    def title(self, text):
        print(f"\n{text}", flush=True)

    def check(self, good, text):
        self.held += bool(good)
        self.failed += not good
        print(f"  {'ok' if good else 'FAILED':<7} {text}", flush=True)

    def say(self, text):
        print(f"          {text}", flush=True)

    # ---- The parts ------------------------------------------------------------------------------

    def start(self):
        self.title("A broker and three workers")
        broker = self.world.broker()
        self.check(broker.ready_ms() < 100 * PATIENCE,
                   f"the broker is ready in {broker.ready_ms():.1f} ms: {broker.endpoint}")
        since = time.monotonic()
        sites = self.world.sites(broker)
        workers = self.world.services(broker)["site"]["workers"]
        self.check(workers == 3, f"{workers} workers offer \"site\" ({_ms(since)})")
        return broker, sites

    def exchange(self, broker):
        script = EXAMPLES / "site.talk"
        self.title(f"One visit in ten steps: riposte talk site {script.parent.name}/{script.name}")
        talk = self.world.cli(broker, "talk", "site", script)
        print()
        for line in talk.out.decode().splitlines():
            print(f"  {line}")
        print()
        steps = self.world.cli(broker, "talk", "site", script, "-o", "json").json()
        answers = [step["body"].split()[1] for step in steps if step["status"] == "OK"]
        self.check(talk.code == 0 and answers == ["200", "302", "200", "200", "200"],
                   "ten steps, as they should be")
        self.check("London" in steps[-1]["body"] and "London" not in steps[2]["body"],
                   "step 10 shows what step 7 changed")

    def healthy(self, broker):
        self.title(f"{CLIENTS} visits at once, each by a client with a name of its own")
        report = self.world.report(self.world.conversations(broker.endpoint))
        self.saw_their_own(report)
        self.check(report["disturbed"] == 0,
                   f"every request is answered: {_statuses(report)}, "
                   f"in {report['took_us'] / 1000:.0f} ms")

    def kill_worker(self, broker, sites):
        self.title(f"The same {CLIENTS} visits, and in the middle a worker dies (kill -9)")
        victim = sites.pop(0)
        visits = self.hold(broker)
        hers = self.world.worker_of(broker, victim)["conversations"]
        victim.freeze()
        _release(visits)
        until(lambda: self.world.worker_of(broker, victim)["running"] > 0, 5, "it has requests")
        running = self.settled(lambda: self.world.worker_of(broker, victim)["running"])
        self.say(f"it holds {hers} of the visits, and {running} requests are in its hands")
        since = time.monotonic()
        victim.kill()
        until(lambda: self.world.worker_of(broker, victim) is None, 5, "the broker knows")
        took = time.monotonic() - since
        self.check(took < 1 * PATIENCE, f"the broker knows {_ms(since)} later")
        report = self.world.report(visits)
        troubles = report["troubles"]
        self.check(report["disturbed"] == hers,
                   f"{report['disturbed']} visits notice, {CLIENTS - report['disturbed']} do not")
        self.check(set(troubles) <= {"WORKER_LOST CONVERSATION_LOST", "CONVERSATION_LOST"}
                   and set(report["statuses"]) <= OF_A_LOST_WORKER,
                   "; ".join(f"{count} got {', then '.join(text.split())}"
                             for text, count in sorted(troubles.items())))
        self.say("their state died with the worker; they begin anew with another")
        self.saw_their_own(report)
        self.well_again(report)

    def kill_broker(self, broker, sites):
        self.title(f"The same {CLIENTS} visits, and in the middle the broker dies (kill -9) and is "
                   "started again")
        sites.append(self.world.site(broker))
        visits = self.hold(broker)
        for site in sites:
            site.freeze()
        _release(visits)
        until(lambda: self.world.status(broker)["gauges"]["running"] > 0, 5, "requests run")
        running = self.settled(lambda: self.world.status(broker)["gauges"]["running"])
        waiting = self.world.status(broker)["gauges"]["waiting"]
        self.say(f"{running} requests are with workers, {waiting} wait")
        broker.kill()
        for site in sites:
            site.thaw()
        since = time.monotonic()
        broker = self.world.restart(broker)
        self.check(broker.ready_ms() < 100 * PATIENCE,
                   f"a new broker is ready in {broker.ready_ms():.1f} ms, on the same port")
        until(lambda: len(self.world.workers(broker, "site")) >= 3, 10, "the workers are back")
        self.check(len(self.world.workers(broker, "site")) == 3,
                   f"all three workers are back by themselves, {_ms(since)} later")
        report = self.world.report(visits)
        self.check(set(report["statuses"]) <= OF_A_LOST_BROKER,
                   f"every request ended with a status: {_statuses(report)}")
        self.say("UNKNOWN: the broker died before the reply came; CONVERSATION_LOST: visits do not "
                 "outlive it")
        self.saw_their_own(report)
        self.well_again(report)
        after = self.world.report(self.world.conversations(broker.endpoint))
        self.check(after["disturbed"] == 0 and after["own_data"] == CLIENTS,
                   f"and {CLIENTS} more visits notice nothing: {_statuses(after)}")

    # ---- What they share ------------------------------------------------------------------------

    def hold(self, broker):
        """Starts the visits, and waits until all of them stand before step 7."""
        visits = self.world.conversations(broker.endpoint, "--hold", "4")
        visits.wait_for("holding", 30)
        return visits

    def settled(self, number):
        """The number, once it has stopped growing."""
        seen = []
        until(lambda: seen.append(number()) or (len(seen) > 10 and len(set(seen[-10:])) == 1), 10,
              "it has settled")
        return seen[-1]

    def saw_their_own(self, report):
        self.check(report["own_data"] == CLIENTS,
                   f"{report['own_data']} of {CLIENTS} see their own data at step {STEPS}")

    def well_again(self, report):
        ms = report["longest_trouble_us"] / 1000
        self.say(f"the one that took longest was well again after {ms:.0f} ms")


def _ms(since):
    return f"{(time.monotonic() - since) * 1000:.0f} ms"


def _release(visits):
    visits.popen.stdin.write(b"go\n")
    visits.popen.stdin.flush()


def _statuses(report):
    return ", ".join(f"{name} {count}" for name, count in report["statuses"].items())


def main():
    world = World(tempfile.mkdtemp(prefix="riposte-demo-"))
    show = Show(world)
    interrupted = False
    try:
        broker, sites = show.start()
        show.exchange(broker)
        show.healthy(broker)
        show.kill_worker(broker, sites)
        show.kill_broker(broker, sites)
    except AssertionError as error:
        show.check(False, str(error))
    except KeyboardInterrupt:
        interrupted = True
    except Exception:  # whatever went wrong, the processes that were started have to stop
        traceback.print_exc()
        show.check(False, "the show broke off; the words of Python are above")
    show.title("The end")
    troubles = world.end()
    if interrupted:
        troubles.clear()  # Ctrl-C reached every process
    running = [one.name for one in world.processes if one.alive()]
    show.check(not troubles and not running,
               "; ".join(troubles) or f"all {len(world.processes)} processes are stopped")
    if interrupted:
        print("\ninterrupted")
    elif show.failed:
        print(f"\n{show.failed} of {show.held + show.failed} checks FAILED; "
              f"what the processes said is in {world.directory}")
    else:
        print(f"\nall {show.held} checks held")
    if not show.failed:
        shutil.rmtree(world.directory)
    return 130 if interrupted else 1 if show.failed else 0


if __name__ == "__main__":
    sys.exit(main())
