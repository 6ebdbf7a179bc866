# SPDX-License-Identifier: MPL-2.0
"""What was accepted survives its broker, whatever ends that; and a power loss, by way of a disk that forgets
what was not synced."""

from run import LONG, Run
from support import programs

FORGETFUL = programs.BUILD / "tests" / "jobs_broker"

SCALE = 50 if LONG else 1


def test_what_was_accepted_survives_kills_freezes_and_drains(world):
    run = Run(world, 20_000 * SCALE)
    run.go(kills=5 * SCALE, freezes=2 * SCALE, drains=2 * SCALE, workers=5 * SCALE, within=200 * SCALE)
    run.check()
    run.check_ready()
    assert run.counts["started more than once"] > 0, "nothing was interrupted"


def test_a_power_loss_loses_nothing(world):
    run = Run(world, 4_000 * SCALE, special=[FORGETFUL])
    run.go(kills=4 * SCALE, within=60 * SCALE)
    run.check()


def test_without_syncs_a_power_loss_loses_jobs(world):
    """That the test above can fail. A file that is damaged is refused: then all is lost."""
    run = Run(world, 4_000, special=[FORGETFUL, "unsynced"])
    run.go(kills=1, within=20)
    lost = [fault for fault in run.faults if ": lost: " in fault or "the broker is gone" in fault]
    print(run.counts, len(run.faults), lost[:3])
    assert lost
