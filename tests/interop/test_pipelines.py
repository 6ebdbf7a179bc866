# SPDX-License-Identifier: MPL-2.0
"""A client that cannot be refused, and sends all its requests before it reads a reply."""

import os
import pathlib
import re

import pytest

from support.programs import PATIENCE

REQUESTS = 100_000
#: Requests in the second dialect, which differs only in its frames.
FEWER = REQUESTS if os.environ.get("RIPOSTE_LONG") else 20_000
MOST_MIB = 150


def _peak_mib(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


@pytest.mark.parametrize("client, requests", [("dealer-mdp01", REQUESTS), ("mdp02", FEWER)])
def test_all_replies_come_to_who_reads_none_before_the_last_request(stage, client, requests):
    broker = stage.interop_broker(foreign_window=1000)
    stage.builtin(broker, "echo", service="svc")
    asking = stage.client(broker, client)
    asking.socket.sndhwm = asking.socket.rcvhwm = 0
    for number in range(requests):
        asking.request(b"svc", b"%064d" % number)
    seen = {asking.reply(10).body[0] for _ in range(requests)}
    assert seen == {b"%064d" % number for number in range(requests)}
    assert stage.status(broker)["unanswered"] == {}
    assert PATIENCE > 1 or _peak_mib(broker) < MOST_MIB
