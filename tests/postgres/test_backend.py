# SPDX-License-Identifier: MPL-2.0
"""The store itself, without a broker around it."""

import os
import subprocess

from support import programs


def run(name, *arguments, **environment):
    done = subprocess.run([programs.BUILD / "tests" / name, *arguments], capture_output=True, text=True, check=False,
                          timeout=100 * programs.PATIENCE, env={**os.environ, **environment})
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def test_it_does_what_the_store_in_a_file_does(server):
    """The same tests; what is left out is about a file."""
    out = run("component_store", RIPOSTE_TEST_POSTGRES=server.url(server.new(made=False)))
    assert out.count("  SKIPPED ] test") == 4, out


def test_it_tells_the_truth_whatever_comes_in_between(server):
    run("postgres_faults", server.url(server.new(made=False)), server.socket())
