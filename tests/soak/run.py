# SPDX-License-Identifier: MPL-2.0
"""The soak: mixed load for hours, without faults, while the resources of broker, worker and client
are sampled. script/soak builds what it needs; rule.py defines flat."""

import argparse
import collections
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))

from cast import LONGEST_REQUEST, Cast, duration  # noqa: E402
from support.programs import CLI, PATIENCE, SANITIZED  # noqa: E402
from support.waiting import until  # noqa: E402
import rule  # noqa: E402

#: Name, service or protocol. The first stays for the whole run.
WORKERS = (("echo-1", "echo"), ("echo-2", "echo"), ("echo-3", "echo"), ("echo-4", "echo"),
           ("visit-1", "visit"), ("visit-2", "visit"), ("mdp-1", "mdp01"), ("mdp-2", "mdp02"))
#: Name, clients, requests a second of each, Majordomo. The first stays for the whole run.
LOADS = (("steady", 8, 25, False), ("passing", 4, 25, False), ("foreign", 2, 25, True))
#: These are replaced in turn by a process of the same kind: the new one starts, then the old one
#: leaves in good order.
TURNS = ("passing", "echo-2", "passing", "visit-1", "passing", "mdp-1", "passing", "echo-3",
         "passing", "visit-2", "passing", "mdp-2", "passing", "echo-4", "foreign")
TURN = 5            # seconds
LEAVE = 60          # seconds in which a process that was asked to leave must be gone
ANSWER = "30s"      # time for the broker to report its status, even on a busy machine
SETTLE = 1.5        # seconds that interpreters take to start
FINE = 100          # samples at least, if the run is that long
SELDOM = 5          # most seconds between two samples
#: Statuses that no request may end with, as there are no faults. (NO_BROKER may occur: a new client
#: sends requests before it is connected, and some have only milliseconds.)
NEVER = ("BUSY", "DRAINING", "DENIED", "INVALID", "TOO_LARGE", "WORKER_LOST", "CONVERSATION_LOST",
         "UNKNOWN")
#: A Majordomo client is not told when the broker's deadline for foreign peers has passed. On a busy
#: machine it may pass, but for no larger share of their requests than this.
NO_REPLY = 0.001

MIB = 1 << 20
#: How much a line may rise within the second half (rule.py). A sanitizer keeps freed memory; how
#: many requests are open, with up to 100 KiB each, depends on what else the machine does.
ALLOWED = {"rss_bytes": (8 if SANITIZED else 3) * MIB, "descriptors": 2, "threads": 1, "clients": 8,
           "workers": 2, "services": 1, "foreign": 4, "conversations": 30, "waiting": 200, "running": 30,
           "abandoned": 30, "envelopes": 30, "waiting_bytes": 8 * MIB, "open_bytes": 8 * MIB,
           "envelope_bytes": MIB, "backlog_bytes": 8 * MIB}
#: The broker's figures once nothing is requested any more: the client is the one that asks for the
#: status, the foreign peers are workers.
AT_REST = {"waiting": 0, "waiting_bytes": 0, "running": 0, "abandoned": 0, "open_bytes": 0, "clients": 1,
           "conversations": 0, "foreign": 2, "envelopes": 0, "envelope_bytes": 0, "backlog_bytes": 0}


class Soak(Cast):
    keeps_histories = False
    #: Long, since the machine may be busy and no peer must be taken for dead.
    worker_heartbeat_ms = 2000
    client_heartbeat_ms = 2000

    def __init__(self, directory, seed):
        super().__init__(directory, seed)
        self.samples = collections.defaultdict(list)    # series: (seconds, value)
        self.statuses = collections.Counter()
        self.foreign = collections.Counter()     # statuses of Majordomo clients
        self.replaced = collections.Counter()
        self.leaving = []   # (when it must have left, actor)
        self.ended = 0      # requests, as the broker counts them
        self.lost = 0       # workers

    # ---- Processes ------------------------------------------------------------------------------

    def begin(self, preload):
        self.start_broker(("env", f"LD_PRELOAD={preload}") if preload else ())
        for part, _ in WORKERS:
            self.begin_part(part)
        time.sleep(SETTLE)
        for part, *_ in LOADS:
            self.begin_part(part)
        self.stay = {"broker": self.broker, "worker": self.named(WORKERS[0][0]),
                     "client": self.named(LOADS[0][0])}

    def begin_part(self, part):
        for name, service in WORKERS:
            if name == part and service.startswith("mdp"):
                self.start_mdp_worker(part, service, self.endpoint)
            elif name == part:
                self.start_worker(part, service, self.endpoint)
        for name, clients, rate, foreign in LOADS:
            if name == part:
                start = self.start_mdp_load if foreign else self.start_load
                start(part, self.endpoint, clients, rate)

    def replace(self, part):
        old = self.named(part)
        self.begin_part(part)
        self.send_away(old)
        self.replaced[part] += 1

    def send_away(self, actor):
        """Asks a process to leave; it may finish what it has."""
        actor.terminate()
        del self.actors[actor.name]
        self.leaving.append((time.monotonic() + LEAVE * PATIENCE, actor))

    def watch(self):
        super().watch()
        for item in list(self.leaving):
            due, actor = item
            if actor.alive() and time.monotonic() < due:
                continue
            self.leaving.remove(item)
            if actor.alive():
                self.troubles.append(f"{actor.name} did not go within {LEAVE * PATIENCE} s")
                actor.kill()
            elif actor.poll() != 0 and actor.handles_sigterm:
                self.troubles.append(f"{actor.name} went with exit code {actor.poll()}")
            if actor.popen.stdout:
                self._count(actor, actor.popen.stdout.read())
            trouble = actor.end()
            self.troubles += [trouble] if trouble else []

    def _count(self, load, said):
        """Takes the summary that a load writes when it ends."""
        said = json.loads(said or '{"wrong": 1, "statuses": {}}')
        foreign = any(load.name.startswith(f"{name}.") for name, *_, foreign in LOADS if foreign)
        (self.foreign if foreign else self.statuses).update(said["statuses"])
        if said["wrong"]:
            self.troubles.append(f"{load.name} saw something wrong")

    # ---- Samples --------------------------------------------------------------------------------

    def status(self):
        said = subprocess.run((CLI, "status", "-o", "json", "--server", self.endpoint, "--timeout",
                               ANSWER, "--wait-broker", ANSWER), stdout=subprocess.PIPE,
                              check=True).stdout
        status = json.loads(said)
        counts = {name: status[name] for name in ("clients", "workers", "services", "conversations")}
        foreign = {"foreign": sum(status["foreign"]["now"].values())}
        foreign.update({name: status["foreign"][name] for name in ("envelopes", "envelope_bytes")})
        self.ended = sum(status["finals"].values())
        self.lost = status["counters"]["workers_lost"]
        return {**counts, **status["gauges"], **foreign}

    def sample(self, at):
        for name, actor in self.stay.items():
            self.samples[f"{name} rss_bytes"].append((at, actor.resident_bytes()))
            self.samples[f"{name} descriptors"].append((at, actor.descriptors()))
            self.samples[f"{name} threads"].append((at, actor.threads()))
        for name, value in self.status().items():
            self.samples[f"broker {name}"].append((at, value))

    def run(self, seconds, preload):
        """Runs for so many seconds, or until Ctrl-C. Returns how long it ran."""
        self.begin(preload)
        every = min(SELDOM, max(0.5, seconds / FINE))
        begin = time.monotonic()
        next_sample, next_turn, turn = begin, begin + TURN, 0
        try:
            while (now := time.monotonic()) < begin + seconds:
                if now >= next_sample:
                    self.sample(now - begin)
                    next_sample = max(next_sample + every, time.monotonic())
                if now >= next_turn:
                    self.replace(TURNS[turn % len(TURNS)])
                    turn += 1
                    next_turn = time.monotonic() + TURN
                self.watch()
                time.sleep(max(0, min(next_sample, next_turn) - time.monotonic()))
        except KeyboardInterrupt:
            print("interrupted; this is what there is", file=sys.stderr)
        return time.monotonic() - begin

    def rest(self):
        """Ends all clients. Then the broker must keep nothing of their requests."""
        for actor in list(self.actors.values()):
            if actor.parties and actor.parties[0].startswith("client:"):
                self.send_away(actor)

        def gone():
            self.watch()
            return not self.leaving

        until(gone, LONGEST_REQUEST + LEAVE, "all clients have gone")

        def left():
            return {name: value for name, value in self.status().items()
                    if value > AT_REST.get(name, value)}

        try:
            until(lambda: not left(), 10, "the broker keeps nothing")
        except AssertionError:
            self.troubles.append(f"when all had ended the broker still had {left()}")


def judge(soak):
    """Returns the line of each series, None where there are too few samples."""
    return {name: rule.judge(points, ALLOWED[name.split()[1]])
            for name, points in soak.samples.items()}


def amount(name, value):
    if name.endswith("bytes"):
        return f"{value / MIB:.2f} MiB"
    return f"{value:.1f}"


def text(soak, seconds, lines):
    per_s = soak.ended / seconds
    ends = ", ".join(f"{name} {count}" for name, count in soak.statuses.most_common())
    replaced = sum(count for part, count in soak.replaced.items() if part in dict(WORKERS))
    rows = [f"soak: {seconds:.0f} s{', with a sanitizer' if SANITIZED else ''}",
            f"requests   {soak.ended}, {per_s:.0f} a second, as the broker counts",
            f"ends       {ends}",
            f"Majordomo  {soak.foreign['OK']} replies, {soak.foreign['UNKNOWN']} times no reply",
            f"replaced   {replaced} workers, {sum(soak.replaced.values()) - replaced} loads",
            "",
            f"{'second half':<24}{'mean':>12}{'per hour':>14}{'rise':>12}{'by chance':>12}"
            f"{'allowed':>12}"]
    for name, line in lines.items():
        if line:
            values = (line.mean, line.per_hour, line.rise, line.chance, line.allowed)
            words = [amount(name, value) for value in values]
            rows.append(f"{name:<24}{words[0]:>12}{words[1]:>14}{words[2]:>12}{words[3]:>12}"
                        f"{words[4]:>12}   {'flat' if line.flat else 'NOT FLAT'}")
        else:
            rows.append(f"{name:<24}too few samples")
    return "\n".join(rows)


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, prog="script/soak", description=__doc__)
    parser.add_argument("--duration", type=duration, default=4 * 3600,
                        help="such as 60s or 4h (default: 4h)")
    parser.add_argument("--report", type=pathlib.Path, help="write figures and samples there, as JSON")
    parser.add_argument("--preload", type=pathlib.Path, help="a library for the broker, for tests")
    arguments = parser.parse_args()

    directory = pathlib.Path(tempfile.mkdtemp(prefix="riposte-soak-"))
    soak = Soak(directory, 1)
    lines, seconds = {}, 0
    try:
        seconds = soak.run(arguments.duration, arguments.preload)
        soak.rest()
        lines = judge(soak)
        print(text(soak, seconds, lines))
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        traceback.print_exc()
        soak.troubles.append(f"the run broke off: {error}")
    soak.end()

    not_flat = [name for name, line in lines.items() if line is None or not line.flat]
    wrong = soak.troubles + [f"{name} is not flat" for name in not_flat]
    wrong += [f"{count} requests ended with {name}" for name, count in soak.statuses.items()
              if name in NEVER and count]
    if soak.foreign["UNKNOWN"] > NO_REPLY * soak.foreign["OK"]:
        wrong.append(f"{soak.foreign['UNKNOWN']} requests of Majordomo clients had no reply")
    if soak.lost:
        wrong.append(f"the broker lost {soak.lost} workers that were well")
    if arguments.report:
        arguments.report.write_text(json.dumps({
            "seconds": seconds, "requests": soak.ended, "statuses": soak.statuses,
            "foreign": soak.foreign,
            "replaced": soak.replaced, "wrong": wrong, "not_flat": not_flat,
            "lines": {name: line and vars(line) for name, line in lines.items()},
            "samples": soak.samples}))
    if wrong:
        print("\n".join(wrong[:40]))
        print(f"FAILED; logs are in {directory}")
        return 1
    shutil.rmtree(directory)
    print("flat")
    return 0


if __name__ == "__main__":
    sys.exit(main())
