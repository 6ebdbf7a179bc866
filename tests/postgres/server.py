# SPDX-License-Identifier: MPL-2.0
"""A server of PostgreSQL in a folder of its own, reached over a socket there. Nobody may run it as root, so then
it runs as nobody."""

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


class Server:
    def __init__(self, folder):
        self.bin = folder
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="riposte-postgres-"))
        self.process = None
        self.count = 0
        self.prefix = []
        if os.geteuid() == 0:
            os.chown(self.directory, NOBODY, NOBODY)
            self.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        self.run("initdb", "-D", self.directory / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
                 "--no-sync", "--no-instructions")
        self.start()
        self.sql("CREATE DATABASE made", "postgres")
        self.run(programs.CLI, "store", "init", self.url("made"), prefix=())

    def run(self, program, *arguments, prefix=None):
        path = program if isinstance(program, pathlib.Path) else self.bin / program
        done = subprocess.run([*(self.prefix if prefix is None else prefix), path, *arguments], cwd=self.directory,
                              capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self):
        self.process = subprocess.Popen(
            [*self.prefix, self.bin / "postgres", "-D", self.directory / "data", "-k", self.directory,
             *(word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}"))],
            cwd=self.directory, stdout=subprocess.DEVNULL, stderr=open(self.directory / "log", "ab"))
        until(self.is_ready, 30, "the server is ready")

    def is_ready(self):
        assert self.process.poll() is None, (self.directory / "log").read_text()[-2000:]
        return subprocess.run([self.bin / "pg_isready", "-q", "-h", self.directory], check=False).returncode == 0

    def kill(self):
        """Ends it without a last word to anybody. What it does with SIGKILL it does with SIGQUIT too, but its
        processes are gone at the end."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(30)

    def end(self):
        self.kill()
        shutil.rmtree(self.directory)

    def sql(self, text, database):
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.directory, "-U", "postgres",
                        "-d", database, "-c", text, prefix=()).strip()

    def new(self, made=True):
        """Makes a database, with a store in it; returns its name."""
        self.count += 1
        name = f"jobs{self.count}"
        self.sql(f"CREATE DATABASE {name}" + (" TEMPLATE made" if made else ""), "postgres")
        return name

    def url(self, database, user="postgres"):
        return f"postgresql:///{database}?host={self.directory}&user={user}"

    def socket(self):
        return self.directory / ".s.PGSQL.5432"
