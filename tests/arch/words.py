#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Checks that names, comments, messages and documents use the words of docs/GLOSSARY.md.

words.py --source DIR     checks every file that git tracks there
words.py --self-check     checks that each word is found, and that longer words around it are not
"""

import argparse
import pathlib
import re
import subprocess
import sys

# The words that are refused, and what to say instead. They are looked for as parts of names too, so
# that s_gate and gate_count are found, and "delegate" is not.
WORDS = {
    r"gates?": "listener",
    r"strangers?": "pending connection, or a peer without a session",
    r"guests?": "foreign (protocol, session, message, peer)",
    r"intake": "receive",
    r"egress": "outbox",
    r"parcels?": "compact body",
    r"lanes?": "client queue",
    r"wish(?:es)?": "command",
    r"expel(?:s|led)?": "close",
    r"condemn(?:s|ed)?": "close",
    r"dismiss(?:es|ed)?": "close",
}
# Names that are refused though the word alone is not: a note and a party are also English.
NAMES = {
    r"rp_notes?": "rp_record",
    r"rp_part(?:y|ies)": "rp_endpoint_list",
    r"rp_peers?": "rp_session in the core, rp_connection in the shell",
    r"rp_pace": "rp_window_control",
    r"rp_(?:worker_)?talks?": "rp_conversation",
    r"TALKS": "CONVERSATIONS",
}
# Files or folders in which a word has another sense, or is told as history, and those words.
ALLOWED = {
    "docs/GLOSSARY.md": "all",
    "tests/arch/words.py": "all",
    "broker/config.c": "all",          # the old names of limits, which are refused there
    "tests/unit/test_config.c": "all",  # likewise
    "bench/README.md": {"gates", "gate"},          # the verb: to hold something to a bound
    "bench/instructions": {"gates", "gate"},
    "bench/load_rabbitmq.c": {"guest"},            # the account that RabbitMQ comes with
    "tests/CMakeLists.txt": {"gates", "gate"},
    "tests/component/test_plain.c": {"gate"},      # bytes of a key, as listeners write them
    "broker/transport/listener.c": {"gate"},
    "tests/fuzz/live.py": {"gate"},
    "tests/fuzz/noise.py": {"gate"},
    "tests/browser/": {"gate"},                    # as in tests/system
    "tests/system/": {"gate", "gates"},            # what holds a worker's requests until it is opened
    "tests/gateway/": {"gate", "gates"},
    "tests/interop/": {"gate", "gates"},
    "tests/postgres/": {"gate"},
}
SKIPPED = ("docs/adr/", "tests/fuzz/corpus/", "bench/RESULTS.md", "bench/NOTES.md", "LICENSE",
           "CHANGELOG.md")
PATTERNS = [(re.compile(rf"(?<![a-zA-Z]){word}(?![a-zA-Z])", re.IGNORECASE), instead)
            for word, instead in WORDS.items()]
PATTERNS += [(re.compile(rf"(?<![a-zA-Z]){name}(?![a-zA-Z])"), instead)
             for name, instead in NAMES.items()]
#: Finds a line with any of them, much faster than each of them alone.
ANY = re.compile(rf"(?<![a-zA-Z])(?:{'|'.join([*WORDS, *NAMES])})(?![a-zA-Z])", re.IGNORECASE)


def problems_of(name, text):
    allowed = next((words for path, words in ALLOWED.items() if name.startswith(path)), set())
    if allowed == "all":
        return []
    found = []
    for number, line in enumerate(text.split("\n") if ANY.search(text) else (), 1):
        for pattern, instead in PATTERNS:
            for word in pattern.findall(line):
                if word.lower() not in allowed:
                    found.append(f'{name}:{number}: "{word}": say {instead}')
    return found


def check(root):
    output = subprocess.run(["git", "-C", root, "ls-files", "-z"], check=True,
                            capture_output=True).stdout.decode()
    names = [name for name in output.split("\0") if name and not name.startswith(SKIPPED)]
    found = []
    for name in names:
        path = root / name
        if not path.is_file():
            continue
        for problem in problems_of(name, name):
            found.append(problem.replace(":1:", ":0:", 1))
        try:
            found += problems_of(name, path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue
    return found if names else [f"git tracks nothing under {root}"]


def self_check():
    bad = ("gate", "s_gate", "gate_count", "Gates", "a stranger", "strangers", "guest_window",
           "GUESTS", "the egress", "intake.c", "parcel", "in_lanes", "RP_WISH_STOP", "was expelled",
           "condemned", "dismissed", "rp_note_kind_t", "rp_party_name", "rp_peer_t", "rp_peers_bind",
           "rp_pace_tick", "rp_talk_t", "rp_talks_join", '"TALKS"')
    good = ("delegate", "surrogate", "aggregate", "plane", "a note", "any party", "a peer",
            "the pace", "riposte talk", "planes", "peer_name")
    return ([f"self-check: {text} is not found" for text in bad if not problems_of("x", text)]
            + [f"self-check: {text} is found" for text in good if problems_of("x", text)])


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=pathlib.Path)
    parser.add_argument("--self-check", action="store_true")
    arguments = parser.parse_args()
    found = self_check() if arguments.self_check else []
    if arguments.source:
        found += check(arguments.source)
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
