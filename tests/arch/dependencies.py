#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Checks what the scripts install and build: script/demo what it uses, script/test everything.
Programs that would change this machine are replaced by ones that record how they were called, and
that report no package as installed."""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = {"cmake", "ninja-build", "pkg-config", "libzmq3-dev", "libjansson-dev", "libmd-dev", "libmicrohttpd-dev",
         "libcurl4-openssl-dev", "libsqlite3-dev", "libpq-dev"}
TEST = {"libcmocka-dev", "libczmq-dev", "python3-pytest", "python3-pytest-xdist", "python3-zmq", "valgrind",
        "faketime", "iproute2", "iptables", "golang-go", "postgresql"}
LINT = {"clang-format", "flake8", "shellcheck"}


def run(script, directory):
    """Returns what a script asks apt-get to install, and how it calls cmake, which fails so that
    the script ends there."""
    stubs = {"dpkg-query": "exit 1", "sudo": 'exec "$@"', "cmake": f'echo "$@" >> {directory}/cmake; exit 1',
             "apt-get": f'echo "$@" >> {directory}/apt'}
    for name, command in stubs.items():
        (directory / name).write_text(f"#!/bin/sh\n{command}\n")
        (directory / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "RIPOSTE_BUILD": f"{directory}/build"}
    subprocess.run([ROOT / "script" / script, "--quick"] if script == "test" else [ROOT / "script" / script],
                   env=environment, capture_output=True, check=False, timeout=60)
    return set((directory / "apt").read_text().split()), (directory / "cmake").read_text()


def check_demo(complain, directory):
    packages, cmake = run("demo", directory)
    if missing := (BUILD | {"python3"}) - packages:
        complain(f"script/demo does not install {sorted(missing)}")
    if needless := packages & (TEST | LINT):
        complain(f"script/demo installs {sorted(needless)}, which it does not use")
    for part in ("TESTS", "BENCH"):
        if f"-DRIPOSTE_{part}=OFF" not in cmake:
            complain(f"script/demo builds what RIPOSTE_{part} is for")


def check_show(complain, _):
    """The demo runs with Python's own modules (-S: without Debian's)."""
    done = subprocess.run([sys.executable, "-S", "-B", "-c", "import demo"], cwd=ROOT / "script",
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        complain(f"script/demo.py needs more than python3: {done.stderr.splitlines()[-1]}")


def check_test(complain, directory):
    packages, cmake = run("test", directory)
    if missing := (BUILD | TEST | LINT) - packages:
        complain(f"script/test does not install {sorted(missing)}")
    # script/demo may have configured the same folder without tests.
    if "-DRIPOSTE_TESTS=ON" not in cmake:
        complain("script/test builds no tests where script/demo has built before")


def check_image(complain, _):
    """The compiling stage of the Dockerfile runs only with RIPOSTE_LONG=1; here it has the packages that it needs."""
    words = set((ROOT / "Dockerfile").read_text(encoding="utf-8").split(" AS build\n")[1].split("\nFROM ")[0].split())
    if missing := BUILD - words:
        complain(f"the Dockerfile does not install {sorted(missing)}, which the build needs")


def main():
    complaints = []
    for check in (check_demo, check_show, check_test, check_image):
        with tempfile.TemporaryDirectory() as directory:
            check(complaints.append, pathlib.Path(directory))
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
