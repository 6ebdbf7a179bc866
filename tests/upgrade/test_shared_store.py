# SPDX-License-Identifier: MPL-2.0
"""Brokers of an older riposte and of this one on one database of PostgreSQL, whose tables are brought up to date beside
them: both have jobs done, each has the other's when that is gone, and none is lost."""

import pytest

from support import programs
from support.waiting import until


class Shared:
    """A database with the store of an older riposte."""

    def __init__(self, world, older, server):
        self.world, self.older, self.server = world, older, server
        self.database = server.new(made=False)
        self.url = server.url(self.database)
        self.expected = {}  # by job
        with older():
            self.store("init")
        self.old_version = self.version()

    def version(self):
        return self.sql("SELECT version FROM riposte.store")

    def sql(self, text):
        return self.server.sql(text, self.database)

    def store(self, command):
        done = self.world.run(programs.CLI, "store", command, self.url)
        assert done.code == 0, done
        return done.out.decode()

    def broker(self):
        return self.world.broker("--store", self.url)

    def holder(self, number):
        """Who has the jobs of a broker; brokers are numbered as they come."""
        return self.sql(f"SELECT holder FROM riposte.brokers WHERE id = {number}")

    def send(self, broker, service, count=5, *options):
        """Sends jobs, which are done at once if the service has a worker."""
        sent = []
        for number in range(count):
            body = f"job {number} for {service}"
            done = self.world.cli(broker, "send", service, body, *options)
            assert done.code == 0, done
            sent.append(done.out.decode().strip())
            self.expected[sent[-1]] = body.upper().encode()
        return sent

    def check(self, broker, jobs):
        """Their results are there, whichever broker is asked."""
        for job in jobs:
            done = self.world.cli(broker, "result", job, "--wait", "20s")
            assert (done.code, done.out) == (0, self.expected[job]), done


@pytest.fixture
def shared(world, older_shared, server):
    return Shared(world, older_shared, server)


def test_brokers_of_one_database_are_upgraded_in_turn_and_no_job_is_lost(world, older_shared, shared):
    with older_shared():
        brokers = [shared.broker(), shared.broker()]
    for broker in brokers:
        world.builtin(broker, "upper")
    shared.check(brokers[1], shared.send(brokers[0], "upper"))
    waiting = [shared.send(broker, "later") for broker in brokers]

    # The tables are brought up to date beside them; both go on.
    assert "up to date" in shared.store("migrate") or shared.old_version == shared.version()
    for broker in brokers:
        shared.check(broker, shared.send(broker, "upper"))

    # One is upgraded: it leaves its jobs to the old one, and each answers for those of the other.
    brokers[1].terminate()
    assert brokers[1].wait() == 0
    until(lambda: shared.holder(2) == "1", 10, "the old broker has the jobs of the one that has ended")
    brokers[1] = shared.broker()
    world.builtin(brokers[1], "upper")
    for here, there in (0, 1), (1, 0):
        shared.check(brokers[there], shared.send(brokers[here], "upper"))
    cancelled = shared.send(brokers[0], "later", 1, "--delay", "1h")[0]
    assert world.cli(brokers[1], "cancel", cancelled).code == 0
    assert world.cli(brokers[0], "result", cancelled).code == 130, "a job of the old one is ended at the new one"

    # The new one is killed, and the old one has its jobs done.
    waiting.append(shared.send(brokers[1], "last"))
    brokers[1].kill()
    until(lambda: shared.holder(3) == "1", 10, "the old broker has the jobs of the new one")
    world.builtin(brokers[0], "upper", service="last")
    shared.check(brokers[0], waiting[2])

    # An older one that is started anew is refused; those that run are not.
    if shared.old_version != shared.version():
        with older_shared():
            refused = world.run(programs.BROKER, "--bind", "tcp://127.0.0.1:*", "--store", shared.url)
        assert refused.code != 0 and "the store is of a newer riposte (version" in refused.error(), refused
        shared.check(brokers[0], shared.send(brokers[0], "upper"))

    # The old one is killed, with the jobs of all; the new one has them done.
    brokers[1] = shared.broker()
    brokers[0].kill()
    until(lambda: shared.holder(1) == "4", 10, "the new broker has the jobs of the old one")
    world.builtin(brokers[1], "upper", service="later")
    for jobs in waiting[:2]:
        shared.check(brokers[1], jobs)
    assert shared.sql("SELECT count(*) FROM riposte.open") == "0"
    assert shared.sql("SELECT count(*) FROM riposte.finals") == str(len(shared.expected))
    assert "the store is whole" in shared.store("check")
