# SPDX-License-Identifier: MPL-2.0
"""Tests the installed units under a real systemd, in a container of its own.

systemd mounts file systems and makes control groups, so the container gets SYS_ADMIN and the
engine's control groups. Without a Docker engine, or where systemd does not start in its containers,
no test runs and the exit code is 77. The container and its image are removed at the end; the base
image stays.
"""

import json
import os
import pathlib
import resource
import secrets
import shutil
import subprocess
import time

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RIPOSTE_BUILD") or SOURCE / "build").resolve()
SKIPPED = 77
TCP, IPC = "tcp://127.0.0.1:5555", "ipc:///run/riposte/broker.sock"
HISTORY = "/var/log/riposte/history"
IMAGE = """\
FROM debian:bookworm-slim
RUN apt-get update -q \\
 && apt-get install -q -y --no-install-recommends systemd procps libzmq5 libjansson4 libmd0 libmicrohttpd12 \\
        libcurl4 libsqlite3-0 \\
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
COPY tree /
RUN ldconfig && mkdir -p /etc/riposte \\
 && printf 'bind = "%s"\\nbind = "%s"\\n' @TCP@ @IPC@ > /etc/riposte/broker.cfg \\
 && printf 'RIPOSTE_CONFIG=/etc/riposte/broker.cfg\\nRIPOSTE_HISTORY=%s\\n' @FILE@ \\
    > /etc/default/riposte-broker
""".replace("@TCP@", TCP).replace("@IPC@", IPC).replace("@FILE@", HISTORY)
# For containers without user namespaces, in which no unit that asks for one can run.
NO_USER_NAMESPACES = """\
mkdir -p /etc/systemd/system/riposte-broker.service.d
printf '[Service]\nPrivateUsers=no\n' > /etc/systemd/system/riposte-broker.service.d/container.conf
systemctl daemon-reload
"""
# Tries whether a unit's own user can read its credentials, which not every container's file system
# allows; if not, a user whom one can name reads a copy.
PROBE = """\
printf '[Service]\nType=oneshot\nDynamicUser=yes\nLoadCredential=k:/etc/hostname\nExecStart=cat %%d/k\n' \
    > /run/systemd/system/probe.service
systemctl daemon-reload && systemctl start probe
"""
NO_CREDENTIALS = """\
useradd --system --no-create-home riposte-broker
install -o riposte-broker -m 600 /etc/riposte/broker.key_secret /run/broker.key_secret
printf '[Service]\nLoadCredential=\n' > "$1/without.conf"
echo Environment=RIPOSTE_SECURITY_KEY_FILE=/run/broker.key_secret >> "$1/without.conf"
systemctl daemon-reload
"""
# Follows docs/OPERATIONS.md: makes a token for the broker, and another when it runs.
TOKENS = """\
id riposte-broker > /dev/null 2>&1 || useradd --system --no-create-home riposte-broker
printf 'role = "watcher"\n    observe = 1\n' >> /etc/riposte/rules
riposte keys token --principal first --role watcher > /dev/null
chown riposte-broker /etc/riposte/authorized/tokens
systemctl restart riposte-broker
riposte keys token --principal prometheus --role watcher --quiet > /etc/riposte/token
systemctl reload riposte-broker
"""
# Asks for metrics with the token in /etc/riposte/token, and prints the first line of the answer.
METRICS = """\
exec 3<> /dev/tcp/127.0.0.1/5580
printf 'GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n' "$(cat /etc/riposte/token)" >&3
head -n 1 <&3
"""
# A command that takes its time, and says so.
NAP = """\
install -d /etc/riposte/workers
printf '#!/bin/sh\nsleep 2\necho slept\n' > /etc/riposte/workers/nap
chmod +x /etc/riposte/workers/nap
systemctl reset-failed riposte-worker@nap 2> /dev/null
systemctl start riposte-worker@nap
"""
DROP_INS = "/etc/systemd/system/riposte-broker.service.d"


def run(*command, within=120):
    """Returns the exit code and the output."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=within, check=False)
    return done.returncode, done.stdout


def must(*command, **more):
    code, out = run(*command, **more)
    assert code == 0, f"{' '.join(map(str, command))}: {code}\n{out}"
    return out


def until(condition, what, within=60):
    end = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {within} s: {what}"
        time.sleep(0.2)  # most conditions cost some processes
    return value


class Machine:
    """A container whose first process is systemd."""

    def __init__(self, directory):
        self.name = f"riposte-unit-{secrets.token_hex(4)}"
        self.directory = directory

    def build(self):
        print(must(SOURCE / "script/base-image", within=600))
        tree = self.directory / "tree"
        must("env", f"DESTDIR={tree}", "cmake", "--install", BUILD)
        (self.directory / "Dockerfile").write_text(IMAGE)
        must("docker", "build", "--force-rm", "-t", self.name, self.directory, within=600)

    def start(self):
        """Starts the container. Returns why systemd does not run, or None."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        code, out = run(
            "docker", "run", "--detach", "--name", self.name, "--network", "none",
            "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined",
            "--security-opt", "apparmor=unconfined", "--cgroupns", "host",
            *(["--ulimit", f"nofile={most}"] if most != resource.RLIM_INFINITY else []),
            "--volume", "/sys/fs/cgroup:/sys/fs/cgroup", "--tmpfs", "/run", "--tmpfs", "/run/lock",
            "--env", "container=docker", self.name, "/lib/systemd/systemd")
        if code != 0:
            return f"the engine does not start a container with the rights of systemd: {out.strip()}"
        end = time.monotonic() + 30
        while time.monotonic() < end:
            said = self.attempt("systemctl", "is-system-running")[1].strip()
            if said in ("running", "degraded"):
                if self.attempt("systemd-run", "--wait", "-p", "PrivateUsers=yes", "true")[0] != 0:
                    print("PrivateUsers=no, since this container has no user namespaces")
                    self.do("sh", "-c", NO_USER_NAMESPACES)
                return None
            if must("docker", "inspect", "--format", "{{.State.Running}}", self.name).strip() != "true":
                break
            time.sleep(0.1)
        return f"systemd does not come up in a container: {said or 'it ended'}"

    def attempt(self, *command, user="root"):
        return run("docker", "exec", "--user", user, self.name, *command)

    def do(self, *command, user="root"):
        return must("docker", "exec", "--user", user, self.name, *command)

    def show(self, what, unit="riposte-broker"):
        return self.do("systemctl", "show", "--value", "--property", what, unit).strip()

    def pid(self):
        return int(self.show("MainPID"))

    def journal(self):
        return self.attempt("journalctl", "--no-pager", "--unit", "riposte-broker")[1]

    def ping(self, endpoint):
        """Pings as a user who is neither root nor the broker's."""
        return self.attempt("riposte", "-s", endpoint, "ping", user="nobody")[0] == 0

    def end(self):
        run("docker", "rm", "--force", "--volumes", self.name)
        run("docker", "rmi", "--force", self.name)
        left = (must("docker", "ps", "--all", "--quiet", "--filter", f"name={self.name}")
                + must("docker", "images", "--quiet", self.name))
        assert left == "", f"left behind: {left}"


def why_not():
    if not shutil.which("docker"):
        return "docker is not installed"
    if run("docker", "version")[0] != 0:
        return "no Docker engine answers (docker version)"
    return None


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    reason = why_not()
    if reason:
        pytest.exit(f"SKIPPED: {reason}", SKIPPED)
    one = Machine(tmp_path_factory.mktemp("unit"))
    try:
        one.build()
        reason = one.start()
        if not reason:
            yield one
    finally:
        one.end()
    if reason:
        pytest.exit(f"SKIPPED: {reason}", SKIPPED)


@pytest.fixture
def started(machine):
    """The machine with a broker that `systemctl start` reported as ready."""
    machine.attempt("systemctl", "restart", "riposte-broker")
    assert machine.show("ActiveState") == "active", machine.journal()
    return machine


def test_it_starts_and_answers_everybody_on_the_machine(started):
    assert started.ping(TCP) and started.ping(IPC), started.journal()
    assert started.show("NRestarts") == "0"
    assert started.do("stat", "--format", "%U", "/proc/" + str(started.pid())).strip() != "root"


def test_a_reload_opens_the_history_anew(started):
    pid = started.pid()
    started.do("mv", HISTORY, HISTORY + ".1")
    started.do("systemctl", "reload", "riposte-broker")
    until(lambda: started.attempt("test", "-e", HISTORY)[0] == 0, "the history has a new file")
    assert started.pid() == pid and started.ping(TCP), "the same broker goes on"


def test_a_stop_drains(started):
    worker = ["docker", "exec", started.name, "riposte-worker", "--builtin", "sleep", "sleep"]
    call = ["docker", "exec", started.name, "riposte", "call", "--timeout", "60s", "sleep", "2s"]
    with subprocess.Popen(worker, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        with subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as calling:
            until(lambda: running(started) == 1, "the request runs")
            started.do("systemctl", "stop", "riposte-broker")
            assert calling.communicate(timeout=60)[0] == b"slept 2s"
        started.attempt("sh", "-c", "kill $(sed -n 's/^Pid:\\t//p' $(grep -l '^Name:.riposte-worker' "
                        "/proc/[0-9]*/status))")
    assert started.show("Result") == "success" and started.show("ExecMainStatus") == "0"


def running(machine):
    return json.loads(machine.do("riposte", "status", "-o", "json"))["gauges"]["running"]


def test_a_stop_of_a_worker_lets_the_running_command_finish(started):
    started.do("sh", "-c", NAP)
    call = ["docker", "exec", started.name, "riposte", "call", "--timeout", "60s", "--wait-worker", "30s", "nap", "x"]
    with subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as calling:
        until(lambda: running(started) == 1, "the request runs")
        started.do("systemctl", "stop", "riposte-worker@nap")
        assert calling.communicate(timeout=60)[0] == b"slept\n"
    assert calling.returncode == 0
    assert started.show("Result", "riposte-worker@nap") == "success"
    assert started.show("ExecMainStatus", "riposte-worker@nap") == "0"


def test_a_worker_comes_back_after_kill_9_and_one_without_a_command_is_not_tried_again(started):
    started.do("sh", "-c", NAP)
    pid = started.show("MainPID", "riposte-worker@nap")
    started.do("kill", "-9", pid)
    until(lambda: started.show("MainPID", "riposte-worker@nap") not in ("0", pid), "there is another worker")
    started.do("systemctl", "stop", "riposte-worker@nap")
    started.attempt("systemctl", "start", "riposte-worker@none")
    until(lambda: started.show("ActiveState", "riposte-worker@none") == "failed", "it has failed")
    assert started.show("NRestarts", "riposte-worker@none") == "0"
    assert started.show("ExecMainStatus", "riposte-worker@none") == "2"


def test_it_comes_back_after_kill_9(started):
    pid = started.pid()
    started.do("kill", "-9", str(pid))
    until(lambda: started.pid() not in (0, pid) and started.show("ActiveState") == "active",
          "there is another broker")
    assert started.ping(TCP) and started.ping(IPC), started.journal()


def test_it_comes_back_however_often_it_crashes(started):
    for count in range(1, 8):
        pid = until(started.pid, "it runs")
        started.do("kill", "-9", str(pid))
        until(lambda: started.show("NRestarts") == str(count)
              and started.show("ActiveState") == "active", "there is another broker")
    assert started.ping(TCP)


def test_a_wrong_setting_is_not_tried_again(started):
    started.do("sh", "-c", "echo RIPOSTE_BIND=nonsense > /etc/default/wrong; mkdir -p /run/systemd/system/"
               "riposte-broker.service.d; printf '[Service]\\nEnvironmentFile=/etc/default/wrong\\n' "
               "> /run/systemd/system/riposte-broker.service.d/wrong.conf; systemctl daemon-reload")
    try:
        assert started.attempt("systemctl", "restart", "riposte-broker")[0] != 0
        assert started.show("ActiveState") == "failed" and started.show("NRestarts") == "0"
        assert started.show("ExecMainStatus") == "2"
    finally:
        started.do("sh", "-c", "rm -r /run/systemd/system/riposte-broker.service.d /etc/default/wrong; "
                   "systemctl daemon-reload; systemctl reset-failed riposte-broker")


def test_with_the_drop_in_it_takes_known_keys_only(started):
    """Follows docs/OPERATIONS.md. Only root may read the secret keys."""
    started.do("sh", "-ec", """
        install -d -m 755 /etc/riposte/authorized
        for name in broker ada; do riposte keys new $name; done
        riposte keys authorize /etc/riposte/ada.key --principal ada
        printf 'principal = "ada"\n    observe = 1\n    admin = 1\n' > /etc/riposte/rules
        install -D -m 644 -t $1 /usr/local/share/riposte/secure.conf
        systemctl daemon-reload""", "sh", DROP_INS)
    if started.attempt("sh", "-c", PROBE)[0] != 0:
        print("no credential, since this container lets no unit read one")
        started.do("sh", "-ec", NO_CREDENTIALS, "sh", DROP_INS)
    keys = "--key-file", "/etc/riposte/ada.key_secret", "--server-key", "/etc/riposte/broker.key"
    try:
        assert started.attempt("systemctl", "restart", "riposte-broker")[0] == 0, started.journal()
        assert started.do("stat", "--format", "%U %a", "/etc/riposte/broker.key_secret").strip() == "root 600"
        assert started.attempt("riposte", "-s", TCP, *keys, "workers")[0] == 0, started.journal()
        assert started.attempt("riposte", "-s", TCP, "--wait-broker", "1s", "ping")[0] == 3, "no key, no session"
        started.do("sh", "-ec", TOKENS)
        until(lambda: " 200 " in started.attempt("bash", "-c", METRICS)[1], "the token is known")
        assert started.do("stat", "--format", "%U %a", "/etc/riposte/authorized/tokens").strip() == "riposte-broker 600"
        started.do("riposte", "keys", "revoke", "ada")
        started.do("systemctl", "reload", "riposte-broker")
        until(lambda: started.attempt("riposte", "-s", TCP, *keys, "--wait-broker", "1s", "ping")[0] == 6,
              "the key is not accepted any more")
    finally:
        started.do("sh", "-c", f"rm -f {DROP_INS}/secure.conf {DROP_INS}/without.conf; systemctl daemon-reload")
