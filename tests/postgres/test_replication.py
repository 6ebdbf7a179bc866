# SPDX-License-Identifier: MPL-2.0
"""A standby that stands still: what only the primary has is not told to anybody."""

import subprocess

from fault_proxy import FaultProxy
from support.peer import ACCEPTED, DURABLE
from support.waiting import until


def waiting(pair, who):
    """How many of these sessions wait for the standby."""
    return int(pair.primary.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                                f" AND application_name LIKE '{who}%'", "postgres"))


def end_waiting(pair, who):
    """Ends such sessions, after which everybody sees on the primary what they have committed."""
    pair.primary.sql("SELECT pg_terminate_backend (pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                     f" AND application_name LIKE '{who}%'", "postgres")


def freeze_within_a_put(pair, database, peer):
    """Has the standby stand still while the commit of a job waits for it; of the job, not of the broker's lease."""
    for number in range(100):
        pair.standby.freeze()
        peer.request(b"nobody", b"x", flags=DURABLE, time_ms=60000)
        until(lambda: waiting(pair, "riposte"), 10, "a commit waits for the standby")
        if pair.primary.sql("SELECT count(*) FROM pg_locks WHERE relation = 'riposte.jobs'::regclass"
                            " AND mode = 'RowExclusiveLock'", database) != "0":
            return number
        pair.standby.thaw()
        peer.expect(ACCEPTED, 20)
    raise AssertionError("no commit of a job is met")


def test_a_commit_that_only_the_primary_has_is_not_taken_for_done(world, pair):
    """A broker's connection breaks within a commit, and another takes its jobs over, also on the primary alone."""
    proxy = FaultProxy(pair.primary.port)
    database = pair.new()
    broker = world.broker("--store", pair.url(database, [proxy.host]))
    peer = world.peer(broker)
    peer.hello(heartbeat_ms=60000)
    before = freeze_within_a_put(pair, database, peer)
    proxy.refuse(True)
    other = subprocess.Popen(
        [pair.primary.bin / "psql", "-X", "-q", "-h", pair.primary.directory, "-p", pair.primary.number(),
         "-d", f"dbname={database} user=postgres application_name=other",
         "-c", "UPDATE riposte.brokers SET epoch = epoch + 1, holder = 999 WHERE id = 1"], stderr=subprocess.DEVNULL)
    end_waiting(pair, "riposte")
    until(lambda: waiting(pair, "other"), 10, "the other has committed")
    end_waiting(pair, "other")
    other.wait(10)
    proxy.refuse(False)
    until(lambda: waiting(pair, "riposte") or peer.socket.poll(0), 10, "the broker asks what became of its commit")
    assert not peer.socket.poll(0), vars(peer.receive())
    pair.standby.thaw()
    assert peer.expect(ACCEPTED, 20).id == before + 1
    proxy.end()
