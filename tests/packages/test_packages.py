# SPDX-License-Identifier: MPL-2.0
"""Tests the packages of script/package: what is in them, and that they install, upgrade and go.

They are installed over this machine's own root, which stays as it is. With RIPOSTE_LONG=1 also in a root that
debootstrap has just made, with their dependencies from Debian's mirror."""

import os
import re
import time

import pytest

from conftest import LONG, Root, run

NAMES = ["libriposte-dev", "libriposte0", "python3-riposte", "riposte-broker", "riposte-doc", "riposte-tools"]
# What dpkg, and what it calls for every package, write for themselves.
OTHERS = re.compile(r"/var/(lib/dpkg|log|cache|backups|lib/apt)/|/etc/(ld\.so\.cache|(passwd|group|shadow|gshadow)-?)$"
                    r"|/etc/\.pwd\.lock$|/run/|/tmp/|/var/lib/systemd/deb-systemd-helper-masked$")
OLDER = "0.0.9-1"
PYTHON = """\
import riposte, riposte.aio
with riposte.Client("tcp://127.0.0.1:5555") as client:
    print(client.call("upper", b"hello", timeout=20).body.decode())
"""


def test_all_packages_are_built_and_lintian_has_no_objection(packages):
    assert packages.names() == NAMES
    found = run("lintian", "--fail-on", "error,warning,info,pedantic", "--display-info", "--pedantic",
                "--allow-root", packages.source, *packages.debs)
    assert found == ""


def test_what_cmake_installs_is_in_one_package(packages, tmp_path):
    """Of documents and completions everything is in a package too, only elsewhere."""
    run("env", f"DESTDIR={tmp_path}", "cmake", "--install", os.environ["RIPOSTE_BUILD"], "--prefix", "/usr")
    prefix = tmp_path / "usr"
    installed = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()}
    shipped = {}
    for deb in packages.debs:
        for line in run("dpkg-deb", "--contents", deb).splitlines():
            path = line.split(None, 5)[5].partition(" -> ")[0]
            if not path.endswith("/"):
                assert path not in shipped, f"{path} is in {deb.name} and {shipped[path]}"
                shipped[path] = deb.name
    plain = {re.sub(r"^\./(usr/)?|\.gz$", "", path).replace("x86_64-linux-gnu/", "") for path in shipped}

    def place(path):
        path = re.sub(r"^lib/[\w-]+-linux-gnu/", "lib/", path)
        path = re.sub(r"(RiposteTargets)-\w+\.cmake", r"\1-none.cmake", path)
        path = path.replace("share/riposte/broker.cfg", "etc/riposte/broker.cfg")
        return path.replace("share/zsh/site-functions/", "share/zsh/vendor-completions/")
    missing = {place(path) for path in installed if "share/doc/" not in path} - plain
    assert missing == set()


def call(root):
    """Makes the first call, as the README does; systemd starts the broker where it runs."""
    root.start("riposte-broker")
    root.start("riposte-worker", "upper", "--", "tr", "a-z", "A-Z")
    assert root.do("riposte", "call", "--wait-broker", "20s", "--wait-worker", "20s", "--timeout", "30s",
                   "upper", "hello") == "HELLO"


def test_installed_they_answer_a_call_and_purged_they_leave_nothing(packages, root):
    before = set(root.written())
    root.do("dpkg", "--install", *root.put(packages))
    assert "riposte-broker" in root.do("getent", "passwd", "riposte-broker")
    root.do("riposte-broker", "--check-config", "--config", "/etc/riposte/broker.cfg")
    root.do("test", "-L", "/etc/systemd/system/multi-user.target.wants/riposte-broker.service")
    root.do("sh", "-c", "! ls /etc/systemd/system/multi-user.target.wants | grep -E 'http|worker'")
    root.do("man", "-w", "riposte", "riposte-broker", "riposte-worker", "riposte-http")
    call(root)
    assert root.do("/usr/bin/python3", "-c", PYTHON) == "HELLO\n"
    root.stop()
    # As the broker's unit would have left them.
    root.do("install", "-d", "/var/lib/private/riposte", "/var/log/private/riposte")
    root.do("touch", "/var/lib/private/riposte/jobs.db", "/var/log/private/riposte/history")
    root.do("ln", "-s", "private/riposte", "/var/lib/riposte")
    root.do("dpkg", "--purge", *packages.names())
    left = [path for path in root.written() if path not in before and not OTHERS.match(path)]
    assert left == []
    assert [path for path in root.written() if "riposte" in path and "/var/log/" not in path
            and "/var/backups" not in path] == []


def test_an_upgrade_keeps_settings_and_jobs_and_a_purge_keeps_keys(packages, root, tmp_path_factory):
    store = "/var/lib/riposte/jobs.db"
    root.do("dpkg", "--install", *root.put(packages.of_version(OLDER, tmp_path_factory.mktemp("older"))))
    root.do("sed", "-i", f's|^#store = .*|store = "{store}"|', "/etc/riposte/broker.cfg")
    root.do("install", "-d", "/var/lib/riposte")
    root.start("riposte-broker", "--config", "/etc/riposte/broker.cfg")
    job = root.do("riposte", "send", "--wait-broker", "20s", "--timeout", "20s", "upper", "hello").strip()
    root.stop()
    root.do("dpkg", "--install", *root.put(packages))
    assert f'store = "{store}"' in root.do("cat", "/etc/riposte/broker.cfg")
    assert OLDER not in root.do("dpkg-query", "-W", "-f", "${Version}\n", *packages.names())
    root.start("riposte-broker", "--config", "/etc/riposte/broker.cfg")
    root.start("riposte-worker", "upper", "--", "tr", "a-z", "A-Z")
    assert root.do("riposte", "result", job, "--wait", "30s", "--wait-broker", "20s", "--timeout", "20s") == "HELLO"
    root.stop()
    root.do("riposte", "keys", "new", "ada")
    root.do("dpkg", "--purge", *packages.names())
    assert root.do("ls", "/etc/riposte") == "ada.key\nada.key_secret\n"


@pytest.mark.skipif(not LONG, reason="debootstrap: RIPOSTE_LONG=1")
def test_from_a_blank_debian_it_takes_three_commands_and_a_minute(packages, tmp_path):
    blank = tmp_path / "blank"
    run("debootstrap", "--variant=minbase", "bookworm", blank,
        os.environ.get("RIPOSTE_DEBIAN_MIRROR", "http://deb.debian.org/debian"), within=1200)
    (tmp_path / "over").mkdir()
    root = Root(blank, tmp_path / "over", with_network=True)
    try:
        root.put(packages)
        root.do("apt-get", "update", "-q")
        begin = time.monotonic()
        root.do("sh", "-c", "apt-get install -q -y /tmp/debs/riposte-*.deb", within=600)
        call(root)
        root.stop()
        took = time.monotonic() - begin
        print(f"from nothing to an answer: {took:.1f} s")
        root.do("apt-get", "purge", "-q", "-y", "riposte-*")
        assert [path for path in root.written() if "riposte" in path and not OTHERS.match(path)] == []
        assert took <= 60
    finally:
        root.close()


@pytest.mark.skipif(not LONG, reason="autopkgtest: RIPOSTE_LONG=1")
def test_autopkgtest_passes(packages, tmp_path):
    """With the backend null, over this machine's own root."""
    root = Root("/", tmp_path, with_network=True)
    try:
        debs = root.put(packages)
        source = f"/tmp/debs/{packages.source.name}"
        assert re.search(r"^ten-steps +PASS$", root.do("autopkgtest", *debs, source, "--", "null", within=1200), re.M)
    finally:
        root.close()
