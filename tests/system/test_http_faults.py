# SPDX-License-Identifier: MPL-2.0
"""Peers of the broker's HTTP that misbehave: the broker bears it, and goes on for everyone else."""

import os
import re
import resource
import socket
import time

import pytest

from support.programs import PATIENCE
from support.waiting import until

from test_http import _broker, _get

LONG = os.environ.get("RIPOSTE_LONG") == "1"
#: Connections that the broker takes (broker/admin/http_peers.h).
PLACES = 256


@pytest.fixture(name="served")
def fixture_served(world):
    broker = _broker(world)
    world.builtin(broker, "echo")
    return broker


def _connect(broker, sends=b"", receive_buffer=None):
    one = socket.socket()
    if receive_buffer:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    one.settimeout(20 * PATIENCE)
    one.connect(("127.0.0.1", broker.http))
    try:
        one.sendall(sends)
    except ConnectionError:
        pass
    return one


def _answer(one):
    """Returns the status of an answer; None if the connection ended without one."""
    data = b""
    try:
        while b"\r\n" not in data:
            more = one.recv(4096)
            if not more:
                return None
            data += more
    except (ConnectionError, TimeoutError):
        return None
    return int(data.split()[1])


def _is_well(world, broker):
    assert world.cli(broker, "call", "echo", "x", "--count", "20", "-q", "--wait-broker", f"{3 * PATIENCE}s").code == 0
    assert _get(broker, "/livez")[0] == 200


@pytest.mark.parametrize("text", [
    b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /livez HTTP/1.1\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET http://evil.example/livez HTTP/1.1\r\nHost: evil.example\r\n\r\n",
], ids=range(8))
def test_nonsense_draws_an_error_or_nothing(world, served, text):
    with _connect(served, text) as one:
        one.settimeout(1)  # libmicrohttpd waits for more after some of them
        answer = _answer(one)
        assert answer is None or 400 <= answer < 600
    _is_well(world, served)


@pytest.mark.parametrize("flood", [
    b"X: " + b"x" * 100000 + b"\r\n\r\n", b"X: y\r\n" * 50000 + b"\r\n", b"x" * 100000,
    b"Authorization: Bearer " + b"a" * 12000 + b"\r\n" * 2,
], ids=["one", "many", "endless", "token"])
def test_a_flood_of_headers_is_refused(world, served, flood):
    with _connect(served, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + flood) as one:
        answer = _answer(one)
        assert answer is None or answer in (200, 400, 413, 431)
    _is_well(world, served)


def test_a_long_path_is_refused_or_not_found(world, served):
    for path in ("/" + "x" * 10000, "/%ff%2e%2e/", "/api/../metrics", "//metrics", "/" + "%41" * 3000):
        with _connect(served, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()) as one:
            assert _answer(one) in (400, 404, 413, 414, 431), path[:40]
    _is_well(world, served)


def test_bytes_that_never_become_a_request_cost_no_time(world, served):
    """libmicrohttpd waits for more after these, until the connection's time is over."""
    held = [_connect(served, data) for data in (
        b"GET /api/status?" + b"a=b&" * 2500 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\0garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n\0\0\0")]
    used = served.cpu_seconds()
    time.sleep(1)  # in which a thread that spins would take a second
    assert served.cpu_seconds() - used < 0.5 * PATIENCE
    _is_well(world, served)
    for one in held:
        one.close()


def test_pipelined_requests_are_answered_in_their_order_and_garbage_ends_them(world, served):
    request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    other = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with _connect(served, (request + other) * 20 + b"garbage\r\n\r\n") as one:
        data = b""
        try:
            while more := one.recv(65536):
                data += more
        except ConnectionError:
            pass
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", data)]
    assert statuses[:40] == [200, 404] * 20
    assert set(statuses[40:]) <= {400}
    _is_well(world, served)


def test_a_body_of_any_size_is_dropped(world, served):
    before = served.resident_bytes()
    body = b"x" * (1 << 20)
    with _connect(served, b"POST /api/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 67108864\r\n\r\n") as one:
        try:
            for _ in range(64):
                one.sendall(body)
        except ConnectionError:
            pass
        assert _answer(one) in (None, 405, 413)
    assert served.resident_bytes() - before < 8 << 20
    _is_well(world, served)


def test_ten_thousand_connections_are_bounded_and_cost_nothing(world, served):
    """More than the bound wait in the kernel; those that do nothing are closed, so that others get in."""
    count = 10000 if LONG else 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 500)), hard))
    before = served.resident_bytes()
    held = []
    try:
        for number in range(count):
            half = (b"", b"GET /me", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n")[number % 3]
            held.append(_connect(served, half))
        descriptors = len(os.listdir(f"/proc/{served.pid}/fd"))
        assert descriptors < PLACES + 100
        assert served.resident_bytes() - before < 16 << 20
        used = served.cpu_seconds()
        assert world.cli(served, "call", "echo", "x", "--count", "200", "-q").code == 0
        time.sleep(1)  # in which a thread that spins would take a second
        assert served.cpu_seconds() - used < 0.5 * PATIENCE
    finally:
        for one in held:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    until(lambda: _readable(served), 10, "there are places again")
    _is_well(world, served)


def _readable(broker):
    try:
        return _get(broker, "/livez")[0] == 200
    except OSError:
        return False


def test_readers_that_read_nothing_and_writers_that_trickle_harm_nobody(world, served):
    """So much unread text, and so many half requests, as the broker takes; requests go on meanwhile."""
    get = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    held = [_connect(served, get * 50, 4096) for _ in range(PLACES // 2 - 24)]
    held += [_connect(served, b"GET /metrics HTTP/1.1\r\nX: ") for _ in range(PLACES // 2 - 24)]
    try:
        for _ in range(10):
            for one in held[PLACES // 2 - 24:]:
                one.sendall(b"x")
            _is_well(world, served)
    finally:
        for one in held:
            one.close()
    _is_well(world, served)
