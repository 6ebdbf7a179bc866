# SPDX-License-Identifier: MPL-2.0
"""`riposte config`: the settings that are in force in a broker, and where each came from."""

import os
import re

import pytest

from support import programs
from support.keys import Keys
from support.waiting import until

TEXT = """\
limits
    client_open = 7
    max_body = 2097152
log
    level = warning
"""


def _settings(world, broker, *arguments):
    result = world.cli(broker, "config", *arguments, "-o", "json")
    assert result.code == 0, result
    settings = result.json()["settings"]
    assert all(set(one) == {"name", "value", "default", "source", "reloadable"} for one in settings)
    return {one["name"]: one for one in settings}


def _printed(text):
    """Returns what --print-config says: for each setting its value, its source, and whether a reload
    applies it."""
    found, section, about, values = {}, "", None, {}
    for line in text.decode().splitlines():
        if re.fullmatch(r"\w+", line):
            section = line + "/"
        elif match := re.fullmatch(r" *# .*; source: (.*)", line):
            about = {"source": match[1], "reloadable": "; reloadable;" in line}
        elif match := re.fullmatch(r" *(# )?(\w+) = (.*)", line):
            if about is None:
                continue
            name = section * line.startswith(" ") + match[2]
            if not match[1]:
                values.setdefault(name, []).append(match[3].strip('"'))
            found[name] = {**about, "value": "\n".join(values.get(name, []))}
    return found


def _write(world, text):
    path = world.directory / "settings"
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)
    return path


def test_each_setting_has_value_default_source_and_whether_a_reload_applies_it(world):
    path = _write(world, TEXT)
    world.environment["RIPOSTE_LIMITS_SERVICE_QUEUE"] = "99"
    broker = world.broker("--config", path, "--limit", "max_clients=9")
    settings = _settings(world, broker)
    assert settings["limits/max_body"] == {"name": "limits/max_body", "value": "2MiB", "default": "16MiB",
                                           "source": f"file {path}:3", "reloadable": False}
    assert settings["log/level"]["source"] == f"file {path}:5"
    assert settings["limits/service_queue"]["source"] == "environment RIPOSTE_LIMITS_SERVICE_QUEUE"
    assert settings["limits/max_clients"] == {"name": "limits/max_clients", "value": "9", "default": "100000",
                                              "source": "option --limit", "reloadable": False}
    assert settings["limits/slow"] == {"name": "limits/slow", "value": "0s", "default": "0s", "source": "default",
                                       "reloadable": True}
    assert settings["history"]["value"] == settings["history"]["default"] == ""


def test_a_broker_says_what_print_config_says_of_the_same_sources(world):
    ports = world.directory / "ports-of-both"
    given = ("--config", _write(world, TEXT), "--bind", "tcp://127.0.0.1:*", "--bind", "tcp://127.0.0.2:*",
             "--plain", "hello=tcp://127.0.0.1:*,tcp://127.0.0.1:*", "--limit", "max_services=12",
             "--ports-file", ports)
    printed = _printed(world.run(programs.BROKER, *given, "--print-config").out)
    world.start("broker", programs.BROKER, *given)
    endpoints = until(lambda: ports.exists() and ports.read_text().splitlines(), 5, "it is ready")
    settings = _settings(world, endpoints[0])
    assert len(settings) > 40
    assert printed == {name: {key: one[key] for key in ("value", "source", "reloadable")}
                       for name, one in settings.items()}
    assert settings["bind"]["value"] == "tcp://127.0.0.1:*\ntcp://127.0.0.2:*"


def test_diff_has_what_differs_from_the_defaults_and_nothing_else(world):
    broker = world.broker("--config", _write(world, TEXT + "    format = auto\n"))
    everything, different = _settings(world, broker), _settings(world, broker, "diff")
    assert different == {name: one for name, one in everything.items() if one["value"] != one["default"]}
    assert set(different) == {"bind", "ports_file", "http", "limits/client_open", "limits/max_body", "log/level"}


def test_the_table_is_for_people_and_csv_for_programs(world):
    broker = world.broker("--config", _write(world, TEXT))
    lines = world.cli(broker, "config", "diff").out.decode().splitlines()
    assert lines[0].split() == ["SETTING", "VALUE", "DEFAULT", "RELOAD", "FROM"]
    level = next(line for line in lines if line.startswith("log/level"))
    assert level.split() == ["log/level", "warning", "info", "yes", "file", f"{world.directory}/settings:5"]
    assert next(line for line in lines if line.startswith("http")).split()[2] == "-"
    csv = world.cli(broker, "config", "diff", "-o", "csv").out.decode().splitlines()
    assert csv[0] == "name,value,default,reloadable,source"
    assert f"log/level,warning,info,true,file {world.directory}/settings:5" in csv


@pytest.mark.parametrize("good", [True, False])
def test_after_a_reload_it_shows_what_is_in_force_then(world, good):
    broker = world.broker("--config", _write(world, TEXT))
    before = _settings(world, broker)
    # max_body needs a restart, so its value and source are those of the start.
    _write(world, "\n\nlimits\n    client_open = 8\n    max_body = 3MiB\n" + ("" if good else "    slow = never\n"))
    assert world.cli(broker, "reload").code == (0 if good else 1)
    after = _settings(world, broker)
    if not good:
        assert after == before
        return
    assert (after["limits/client_open"]["value"], after["limits/client_open"]["source"]) == (
        "8", f"file {world.directory}/settings:4")
    assert after["limits/max_body"] == before["limits/max_body"]
    assert (after["log/level"]["value"], after["log/level"]["source"]) == ("info", "default")


def test_it_is_for_observers_and_shows_paths_of_keys_but_no_key(world):
    keys = Keys(world)
    keys.rules('principal = "ops"\n    observe = 1\nprincipal = "eve"\n    call = "echo"\n')
    for name in ("ops", "eve"):
        keys.authorize(name)
    world.environment.update(keys.environment("ops"))
    broker = world.broker(*keys.of_broker)
    result = world.cli(broker, "config", "-o", "json")
    path = next(one["value"] for one in result.json()["settings"] if one["name"] == "security/key_file")
    with open(path, encoding="utf-8") as file:
        secret = re.search(r'secret-key = "(.*)"', file.read())[1]
    assert len(secret) == 40 and secret not in result.out.decode()
    assert world.cli(broker, "config", environment=keys.environment("eve")).code == 6


@pytest.mark.parametrize("params, says", [
    ('{"diff": 1}', '"diff" has to be true or false'), ('{"dif": true}', 'no parameter "dif"'),
    ("diff", "JSON object")])
def test_a_parameter_that_is_wrong_is_named(world, params, says):
    result = world.cli(world.broker(), "call", "riposte.config", params)
    assert result.code == 1 and says in result.error(), result


def test_no_other_word_stands_behind_the_command(world):
    for words, wrong in ((("config", "dif"), "dif"), (("config", "diff", "more"), "more")):
        result = world.cli(None, *words)
        assert result.code == 2 and f'"{wrong}"' in result.error(), result
