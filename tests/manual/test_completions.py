# SPDX-License-Identifier: MPL-2.0
"""Completions in the shells themselves, with a broker that has services, jobs and workers, and without one.

Each shell gets a line, whose end is the cursor, and says what it would offer."""

import os
import shutil
import socket
import subprocess
import time

import pytest

from conftest import BUILD, PROGRAMS, run

BASH = r"""
source "$1/share/bash-completion/completions/$2"
compopt () { :; }
COMP_LINE=$3 COMP_POINT=${#3}
# As readline does, which takes : and = for ends of words.
read -ra COMP_WORDS <<< "${COMP_LINE//[:=]/ & }"
[[ $COMP_LINE != *[[:space:]] ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_${2//-/_}
[[ -z ${COMPREPLY[*]} ]] || printf '%s\n' "${COMPREPLY[@]}"
"""
ZSH = r"""
_describe () { local -a all; all=("${(@P)argv[-1]}"); print -rl -- "${(@)all%%:*}" }
_files () { print -l FILES }
_command_names () { print -l COMMANDS }
words=("${(@s: :)3}")
CURRENT=${#words}
source "$1/share/zsh/site-functions/_$2"
"""
FISH = r"""
source $argv[1]/share/fish/vendor_completions.d/$argv[2].fish
complete -C $argv[3] | string replace -r '\t.*' ''
true
"""
SHELLS = {"bash": ["bash", "--norc", "-c", BASH, "bash"], "zsh": ["zsh", "-f", "-c", ZSH, "zsh"],
          "fish": ["fish", "--no-config", "-c", FISH]}


class Shell:
    def __init__(self, name, prefix, directory):
        self.name, self.prefix, self.directory = name, prefix, directory

    def offers(self, line, server=None):
        """Returns what is offered at the end of a line; only what begins with what is written."""
        path = f"{self.prefix}/bin:{os.environ['PATH']}"
        found = run(*SHELLS[self.name], self.prefix, line.split()[0], line, PATH=path, HOME=str(self.directory),
                    XDG_DATA_HOME=str(self.directory), **({"RIPOSTE_SERVER": server} if server else {}))
        begun = line.rpartition(" ")[2]
        return [word for word in found.splitlines() if word.startswith(begun) or word.isupper()]


@pytest.fixture(params=SHELLS)
def shell(request, prefix, tmp_path):
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    return Shell(request.param, prefix, tmp_path)


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """The endpoint of a broker with the services lower and upper, and the id of a job there."""
    directory = tmp_path_factory.mktemp("broker")
    ports = directory / "ports"
    programs = [subprocess.Popen([BUILD / "riposte-broker", "--bind", "tcp://127.0.0.1:*", "--http", "off",
                                  "--store", directory / "jobs.db", "--ports-file", ports], stderr=subprocess.DEVNULL)]
    try:
        end = time.monotonic() + 30
        while not (ports.exists() and ports.read_text()):
            assert time.monotonic() < end
            time.sleep(0.02)
        endpoint = ports.read_text().split()[0]
        for service in ("lower", "upper"):
            programs.append(subprocess.Popen([BUILD / "riposte-worker", "-s", endpoint, "--builtin", "echo", service],
                                             stderr=subprocess.DEVNULL))
            run(BUILD / "riposte", "-s", endpoint, "call", "--wait-worker", "30s", "--timeout", "30s", service, "x")
        yield endpoint, run(BUILD / "riposte", "-s", endpoint, "send", "later", "x").strip()
    finally:
        for program in reversed(programs):
            program.terminate()
            program.wait(timeout=60)


def test_commands_options_and_values(shell):
    assert shell.offers("riposte ca") == ["call", "cancel"]
    assert shell.offers("riposte keys ro") == ["rotate"]
    assert shell.offers("riposte call --exit") == ["--exit-code-from-worker"]
    assert shell.offers("riposte services --exit") == []
    assert shell.offers("riposte services -o js") == ["json", "jsonl"]
    assert shell.offers("riposte-broker --log-f") == ["--log-format"]


def test_services_and_jobs_of_the_broker_that_is_meant(shell, broker):
    server, job = broker
    assert shell.offers("riposte call ", server) == ["lower", "upper"]
    assert shell.offers("riposte call up", server) == ["upper"]
    assert shell.offers(f"riposte -s {server} call ") == ["lower", "upper"]
    assert shell.offers("riposte job ", server) == [job]
    assert shell.offers("riposte-worker lo", server) == ["lower"]


def test_it_is_silent_and_soon_done_where_no_broker_answers(shell):
    with socket.socket() as silent:  # takes connections, and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for server in ("tcp://127.0.0.1:1", f"tcp://127.0.0.1:{silent.getsockname()[1]}"):
            begin = time.monotonic()
            assert shell.offers("riposte call ", server) == []
            # A second for the answer; the rest is for a machine that has other work.
            assert time.monotonic() - begin < 15


def test_a_worker_runs_a_command(shell):
    assert {"true", "COMMANDS"} & set(shell.offers("riposte-worker upper -- tru"))
    assert shell.offers("riposte store check /et")[:1] in (["/etc"], ["/etc/"], ["FILES"])


def test_every_program_has_a_script_for_each_shell(shell):
    for program in PROGRAMS:
        assert "--help" in shell.offers(f"{program} --he")
