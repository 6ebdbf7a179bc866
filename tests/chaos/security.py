# SPDX-License-Identifier: MPL-2.0
"""The keys and rules of a chaos run with security: how they change while it runs, and the check
that brokers accepted nothing which they had to refuse."""

import os
import signal
import subprocess

from cast import BUILD, LOAD, WORKER, now_us
from report import read

CLI = BUILD / "riposte"
SERVICES = ("echo", "visit", "mdp", "stream")
#: The principal of each load; all other parts have the principal worker.
PRINCIPALS = {"sampler": "observer", "steady": "client", "remote": "client", "foreign-remote": "client",
              "victim-1": "victim", "victim-2": "victim", "foreign": "victim"}
#: µs within which a change must be in force.
WITHIN_US = 1_000_000


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

    def wrongs(self, files, stood_still):
        """Returns a line for each request that a broker accepted from the victim while it was shut
        out, unless the broker stood still then; and a line if no request of the victim was ever
        accepted, since the run then shows nothing."""
        joined, wrongs, seen = {}, [], False
        for at, party, event, fields in read(files):
            if not party.startswith("broker:"):
                continue
            who = (party, fields.get("session"))
            if event == "join":
                joined[who] = fields.get("principal")
            elif event == "accept" and joined.get(who) == "victim":
                seen = True
                if any(begin < at < end for begin, end in self.windows) \
                        and not any(begin <= at <= end for begin, end in stood_still):
                    wrongs.append(f"{at}: {party} accepted a request of the victim, which was out")
        if not seen:
            wrongs.append("no request of the victim was ever accepted")
        return wrongs
