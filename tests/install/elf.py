#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Checks that the installed programs and the library are hardened as cmake/RiposteFlags.cmake says.

elf.py BUILD           installs that build into a folder of its own, and checks its files
elf.py --self-check    shows that each check fails for a program that is not hardened

An option that leaves no trace in an ELF file (-ftrivial-auto-var-init) is looked for in the compile
commands.
"""

import json
import os
import pathlib
import platform
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
ON_X86 = platform.machine() == "x86_64"
ENDBR64 = bytes.fromhex("f30f1efa")
#: The instruction by which a function touches each page of a large frame: or $0, (%rsp)
PROBE = bytes.fromhex("48830c2400")
FLAGS = ["-D_FORTIFY_SOURCE=3", "-fstack-protector", "-fstack-clash-protection", "-fcf-protection=full",
         "-ftrivial-auto-var-init=zero"]


def readelf(*options):
    return subprocess.run(["readelf", "-W", *map(str, options)], env={**os.environ, "LC_ALL": "C"}, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


class Elf:
    """What readelf reports about a file."""

    def __init__(self, path):
        self.path = path
        self.bytes = path.read_bytes()
        self.header = readelf("-h", path)
        self.dynamic = readelf("-d", path)
        #: Type, offset, address, size in the file, flags of each segment.
        self.segments = [(kind, *(int(number, 16) for number in (offset, address, size)), flags.replace(" ", ""))
                         for kind, offset, address, size, flags in re.findall(
                             r"^  (\w+) +(0x\w+) (0x\w+) 0x\w+ (0x\w+) 0x\w+ ([RWE ]{3})", readelf("-l", path), re.M)]
        self.symbols = readelf("-s", path)
        self.is_program = "INTERP" in {segment[0] for segment in self.segments}

    def imports(self):
        return set(re.findall(r" UND (\w+)", self.symbols))

    def entries(self):
        """Returns name and address of the functions that are called from outside: main, or the
        library's."""
        wanted = r"main" if self.is_program else r"rp_\w+"  # main is hidden from the dynamic linker
        return {name: int(address, 16) for address, name in re.findall(
            rf"^ *\d+: (\w+) +\d+ FUNC +GLOBAL +\w+ +\d+ ({wanted})$", self.symbols, re.M)}

    def at(self, address, size):
        for kind, offset, start, length, _ in self.segments:
            if kind == "LOAD" and start <= address < start + length:
                return self.bytes[offset + address - start:][:size]
        return b""


def is_position_independent(elf):
    return "Type:" in elf.header and re.search(r"Type: +DYN", elf.header) and (
        not elf.is_program or re.search(r"FLAGS_1.*\bPIE\b", elf.dynamic))


def has_relro(elf):
    return any(segment[0] == "GNU_RELRO" for segment in elf.segments)


def is_bound_at_start(elf):
    return "BIND_NOW" in elf.dynamic or re.search(r"FLAGS_1.*\bNOW\b", elf.dynamic)


def has_stack_without_code(elf):
    return [segment[4] for segment in elf.segments if segment[0] == "GNU_STACK"] == ["RW"]


def has_nothing_to_write_and_run(elf):
    return not any("W" in segment[4] and "E" in segment[4] for segment in elf.segments)


def has_no_path_of_its_own(elf):
    return not re.search(r"\((RPATH|RUNPATH|TEXTREL)\)", elf.dynamic)


def has_canaries(elf):
    return "__stack_chk_fail" in elf.imports()


def is_fortified(elf):
    return any(name.endswith("_chk") for name in elf.imports())


def marks_its_entries(elf):
    return elf.entries() and all(elf.at(address, 4) == ENDBR64 for address in elf.entries().values())


def probes_its_stack(elf):
    return PROBE in elf.bytes


CHECKS = [is_position_independent, has_relro, is_bound_at_start, has_stack_without_code,
          has_nothing_to_write_and_run, has_no_path_of_its_own, has_canaries, is_fortified]
if ON_X86:
    CHECKS += [marks_its_entries, probes_its_stack]


def missing(path):
    elf = Elf(path)
    return [check.__name__ for check in CHECKS if not check(elf)]


def compiled_without(build):
    """Returns each source of the product that is compiled without one of the flags, with that
    flag."""
    found = []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = os.path.relpath(entry["file"], ROOT)
        if not source.startswith(("broker/", "client/", "common/", "worker/")):
            continue
        words = entry.get("arguments") or shlex.split(entry["command"])
        found += [f"{source}: compiled without {flag}" for flag in (FLAGS if ON_X86 else FLAGS[:2])
                  if not any(word.startswith(flag) for word in words)]
    return found


def check(build):
    problems = compiled_without(build)
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(["cmake", "--install", build, "--prefix", place], stdout=subprocess.DEVNULL, check=True)
        files = sorted(pathlib.Path(place).glob("bin/*")) + sorted(pathlib.Path(place).rglob("libriposte.so"))
        if len(files) < 4:
            problems.append(f"only {len(files)} files are installed")
        for file in files:
            lacks = missing(file)
            problems += [f"{file.name}: not {name}" for name in lacks]
            print(f"{file.name}: {len(CHECKS) - len(lacks)} of {len(CHECKS)}")
    return problems


def self_check():
    """Tests the checks with a program that has every fault, and with the same one without a
    fault."""
    text = """#include <stdio.h>
              #include <string.h>
              #ifdef BAD
              __asm__ (".section .both, \\"awx\\"; .long 0; .text");
              #endif
              int main (int count, char **words)
              { char text[16384]; strcpy (text, words[count - 1]); return puts (text); }"""
    bad = ["-O2", "-DBAD", "-no-pie", "-U_FORTIFY_SOURCE", "-fno-stack-protector", "-fno-stack-clash-protection",
           "-Wl,-z,norelro,-z,lazy,-z,execstack,-rpath,/tmp"]
    good = ["-O2", "-U_FORTIFY_SOURCE", "-fPIE", "-pie", "-Wl,-z,relro,-z,now,-z,noexecstack",
            *(flag for flag in FLAGS if ON_X86 or flag in FLAGS[:2])]
    if ON_X86:
        bad.append("-fcf-protection=none")
    found = []
    with tempfile.TemporaryDirectory() as place:
        program = pathlib.Path(place) / "program"
        for options in (good, bad):
            subprocess.run([os.environ.get("CC", "cc"), "-w", "-x", "c", "-", "-o", program, *options],
                           input=text, text=True, check=True)
            found.append(set(missing(program)))
    unseen = {check.__name__ for check in CHECKS} - found[1]
    return ([f"complains of what is hardened: {name}" for name in found[0]]
            + [f"never complains: {name}" for name in unseen])


def main():
    problems = self_check() if sys.argv[1:] == ["--self-check"] else check(pathlib.Path(sys.argv[1]).resolve())
    for problem in problems:
        print("  " + problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
