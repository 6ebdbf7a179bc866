# SPDX-License-Identifier: MPL-2.0
"""Names of hosts, and name servers, of a test's own. Programs see them in a mount namespace of their own, so the
machine's are neither asked nor changed."""

import os
import shutil
import subprocess

import pytest

from support import programs

HOSTS = """127.0.0.1 localhost
::1 six
127.0.0.1 two
127.0.0.2 two
192.0.2.1 elsewhere
"""
FILES = ("hosts", "nsswitch.conf", "resolv.conf")
#: Each worker of pytest-xdist has its own address, so that none skips because another one uses it.
SILENT = (f"127.0.53.{1 + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:])}", 53)


class Names:
    """prefix: a command that runs another one with these names."""

    def __init__(self, directory):
        self.directory = directory
        self.write("hosts", HOSTS)
        self.write("nsswitch.conf", "hosts: files\n")
        self.write("resolv.conf", f"nameserver {SILENT[0]}\noptions timeout:30 attempts:1\n")
        mounts = " && ".join(f"mount --bind {directory / name} /etc/{name}" for name in FILES)
        self.prefix = ("unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh")

    def write(self, name, text):
        # Writes into the same file, so that running programs see the change.
        (self.directory / name).write_text(text)


@pytest.fixture(name="names")
def fixture_names(tmp_path):
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root can have a mount namespace, with unshare")
    names = Names(tmp_path)
    tried = subprocess.run([*names.prefix, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"mount namespaces are not allowed here: {tried.stderr.strip()}")
    return names


def port(endpoint):
    return endpoint.rsplit(":", 1)[1]


def cli(world, names, server, *arguments):
    return world.run(*names.prefix, programs.CLI, "--server", server, *arguments)
