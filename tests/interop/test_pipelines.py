# SPDX-License-Identifier: MPL-2.0
"""A client that cannot be refused, and sends all its requests before it reads a reply."""

import os
import pathlib
import re

import pytest

from support.programs import SANITIZED
from support.waiting import until

#: More than one client may have open that is told of limits, and, in the test, than may wait for a service.
REQUESTS = 100_000 if os.environ.get("RIPOSTE_LONG") else 12_000
#: Beside what a broker has at its start: more than a request and its reply take, and far less than with a copy more.
MOST_MIB = 20 + REQUESTS / 1000


def _peak_mib(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


@pytest.mark.parametrize("client", ["dealer-mdp01", "mdp02"])
def test_all_replies_come_to_who_reads_none_before_the_last_request(stage, client):
    broker = stage.interop_broker(foreign_window=1000, service_queue=1000)
    stage.builtin(broker, "echo", service="svc")
    asking = stage.client(broker, client)
    asking.socket.sndhwm = asking.socket.rcvhwm = 0
    for number in range(REQUESTS):
        asking.request(b"svc", b"%064d" % number)
    seen = {asking.reply(10).body[0] for _ in range(REQUESTS)}
    assert seen == {b"%064d" % number for number in range(REQUESTS)}
    assert stage.status(broker)["unanswered"] == {}
    assert SANITIZED or _peak_mib(broker) < MOST_MIB


@pytest.mark.parametrize("client", ["dealer-mdp01", "mdp02"])
def test_how_much_a_client_that_was_cut_off_had_not_read_is_in_the_log(stage, client):
    broker = stage.interop_broker(connection_backlog_bytes="1MiB")
    stage.builtin(broker, "echo", service="svc")
    asking = stage.client(broker, client)
    asking.socket.rcvhwm = 1
    for _ in range(40):
        asking.request(b"svc", b"x" * (1 << 20))
    until(lambda: re.search(r"replies that it had not read, [0-9.]+ MiB of them, were dropped", broker.log()), 20,
          "it is cut off")
    assert stage.status(broker)["counters"]["clients_unread"] == 1
