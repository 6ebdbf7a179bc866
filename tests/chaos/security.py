# SPDX-License-Identifier: MPL-2.0
"""The keys and rules of a chaos run with security: how they change while it runs, and the check
that brokers accepted nothing which they had to refuse."""

import datetime
import os
import signal
import subprocess
import time

from cast import BUILD, LOAD, WORKER, now_us
from report import read

CLI = BUILD / "riposte"
SERVICES = ("echo", "visit", "mdp", "stream")
#: The principal of each load; all other parts have the principal worker.
PRINCIPALS = {"sampler": "observer", "steady": "client", "remote": "client", "foreign-remote": "client",
              "victim-1": "victim", "victim-2": "victim", "foreign": "victim"}
#: µs within which a change must be in force.
WITHIN_US = 1_000_000


def _reloads(log):
    """Returns when a broker has read its keys and rules again, as its log says, µs of the clock that histories have."""
    since = time.time_ns() // 1000 - now_us()
    words = [line.split()[0] for line in log.read_text(errors="replace").splitlines()
             if "SIGHUP: reloaded settings" in line]
    stamps = [datetime.datetime.fromisoformat(word.replace("Z", "+00:00")) for word in words]
    return [int(stamp.timestamp() * 1e6) - since for stamp in stamps]


class Security:
    def __init__(self, directory):
        self.directory = directory / "keys"
        self.authorized = self.directory / "authorized"
        self.rules = self.directory / "rules"
        self.windows = []   # (µs, µs) in which the victim may do nothing
        self._since = None
        self._run("keys", "new", "broker", "--dir", self.directory)
        for name in ("worker", "client", "victim", "observer"):
            self._run("keys", "new", name, "--dir", self.directory)
            self._authorize(name)
        self._write_rules(victim=True)

    def _run(self, *command):
        subprocess.run([CLI, *command], check=True, stdout=subprocess.DEVNULL)

    def _authorize(self, name):
        self._run("keys", "authorize", self.directory / f"{name}.key", "--principal", name,
                  "--into", self.authorized)

    def _write_rules(self, victim):
        text = 'principal = "observer"\n    observe = 1\n'
        text += 'principal = "worker"\n' + "".join(f'    serve = "{name}"\n' for name in SERVICES)
        for principal in ("client", "victim") if victim else ("client",):
            text += f'principal = "{principal}"\n' + "".join(f'    call = "{name}"\n' for name in SERVICES)
        fresh = self.rules.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.rules)

    def of_broker(self):
        return ["--key-file", self.directory / "broker.key_secret", "--authorized", self.authorized,
                "--rules", self.rules]

    def _key(self, part):
        return self.directory / f"{PRINCIPALS.get(part, 'worker')}.key_secret"

    def with_keys(self, command, part):
        """Adds the keys to the command of a program in C, as options."""
        if command[0] not in (LOAD, WORKER):
            return command
        return (*command, "--key-file", self._key(part), "--server-key", self.directory / "broker.key")

    def environment(self, part):
        return {**os.environ, "RIPOSTE_KEY_FILE": str(self._key(part)),
                "RIPOSTE_SERVER_KEY": str(self.directory / "broker.key"),
                "RIPOSTE_HTTP_OPEN": "1"}  # the run reads the broker's metrics

    # ---- Changes --------------------------------------------------------------------------------

    def shut_out(self, broker, by_key):
        """Revokes the victim's key, or removes its rules. Returns false if it is shut out
        already."""
        if self._since is not None:
            return False
        if by_key:
            self._run("keys", "revoke", "victim", "--from", self.authorized)
        else:
            self._write_rules(victim=False)
        self._reload(broker)
        self._since = now_us() + WITHIN_US
        return True

    def let_in(self, broker):
        self.windows.append((self._since, now_us()))
        self._since = None
        if not (self.authorized / "victim.key").exists():
            self._authorize("victim")
        self._write_rules(victim=True)
        self._reload(broker)

    @staticmethod
    def _reload(broker):
        if broker.alive():  # a broker that starts later reads the files anyway
            broker.signal(signal.SIGHUP)

    # ---- Afterwards -----------------------------------------------------------------------------

    def judge(self, cast, stood_still):
        """Returns a line for each request that a broker accepted from the victim while it was shut out, unless the
        broker stood still then: first of those that it accepted a second after it had read its files, then of those
        before, where the machine may be to blame, if that happened most times. And among these one if no request of the
        victim was ever accepted, since the run then shows nothing."""
        wrong, late, seen = [], {}, False
        for path in cast.histories.glob("broker*.hist"):
            joined, known = {}, _reloads(cast.directory / f"{path.stem}.log")
            for at, party, event, fields in read([path]):
                if event == "begin":
                    known.append(at)
                elif event == "join":
                    joined[fields["session"]] = fields.get("principal")
                elif event == "accept" and joined.get(fields["session"]) == "victim":
                    seen = True
                    window = next((one for one in self.windows if one[0] < at < one[1]), None)
                    if window and not any(begin <= at <= end for begin, end in stood_still):
                        knew = any(window[0] - WITHIN_US <= time <= at - WITHIN_US for time in known)
                        (wrong if knew else late.setdefault(window, [])).append(
                            f"{at}: {party} accepted a request of the victim, which was out")
        lines = sum(late.values(), []) if 2 * len(late) > len(self.windows) else []
        return wrong, lines + ([] if seen else ["no request of the victim was ever accepted"])
