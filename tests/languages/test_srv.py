# SPDX-License-Identifier: MPL-2.0
"""Every client library finds its broker by SRV records, of a name server of the test's own, and every worker library
all of them."""

import base64
import json
import subprocess

from languages import DRIVERS
from support.name_server import A, NAME, SERVER, SRV, fixture_server  # noqa: F401
from support.names import fixture_names, port  # noqa: F401


def ask(world, names, language):
    """The pid of the broker that a client finds."""
    driver = world.start("driver", *names.prefix, *DRIVERS[language], "client", SERVER, stdin=subprocess.PIPE,
                         piped=True)
    driver.handles_sigterm = False
    driver.popen.stdin.write(b'{"n": 1, "do": "call", "service": "riposte.status", "timeout_ms": 20000}\n')
    driver.popen.stdin.flush()
    for line in driver.popen.stdout:
        answer = json.loads(line)
        if answer.get("n") == 1:
            assert answer["status"] == "OK", answer
            driver.popen.stdin.write(b'{"n": 2, "do": "close"}\n')
            driver.popen.stdin.flush()
            assert driver.wait(10) == 0
            return json.loads(base64.b64decode(answer["body"]))["pid"]
    raise AssertionError(f"no answer: {driver.log()}")


def test_the_broker_of_the_lowest_priority_that_answers_is_found(world, names, server, language):
    gone, second, first = (world.broker() for _ in range(3))
    gone.kill()
    server.records[NAME, SRV] = [(20, 5, int(port(second.endpoint)), "b2.example.org"),
                                 (10, 5, int(port(first.endpoint)), "b1.example.org"),
                                 (0, 0, int(port(gone.endpoint)), "b3.example.org")]
    server.records["b1.example.org", A] = ["127.0.0.9", "127.0.0.1"]
    assert ask(world, names, language) == first.pid
    first.kill()
    assert ask(world, names, language) == second.pid


def test_a_worker_serves_every_broker_that_the_records_name_and_finds_another(world, names, server, language):
    first, second, third = (world.broker() for _ in range(3))
    server.records[NAME, SRV] = [(10, 0, int(port(first.endpoint)), "b1.example.org"),
                                 (20, 0, int(port(second.endpoint)), "b2.example.org")]
    worker = world.start("worker", *names.prefix, *DRIVERS[language], "worker", SERVER, "echo", "echo")
    for broker in (first, second):
        world.wait_for_worker(broker, worker, "echo", within=20)
    server.records[NAME, SRV] = [(20, 0, int(port(third.endpoint)), "b2.example.org")]
    first.kill()
    world.wait_for_worker(third, worker, "echo", within=20)
    assert world.cli(second, "call", "echo", "stays").out == b"stays"
