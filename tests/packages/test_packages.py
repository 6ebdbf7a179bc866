# SPDX-License-Identifier: MPL-2.0
"""Tests the packages of script/package: what is in them, and that they install, upgrade and go.

They are installed over this machine's own root, which stays as it is. With RIPOSTE_LONG=1 also in a root that
debootstrap has just made, with their dependencies from Debian's mirror."""

import os
import pathlib
import re
import time

import pytest

from conftest import EARLIER, LONG, SOURCE, Root, run

PARSER = pathlib.Path("/usr/sbin/apparmor_parser")
NAMES = ["libriposte-dev", "libriposte0", "python3-riposte", "riposte-broker", "riposte-doc", "riposte-tools"]
# What dpkg, and what it calls for every package, write for themselves.
OTHERS = re.compile(r"/var/(lib/dpkg|log|cache|backups|lib/apt)/|/etc/(ld\.so\.cache|(passwd|group|shadow|gshadow)-?)$"
                    r"|/etc/\.pwd\.lock$|/run/|/tmp/|/var/lib/systemd/deb-systemd-helper-masked$")
PYTHON = """\
import riposte, riposte.aio
with riposte.Client("tcp://127.0.0.1:5555") as client:
    print(client.call("upper", b"hello", timeout=20).body.decode())
"""


def test_all_packages_are_built_and_lintian_has_no_objection(packages):
    assert packages.names() == NAMES
    found = run("lintian", "--fail-on", "error,warning,info,pedantic", "--display-info", "--pedantic",
                "--allow-root", packages.source, *packages.debs, within=900)
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


@pytest.mark.skipif(not PARSER.exists(), reason="no apparmor_parser: Debian's package apparmor")
def test_the_profile_for_apparmor_can_be_read():
    run(PARSER, "--skip-kernel-load", "--skip-cache", SOURCE / "debian/apparmor/riposte-broker")


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


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


def test_an_upgrade_keeps_settings_and_jobs_and_a_purge_keeps_keys(packages, earlier, root):
    """From the packages of an earlier commit, with a store of then: a job that waits, one that is done, a dead one."""
    store = "/var/lib/riposte/jobs.db"
    patient = ("--wait-broker", "20s", "--timeout", "20s")

    def send(service, body, *options):
        return root.do("riposte", "send", *patient, *options, service, body).strip()

    def result(job):
        return root.do("riposte", "result", job, "--wait", "30s", *patient)

    root.do("dpkg", "--install", *root.put(earlier))
    versions = root.do("dpkg-query", "-W", "-f", "${Version}\n", *packages.names())
    assert set(versions.split()) == {EARLIER}
    root.do("sed", "-i", f's|^#store = .*|store = "{store}"|', "/etc/riposte/broker.cfg")
    root.do("install", "-d", "/var/lib/riposte")
    root.start("riposte-broker", "--config", "/etc/riposte/broker.cfg")
    root.start("riposte-worker", "reverse", "--", "rev")
    root.start("riposte-worker", "fails", "--", "sh", "-c", "exit 75")
    waits, done = send("upper", "hello"), send("reverse", "hello")
    dead = send("fails", "again", "--attempts", "1")
    assert result(done) == "olleh"
    until(lambda: dead in root.do("riposte", "dead", "list"))
    root.stop()
    # The settings have been edited, and the new package may have others: apt asks, or is told to keep them.
    root.do("dpkg", "--force-confdef", "--force-confold", "--install", *root.put(packages))
    assert f'store = "{store}"' in root.do("cat", "/etc/riposte/broker.cfg")
    versions = root.do("dpkg-query", "-W", "-f", "${Version}\n", *packages.names())
    assert EARLIER not in versions
    root.start("riposte-broker", "--config", "/etc/riposte/broker.cfg")
    root.start("riposte-worker", "upper", "--", "tr", "a-z", "A-Z")
    root.start("riposte-worker", "fails", "--", "cat")
    assert (result(waits), result(done)) == ("HELLO", "olleh")
    assert dead in root.do("riposte", "dead", "list")
    again = re.search(r"^\d+$", root.do("riposte", "dead", "retry", dead), re.M)[0]
    assert again != dead and result(again) == "again"
    root.stop()
    root.do("riposte", "store", "check", store)
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
        install, = re.findall(r"^# (apt install \./riposte-.*)$", (SOURCE / "README.md").read_text(), re.M)
        begin = time.monotonic()
        root.do("sh", "-c", install.replace("install ./", "install -q -y /tmp/debs/"), within=600)
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
