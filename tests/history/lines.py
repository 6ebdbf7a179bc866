# SPDX-License-Identifier: MPL-2.0
"""Reads lines of histories, and finds the lines of a problem again.

A line is `TIME PARTY EVENT KEY=VALUE...`, separated by tabs; docs/RELIABILITY.md describes them. A
place is one number for file and line.
"""

FILE_SHIFT = 40


class Unreadable(Exception):
    pass


class Files:
    def __init__(self, paths):
        self.paths = [str(path) for path in paths]
        self.count = 0
        self.torn = 0

    def read(self):
        """Yields (place, time, party, event, fields) of every line, file by file, in their order."""
        for number, path in enumerate(self.paths):
            with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
                yield from self._read(file, path, number << FILE_SHIFT)

    def _read(self, file, path, place):
        for line in file:
            place += 1
            if line[-1] != "\n" or line.endswith("\ttorn\n"):
                self.torn += 1  # its process was killed in the middle of the line, which is its last
                continue
            self.count += 1
            try:
                time, party, event, *rest = line[:-1].split("\t")
                time = int(time)
                fields = dict([pair.split("=", 1) for pair in rest])
            except ValueError:
                where = place & ((1 << FILE_SHIFT) - 1)
                raise Unreadable(f"{path}:{where}: not a line of a history: {line!r}") from None
            yield place, time, party, event, fields

    def find(self, places):
        """Returns the lines at these places, as (time, text), by time."""
        wanted = {}
        for place in places:
            wanted.setdefault(place >> FILE_SHIFT, set()).add(place & ((1 << FILE_SHIFT) - 1))
        found = []
        for number, lines in wanted.items():
            with open(self.paths[number], encoding="utf-8", errors="replace", newline="\n") as file:
                for count, line in enumerate(file, 1):
                    if count in lines:
                        found.append((int(line.split("\t", 1)[0]), number, count, line.rstrip("\n")))
        return [(time, text) for time, _, _, text in sorted(found)]


class Problem:
    """A problem: the invariant (a number of docs/CONTRACT.md), the request, and where it was
    seen."""

    def __init__(self, invariant, text, request=None, places=()):
        self.invariant, self.text, self.request = invariant, text, request
        self.places = [place for place in places if place]


class Problems:
    KEPT = 1000

    def __init__(self):
        self.kept = []
        self.counts = {}

    def add(self, *problem):
        one = Problem(*problem)
        self.counts[one.invariant] = self.counts.get(one.invariant, 0) + 1
        if len(self.kept) < self.KEPT:
            self.kept.append(one)
