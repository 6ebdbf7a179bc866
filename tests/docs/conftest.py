# SPDX-License-Identifier: MPL-2.0
"""Documents that run: their programs come from `cmake --install` into a directory of the test's."""

import subprocess

import pytest

from blocks import BUILD, SOURCE
from session import ALONE, Session


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    directory = tmp_path_factory.mktemp("prefix")
    done = subprocess.run(["cmake", "--install", BUILD, "--prefix", directory], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture
def session(tmp_path, prefix):
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no namespaces: this user may not make them (unshare)")
    session = Session(tmp_path, prefix, SOURCE / "python")
    yield session
    session.end()
