# SPDX-License-Identifier: MPL-2.0
"""A server of PostgreSQL in a folder of its own, reached over a socket there, and if it is told a port over loopback
too. Nobody may run it as root, so then it runs as nobody."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from support import programs
from support.waiting import until

NOBODY = 65534
#: What survives the end of the server's processes is all that is asked of it here, so nothing waits for a disk.
SETTINGS = {"listen_addresses": "", "fsync": "off", "full_page_writes": "off", "autovacuum": "off",
            "shared_buffers": "16MB", "max_connections": "20", "max_wal_senders": "0", "wal_level": "minimal",
            "restart_after_crash": "off"}


def programs_of_postgres():
    """The folder with initdb and postgres; None if they are not installed."""
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if folders:
        return folders[-1]
    found = shutil.which("initdb")
    return pathlib.Path(found).resolve().parent if found else None


def children(pid):
    """The processes that a process has started and not waited for."""
    return [int(word) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children")
            for word in path.read_text().split()]


class Server:
    """settings: beside SETTINGS; both go to the command line, where no ALTER SYSTEM changes them."""

    def __init__(self, folder, port=None, **settings):
        self.bin = folder
        self.port = port
        self.settings = {**SETTINGS, **settings}
        if port:
            self.settings.update(listen_addresses="127.0.0.1", port=port)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="riposte-postgres-"))
        self.process = None
        self.count = 0
        self.prefix = []
        if os.geteuid() == 0:
            os.chown(self.directory, NOBODY, NOBODY)
            self.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

    def make(self):
        """Makes its databases from nothing, and starts it."""
        self.run("initdb", "-D", self.directory / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
                 "--no-sync", "--no-instructions")
        self.start()
        self.sql("CREATE DATABASE made", "postgres")
        self.run(programs.CLI, "store", "init", self.url("made"), prefix=())
        return self

    def run(self, program, *arguments, prefix=None):
        path = program if isinstance(program, pathlib.Path) else self.bin / program
        done = subprocess.run([*(self.prefix if prefix is None else prefix), path, *arguments], cwd=self.directory,
                              capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self):
        self.process = subprocess.Popen(
            [*self.prefix, self.bin / "postgres", "-D", self.directory / "data", "-k", self.directory,
             *(word for name, value in self.settings.items() for word in ("-c", f"{name}={value}"))],
            cwd=self.directory, stdout=subprocess.DEVNULL, stderr=open(self.directory / "log", "ab"))
        until(self.is_ready, 30, "the server is ready")

    def is_ready(self):
        assert self.process.poll() is None, (self.directory / "log").read_text()[-2000:]
        return subprocess.run([self.bin / "pg_isready", "-q", "-h", self.directory, "-p", self.number()],
                              check=False).returncode == 0

    def kill(self):
        """Ends it without a last word to anybody. What it does with SIGKILL it does with SIGQUIT too, but its
        processes are gone at the end."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(30)

    def kill_hard(self):
        """Kills all its processes with SIGKILL, the first before it can end the others in good order."""
        self._signal(signal.SIGKILL)
        self.process.wait(30)

    def freeze(self):
        """Stops its processes; those that send to it and wait for it go on waiting."""
        self._signal(signal.SIGSTOP)

    def thaw(self):
        self._signal(signal.SIGCONT)

    def _signal(self, number):
        for pid in [self.process.pid, *children(self.process.pid)]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # it has just ended

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def end(self):
        if self.is_running():
            self.thaw()
            self.kill()
        shutil.rmtree(self.directory)

    def sql(self, text, database):
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.directory, "-p",
                        self.number(), "-U", "postgres", "-d", database, "-c", text, prefix=()).strip()

    @contextlib.contextmanager
    def reader(self, table, database):
        """A transaction that has read a table, as of a copy that takes long, goes on meanwhile."""
        one = subprocess.Popen([self.bin / "psql", "-X", "-q", "-A", "-t", "-h", self.directory, "-p",
                                self.number(), "-U", "postgres", "-d", database], cwd=self.directory,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        one.stdin.write(f"BEGIN; SELECT count(*) FROM {table};\n".encode())
        one.stdin.flush()
        one.stdout.readline()
        try:
            yield
        finally:
            one.communicate()

    def new(self, name=None, made=True):
        """Makes a database, with a store in it; returns its name."""
        self.count += 1
        name = name or f"jobs{self.count}"
        self.sql(f"CREATE DATABASE {name}" + (" TEMPLATE made" if made else ""), "postgres")
        return name

    def url(self, database, user="postgres"):
        return f"postgresql:///{database}?host={self.directory}&port={self.number()}&user={user}"

    def number(self):
        """Its port as text, which is in the name of its socket too."""
        return str(self.port or 5432)

    def socket(self):
        return self.directory / f".s.PGSQL.{self.number()}"
