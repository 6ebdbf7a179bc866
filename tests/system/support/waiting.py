# SPDX-License-Identifier: MPL-2.0
"""Waiting for a condition, with a bound; the only way in which these tests wait."""

import time

from support.programs import PATIENCE


def until(condition, within=5.0, what=None, process=None):
    """Returns the first true value of condition. Fails after `within` seconds (longer with a
    sanitizer, by PATIENCE), or at once when `process` ends before it."""
    begin = time.monotonic()
    while True:
        ended = process is not None and process.poll() is not None  # before the condition, which may be its end
        asked = time.monotonic()
        value = condition()
        if value:
            return value
        passed = time.monotonic() - begin
        what = what or getattr(condition, "__name__", "the condition")
        if ended:
            raise AssertionError(f"{process.name} ended ({process.poll()}) before: {what}")
        if passed > within * PATIENCE:
            raise AssertionError(f"not within {passed:.1f} s: {what}")
        # Most conditions cost a process, and others wait, too: no more than half of the time.
        time.sleep(max(min(max(0.005, passed / 4), 0.1), min(time.monotonic() - asked, 0.5)))
