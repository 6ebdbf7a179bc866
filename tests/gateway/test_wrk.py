# SPDX-License-Identifier: MPL-2.0
"""wrk, which sends as fast as it is answered, while the broker is killed: each call ends with a status."""

import json
import os
import shutil
import signal
import subprocess

import pytest

from support.programs import PATIENCE, SANITIZED
from support.waiting import until

from test_faults import connections

LONG = os.environ.get("RIPOSTE_LONG") == "1"
#: Calls of a run, and how often the broker is killed meanwhile.
CALLS, KILLS = (1000000, 20) if LONG else (10000 if SANITIZED else 30000, 2)
CONNECTIONS = 64
#: What a call may end with while there is no broker, or because it was killed.
EXPECTED = {200, 429, 502, 503, 504}

#: Each connection sends until all calls of the run are made; a thread counts what came, by status.
SCRIPT = """
wrk.method = "POST"
wrk.body = "0123456789abcdef"
wrk.headers["Riposte-Timeout"] = "20s"
local threads = {}
function setup (thread) table.insert (threads, thread) end
function init (args) counts = "" tally = {} made = 0 limit = tonumber (args[1]) over = args[2] end
function response (status, headers, body)
    tally[status] = (tally[status] or 0) + 1
    if (status == 200) ~= (body == wrk.body) then tally[0] = (tally[0] or 0) + 1 end
    made = made + 1
    if made >= limit then
        counts = ""
        for name, count in pairs (tally) do counts = counts .. name .. "=" .. count .. " " end
        wrk.thread:stop ()
        io.open (over, "w"):close ()
    end
end
function done (summary, latency)
    local errors = summary.errors
    io.write (string.format ("RESULT %d %d %d %d %d ", summary.requests, errors.connect, errors.read, errors.write,
        errors.timeout))
    for _, thread in ipairs (threads) do io.write (thread:get ("counts")) end
    io.write ("\\n")
end
"""


class Wrk:
    def __init__(self, directory, url, calls):
        script = directory / "wrk.lua"
        script.write_text(SCRIPT)
        self.over = directory / "wrk.over"
        self.popen = subprocess.Popen(
            ["wrk", "-t1", f"-c{CONNECTIONS}", "-d1h", "--timeout", f"{30 * PATIENCE}s", "-s", script, url, "--",
             str(calls), self.over], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def result(self, within):
        """Returns errors of connections, and answers by status."""
        try:
            until(self.over.exists, within, "all calls are made")
            self.popen.send_signal(signal.SIGINT)  # it would sleep until its time is over
            out, _ = self.popen.communicate(timeout=30)
        finally:
            self.popen.kill()
        (line,) = [line for line in out.splitlines() if line.startswith("RESULT ")]
        words = line.split()[1:]
        counts = dict(word.split("=") for word in words[5:])
        return ([int(word) for word in words[1:5]], int(words[0]),
                {int(status): int(count) for status, count in counts.items()})


@pytest.mark.skipif(not shutil.which("wrk"), reason="SKIPPED: wrk is not here; it is in Debian's package wrk")
def test_each_call_ends_with_a_status_whenever_the_broker_is_killed(house):
    http = house.start()
    house.world.builtin(house.broker, "echo", "--slots", "16")
    for _ in range(100):
        http.call("echo", b"x")
    before = http.resident_bytes()
    wrk = Wrk(house.world.directory, f"http://127.0.0.1:{http.port}/call/echo", CALLS)
    for kill in range(KILLS):
        done = ended(house)
        until(lambda: ended(house) > done + CALLS // KILLS // 4, 120, "calls are answered", http)  # noqa: B023
        house.broker.kill()
        until(lambda: http.get("/readyz").status == 503, 10, "the gateway has seen it", http)
        house.broker = house.world.restart(house.broker)
        until(lambda: ended(house) > 0, 20, "calls are answered again", http)
    errors, requests, counts = wrk.result(600)
    print(f"wrk: {requests} calls, {json.dumps(counts)}")
    assert errors == [0, 0, 0, 0], "no connection broke, and none waited for ever"
    assert sum(counts.values()) == requests >= CALLS
    assert set(counts) <= EXPECTED, counts
    assert counts[200] > requests / 2 and len(counts) > 1, counts
    # wrk leaves while its last calls are open.
    until(lambda: connections(http) == 0, 10, "its connections are gone")
    until(lambda: house.world.status(house.broker)["gauges"]["running"] == 0, 10, "nothing runs")
    assert http.call("echo", b"y").body == b"y"
    if not SANITIZED:
        assert http.resident_bytes() - before < 32 << 20


def ended(house):
    """Returns how many calls the broker has had answered in its life."""
    return house.ended("OK")
