# SPDX-License-Identifier: MPL-2.0
"""The installed unit under a real systemd, in a container of its own.

systemd mounts and makes control groups, so the container gets SYS_ADMIN and the engine's control groups.
Without a Docker engine, or where systemd does not come up in its containers, nothing is run and the exit
code is 77. The container and its image are removed at the end; the base image stays.
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
 && apt-get install -q -y --no-install-recommends systemd procps libzmq5 libjansson4 \\
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
COPY tree /
RUN ldconfig && mkdir -p /etc/riposte \\
 && printf 'bind = "%s"\\nbind = "%s"\\n' @TCP@ @IPC@ > /etc/riposte/broker.conf \\
 && printf 'RIPOSTE_CONFIG=/etc/riposte/broker.conf\\nRIPOSTE_HISTORY=%s\\n' @FILE@ \\
    > /etc/default/riposte-broker
""".replace("@TCP@", TCP).replace("@IPC@", IPC).replace("@FILE@", HISTORY)
# Where containers have no user namespaces, a unit that asks for one does not run, whatever it is.
NO_USER_NAMESPACES = """\
mkdir -p /etc/systemd/system/riposte-broker.service.d
printf '[Service]\nPrivateUsers=no\n' > /etc/systemd/system/riposte-broker.service.d/container.conf
systemctl daemon-reload
"""


def run(*command, within=120):
    """Returns the exit code and what was written."""
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
        time.sleep(0.05)
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
        """Why systemd does not run, or None."""
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

    def show(self, what):
        return self.do("systemctl", "show", "--value", "--property", what, "riposte-broker").strip()

    def pid(self):
        return int(self.show("MainPID"))

    def journal(self):
        return self.attempt("journalctl", "--no-pager", "--unit", "riposte-broker")[1]

    def ping(self, endpoint):
        """By somebody who is neither root nor the broker."""
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
    """The machine with a broker, which `systemctl start` said to be ready."""
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
        with subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as running:
            def gauges():
                return json.loads(started.do("riposte", "status", "-o", "json"))["gauges"]
            until(lambda: gauges()["running"] == 1, "the request runs")
            started.do("systemctl", "stop", "riposte-broker")
            assert running.communicate(timeout=60)[0] == b"slept 2s"
        started.attempt("sh", "-c", "kill $(sed -n 's/^Pid:\\t//p' $(grep -l '^Name:.riposte-worker' "
                        "/proc/[0-9]*/status))")
    assert started.show("Result") == "success" and started.show("ExecMainStatus") == "0"


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
