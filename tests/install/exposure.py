#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Checks the rights of a unit with systemd-analyze: `exposure.py UNIT` fails if its exposure is
over BOUND, and lists what adds to it. Exit code 77 if systemd-analyze cannot read a file (before
250)."""

import re
import shutil
import subprocess
import sys

BOUND = 1.5
SKIPPED = 77


def main():
    if not shutil.which("systemd-analyze"):
        print("SKIPPED: systemd-analyze is not there; apt-get install systemd")
        return SKIPPED
    done = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=true",
                           f"--threshold={BOUND * 10:.0f}", sys.argv[1]],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
    if not found and "unrecognized option" in done.stdout:
        print("SKIPPED: systemd-analyze is before 250, and reads no file")
        return SKIPPED
    if not found:
        print(done.stdout)
        return 1
    print("\n".join(line for line in done.stdout.splitlines() if re.search(r"\d\.\d *$", line)))
    print(f"exposure {found[1]}, at most {BOUND}")
    return 0 if done.returncode == 0 and float(found[1]) <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
