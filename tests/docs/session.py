# SPDX-License-Identifier: MPL-2.0
"""A reader at a terminal: a shell in namespaces of its own (network, processes), where every port of the text is free
and all processes end with it. What stays in the foreground of the text goes to another terminal, as a reader does."""

import os
import re
import subprocess
import sys
import time

from blocks import BUILD, SOURCE, Block, pattern, steps

#: Seconds that a condition may take, and tries of one that costs a process. Nothing waits for them to pass.
PATIENCE, TRIES = 120, 300
#: Runs a command in namespaces of its own.
ALONE = ("unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_FOREGROUND = re.compile(r"riposte-(broker|worker|http)\b")
#: Programs that offer a service, which the reader sees to be there before the next command.
_OFFERS = ((re.compile(r"riposte-worker (?:--stream |--?\S+ \S+ )*([a-z]\w*)"), None),
           (re.compile(r"examples/site &"), "site"), (re.compile(r"upper\.py &"), "upper"),
           (re.compile(r"\./hwserver &"), "hello"))


def services(command):
    """Returns the services that a command begins to offer."""
    return [service or found[1] for expression, service in _OFFERS for found in expression.finditer(command)]


class Session:
    def __init__(self, directory, prefix, python_path):
        self.directory = directory
        (directory / "build").mkdir()
        (directory / "build" / "examples").symlink_to(BUILD / "examples")
        (directory / "examples").symlink_to(SOURCE / "examples")
        (directory / "bin").mkdir()
        (directory / "bin" / "python3").symlink_to(sys.executable)  # Debian's, which has pyzmq
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RIPOSTE_")}
        environment.update(PATH=f"{directory}/bin:{prefix}/bin:{environment['PATH']}", LD_LIBRARY_PATH=f"{prefix}/lib",
                           PYTHONPATH=str(python_path), PYTHONDONTWRITEBYTECODE="1", LC_ALL="C.UTF-8",
                           HOME=str(directory), XDG_CONFIG_HOME=str(directory / "config"))
        self.terminals = 0
        self.output = directory / "output"
        self.output.touch()
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*ALONE, "bash"], stdin=subprocess.PIPE, stdout=output, stderr=output, cwd=directory, env=environment)
        self.at = 0
        self.number = 0
        self.command("ip link set lo up")

    def end(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()

    def _text(self):
        return self.output.read_text(encoding="utf-8", errors="replace")

    def command(self, text, patience=PATIENCE):
        """Has the shell run a command; returns its exit status and what it wrote. $? stays for the next command."""
        self.number += 1
        mark = f"--- end of command {self.number}: "
        self.process.stdin.write(f"{text}\n__rc=$?; printf '\\n{mark}%s\\n' $__rc; (exit $__rc)\n".encode())
        self.process.stdin.flush()
        until = time.monotonic() + patience
        while not (found := re.compile(f"\n{mark}(\\d+)\n").search(self._text(), self.at)):
            assert time.monotonic() < until, f"{text}\ndoes not end:\n{self._text()[self.at:]}"
            assert self.process.poll() is None, "the shell has ended"
            time.sleep(0.02)
        out, self.at = self._text()[self.at:found.start()], found.end()
        return int(found[1]), out

    def terminal(self, text):
        """Runs a command in another terminal; returns the file with what it writes."""
        self.terminals += 1
        path = self.directory / f"terminal{self.terminals}"
        self.command(f"script -qefc {_quoted(text)} {path.name} < /dev/null > /dev/null 2>&1 &")
        return path

    def offered(self, service, keys=""):
        """Waits until someone offers a service; whoever has keys that may not observe asks the service itself."""
        self.until(f"riposte call {keys} {service} hi > /dev/null 2>&1" if keys else
                   f"riposte services | grep -q '^{service} '")

    def offered_by_name(self, service):
        """The same of a service that answers nothing."""
        self.until(f"riposte workers | grep -q ' {service} '")

    def until(self, condition):
        code, _ = self.command(f"for i in $(seq {TRIES}); do {condition} && break; sleep 0.1; done; {condition}",
                               5 * PATIENCE)
        assert code == 0, f"never true: {condition}\n{self._text()}"

    def python(self, text):
        """Runs a program of Python; returns what it writes."""
        (self.directory / "program.py").write_text(text, encoding="utf-8")
        code, out = self.command("/usr/bin/python3 program.py")
        assert code == 0, f"{text}\n{out}"
        return out.strip()

    def play_text(self, text):
        """Runs one command of the test's own."""
        self.play(Block("the test", 0, "", text))

    def play(self, block, ids=()):
        """Runs the commands of a block; compares with what it shows. Returns the ids of jobs, {shown: what it was}; ids
        of an earlier block stand for those that this one shows."""
        ids = dict(ids)
        for text, shown in steps(block):
            where = f"{block}\n$ {text}\n"
            for old, new in ids.items():
                text = text.replace(old, new)
            bare = re.sub(r"\s+# .*", "", text)
            if (found := re.fullmatch(r"cat (\w+)", bare)) and not (self.directory / found[1]).exists():
                (self.directory / found[1]).write_text("\n".join(shown) + "\n", encoding="utf-8")
            if _FOREGROUND.match(bare) and not bare.endswith("&"):
                self._foreground(bare, shown, where)
            else:
                code, out = self.command(text)
                _compare(out, shown, where)
                if shown and re.fullmatch(r"\d{9,}", shown[0]):
                    ids[shown[0]] = out.strip()
                fails = bool(shown) and shown[0].startswith(("riposte: ", "no: "))
                assert (code != 0) == fails, f"{where}exit status {code}\n{out}"
            keys = " ".join(re.findall(r"--(?:key-file|server-key) \S+", bare))
            for service in services(bare):
                self.offered(service, keys)
        return ids

    def _foreground(self, text, shown, where):
        path = self.terminal(text)
        until = time.monotonic() + PATIENCE
        while True:
            out = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
            try:
                _compare(re.sub(r"^Script started.*\n|\x1b\[[0-9;]*m|\r", "", out), shown, where)
                break
            except AssertionError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        if text.startswith("riposte-broker"):
            self.until("riposte ping > /dev/null 2>&1" if "--key-file" not in text else
                       f"grep -q ready {path.name}")


def _quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def _compare(out, shown, where):
    """Each line that is shown is there, in that order."""
    lines = [line for line in out.splitlines() if line.strip() and not re.match(r"\[\d+\] ", line)]
    if not shown:
        return
    told = "\n".join(lines)
    at = 0
    for line in shown:
        if line == "…":
            continue
        expression = pattern(line)
        while at < len(lines) and not expression.fullmatch(lines[at]):
            at += 1
        assert at < len(lines), f"{where}the text shows\n{line}\nbut it wrote\n{told}"
        at += 1
