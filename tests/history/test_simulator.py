# SPDX-License-Identifier: MPL-2.0
"""The simulator's runs pass the checker of histories, as they pass the auditor."""

import os
import subprocess

import pytest

from check import Check
from conftest import BUILD

SEEDS = 100  # of each batch


@pytest.mark.parametrize("first", range(1, 10 * SEEDS if os.environ.get("RIPOSTE_LONG") else 4 * SEEDS, SEEDS))
def test_random_events_leave_good_histories(tmp_path, first):
    subprocess.run([BUILD / "tests" / "simulator", str(first), str(SEEDS), tmp_path], check=True,
                   capture_output=True, timeout=60)
    one = Check(sorted(tmp_path.iterdir()), slack=1)
    assert one.run(), [(problem.request, problem.text) for problem in one.problems.kept]
    summary = one.summary()
    assert summary["brokers"] == SEEDS and summary["brokers_killed"] == 0
    assert summary["finals"]["OK"] > 50 and summary["redeliveries"] > 10
