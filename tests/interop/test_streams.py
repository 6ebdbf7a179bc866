# SPDX-License-Identifier: MPL-2.0
"""Replies in parts of native workers, to clients of Majordomo 0.2: part by part, at the pace of their reader, and what
happens when one breaks off."""

import itertools

import pytest

from stage import MDP_CLIENTS
from support import programs
from support.waiting import until
import peers

KIB, MIB = 1024, 1024 * 1024
CLIENTS = [name for name in MDP_CLIENTS if peers.CLIENTS[name].streams]


def _stream(stage, broker, *command, service="svc"):
    return stage.worker(broker, service, "sh", "-c", *command, options=("--stream",))


def _read(client):
    """Yields the lines of a stream as its parts come; the last part is the FINAL's."""
    rest, more = b"", True
    while more:
        part = client.reply(10)
        assert part is not None, "the stream stops"
        more = part.more
        *lines, rest = (rest + b"".join(part.body)).split(b"\n")
        yield from lines
    assert rest == b""


@pytest.mark.parametrize("client", CLIENTS)
def test_a_part_of_a_native_worker_does_not_wait_for_the_rest(stage, client):
    broker = stage.shared_broker()
    go_on = stage.directory / "go_on"
    _stream(stage, broker, f"echo one; until test -e {go_on}; do sleep 0.02; done; echo two")
    asking = stage.client(broker, client)
    asking.request(b"svc", b"count")
    assert asking.reply()[1:3] == ((b"one\n",), True)
    go_on.touch()
    parts = asking.whole()
    assert b"".join(itertools.chain(*parts)) == b"two\n"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_native_stream_of_many_windows_comes_whole_and_in_order(stage, client):
    broker = stage.shared_broker()
    _stream(stage, broker, "exec seq 1000000")
    asking = stage.client(broker, client)
    asking.request(b"svc", b"count")
    count = 0
    for count, line in enumerate(_read(asking), 1):
        assert line == b"%d" % count
    assert count == 1000000
    assert stage.gauge(broker, "backlog_bytes") < 64 * KIB, "nothing is left"


@pytest.mark.parametrize("backlog", ["64MiB", "64KiB"])
def test_a_client_that_stops_reading_stops_its_worker_and_nobody_else(stage, backlog):
    """It is not cut off, however little may wait for it. Over ipc, where no kernel takes a peer for dead that has
    stopped for long."""
    endpoint = f"ipc://{stage.directory}/broker"
    broker = stage.interop_broker("--bind", endpoint, connection_backlog_bytes=backlog)
    command = _stream(stage, broker, "exec seq 1000000000")
    stage.builtin(broker, "echo", service="echo")
    stopped, other = (stage.own(peers.Mdp02Client(endpoint, rcvhwm=8)) for _ in range(2))
    before = broker.resident_bytes()
    stopped.request(b"svc", b"count")
    seen = [0]

    def stands():
        """Between two looks, which took a few calls of another client, nothing was passed on, and something waits."""
        seen.append(stage.status(broker)["counters"]["part_bytes"])
        for _ in range(20):
            assert other.call(b"echo", b"hi").body == (b"hi",)
        status = stage.status(broker)
        return status["counters"]["part_bytes"] == seen[-1] and status["gauges"]["backlog_bytes"] > 0
    until(stands, 60, "the worker waits", broker)
    # The kernel's buffers are the most of it: what the broker itself holds is a window, and a little.
    assert stage.gauge(broker, "backlog_bytes") < 512 * KIB
    assert programs.SANITIZED or broker.resident_bytes() - before < 8 * MIB
    assert stage.gauge(broker, "running") == 1
    # It goes on where it was, and takes more than can have been on its way.
    lines = _read(stopped)
    for count in range(1, 2 * seen[-1] // 6):
        assert next(lines) == b"%d" % count
    stopped.close()
    until(lambda: stage.gauge(broker, "running") == 0, 10, "the command is cancelled", broker)
    command.terminate()


@pytest.mark.parametrize("limit", ["connection_backlog = 64", "connection_backlog_bytes = 64KiB"])
def test_small_parts_stop_within_a_small_backlog_also_where_it_was_reloaded(stage, limit):
    """Each part is a message of its own, several times as large as what it takes of a window."""
    endpoint, file = f"ipc://{stage.directory}/broker", stage.directory / "settings"
    reloaded = "bytes" in limit
    file.write_text("" if reloaded else f"limits\n    {limit}\n")
    broker = stage.broker("--config", file, "--bind", endpoint)
    if reloaded:
        file.write_text(f"limits\n    {limit}\n")
        assert stage.cli(broker, "reload").code == 0
    command = _stream(stage, broker, "while :; do echo x; sleep 0; done")
    stopped = stage.own(peers.Mdp02Client(endpoint, rcvhwm=8))
    stopped.request(b"svc", b"count")
    seen = [0]

    def stands():
        seen.append(stage.status(broker)["counters"].get("parts", 0))
        return seen[-1] > 100 and seen[-1] == seen[-2]
    until(stands, 20, "the worker waits", broker)
    assert stage.gauge(broker, "running") == 1, "it was not cut off"
    lines = _read(stopped)
    for _ in range(2 * seen[-1]):
        assert next(lines) == b"x"
    stopped.close()
    command.terminate()


def test_streams_of_a_client_that_come_at_once_all_get_on(stage):
    """They share a connection, and each has a window of its own."""
    broker = stage.shared_broker()
    names = [b"one", b"two", b"three"]
    for name in names:
        _stream(stage, broker, "exec seq 100000", service=name.decode())
    asking = stage.client(broker, "mdp02")
    for name in names:
        asking.request(name, b"count")
    came, open_ = dict.fromkeys(names, b""), set(names)
    while open_:
        part = asking.reply(10)
        assert part is not None, f"{open_} stop"
        came[part.service] += b"".join(part.body)
        if not part.more:
            open_.remove(part.service)
    whole = b"".join(b"%d\n" % number for number in range(1, 100001))
    assert [came[name] == whole for name in names] == [True] * 3


# ---- When it breaks off --------------------------------------------------------------------------


@pytest.mark.parametrize("errors", [0, 1])
@pytest.mark.parametrize("client", CLIENTS)
def test_when_the_worker_is_lost_after_a_part_the_stream_has_no_end_or_says_why(stage, client, errors):
    """What has come is not taken for the whole, and is not begun again."""
    broker = stage.interop_broker(foreign_errors=errors)
    worker = _stream(stage, broker, "echo one; exec sleep 1000")
    asking = stage.client(broker, client)
    asking.request(b"svc", b"count")
    assert asking.reply()[1:3] == ((b"one\n",), True)
    other = stage.offer(broker, "mdp02")
    worker.kill()
    until(lambda: stage.status(broker)["finals"].get("WORKER_LOST") == 1, 10, "it has ended", broker)
    if errors:
        reply = asking.reply()
        assert (reply.body[0], reply.more) == (b"WORKER_LOST", False)
        assert b"4 bytes of the reply had been passed on" in reply.body[1]
    else:
        assert stage.status(broker)["unanswered"] == {"WORKER_LOST": 1}
        assert asking.reply(0.1) is None
    assert other.hears("REQUEST", within=0.1) is None


def test_a_command_that_fails_after_a_part_ends_its_stream_with_the_reason(stage):
    broker = stage.shared_broker()
    _stream(stage, broker, "echo one; sleep 0.1; echo broken >&2; exit 3")
    asking = stage.client(broker, "mdp02")
    asking.request(b"svc", b"count")
    one, final = asking.whole()
    assert one == (b"one\n",)
    assert final == (b"broken",)


def test_a_client_that_closes_cancels_the_stream(stage):
    broker = stage.shared_broker()
    _stream(stage, broker, "echo one; exec sleep 1000")
    asking = stage.client(broker, "mdp02")
    asking.request(b"svc", b"count")
    assert asking.reply().more
    asking.close()
    until(lambda: stage.gauge(broker, "running") == 0, 10, "the command is cancelled", broker)
