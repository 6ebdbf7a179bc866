# SPDX-License-Identifier: MPL-2.0
"""A primary and its synchronous standby, two real servers on loopback. What a cluster manager does is done here by
hand: the standby is promoted when the primary is gone, and the old primary becomes the new one's standby."""

import shutil

from server import Server
from support.waiting import until
from support.web import free_port

#: What a standby needs. Nothing loses power here, so `fsync` stays off, and the backup forces whole pages by itself.
SETTINGS = {"wal_level": "replica", "max_wal_senders": "4", "wal_keep_size": "64MB", "hot_standby": "on",
            "max_connections": "40"}


class Pair:
    def __init__(self, folder):
        self.servers = [Server(folder, free_port(), **SETTINGS) for _ in range(2)]
        self.primary, self.standby = self.servers
        self.primary.make()
        self.follow()
        self.count = 0

    def follow(self):
        """Makes the standby anew from the primary. When this returns, what is committed is on both."""
        data = self.standby.directory / "data"
        if data.exists():
            shutil.rmtree(data)
        self.standby.run("pg_basebackup", "-D", data, "-d", f"host=127.0.0.1 port={self.primary.port} user=postgres",
                         "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
        self.standby.start()
        self.configure("SET synchronous_standby_names = '*'")
        until(lambda: self.primary.sql("SELECT sync_state FROM pg_stat_replication", "postgres") == "sync", 30,
              "the standby is synchronous")
        # Waits for the standby, and so for all that was committed before.
        self.primary.sql("COMMENT ON DATABASE postgres IS 'both have it'", "postgres")

    def configure(self, what):
        """Changes the primary's settings: SET or RESET."""
        self.primary.sql(f"ALTER SYSTEM {what}", "postgres")
        self.primary.sql("SELECT pg_reload_conf()", "postgres")

    def promote(self):
        """Makes the standby the primary, which has no standby then and waits for none; the other one is dead."""
        self.standby.sql("SELECT pg_promote()", "postgres")
        self.primary, self.standby = self.standby, self.primary

    def fail_over(self):
        """The primary dies, and the standby takes its place."""
        self.primary.kill_hard()
        self.promote()

    def new(self):
        """Makes a database with a store, of which there is a standby; returns its name."""
        if not self.standby.is_running():
            self.follow()
        self.standby.thaw()  # a test that failed may have left it so
        self.count += 1
        return self.primary.new(f"pair{self.count}")

    def url(self, database, hosts=None, more=""):
        """hosts: those of proxies before the servers."""
        hosts = hosts or [f"127.0.0.1:{server.port}" for server in self.servers]
        return f"postgresql://{','.join(hosts)}/{database}?user=postgres&target_session_attrs=read-write{more}"

    def end(self):
        for server in self.servers:
            server.end()
