# SPDX-License-Identifier: MPL-2.0
"""The networks of these tests leave nothing behind."""

import json
import pathlib
import subprocess
import sys

#: Runs in mounts of its own, without those of others; prints the mounts before, during and after.
SCRIPT = """
import json
import network
print(json.dumps(network.mounts()))
one = network.Network()
one.add("one", 1)
print(json.dumps(network.mounts()))
one.close()
print(json.dumps(network.mounts()))
"""


def test_a_network_leaves_no_mount_behind():
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", 'while umount /run/netns 2> /dev/null; do :; done; exec "$@"', "sh",
         sys.executable, "-B", "-c", SCRIPT],
        cwd=pathlib.Path(__file__).parent, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    before, during, after = (json.loads(line) for line in done.stdout.splitlines())
    assert (before, after) == ([], [])
    assert during, "it sees what is mounted"
