# SPDX-License-Identifier: MPL-2.0
"""The rule of the soak, tested with series whose truth is known; and a broker that leaks."""

import json
import math
import os
import pathlib
import random
import subprocess
import sys

import pytest

import rule

HERE = pathlib.Path(__file__).parent
BUILD = pathlib.Path(os.environ.get("RIPOSTE_BUILD") or HERE.parents[1] / "build").resolve()
MIB = 1 << 20


def series(value, count=400, every=5):
    return [(at * every, value(at * every)) for at in range(count)]


def is_flat(value, allowed, **more):
    return rule.judge(series(value, **more), allowed).flat


def test_what_stays_is_flat():
    assert is_flat(lambda t: 20 * MIB, 0)


def test_what_warms_up_and_then_stays_is_flat():
    assert is_flat(lambda t: 20 * MIB * (1 - math.exp(-t / 60)), MIB)


def test_what_falls_is_flat():
    assert is_flat(lambda t: 50 * MIB - 1000 * t, MIB)


def test_what_only_scatters_is_flat_with_nothing_allowed_at_all():
    chance = random.Random(1)
    wrong = sum(not is_flat(lambda t: chance.uniform(0, 40), 0) for _ in range(200))
    assert wrong <= 2, "three standard errors: one in some 700"


def test_what_goes_up_and_down_as_clients_come_and_go_is_flat():
    assert is_flat(lambda t: 10 + 4 * (t // 10 % 2), 4)
    assert is_flat(lambda t: 10 + 4 * (t // 10 % 2), 8, count=12)


@pytest.mark.parametrize("kind", ("smooth", "in steps", "scattered", "now and then"))
def test_a_leak_is_not_flat(kind):
    chance = random.Random(2)
    leak = 4 * MIB / 1000  # bytes a second: 4 MiB in the second half
    value = {
        "smooth": lambda t: 30 * MIB + leak * t,
        "in steps": lambda t: 30 * MIB + leak * t // 132096 * 132096,
        "scattered": lambda t: 30 * MIB + leak * t + chance.uniform(-MIB, MIB),
        "now and then": lambda t: 30 * MIB + leak * (t // 200 * 200),
    }[kind]
    assert not is_flat(value, MIB)


def test_one_descriptor_a_minute_is_not_flat():
    assert not is_flat(lambda t: 20 + t // 60 + t // 10 % 3, 2)


def test_a_leak_that_is_too_small_for_a_short_soak_is_found_by_a_long_one():
    def value(t):
        return 30 * MIB + 300 * t

    assert is_flat(value, MIB, count=20)
    assert not is_flat(value, MIB, count=4000)


def test_too_few_samples_say_nothing():
    assert rule.judge([], 1) is None
    assert rule.judge(series(lambda t: 0, count=5), 1) is None


def test_a_broker_that_leaks_is_found(tmp_path):
    library = BUILD / "tests" / "libsoak_leak.so"
    if not library.exists():
        pytest.skip("a sanitizer wants to be first")
    report = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, HERE / "run.py", "--duration", "20s", "--preload", library, "--report", report],
        capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    got = json.loads(report.read_text())
    assert "broker rss_bytes" in got["not_flat"], done.stdout
