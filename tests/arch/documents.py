#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Compares the documents with what they describe: settings, options, statuses, commands, states,
links, files of recipes.

RIPOSTE_BUILD: where the programs are."""
import email.utils
import glob
import hashlib
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BROKER = os.path.join(os.environ.get("RIPOSTE_BUILD", os.path.join(ROOT, "build")), "riposte-broker")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def entries(text, map_name):
    """Returns the X (…) lines of one X-macro, as lists of arguments."""
    body = re.search(rf"#define {map_name}\(X\)(.*?)\n\n", text, re.S).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S).replace("\\\n", " ")
    return [[part.strip() for part in re.split(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", inner)]
            for inner in re.findall(r"X \(((?:[^()\"]|\"[^\"]*\")*)\)", body)]


def rows(text):
    return [[cell.strip() for cell in line.strip("|").split("|")]
            for line in text.splitlines() if line.startswith("|")]


def ask(*options):
    """Returns the broker's output for these options; settings of the environment are left out."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("RIPOSTE_")}
    return subprocess.run([BROKER, *options], env=environment, check=True, capture_output=True,
                          text=True).stdout


def plain(text):
    """Removes Markdown's marks."""
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("`", "")


def settings():
    """Returns {path: (default, range, reloadable, reason)} of all settings, from the manual
    page."""
    page = ask("--man", "settings").replace("\\-", "-")
    return {path: (default, values, "yes" if reloadable else "no", why)
            for path, values, why, default, reloadable in re.findall(
                r"\.TP\n\\fB(.*)\\fR = \\fI(.*)\\fR\n(.*) \(default: (.*?)(; reloadable)?"
                r"; in the environment: ", page)}


def check_settings(complain):
    """There are two tables: "Setting" has all but limits, "Limit" has limits by their bare
    names."""
    documented = {}
    prefix = None
    for row in rows(read("docs/OPERATIONS.md")):
        if set(row[0]) <= set("-"):
            continue
        if not row[0].startswith("`"):
            prefix = {"Setting": "", "Limit": "limits/"}.get(row[0])
        elif prefix is not None:
            documented[prefix + row[0].strip("`")] = tuple(plain(cell) for cell in row[1:])
    known = settings()
    for path in sorted(set(documented) - set(known)):
        complain(f"docs/OPERATIONS.md has a setting {path} that the broker lacks")
    for path, row in known.items():
        if documented.get(path) != row:
            complain(f"docs/OPERATIONS.md, {path}: the broker says | " + " | ".join(row) + " |")


def check_options(complain):
    """Options and variables of the tables are in --help, each variable beside its option."""
    told = dict(re.findall(r"^  (?:-., |    )--([a-z-]+)(.*(?:\n {30}.*)*)", ask("--help"), re.M))
    for row in rows(read("docs/OPERATIONS.md")):
        for name in re.findall(r"`--([a-z-]+)", row[0]) if len(row) == 3 else []:
            variable = re.match(r"`(RIPOSTE_[A-Z_]+)`", row[1])
            if name not in told:
                complain(f"docs/OPERATIONS.md has an option --{name} that the broker lacks")
            elif variable and f"[{variable.group(1)}]" not in told[name]:
                complain(f"docs/OPERATIONS.md says {variable.group(1)} for --{name}, --help does not")


def check_log_keys(complain):
    documented = [tuple(plain(cell) for cell in row[:2]) for row in rows(
        read("docs/OPERATIONS.md").partition("| Key | journald | What |\n")[2].partition("\n\n")[0])[1:]]
    coded = [(key.strip('"'), field.strip('"') or "none")
             for _, key, field in entries(read("broker/log_lines.h"), "RP_LOG_FIELD_MAP")]
    if documented != coded:
        complain(f"docs/OPERATIONS.md has the log's keys {documented}, the code {coded}")


def check_statuses(complain):
    documented = {row[0].strip("`"): row for row in rows(read("docs/CONTRACT.md"))}
    for name, value, code, _ in entries(read("include/riposte/error.h"), "RP_STATUS_MAP"):
        if int(value) >= 96:
            continue  # errors of functions, which are no statuses
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


def check_states(complain):
    states = read("docs/ARCHITECTURE.md").split("## States\n")[1].split("\n## ")[0]
    parts = re.split(r"\(`([a-z_/]+\.c)`\)[^\n]*:\n", states)
    for file, text in zip(parts[1::2], parts[2::2]):
        documented = {row[0]: row[1].split(", ") for row in rows(text)[2:]}
        table = re.search(r"\w+_allowed\[\w+\]\[\w+\] = \{\n(.*?)\n\};", read(file), re.S).group(1)
        coded = {}
        for word, opens in re.findall(r"\[RP_[A-Z]+_([A-Z]+)\] =\s*(\{?)", table):
            if opens:
                coded[word] = row = []
            else:
                row.append(word)
        if coded != documented:
            complain(f"docs/ARCHITECTURE.md has other transitions than {file}")


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


def check_recipes(complain):
    """The files that the recipes of CONTRIBUTING.md name exist; NAME stands for a name to
    choose."""
    recipes = read("CONTRIBUTING.md").partition("## Recipes")[2].partition("\n## ")[0]
    if not recipes:
        complain("CONTRIBUTING.md has no recipes")
    for path in re.findall(r"`([\w/.*-]+/[\w.*-]*)`", recipes):
        if "NAME" not in path and not glob.glob(os.path.join(ROOT, path)):
            complain(f"CONTRIBUTING.md names {path}, which is not there")


def check_tests(complain):
    """The tests that docs/SECURITY.md names for threats exist, and it names some for each
    threat."""
    threats = read("docs/SECURITY.md").partition("## Threats\n")[2].partition("\n### Out of scope")[0]
    for threat in threats.split("\n### ")[1:]:
        title = threat.splitlines()[0]
        named = re.findall(r"`(tests/[\w/.]+)`", threat.partition("*Tests*")[2])
        if not named:
            complain(f"docs/SECURITY.md names no test for \"{title}\"")
        for path in named:
            if not os.path.exists(os.path.join(ROOT, path)):
                complain(f"docs/SECURITY.md names {path}, which is not there")


def check_picture(complain):
    """docs/dashboard.png was made of today's page (script/picture)."""
    with open(os.path.join(ROOT, "docs/dashboard.png"), "rb") as file:
        picture = file.read()
    pages = [read(f"broker/admin/page/dashboard.{kind}") for kind in ("html", "css", "js")]
    digest = hashlib.sha256("".join(pages).encode()).hexdigest()
    if b"tEXtriposte-page\0" + digest.encode() not in picture:
        complain("docs/dashboard.png is a picture of another page than today's; make it anew: script/picture")
    if len(picture) > 200_000:
        complain(f"docs/dashboard.png has {len(picture)} bytes, over 200000")
    before, _, _ = read("README.md").partition("](docs/dashboard.png)")
    if len(before) > len(read("README.md")) / 3:
        complain("README.md has the picture of the dashboard behind its first third")


def check_version(complain):
    """debian/changelog begins with the version and the day that common/base/version.h has, and CHANGELOG.md with what
    is not released, or with that version."""
    version, date = re.findall(r'^#define RP_VERSION(?:_DATE)? "(.*)"$', read("common/base/version.h"), re.M)
    packaged = re.match(r"riposte \((.*)-\d+\) ", read("debian/changelog"))[1]
    stamp = re.search(r"^ -- .*>  (.*)$", read("debian/changelog"), re.M)[1]
    day = email.utils.parsedate_to_datetime(stamp).date().isoformat()
    if (packaged, day) != (version, date):
        complain(f"debian/changelog begins with {packaged} of {day}, common/base/version.h with {version} of {date}")
    newest = re.search(r"^## (.*)$", read("CHANGELOG.md"), re.M)[1]
    if newest not in ("Unreleased", f"{version} - {date}"):
        complain(f"CHANGELOG.md begins with {newest}, which is neither Unreleased nor {version} - {date}")


def main():
    complaints = []
    for check in (check_settings, check_options, check_log_keys, check_statuses, check_commands, check_states,
                  check_links, check_recipes, check_tests, check_picture, check_version):
        before = len(complaints)
        check(complaints.append)
        print(f"{check.__name__}: {'ok' if len(complaints) == before else 'FAILED'}")
    for complaint in complaints:
        print("  " + complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
