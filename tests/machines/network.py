# SPDX-License-Identifier: MPL-2.0
"""Several machines on one: network namespaces, each with an address of its own, on a bridge in one
more namespace. Nothing outside of them is changed; their names contain this process's id."""

import os
import shutil
import subprocess

NET = "10.77.0"
#: The directory in which ip keeps the names of namespaces.
NAMES = "/run/netns"


def _run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"


def mounts():
    """Returns the mount points for namespaces: one for each, and the directory itself, which ip
    mounts."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        points = [line.split()[4] for line in file]
    return [point for point in points if (point + "/").startswith(f"{NAMES}/")]


def why_not():
    """Returns why namespaces cannot be used here, or None."""
    for program in ("ip", "iptables"):
        if not shutil.which(program):
            return f"there is no {program}"
    if os.geteuid() != 0:
        return "network namespaces want root"
    network = Network("probe")
    try:
        network.add("one", 1)
        _run(*network.inside("one"), "iptables", "-A", "INPUT", "-j", "DROP")
    except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
        return f"network namespaces are not allowed: {error}"
    finally:
        network.close()
    return None


class Network:
    def __init__(self, purpose="test"):
        self._prefix = f"rp{os.getpid()}{purpose[0]}"
        self._switch = f"{self._prefix}-switch"
        self._spaces = []
        self.addresses = {}
        self._was_mounted = bool(mounts())

    def _space(self, name):
        _run("ip", "netns", "add", name)
        self._spaces.append(name)
        _run("ip", "-n", name, "link", "set", "lo", "up")

    def add(self, machine, number):
        """Makes a machine with an address and a cable to the switch."""
        if not self._spaces:
            self._space(self._switch)
            _run("ip", "-n", self._switch, "link", "add", "bridge", "type", "bridge")
            _run("ip", "-n", self._switch, "link", "set", "bridge", "up")
        name = f"{self._prefix}-{machine}"
        self._space(name)
        _run("ip", "-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", machine,
             "netns", self._switch)
        _run("ip", "-n", self._switch, "link", "set", machine, "master", "bridge", "up")
        self.addresses[machine] = f"{NET}.{number}"
        _run("ip", "-n", name, "address", "add", f"{NET}.{number}/24", "dev", "eth0")
        _run("ip", "-n", name, "link", "set", "eth0", "up")

    def inside(self, machine):
        """Returns the words that go before a command that is to run on this machine."""
        return ("ip", "netns", "exec", f"{self._prefix}-{machine}")

    def hurt(self, machine, how):
        """how: unplugged (at the switch), down (its own interface), deaf (nothing comes in), dumb
        (nothing goes out), or silent (both). Of the last three neither end is told."""
        if how == "unplugged":
            _run("ip", "-n", self._switch, "link", "set", machine, "down")
        elif how == "down":
            _run("ip", "-n", f"{self._prefix}-{machine}", "link", "set", "eth0", "down")
        if how in ("deaf", "silent"):
            _run(*self.inside(machine), "iptables", "-A", "INPUT", "-i", "eth0", "-j", "DROP")
        if how in ("dumb", "silent"):
            _run(*self.inside(machine), "iptables", "-A", "OUTPUT", "-o", "eth0", "-j", "DROP")

    def heal(self, machine):
        _run("ip", "-n", self._switch, "link", "set", machine, "up")
        _run("ip", "-n", f"{self._prefix}-{machine}", "link", "set", "eth0", "up")
        _run(*self.inside(machine), "iptables", "-F")

    def close(self):
        for name in reversed(self._spaces):
            subprocess.run(("ip", "netns", "del", name), capture_output=True, timeout=20, check=False)
        self._spaces.clear()
        # No other process has added a namespace meanwhile.
        if not self._was_mounted and mounts() == [NAMES]:
            subprocess.run(("umount", NAMES), capture_output=True, timeout=20, check=False)
