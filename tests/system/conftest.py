# SPDX-License-Identifier: MPL-2.0
"""System tests: real processes, seen from outside.

RIPOSTE_BUILD   the build to test (default: build/)
RIPOSTE_SLOW=1  bounds are five times as wide; set by itself for a build with a sanitizer
RIPOSTE_AGAIN=1 they are five times as wide as otherwise, and short deadlines are as much longer: script/test
                runs so what has failed
RIPOSTE_ROUNDS  how often the exchange of a hundred clients is repeated (default: 1)
RIPOSTE_LONG=1  the same as RIPOSTE_ROUNDS=20
"""

import pytest

from support.fixtures import (  # noqa: F401
    pytest_runtest_makereport, pytest_sessionstart, world)

#: Tests that measure time, or keep processors busy: script/test runs them when all others have ended (-m bounded), and
#: in the release build, too. So do single tests with this mark, as those that look at memory, which a sanitizer spoils.
#: With --dist loadgroup they run one after the other, beside others that mostly wait.
BOUNDED = {f"test_{name}.py" for name in ("bench", "death", "drain", "endurance", "failover", "history",
                                          "hundred_clients", "rolling", "weights")}

#: Tests of what a caller does and is told. Their processes are mostly riposte, which lives for milliseconds and would
#: take four times as long with a sanitizer. Its parts are in unit tests that have one, and all other tests here
#: start it, too: script/test runs these (-m client) in the release build, with --long in both.
CLIENT = {f"test_{name}.py" for name in ("access_matrix", "check", "client_keys", "command_line", "config", "context",
                                         "keys", "names", "rules", "several_brokers", "srv_records", "top", "truth")}


def pytest_configure(config):
    config.addinivalue_line("markers", "bounded: measures time, or keeps processors busy")
    config.addinivalue_line("markers", "client: what a caller does and is told")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name in BOUNDED:
            item.add_marker(pytest.mark.bounded)
        if item.path.name in CLIENT:
            item.add_marker(pytest.mark.client)
        if item.get_closest_marker("bounded"):
            item.add_marker(pytest.mark.xdist_group("bounded"))
