# SPDX-License-Identifier: MPL-2.0
"""A primary that is killed under load, and its synchronous standby in its place."""

import time

from run import LONG, Run
from support import programs
from support.programs import PATIENCE
from support.waiting import until
from test_jobs import result

SCALE = 20 if LONG else 1
#: Within so many seconds of the promotion jobs flow again.
FLOWS = 5


def fail_over(world, pair, run, took):
    """A fault of a run, which notes after what time a job is accepted again, and done."""
    pair.primary.kill_hard()
    run.broker.wait_for("the store of jobs is not reachable", 10)
    pair.promote()
    begin = time.monotonic()
    sent = until(lambda: accepted(world, run.endpoint), FLOWS, "a job is accepted")
    took.append(time.monotonic() - begin)
    assert result(world, run.endpoint, sent).out == b"after"
    took.append(time.monotonic() - begin)
    return True


def accepted(world, endpoint):
    sent = world.cli(endpoint, "send", "echo", "after", "--timeout", "5s")
    return sent.out.decode().strip() if sent.code == 0 else None


def test_no_job_is_lost_by_a_failover_and_they_flow_again_soon(world, pair):
    """Those that wait for a commit learn from the standby what became of it."""
    database, took = pair.new(), []
    run = Run(world, 1_000 * SCALE, store=pair.url(database), others=[lambda: fail_over(world, pair, run, took)])
    run.go(kills=1, within=120 * SCALE)
    print(f"accepted {took[0]:.2f} s, and done {took[1]:.2f} s after the promotion")
    run.check()
    assert took[1] <= FLOWS * PATIENCE
    said = world.run(programs.CLI, "store", "check", pair.url(database))
    assert b"the store is whole" in said.out, said
