#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Proves the layers of docs/ARCHITECTURE.md: which folder includes which, and what pure code calls.

layers.py --source DIR [--objects FILE]   checks the sources and the objects that FILE lists
layers.py --self-check                    checks that violations are caught
"""

import argparse
import fnmatch
import functools
import pathlib
import re
import subprocess
import sys
import tempfile

# Folder: the folders whose headers it may include. A file belongs to the longest match.
# "riposte" is the public headers, include/riposte.
MAY_INCLUDE = {
    "include/riposte": {"riposte"},
    "common/base": {"common/base", "riposte"},
    "common/wire": {"common/wire", "common/base", "riposte"},
    "common/io": {"common/io", "common/wire", "common/base", "riposte"},
    "common/tool": {"common/tool", "common/wire", "common/base", "riposte"},
    "common/program": {"common/program", "common/io", "common/wire", "common/base", "riposte"},
    "common/access": {"common/access", "common/io", "common/wire", "common/base", "riposte"},
    "common/http": {"common/http", "common/base", "riposte"},
    "gateway": {"gateway", "common/http", "common/access", "common/wire", "common/base", "common/io",
                "common/program", "common/tool", "riposte"},
    "broker/core": {"broker/core", "common/access", "common/wire", "common/base", "riposte"},
    "broker/jobs": {"broker/jobs", "broker/core", "common/wire", "common/base", "riposte"},
    "broker/replay": {"broker/replay", "broker/core", "common/wire", "common/base", "riposte"},
    "broker/survey": {"broker/survey", "broker/core", "common/wire", "common/base", "riposte"},
    "broker/auth": {"broker/auth", "broker/core", "common/access", "common/wire", "common/base",
                    "common/io", "riposte"},
    "broker/protocol": {"broker/protocol", "broker/core", "common/wire", "common/base",
                        "common/io", "riposte"},
    "broker/transport": {"broker/transport", "broker/protocol", "broker/store", "broker/core",
                         "common/wire", "common/base", "common/io", "riposte"},
    "broker/store": {"broker/store", "broker/core", "common/wire", "common/base", "common/io",
                     "riposte"},
    "broker/admin": {"broker/admin", "broker/auth", "broker/transport", "broker/protocol",
                     "broker/core", "broker/jobs", "broker/replay", "broker/store", "common/access", "common/http",
                     "common/wire", "common/base",
                     "common/io", "common/program", "common/tool", "riposte"},
    "broker": {"broker", "broker/admin", "broker/auth", "broker/core", "broker/jobs", "broker/protocol",
               "broker/replay", "broker/survey",
               "broker/store", "broker/transport", "common/access", "common/wire", "common/base",
               "common/io", "common/program", "common/tool", "riposte"},
    "client": {"client", "common/wire", "common/base", "common/io", "riposte"},
    "client/cli": {"client/cli", "broker/store", "common/access", "common/wire", "common/base", "common/io",
                   "common/program", "common/tool", "riposte"},
    "worker": {"worker", "common/wire", "common/base", "common/io", "riposte"},
    "worker/program": {"worker/program", "common/wire", "common/base", "common/io",
                       "common/program", "common/tool", "riposte"},
    "examples": {"riposte"},
}

# Code without sockets, clocks, files, threads or randomness, whose results it gets as arguments.
PURE_FILES = [
    "common/base/*", "common/wire/*", "common/tool/*", "common/access/rules*", "broker/core/*", "broker/jobs/*",
    "broker/replay/*", "broker/survey/*",
    "broker/admin/span_batches*", "broker/admin/span_queue*",
    "broker/log_lines*", "broker/protocol/dialect*", "broker/protocol/envelopes*", "broker/protocol/titanic*",
    "client/client_core*", "client/exchange*", "client/slots*", "client/deadlines*",
    "gateway/event_text*", "gateway/translate*",
    "worker/worker_core*", "worker/works*", "worker/window_control*", "worker/conversations*",
]
PURE_HEADERS = {
    "errno.h", "getopt.h", "inttypes.h", "limits.h", "stdalign.h", "stdarg.h", "stdatomic.h",
    "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h",
}
# Libraries that only these folders may see.
LIBRARY_HEADERS = {
    "zmq.h": {"common/io", "broker", "broker/admin", "broker/auth", "broker/protocol", "broker/transport",
              "client", "worker"},
    "jansson.h": {"broker", "broker/admin", "client/cli", "gateway"},
    "microhttpd.h": {"broker/admin", "common/http", "gateway"},
    "curl/curl.h": {"broker/admin"},
    "sqlite3.h": {"broker/store"},
    "libpq-fe.h": {"broker/store"},
    "sha2.h": {"common/access"},
    "czmq.h": set(),
}
# Functions of libc that pure code may call: memory, text, and what a broken invariant needs.
PURE_SYMBOLS = {
    "abort", "calloc", "free", "malloc", "realloc",
    "memchr", "memcmp", "memcpy", "memmove", "memset",
    "snprintf", "vsnprintf", "strchr", "strcmp", "strcspn", "strlen", "strncmp", "strnlen",
    "strrchr", "strspn", "strstr",
    "fprintf", "fputc", "fputs", "fwrite", "stderr",
    "__assert_fail", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_",
}
# Command lines are read with getopt_long, and help goes to a stream that the caller opened.
PURE_SYMBOLS_OF = {
    "common/tool/options*.c": {
        "getopt_long", "optarg", "optind", "optopt", "fflush", "ferror",
    },
}
COMPILER_SYMBOL = re.compile(r"__(asan|ubsan|tsan|sanitizer|sancov)_|__[a-z]+_chk$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def folder_of(path):
    """Returns the longest key of MAY_INCLUDE that holds the path, or None."""
    parts = path.split("/")[:-1]
    for size in range(len(parts), 0, -1):
        if "/".join(parts[:size]) in MAY_INCLUDE:
            return "/".join(parts[:size])
    return None


def is_pure(path):
    # fnmatch lets * cross a slash; a pure folder is pure itself, not what lies below it.
    return any(fnmatch.fnmatch(path, pattern) and path.count("/") == pattern.count("/")
               for pattern in PURE_FILES)


def check_include(path, quote, header):
    """Returns what is wrong with one include, or None."""
    folder = folder_of(path)
    if quote == '"' or header.startswith("riposte/"):
        if "/" not in header:
            return f'says "{header}": write the path from the root, such as "common/{header}"'
        target = "riposte" if header.startswith("riposte/") else folder_of(header)
        if target not in MAY_INCLUDE[folder]:
            return f"includes {header}, which {folder}/ may not"
        if is_pure(path) and target in ("common/io", "common/program"):
            return f"includes {header}, but is pure"
    elif header in LIBRARY_HEADERS:
        if is_pure(path) or folder not in LIBRARY_HEADERS[header]:
            return f"includes <{header}>, which {folder}/ may not"
    elif is_pure(path) and header not in PURE_HEADERS:
        return f"includes <{header}>, which pure code may not"
    return None


def check_sources(root):
    problems = []
    count = 0
    for path in sorted(root.rglob("*.[ch]")):
        name = path.relative_to(root).as_posix()
        if folder_of(name) is None:
            continue
        count += 1
        for quote, header in INCLUDE.findall(path.read_text(encoding="utf-8")):
            problem = check_include(name, quote, header)
            if problem:
                problems.append(f"{name}: {problem}")
    if count == 0:
        problems.append(f"no source was found under {root}")
    return problems


def symbols(paths):
    """Returns, for each object, its symbols with their kinds, as nm names these."""
    output = subprocess.run(["nm", "--format=posix", "--print-file-name", *paths], check=True, capture_output=True,
                            text=True).stdout
    found = {path: {} for path in paths}
    for line in output.splitlines():
        path, _, symbol = line.partition(": ")
        name, kind = symbol.split()[:2]
        found[path][name] = kind
    return found


def source_of(path):
    """Returns the source of an object: CMakeFiles/riposte_common.dir/common/wire/head.c.o is made
    from common/wire/head.c."""
    return path.rsplit(".dir/", 1)[-1].removeprefix("./").removesuffix(".o")


def check_objects(paths):
    pure = [path for path in paths if is_pure(source_of(path))]
    if not pure:
        return ["no pure object was found"]
    kinds = symbols(pure)
    known = set(PURE_SYMBOLS).union(*({name for name in of if of[name] not in "Uw"} for of in kinds.values()))
    problems = []
    for path, of in sorted(kinds.items()):
        source = source_of(path)
        wanted = {name for name in of if of[name] in "Uw"}
        extra = set().union(*(names for pattern, names in PURE_SYMBOLS_OF.items()
                              if fnmatch.fnmatch(source, pattern)))
        for name in sorted(wanted - known - extra):
            if not COMPILER_SYMBOL.match(name):
                problems.append(f"{source}: calls {name}, but is pure")
    return problems


@functools.cache
def compiled(text):
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / "x.o"
        subprocess.run(["cc", "-x", "c", "-w", "-c", "-o", path, "-"], input=text, text=True, check=True)
        return path.read_bytes()


def compile_object(folder, source, text):
    path = folder / "x.dir" / (source + ".o")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(compiled(text))
    return str(path)


def self_check():
    """Each pair is a violation, and a similar case that is allowed."""
    includes = [
        ("broker/core/x.c", '"common/io/clock.h"', "broker/x.c"),
        ("broker/core/x.c", '"broker/config.h"', "broker/x.c"),
        ("broker/store/x.c", '"broker/transport/outbox.h"', "broker/x.c"),
        ("broker/jobs/x.c", '"broker/store/store.h"', "broker/x.c"),
        ("broker/core/x.c", '"broker/jobs/jobs.h"', "broker/x.c"),
        ("broker/core/x.c", '"broker/protocol/dialect.h"', "broker/x.c"),
        ("broker/protocol/dialect.c", "<zmq.h>", "broker/protocol/x.c"),
        ("broker/x.c", '"client/client_core.h"', "client/x.c"),
        ("client/x.c", '"worker/worker_core.h"', "worker/x.c"),
        ("worker/x.c", '"broker/core/session.h"', "broker/x.c"),
        ("client/x.c", '"client/cli/grid.h"', "client/cli/x.c"),
        ("common/base/x.c", '"common/io/message.h"', "common/io/x.c"),
        ("common/base/x.c", "<zmq.h>", "common/io/x.c"),
        ("common/tool/x.c", "<time.h>", "common/io/x.c"),
        ("client/client_core.c", "<zmq.h>", "client/client.c"),
        ("client/client_core.c", '"common/io/message.h"', "client/client.c"),
        ("worker/worker_core.c", "<pthread.h>", "worker/worker.c"),
        ("common/base/x.c", "<jansson.h>", "client/cli/x.c"),
        ("broker/core/x.c", "<sqlite3.h>", "broker/store/x.c"),
        ("examples/x.c", '"common/wire/head.h"', "client/x.c"),
        ("common/wire/x.c", '"head.h"', None),
        ("common/base/x.c", '"common/wire/head.h"', "common/wire/x.c"),
        ("client/x.c", '"common/tool/options.h"', "client/cli/x.c"),
        ("client/x.c", '"common/program/writer.h"', "client/cli/x.c"),
        ("broker/x.c", "<czmq.h>", None),
    ]
    problems = []
    for bad, header, good in includes:
        for path, expected in ((bad, 1), (good, 0)):
            if path is None:
                continue
            with tempfile.TemporaryDirectory() as name:
                file = pathlib.Path(name) / path
                file.parent.mkdir(parents=True)
                file.write_text(f"#include {header}\n", encoding="utf-8")
                if len(check_sources(pathlib.Path(name))) != expected:
                    problems.append(f"self-check: {path} with {header}: not {expected} problems")

    calls = ["zmq_msg_send", "socket", "clock_gettime", "time", "open", "fopen", "read",
             "pthread_mutex_lock", "rand", "getrandom", "getenv", "rp_clock_us"]
    sources = ["common/base/x.c", "broker/core/x.c", "broker/jobs/x.c", "broker/protocol/envelopes.c",
               "client/client_core.c", "worker/worker_core.c"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for source in sources:
            good = compile_object(folder, source, "int malloc (); int f () { return malloc (); }")
            if check_objects([good]):
                problems.append(f"self-check: {source} may call malloc")
            texts = {call: f"int {call} (); int f () {{ return {call} (); }}" for call in calls}
            found = check_objects([compile_object(folder / call, source, text) for call, text in texts.items()])
            problems += [f"self-check: {call} in {source} was not caught" for call in calls
                         if f"{source}: calls {call}, but is pure" not in found]
    if not check_sources(pathlib.Path("/nonexistent")) or not check_objects([]):
        problems.append("self-check: nothing to check passed")
    return problems


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=pathlib.Path)
    parser.add_argument("--objects", type=pathlib.Path, help="a file with a path per line")
    parser.add_argument("--self-check", action="store_true")
    arguments = parser.parse_args()

    problems = []
    if arguments.self_check:
        problems += self_check()
    if arguments.source:
        problems += check_sources(arguments.source)
    if arguments.objects:
        problems += check_objects(arguments.objects.read_text(encoding="utf-8").splitlines())
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
