#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Proves that no files call each other in a cycle, by the functions that their objects use.

cycles.py --objects FILE   checks the objects that FILE lists, except those of broker/core, whose
                           files are one state machine
cycles.py --self-check     checks that a cycle is caught
"""

import argparse
import pathlib
import sys
import tempfile

from layers import compile_object, source_of, symbols


def calls(paths):
    """Returns, for each file, the files that it calls, each with one function that shows it."""
    kinds = {source_of(path): kinds for path, kinds in symbols(paths).items()
             if not source_of(path).startswith("broker/core/")}
    home = {name: source for source, of in kinds.items() for name, kind in of.items() if kind in "TW"}
    return {source: {home[name]: name for name in sorted(of) if of[name] == "U" and name in home}
            for source, of in kinds.items()}


def way(graph, begin, end):
    """Returns a shortest way of calls from one file to another, with at least one call, or None."""
    ways = [[begin]]
    seen = set()
    for path in ways:
        for callee in sorted(graph[path[-1]]):
            if callee == end:
                return path + [end]
            if callee not in seen:
                seen.add(callee)
                ways.append(path + [callee])
    return None


def reach(graph, begin):
    """Returns the files that a file reaches, with at least one call."""
    reached, ahead = set(), [begin]
    while ahead:
        new = graph[ahead.pop()].keys() - reached
        reached |= new
        ahead += new
    return reached


def cycles(graph):
    """Returns the sets of files in which each file reaches all others."""
    reached = {source: reach(graph, source) for source in graph}
    return {frozenset(other for other in reached[source] if source in reached[other])
            for source in graph if source in reached[source]}


def check(graph):
    if not graph:
        return ["no object was found"]
    problems = []
    for cycle in sorted(cycles(graph), key=sorted):
        first = min(cycle)
        ring = way(graph, first, first)
        problems.append(f"a cycle of {len(cycle)} files: {', '.join(sorted(cycle))}")
        problems += [f"  {caller} calls {graph[caller][callee]} of {callee}"
                     for caller, callee in zip(ring, ring[1:])]
    return problems


def self_check():
    """Three files in a chain are no cycle; a call back, in one step or in two, makes one."""
    texts = {"broker/a.c": "int b (); int a () { return b (); }",
             "broker/b.c": "int c (); int table; int b () { return c (); }",
             "client/c.c": "extern int table; int c () { return table; }"}
    closed = "int a (); int c () { return a (); }"
    problems = []
    with tempfile.TemporaryDirectory() as name:
        def graph(**changed):
            return calls([compile_object(pathlib.Path(name), source, text)
                          for source, text in (texts | changed).items()])

        if check(graph()):
            problems.append("self-check: a chain, with a table of its middle, is no cycle")
        told = check(graph(**{"client/c.c": closed}))
        if told[1:] != ["  broker/a.c calls b of broker/b.c", "  broker/b.c calls c of client/c.c",
                        "  client/c.c calls a of broker/a.c"]:
            problems.append(f"self-check: a cycle was not told: {told}")
        core = {f"broker/core/{one}.c": f"int {two} (); int {one} () {{ return {two} (); }}"
                for one, two in ("xy", "yx")}
        if check(graph(**core)):
            problems.append("self-check: broker/core was looked at")
    if not check({}):
        problems.append("self-check: nothing to check passed")
    return problems


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=pathlib.Path, help="a file with a path per line")
    parser.add_argument("--self-check", action="store_true")
    arguments = parser.parse_args()

    problems = []
    if arguments.self_check:
        problems += self_check()
    if arguments.objects:
        problems += check(calls(arguments.objects.read_text(encoding="utf-8").splitlines()))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
