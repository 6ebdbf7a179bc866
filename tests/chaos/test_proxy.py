# SPDX-License-Identifier: MPL-2.0
"""The proxy of the chaos run does what it is told: a fault that does not happen proves nothing."""

import pathlib
import socket
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from cast import Cast, Proxy  # noqa: E402

PATIENCE = 60  # seconds that bytes may take which come
BULK = bytes(range(256)) * 4096  # 1 MiB


class Link:
    """A connection through a proxy: near is the end that connects, far the one that is reached."""

    def __init__(self, directory):
        self.cast = Cast(directory, 1)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.proxy = Proxy(self.cast, "proxy", "tcp://127.0.0.1:%d" % self.listener.getsockname()[1])
        self.near, self.far = self.connect()

    def connect(self):
        near = socket.create_connection(("127.0.0.1", int(self.proxy.endpoint.rsplit(":", 1)[1])))
        far, _ = self.listener.accept()
        for one in (near, far):
            one.settimeout(PATIENCE)
        return near, far

    def close(self):
        for one in (self.near, self.far, self.listener):
            one.close()
        self.cast.end()
        assert not self.cast.troubles


@pytest.fixture
def link(tmp_path):
    one = Link(tmp_path)
    yield one
    one.close()


def _receive(one, size):
    data = b""
    while len(data) < size:
        more = one.recv(size - len(data))
        assert more, f"it ends after {len(data)} bytes"
        data += more
    return data


def _hears(one, within=0.2):
    """Returns whether anything comes in this time, data or the end of the connection."""
    one.settimeout(within)
    try:
        return one.recv(1, socket.MSG_PEEK) is not None
    except TimeoutError:
        return False
    finally:
        one.settimeout(PATIENCE)


def in_time(took, least, most):
    """Whether it takes less than that at some time, and never less than at least."""
    for _ in range(20):
        seconds = took()
        assert seconds >= least
        if seconds < most:
            return True
    return False


def test_bytes_pass_in_both_directions_as_they_are(link):
    link.near.sendall(BULK[:70000])
    assert _receive(link.far, 70000) == BULK[:70000]
    link.far.sendall(BULK[:70000])
    assert _receive(link.near, 70000) == BULK[:70000]


def test_it_passes_more_than_a_run_needs(link):
    def rate():
        since = time.monotonic()
        for _ in range(20):
            link.near.sendall(BULK)
            assert _receive(link.far, len(BULK)) == BULK
        return 20 / (time.monotonic() - since)

    assert any(rate() > 10 for _ in range(5)), "MiB a second; on a busy machine, at some time"


def test_when_one_end_closes_the_other_end_knows(link):
    link.near.sendall(b"last")
    link.near.close()
    assert _receive(link.far, 4) == b"last"
    assert link.far.recv(1) == b""


def test_a_delay_holds_up_every_byte(link):
    def took():
        since = time.monotonic()
        link.near.sendall(b"x")
        assert _receive(link.far, 1) == b"x"
        return time.monotonic() - since

    link.proxy.tell("delay 150")
    assert in_time(took, 0.15, 1), "on a busy machine, at some time"


def test_a_throttle_limits_the_rate(link):
    def took():
        since = time.monotonic()
        link.near.sendall(BULK[:100 * 1024])
        _receive(link.far, 100 * 1024)
        return time.monotonic() - since

    link.proxy.tell("throttle 200")
    assert in_time(took, 0.3, 3), "on a busy machine, at some time"


def test_a_reset_ends_both_ends(link):
    link.proxy.tell("reset")
    for one in (link.near, link.far):
        with pytest.raises(ConnectionResetError):
            one.recv(1)
    link.near, link.far = link.connect()
    link.near.sendall(b"again")
    assert _receive(link.far, 5) == b"again"


def test_a_cut_passes_half_and_ends(link):
    link.proxy.tell("cut")
    assert not _hears(link.far), "nothing happens before something is sent"
    link.near.sendall(b"0123456789")
    assert _receive(link.far, 5) == b"01234"
    assert link.far.recv(1) == b""
    assert link.near.recv(1) == b""


@pytest.mark.parametrize("which, up, down", [("up", False, True), ("down", True, False),
                                             ("both", False, False)])
def test_a_blackhole_lets_nothing_pass_until_it_is_healed(link, which, up, down):
    link.proxy.tell(f"blackhole {which}")
    link.near.sendall(b"up")
    link.far.sendall(b"down")
    assert _hears(link.far, PATIENCE if up else 0.2) == up
    assert _hears(link.near, PATIENCE if down else 0.2) == down
    link.proxy.tell("heal")
    assert _receive(link.far, 2) == b"up"
    assert _receive(link.near, 4) == b"down"


def test_in_a_blackhole_nobody_hears_that_an_end_has_closed(link):
    link.proxy.tell("blackhole both")
    link.near.close()
    assert not _hears(link.far)
    link.proxy.tell("heal")
    assert link.far.recv(1) == b""
