# SPDX-License-Identifier: MPL-2.0
"""What programs say about themselves, as `cmake --install` puts it into a directory."""

import os
import pathlib
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RIPOSTE_BUILD") or SOURCE / "build").resolve()
PROGRAMS = ("riposte", "riposte-broker", "riposte-worker", "riposte-http")


def run(*command, **more):
    """Returns what a command writes that must succeed; settings of the environment are left out."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RIPOSTE_")}
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
                          env={**environment, "LC_ALL": "C.UTF-8", **more})
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    directory = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", BUILD, "--prefix", directory)
    return directory
