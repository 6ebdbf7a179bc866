# SPDX-License-Identifier: MPL-2.0
"""docs/HTTP.md is right: its examples are run, its statuses are those of the code, its options exist."""

import re
import shutil

import pytest

from support.programs import BUILD, SOURCE
from support.waiting import until

from house import HTTP

DOCUMENT = (SOURCE / "docs" / "HTTP.md").read_text()
README = (SOURCE / "README.md").read_text()


def examples(text):
    """Yields, for each block that is marked as a console, its commands, each with its output."""
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        yield [(command, out) for command, out in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M)]


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not there; script/deps test installs it")
def test_the_examples_say_what_they_show(house):
    http = house.start(broker=("--store", house.world.directory / "jobs.db"),
                       limits={"rejoin_grace": "0s", "service_linger": "0s"})
    for name in ("upper", "sleep"):
        house.world.builtin(house.broker, name)
    spare = house.gateway()
    spare.terminate()
    spare.wait(5)
    blocks = list(examples(DOCUMENT))
    assert len(blocks) == 6
    for number, block in enumerate(blocks):
        script = "\n".join(f"{command}\necho; echo '@@'" for command, _ in block) + "\nkill $! 2> /dev/null; true\n"
        script = script.replace(":8080", f":{http.port}").replace(":8081", f":{spare.port}")
        script = script.replace("& sleep 1", "&\nuntil curl -s -o /dev/null http://127.0.0.1:"
                                f"{spare.port}/readyz; do sleep 0.05; done")
        environment = {"PATH": f"{BUILD}:/usr/bin:/bin", "RIPOSTE_SERVER": house.broker.endpoint}
        result = house.world.run("bash", "-c", script, environment=environment)
        said = [part.strip() for part in result.out.decode().split("@@")][:-1]
        assert said == [out.strip() for _, out in block], f"block {number}: {result}"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not there; script/deps test installs it")
def test_the_line_in_the_readme_is_true(house):
    http = house.start()
    house.world.builtin(house.broker, "upper")
    command, out = re.search(r"^\$ (curl .*)\n(.*)$", README, re.M).groups()
    command = command.split("#")[0]
    result = house.world.run("bash", "-c", command.replace(":8080", f":{http.port}"))
    assert result.out.decode().strip() == out


def test_its_statuses_are_those_of_the_code():
    source = (SOURCE / "gateway" / "translate.c").read_text()
    body = re.search(r"unsigned rp_http_status.*?\n}", source, re.S)[0]
    coded = {}
    for names, code in re.findall(r"((?:\s+case RP_\w+:)+)\s+return (\d+);", body):
        for name in re.findall(r"RP_(\w+)", names):
            coded[name] = code
    table = DOCUMENT.partition("## Statuses")[2].partition("\n## ")[0]
    told = {name: code for names, code in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (\d+) \|", table, re.M)
            for name in re.findall(r"`(\w+)`", names)}
    for name in ("NO_MEMORY", "SYSTEM"):
        assert told.pop(name) == "500"
    coded.pop("USAGE")  # only functions return it
    assert told == coded


def test_the_options_that_it_names_exist(house):
    known = set(re.findall(r"--([a-z-]+)", house.world.run(HTTP, "--help").out.decode()))
    text = re.sub(r"(curl|riposte keys|docker-compose).*", "", DOCUMENT)
    named = set(re.findall(r"`--([a-z-]+)", text))
    assert len(named) > 10
    assert named <= known


def test_the_gateway_says_the_line_of_the_first_example(house):
    http = house.start()
    until(lambda: http.get("/readyz").status == 200)
    line = re.search(r"^riposte-http: ready.*$", DOCUMENT, re.M)[0]
    said = http.log().splitlines()[0]
    assert re.sub(r":\d+", ":N", said) == re.sub(r":\d+", ":N", line)
