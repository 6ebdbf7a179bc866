# SPDX-License-Identifier: MPL-2.0
"""What a run with faults says of what was wrong: invariants that were broken, and what only came late.

A broken invariant is a fault though it is seen once; what is late on a busy machine may come in time in another run.
script/test looks for the mark, and runs a test without it once more.
"""

_MARK = "VIOLATION: "  # here alone: a traceback of pytest shows the lines of a test


def lines(violations, late):
    """Returns what a run says of both, the worse first."""
    return [*(_MARK + str(one) for one in violations), *(f"late: {one}" for one in late)]


def hold(violations, late=()):
    """Fails if there are any."""
    assert not violations and not late, "\n".join(lines(violations, late)[:40])
