# SPDX-License-Identifier: MPL-2.0
"""One process under test: started, watched, signalled and ended by its pid."""

import os
import pathlib
import signal
import subprocess

from support.programs import PATIENCE
from support.waiting import until


class Process:
    """A program whose standard error (and output, unless it is piped) goes to a file."""

    #: True: the program gets a session of its own, so Ctrl-C in the terminal does not reach it.
    apart = False

    def __init__(self, name, command, directory, environment=None, stdin=subprocess.DEVNULL,
                 piped=False):
        self.name = name
        self.path = pathlib.Path(directory) / f"{name}.log"
        self._log = open(self.path, "wb")
        self.popen = subprocess.Popen(
            [str(word) for word in command], stdin=stdin, stderr=self._log,
            stdout=subprocess.PIPE if piped else self._log, env=environment,
            start_new_session=self.apart)
        self.pid = self.popen.pid
        self.expected_to_die = False
        self.handles_sigterm = True

    def poll(self):
        return self.popen.poll()

    def alive(self):
        return self.popen.poll() is None

    def log(self):
        return self.path.read_text(errors="replace")

    def signal(self, number):
        if self.alive():
            os.kill(self.pid, number)

    def kill(self):
        """Sends SIGKILL; returns when the process has ended."""
        self.expected_to_die = True
        self.signal(signal.SIGKILL)
        self.popen.wait(60)

    def freeze(self):
        """Sends SIGSTOP; returns when the process is stopped."""
        self.signal(signal.SIGSTOP)
        until(lambda: self.state() == "T", what=f"{self.name} stands still")

    def thaw(self):
        self.signal(signal.SIGCONT)

    def terminate(self):
        self.signal(signal.SIGTERM)

    def interrupt(self):
        self.signal(signal.SIGINT)

    def wait(self, within=5.0):
        """Returns the exit status; a negative number is the signal that ended it."""
        try:
            return self.popen.wait(within * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {within * PATIENCE} s") from None

    def wait_for(self, text, within=5.0):
        """Waits until the log contains `text`."""
        until(lambda: text in self.log(), within, f'{self.name} says "{text}"', self)

    def state(self):
        """The state letter of proc(5)."""
        return self._proc("stat").rsplit(")", 1)[1].split()[0]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident_bytes(self):
        return self._status("VmRSS") * 1024

    def peak_bytes(self):
        """How much memory it has used at most, and how much address space."""
        return self._status("VmHWM") * 1024, self._status("VmPeak") * 1024

    def threads(self):
        return self._status("Threads")

    def _status(self, field):
        for line in self._proc("status").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
        raise AssertionError(f"{self.name} has no {field}")

    def cpu_seconds(self):
        """The CPU time that all its threads have used so far."""
        fields = self._proc("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def children(self):
        """Pids of its children that still run."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                rest = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(rest[1]) == self.pid and rest[0] != "Z":
                found.append(int(entry))
        return found

    def _proc(self, name):
        return pathlib.Path(f"/proc/{self.pid}/{name}").read_text()

    def end(self):
        """Asks it to end, then makes it. Returns what was wrong with how it ended, or None."""
        trouble = None
        if self.alive():
            # A leak check at exit begins with SIGSTOP, which SIGCONT ends.
            if self.state() == "T":
                self.thaw()
            self.terminate()
            try:
                self.popen.wait(0.5 * PATIENCE)
            except subprocess.TimeoutExpired:
                self.terminate()  # a second SIGTERM ends it at once
            try:
                self.popen.wait(30 * PATIENCE)
            except subprocess.TimeoutExpired:
                trouble = f"{self.name} did not end at two SIGTERM"
                self.kill()
        for stream in (self.popen.stdin, self.popen.stdout, self._log):
            if stream:
                stream.close()
        by_signal = -self.popen.returncode
        if by_signal > 0 and not self.expected_to_die \
                and (self.handles_sigterm or by_signal != signal.SIGTERM):
            trouble = trouble or f"{self.name} died of signal {by_signal}"
        for word in ("Sanitizer", "runtime error:", "Assertion failed"):
            if word in self.log():
                trouble = f"{self.name} says {word}"
        return trouble
