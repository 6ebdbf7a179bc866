# SPDX-License-Identifier: MPL-2.0
"""The programs of an older riposte, built from the repository."""

import io
import os
import shutil
import subprocess
import tarfile

import pytest

from support.programs import BUILD, SOURCE

#: What is upgraded from while there is no release: the last commit whose protocol knew no priorities.
FIRST = "d35d449f472f9e78ead6932557e379a5ae276f44"
#: The same of stores in PostgreSQL, of which it had none: the last one whose tables are of version 2.
FIRST_SHARED = "4b3921b3e6ec605631fb0c0c6733f97b97be6849"
TARGETS = ("riposte-broker", "riposte-worker", "riposte-cli")


def _git(*words):
    done = subprocess.run(["git", "-C", SOURCE, *words], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def commit(first):
    """The last release before this commit, or the first. Skips where the repository does not have it: in a source
    archive, and in a clone that has only the last commits."""
    tag = _git("describe", "--tags", "--match", "v*", "--abbrev=0", "HEAD^")
    found = _git("rev-parse", "--verify", "--quiet", (tag.decode().strip() if tag else first) + "^{commit}")
    if not found:
        pytest.skip("SKIPPED: the repository does not have the older riposte; git fetch --unshallow --tags")
    return found.decode().strip()


def _run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def build(first=FIRST):
    """Returns the folder of the older programs, which are built once for a commit, in the build folder."""
    wanted = commit(first)
    folder = BUILD / "before" / wanted[:10]
    mark = folder / "commit"
    if mark.exists():
        return folder / "build"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "source").mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(_git("archive", wanted))) as archive:
        archive.extractall(folder / "source")
    _run("cmake", "-S", folder / "source", "-B", folder / "build", "-G", "Ninja", "-DRIPOSTE_TESTS=OFF",
         "-DRIPOSTE_BENCH=OFF", "-DRIPOSTE_EXAMPLES=OFF")
    _run("cmake", "--build", folder / "build", "-j", os.cpu_count(), "--target", *TARGETS)
    mark.write_text(wanted)
    return folder / "build"
