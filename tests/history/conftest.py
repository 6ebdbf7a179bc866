# SPDX-License-Identifier: MPL-2.0
"""Histories to check, from the world around the core (world.c): good ones, and ones with a bug."""

import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

BUILD = pathlib.Path(os.environ.get("RIPOSTE_BUILD", pathlib.Path(__file__).parents[2] / "build"))
WORLD = BUILD / "tests" / "history_world"


class World:
    def __init__(self, directory):
        self.directory = directory

    def run(self, seed, *bug):
        """Returns the files, and how often the bug struck."""
        place = self.directory / "-".join((str(seed), *bug))
        place.mkdir()
        done = subprocess.run([WORLD, str(seed), place, *bug], capture_output=True, text=True,
                              timeout=60, check=True)
        return sorted(place.iterdir()), int(done.stdout)

    @staticmethod
    def bugs():
        done = subprocess.run([WORLD, "--bugs"], capture_output=True, text=True, check=True)
        return done.stdout.split()


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def pytest_generate_tests(metafunc):
    if "bug" in metafunc.fixturenames:
        metafunc.parametrize("bug", World.bugs())
