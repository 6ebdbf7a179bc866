#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Holds the documents against the code they speak of: limits, statuses, commands, links."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "ms": 1, "s": 1000, "m": 60000, "h": 3600000}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def entries(text, map_name):
    """The X (…) lines of one X-macro, as lists of arguments."""
    body = re.search(rf"#define {map_name}\(X\)(.*?)\n\n", text, re.S).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S).replace("\\\n", " ")
    return [[part.strip() for part in re.split(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", inner)]
            for inner in re.findall(r"X \(((?:[^()\"]|\"[^\"]*\")*)\)", body)]


def number(text):
    match = re.fullmatch(r"(\d+)([A-Za-z]*)", text)
    return int(match.group(1)) * UNITS.get(match.group(2), 1)


def rows(text):
    return [[cell.strip() for cell in line.strip("|").split("|")]
            for line in text.splitlines() if line.startswith("|")]


def check_limits(complain):
    documented = {row[0].strip("`"): row[1] for row in rows(read("docs/OPERATIONS.md"))
                  if re.fullmatch(r"`[a-z_]+`", row[0]) and len(row) == 3}
    limits = entries(read("broker/core/limits.h"), "RP_BROKER_LIMIT_MAP")
    for _, name, default, *_ in limits:
        if name not in documented:
            complain(f"docs/OPERATIONS.md lacks the limit {name}")
        elif number(documented[name]) != int(default):
            complain(f"docs/OPERATIONS.md says {documented[name]} for {name}, the code {default}")
    for name in set(documented) - {limit[1] for limit in limits}:
        complain(f"docs/OPERATIONS.md has a limit {name} that the code lacks")


def check_statuses(complain):
    documented = {row[0].strip("`"): row for row in rows(read("docs/CONTRACT.md"))}
    for name, value, code, _ in entries(read("include/riposte/error.h"), "RP_STATUS_MAP"):
        if int(value) >= 96:
            continue  # errors of functions, not statuses
        row = documented.get(name)
        if not row:
            complain(f"docs/CONTRACT.md lacks {name}")
        elif row[1] != value or row[3] != code:
            complain(f"docs/CONTRACT.md has {row[1]} and exit code {row[3]} for {name}, "
                     f"the code {value} and {code}")


def check_commands(complain):
    documented = {(row[1], row[0]) for row in rows(read("docs/PROTOCOL.md")) if len(row) == 4}
    for name, value in entries(read("common/wire/head.h"), "RP_COMMAND_MAP"):
        if (name, value) not in documented:
            complain(f"docs/PROTOCOL.md lacks the command {value} {name}")


def check_links(complain):
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith((".", "build"))]
        for name in files:
            if not name.endswith(".md"):
                continue
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as file:
                text = re.sub(r"```.*?```", "", file.read(), flags=re.S)
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
                if "://" not in target and not os.path.exists(os.path.join(folder, target)):
                    complain(f"{os.path.relpath(path, ROOT)} links to {target}, which is not there")


def main():
    complaints = []
    for check in (check_limits, check_statuses, check_commands, check_links):
        before = len(complaints)
        check(complaints.append)
        print(f"{check.__name__}: {'ok' if len(complaints) == before else 'FAILED'}")
    for complaint in complaints:
        print("  " + complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
