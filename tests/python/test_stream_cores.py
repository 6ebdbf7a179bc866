# SPDX-License-Identifier: MPL-2.0
"""Bodies in parts (docs/PROTOCOL.md, 11) without a socket: flow control, and the rules of client and worker."""

import pytest

from riposte import _flow as flow
from riposte import _wire as wire
from riposte._client_core import CallState, ClientCore, StreamState, Terms
from riposte._status import Status
from riposte._worker_core import WorkerCore

from peers import Puppet

STREAMS = (("max-body", "1000"), ("streams", "1"), ("stream-window", "2000"))


class Client(Puppet):
    def __init__(self):
        super().__init__(lambda now: ClientCore(("tcp://127.0.0.1:5555",), "me", lambda: 1.0, now))

    def stream(self, window=1000, more=False, idle=None, attempts=1):
        call = CallState(Terms("log", attempts=attempts, headers=[("k", "v")]), b"x", 60.0, self.now)
        call.stream = StreamState(call.terms, window, idle, more)
        self.core.submit(call, self.now)
        self.look()
        return call

    def part(self, call, body, **fields):
        self.say(wire.REPLY, id=call.id, flags=wire.MORE, body=[body], **fields)

    def grant(self, call, granted):
        self.say(wire.GRANT, id=call.id, conversation=granted)

    def take(self, what=None):
        return super().take(what)


class Worker(Puppet):
    def __init__(self, streams=True):
        super().__init__(lambda now: WorkerCore(("tcp://127.0.0.1:5555",), "log", 2, "me", lambda: 1.0, now,
                                                streams=streams))

    def request(self, flags, window="1000"):
        headers = (("stream-window", window),) if flags & wire.STREAM else ()
        self.say(wire.REQUEST, id=7, time=5000, attempt=1, attempts=1, name=b"log", flags=flags, headers=headers)
        return self.others[-1][1]


def up(peer):
    hello = peer.up(headers=STREAMS)
    return hello


# ---- Flow control -----------------------------------------------------------------------------------

def test_a_reader_grants_when_half_of_its_window_was_taken():
    reader = flow.Reader(1000, 1000)
    assert all(reader.add(b"x" * 100, 0, 0.0) for _ in range(6))
    assert [reader.take(0.0)[1] for _ in range(4)] == [False, False, False, True]
    assert reader.granted == 1656


def test_what_was_not_granted_is_noticed():
    reader = flow.Reader(1000, 1000)
    assert reader.add(b"x" * 936, 0, 0.0) and not reader.add(b"", 0, 0.0)


@pytest.mark.parametrize("window", [65, 66, 100, 128, 191, 1000, 65536])
def test_a_writer_and_a_reader_are_never_stuck(window):
    reader, writer = flow.Reader(window, window), flow.Writer(window)
    left = 2000
    while left:
        piece = writer.piece(left, 0)
        if piece:
            left -= piece
            assert reader.add(bytes(piece), 0, 0.0)
            continue
        assert reader.parts
        while reader.parts:
            if reader.take(0.0)[1]:
                assert writer.grant(reader.granted)


@pytest.mark.parametrize("window, error", [(64, ValueError), (1 << 31, ValueError), ("1000", TypeError)])
def test_a_window_is_a_number_of_bytes(window, error):
    with pytest.raises(error):
        flow.check_window(window)


WINDOW, MOST, PIECE = 65536, 1048576, b"x" * 4000


def window_after(delay, written, taken, taken_every, most):
    """The window that a reader has after a second, where parts and grants take so many ms on their way, in a ms so many
    parts are written, and in so many ms so many are taken."""
    reader, writer = flow.Reader(WINDOW, most), flow.Writer(WINDOW)
    parts, grants = [0] * 1100, [0] * 1100
    for ms in range(1000):
        now = ms / 1000
        writer.grant(grants[ms])
        for _ in range(written):
            if not writer.piece(len(PIECE), 0):
                break
            parts[ms + delay] += 1
        assert all(reader.add(PIECE, 0, now) for _ in range(parts[ms]))
        for _ in range(taken if ms % taken_every == 0 else 0):
            if not reader.parts:
                break
            if reader.take(now)[1]:
                grants[ms + delay] = reader.granted
        assert reader.window <= most and reader.granted <= reader.taken + most
    return reader.window


def test_a_window_that_is_too_small_for_the_way_grows_to_its_bound():
    for most in (MOST, 100000, WINDOW):
        assert window_after(10, 1000, 1000, 1, most) == most


def test_it_grows_no_further_than_the_writer_needs():
    assert 80000 <= window_after(10, 1, 1000, 1, MOST) <= 4 * WINDOW  # 4 MB a second over 20 ms need 80 kB
    assert window_after(1, 1, 1000, 1, MOST) <= 2 * WINDOW


def test_a_slow_reader_does_not_let_it_grow():
    assert window_after(10, 1000, 1, 10, MOST) == WINDOW


# ---- The client -------------------------------------------------------------------------------------

def test_a_stream_states_window_and_silence_and_reads_parts_to_its_reply():
    client = Client()
    up(client)
    call = client.stream(idle=2.5)
    request = client.one(wire.REQUEST)
    assert request.flags == wire.INLINE | wire.STREAM
    assert request.headers == (("stream-window", "1000"), ("stream-idle", "2500"), ("k", "v"))
    client.part(call, b"one")
    client.part(call, b"two")
    client.say(wire.REPLY, id=call.id, status=0, attempt=1, body=[b"three"])
    assert [client.core.take(call, client.now) for _ in range(3)] == [b"one", b"two", None]
    assert call.reply.body == b"three"


def test_the_window_is_at_most_what_the_broker_allows():
    client = Client()
    up(client)
    for window in (None, 262144):
        call = client.stream(window)
        assert dict(client.one(wire.REQUEST).headers)["stream-window"] == "2000"
        assert call.stream.reader.most == 2000


def test_only_a_window_that_is_not_stated_grows():
    client = Client()
    client.up(headers=(("streams", "1"), ("stream-window", "1000000")))
    for window, begin, most in ((None, 262144, 1000000), (500000, 500000, 500000)):
        call = client.stream(window)
        assert dict(client.one(wire.REQUEST).headers)["stream-window"] == str(begin)
        assert call.stream.reader.most == most


def test_parts_are_granted_as_they_are_taken():
    client = Client()
    up(client)
    call = client.stream()
    client.part(call, b"x" * 300)
    client.part(call, b"x" * 300)
    assert not client.take(wire.GRANT)
    client.core.take(call, client.now)
    assert not client.take(wire.GRANT)
    client.core.take(call, client.now)
    grant = client.one(wire.GRANT)
    assert (grant.id, grant.conversation) == (call.id, 1728)


def test_the_headers_of_a_part_are_counted_too():
    client = Client()
    up(client)
    call = client.stream()
    headers = (("key", "x" * 294),)  # 300 bytes
    client.say(wire.REPLY, id=call.id, flags=wire.MORE, headers=headers, body=[b"x" * 140])
    assert not client.take(wire.GRANT)
    client.core.take(call, client.now)
    assert client.one(wire.GRANT).conversation == 1504


def test_a_broker_that_knows_no_streams_is_not_asked():
    client = Client()
    client.up()
    call = client.stream()
    assert not client.take(wire.REQUEST)
    assert call.reply.status == Status.INVALID and "knows no streams" in call.reply.text


def test_more_than_was_granted_cancels_the_request():
    client = Client()
    up(client)
    call = client.stream(window=100)
    client.part(call, b"x" * 37)
    assert client.one(wire.CANCEL).id == call.id
    assert (call.reply.status, call.reply.may_have_run) == (Status.UNKNOWN, True)
    assert "more than was granted" in call.reply.text
    client.say(wire.REPLY, id=call.id, status=Status.OK, body=[b"rest"])
    assert call.reply.body == b""


def test_after_a_part_a_request_is_not_sent_again():
    client = Client()
    up(client)
    call = client.stream(attempts=3)
    client.part(call, b"one")
    client.lose()
    assert call.reply.status == Status.UNKNOWN


def test_before_a_part_it_is_sent_again_and_begins_anew():
    client = Client()
    up(client)
    call = client.stream(attempts=3, more=True)
    client.grant(call, 500)
    client.lose()
    client.wait(1.0)
    up(client)
    client.take()
    assert call.reply is None and call.stream.writer.granted == 0


def test_a_body_is_written_as_it_is_granted():
    client = Client()
    up(client)
    call = client.stream(more=True)
    assert client.one(wire.REQUEST).flags == wire.INLINE | wire.STREAM | wire.MORE
    body = memoryview(b"x" * 1000)
    assert client.core.write(call, body, client.now) == 0 and not client.core.end_body(call, client.now)
    client.grant(call, 300)
    assert client.core.write(call, body, client.now) == 86
    client.grant(call, 200)  # none is taken back
    assert client.core.write(call, body[:50], client.now) == 50
    assert client.core.write(call, body, client.now) == 0
    assert client.core.end_body(call, client.now) and not client.core.end_body(call, client.now)
    assert [(part.flags, sum(map(len, part.body))) for part in client.take(wire.PART)] == [
        (wire.MORE, 86), (wire.MORE, 50), (0, 0)]


def test_parts_of_other_requests_are_ignored():
    client = Client()
    up(client)
    call = CallState(Terms("log"), b"x", 5.0, client.now)
    client.core.submit(call, client.now)
    client.part(call, b"one")
    client.grant(call, 100)
    assert client.core._link.ignored == 2 and call.reply is None


# ---- The worker -------------------------------------------------------------------------------------

def test_a_worker_says_that_it_knows_streams():
    assert up(Worker()).headers == (("streams", "1"),)
    assert up(Worker(streams=False)).headers == ()


def test_a_reply_is_written_as_it_is_granted_and_ends():
    worker = Worker()
    up(worker)
    task = worker.request(wire.STREAM)
    body = memoryview(b"x" * 1000)
    assert [worker.core.write(task, body, worker.now) for _ in range(3)] == [436, 436, 0]
    worker.say(wire.GRANT, id=7, conversation=1500)
    assert worker.others[-1] == ("flowed", task)
    assert worker.core.write(task, body, worker.now) == 436
    worker.core.answer(task, Status.OK, b"end", now=worker.now)
    replies = worker.take(wire.REPLY)
    assert [(one.flags & wire.MORE, sum(map(len, one.body))) for one in replies] == [
        (wire.MORE, 436)] * 3 + [(0, 3)]


def test_a_client_that_reads_no_parts_gets_them_joined():
    worker = Worker()
    up(worker)
    task = worker.request(0)
    assert worker.core.write(task, memoryview(b"one "), worker.now) == 4
    with pytest.raises(ValueError, match="over 1000"):
        worker.core.write(task, memoryview(b"x" * 1000), worker.now)
    worker.core.answer(task, Status.OK, b"two", now=worker.now)
    assert list(worker.one(wire.REPLY).body) == [b"one two"]


def test_nothing_is_written_when_nobody_wants_it():
    worker = Worker()
    up(worker)
    task = worker.request(wire.STREAM)
    worker.say(wire.CANCEL, id=7)
    assert worker.core.write(task, memoryview(b"x"), worker.now) == 0


def test_a_request_is_read_to_its_end():
    worker = Worker()
    up(worker)
    task = worker.request(wire.MORE)
    worker.say(wire.PART, id=7, flags=wire.MORE, body=[b"early"])
    assert worker.core.take(task, worker.now) is None
    assert worker.one(wire.GRANT).conversation == 2000
    worker.say(wire.PART, id=7, flags=wire.MORE, body=[b"one"])
    worker.say(wire.PART, id=7, body=[b"two"])
    worker.say(wire.PART, id=7, body=[b"late"])
    assert [worker.core.take(task, worker.now) for _ in range(3)] == [b"one", b"two", None]
    assert not task.more and worker.core._seats[0].link.ignored == 2
