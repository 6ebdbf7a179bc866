# SPDX-License-Identifier: MPL-2.0
"""HTTP peers that misbehave: the gateway bears it, and no other peer is disturbed."""

import os
import resource
import signal
import threading

import pytest

from support.programs import PATIENCE, SANITIZED, SLOW
from support.waiting import until

from house import unread

LONG = os.environ.get("RIPOSTE_LONG") == "1"


# ---- Hanging up --------------------------------------------------------------------------------------------------

def test_a_peer_that_hangs_up_has_its_request_cancelled(house):
    http = house.start()
    house.world.builtin(house.broker, "sleep")
    with http.connect() as peer:
        peer.call("sleep", b"60s", "Riposte-Timeout: 60s")
        house.running(1)
    until(lambda: house.ended("CANCELLED") == 1, 5, "the broker says CANCELLED")
    assert http.call("sleep", b"0s").status == 200, "the worker is free again"


def test_a_peer_that_resets_its_connection_has_its_request_cancelled(house):
    http = house.start()
    house.world.builtin(house.broker, "sleep")
    with http.connect() as peer:
        peer.call("sleep", b"60s", "Riposte-Timeout: 60s")
        house.running(1)
        peer.socket.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER with 0 s: close sends RST
    until(lambda: house.ended("CANCELLED") == 1, 5, "the broker says CANCELLED")


def test_an_end_that_comes_with_the_request_is_seen(house):
    http = house.start()
    for _ in range(20):
        with http.connect() as peer:
            peer.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").socket.shutdown(1)
            assert peer.read().status in (200, 499)
            assert peer.is_over()


def test_half_a_hang_up_counts_as_one_and_is_answered(house):
    """Also beside a connection that has been idle for longer: libmicrohttpd looks at that one first."""
    http = house.start()
    house.world.builtin(house.broker, "sleep")
    with http.connect() as idle, http.connect() as peer:
        assert idle.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").read().status == 200
        peer.call("sleep", b"60s", "Riposte-Timeout: 60s")
        house.running(1)
        peer.socket.shutdown(1)
        answer = peer.read()
        assert (answer.status, answer["Riposte-Status"]) == (499, "CANCELLED")
        assert peer.is_over()


def test_a_peer_that_hangs_up_as_soon_as_it_has_asked_leaves_nothing_running(house):
    http = house.start()
    house.world.builtin(house.broker, "sleep", "--slots", "50")
    for _ in range(50):
        with http.connect() as peer:
            peer.call("sleep", b"60s", "Riposte-Timeout: 60s")
            peer.socket.shutdown(1)
    until(lambda: connections(http) == 0, 5, "none of them is left")
    until(lambda: house.world.status(house.broker)["gauges"]["running"] == 0
          and http.call("sleep", b"0s").status == 200, 5, "nothing runs")


# ---- Slow peers, and those that send nonsense ----------------------------------------------------------------------

def test_one_byte_at_a_time_is_a_request(house):
    http = house.start()
    house.world.builtin(house.broker, "upper")
    with http.connect() as peer:
        for byte in b"POST /call/upper HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc":
            peer.send(bytes([byte]))
        assert peer.read().body == b"ABC"


def test_a_chunked_body_is_a_body(house):
    http = house.start()
    house.world.builtin(house.broker, "upper")
    with http.connect() as peer:
        for _ in range(2):
            peer.send("POST /call/upper HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "3\r\nabc\r\nA;x=y\r\ndefghijklm\r\n0\r\nTrailer: x\r\n\r\n")
            assert peer.read().body == b"ABCDEFGHIJKLM"


def test_a_large_body_goes_both_ways_whatever_its_coding(house):
    http = house.start()
    house.world.builtin(house.broker, "echo")
    body = os.urandom(1 << 20) * 8
    assert http.call("echo", body, Riposte_Timeout="30s").body == body
    chunks = iter([body[:100], body[100:5000000], body[5000000:]])
    assert http.request("POST", "/call/echo", chunks, [("Riposte-Timeout", "30s")]).body == body
    assert http.call("echo", b"").body == b""


def test_leave_to_send_is_given_and_refused_before_the_body(house):
    http = house.start("--max-body", "1000")
    house.world.builtin(house.broker, "upper")
    head = "POST /call/upper HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: "
    with http.connect() as peer:
        assert peer.send(head + "3\r\n\r\n").read().status == 100
        assert peer.send("abc").read().body == b"ABC"
    with http.connect() as peer:
        assert peer.send(head + "1001\r\n\r\n").read().status == 413
        assert peer.is_over()


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_a_body_over_the_limit_is_413_which_the_peer_can_read(house, coding):
    http = house.start("--max-body", "100kB")
    house.world.builtin(house.broker, "echo")
    body = b"x" * 5000000
    answer = http.request("POST", "/call/echo", body if coding == "length" else iter([body]))
    assert (answer.status, answer["Riposte-Status"]) == (413, "TOO_LARGE")
    assert "--max-body" in answer.problem()["detail"]
    whole = b"x" * 100000
    assert http.request("POST", "/call/echo", whole if coding == "length" else iter([whole])).body == whole
    assert house.ended("OK") == 1, "nothing else has reached the broker"


def test_the_bodies_of_all_peers_have_a_limit(house):
    http = house.start("--total-body", "1000001")
    house.world.builtin(house.broker, "echo")
    half = b"x" * 500000
    with http.connect() as one, http.connect() as two:
        for peer in (one, two):
            peer.send("POST /call/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500001\r\n\r\n").send(half)
        until(lambda: unread(http) == 0, 10, "it has read them")
        answer = http.call("echo", b"xx")
        assert (answer.status, answer["Retry-After"], answer["Riposte-Status"]) == (429, "1", "BUSY")
        assert http.call("echo", b"x").status == 200
        assert one.send("x").read().status == 200
        assert two.send("x").read().status == 200
    assert http.call("echo", half).status == 200


def test_a_body_that_nothing_is_done_with_takes_no_room(house):
    """A probe needs no token, so its body must not keep out those who have one."""
    http = house.start("--total-body", "1000000")
    house.world.builtin(house.broker, "upper")
    with http.connect() as peer:
        peer.send("GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n").send(b"x" * 999999)
        until(lambda: unread(http) == 0, 10, "it has read it")
        assert http.call("upper", b"xyz").status == 200
        assert peer.send("x").read().status == 200


def test_the_bodies_of_replies_that_nobody_reads_have_a_limit(house):
    http = house.start("--total-body", "16MiB", "--upload", "10m")
    house.world.worker(house.broker, "big", "head", "-c", "4000000", "/dev/zero", options=("--slots", "4"))
    peers = [http.connect(receive_buffer=4096) for _ in range(12)]
    for peer in peers:
        peer.call("big", b"x", "Riposte-Timeout: 60s")
    until(lambda: house.ended("OK") == 12, 20, "all were answered")
    answers = [peer.read() for peer in peers]
    statuses = {(answer.status, answer["Riposte-Status"], len(answer.body) == 4000000) for answer in answers}
    assert statuses == {(200, "OK", True), (500, "NO_MEMORY", False)}
    assert http.call("big", b"x").status == 200, "there is room again"


def test_half_a_request_ends_after_the_time_for_it_and_the_others_go_on(house):
    http = house.start("--upload", "1s")
    house.world.builtin(house.broker, "upper")
    halves = ["", "POST /ca", "POST /call/upper HTTP/1.1\r\nHost: localhost\r\n",
              "POST /call/upper HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc",
              "POST /call/upper HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"]
    peers = [http.connect().send(half) for half in halves]
    assert http.call("upper", b"x").body == b"X"
    for peer in peers:
        assert peer.is_over()
        peer.socket.close()
    assert house.ended("OK") == 1


def test_a_body_has_the_whole_time_though_the_connection_is_old(house):
    """The headers take most of the time for a request; the body may then take as long again."""
    http = house.start("--upload", f"{4 * SLOW}s")
    house.world.builtin(house.broker, "upper")
    with http.connect() as peer, http.connect() as clock:
        assert peer.call("upper", b"a").read().body == b"A"
        peer.send("POST /call/upper HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n")
        # A request of 2.4 s lets time pass, before the end of the headers and after it.
        house.world.builtin(house.broker, "sleep")
        assert clock.call("sleep", b"%dms" % (2400 * SLOW), "Riposte-Timeout: 60s").read().status == 200
        peer.send("\r\nb")
        assert clock.call("sleep", b"%dms" % (2400 * SLOW), "Riposte-Timeout: 60s").read().status == 200
        assert peer.send("c").read().body == b"BC"


def test_a_request_that_runs_longer_than_a_peer_may_take_is_not_cut_off(house):
    http = house.start("--upload", "1s", "--idle", "1s")
    house.world.builtin(house.broker, "sleep")
    with http.connect() as peer:
        assert peer.call("sleep", b"2500ms").read().body == b"slept 2500ms"


def test_a_reader_that_reads_nothing_is_cut_off_and_harms_nobody(house):
    http = house.start("--upload", "1s")
    house.world.builtin(house.broker, "echo")
    body = b"x" * (8 << 20)
    with http.connect(receive_buffer=4096) as peer:
        peer.call("echo", body)
        until(lambda: house.ended("OK") == 1, 5, "it was answered")
        assert http.call("echo", b"y").body == b"y"
        got = 0
        # Only what is in the peer's kernel comes; the rest is lost.
        until(lambda: connections(http) == 0, 10, "it is cut off")
        while data := receive(peer):
            got += len(data)
        assert got < len(body)


def receive(peer):
    try:
        return peer.socket.recv(65536)
    except ConnectionResetError:
        return b""


def connections(http):
    """Returns how many connections of HTTP peers the gateway has."""
    inodes = set()
    for name in os.listdir(f"/proc/{http.pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{http.pid}/fd/{name}"))
        except FileNotFoundError:
            pass
    count = 0
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table.readlines()[1:]:
            words = line.split()
            if int(words[1].split(":")[1], 16) == http.port and f"socket:[{words[9]}]" in inodes:
                count += words[3] != "0A"
    return count


@pytest.mark.parametrize("text", [
    "\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "POST /call/upper HTTP/1.1\r\n\r\n",
    "POST /call/upper HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    "POST /call/upper HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "POST /call/upper HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "POST /call/upper HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "POST /call/upper HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
])
def test_nonsense_is_refused_and_ends_the_connection(house, text):
    http = house.start()
    house.world.builtin(house.broker, "upper")
    with http.connect() as peer:
        peer.send(text).socket.shutdown(1)
        answer = peer.read()
        assert answer is None or 400 <= answer.status < 600
        assert peer.is_over()
    assert http.call("upper", b"x").body == b"X"
    assert house.ended("OK") == 1


@pytest.mark.parametrize("headers", [
    "Content-Length: 3\r\nContent-Length: 4", "Content-Length: 3\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity", "Content-Length: 3\r\nHost: evil.example",
    "Content-Length: +3", "Content-Length: 3, 3",
    "Content-Length: 3\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b",
    "Content-Length : 3", "Content-Length\t: 3", "X: y\r\n Content-Length: 3", "Content-: 3\r\n Length",
    "Transfer-: chunked\r\n\tEncoding", "X: y\rContent-Length: 3", "X\rContent-Length: 3",
    "X y: z\r\nContent-Length: 3",
])
def test_a_request_that_a_proxy_could_see_as_another_is_the_last_one(house, headers):
    http = house.start()
    house.world.builtin(house.broker, "upper")
    with http.connect() as peer:
        peer.send(f"POST /call/upper HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\nabc"
                  "POST /call/upper HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")
        assert peer.read().status == 400
        assert peer.read() is None
    assert house.ended("OK") == 0


def test_a_coding_in_an_older_request_is_refused(house):
    http = house.start()
    house.world.builtin(house.broker, "upper")
    with http.connect() as peer:
        peer.send("POST /call/upper HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
        assert peer.read().status == 400
        assert peer.read() is None
    assert house.ended("OK") == 0


def test_a_flood_of_headers_is_refused(house):
    http = house.start()
    house.world.builtin(house.broker, "upper")
    for flood in (f"X: {'x' * 100000}\r\n\r\n", "X: y\r\n" * 50000 + "\r\n", "x" * 100000):
        with http.connect() as peer:
            try:
                peer.send("POST /call/upper HTTP/1.1\r\nHost: localhost\r\n" + flood)
                answer = peer.read()
            except ConnectionError:
                answer = None
            assert answer is None or answer.status in (400, 413, 431)
            peer.is_over()
    assert http.call("upper", b"x").body == b"X"


def test_more_headers_than_a_request_has_room_for_are_400(house):
    http = house.start()
    many = [(f"Riposte-Header-{number}", "x") for number in range(65)]
    answer = http.request("POST", "/call/upper", b"", many)
    assert (answer.status, answer["Riposte-Status"]) == (400, "INVALID")


# ---- Many at once --------------------------------------------------------------------------------------------------

def test_pipelined_requests_are_answered_in_their_order(house):
    http = house.start()
    house.world.builtin(house.broker, "echo", "--slots", "8")
    with http.connect() as peer:
        for number in range(100):
            peer.call("echo", b"%d" % number)
        assert [int(peer.read().body) for _ in range(100)] == list(range(100))


def test_idle_connections_cost_the_others_nothing(house):
    count = 10000 if LONG else 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2 * count + 200)), hard))
    http = house.start("--connections", str(count + 1))
    house.world.builtin(house.broker, "upper")
    before = http.resident_bytes()
    peers = [http.connect() for _ in range(count)]
    try:
        until(lambda: connections(http) == count, 20, "they are connected")
        assert http.call("upper", b"x").body == b"X"
        if not SANITIZED:
            assert (http.resident_bytes() - before) / count < 40000
        assert http.cpu_seconds() < 10 * PATIENCE
    finally:
        for peer in peers:
            peer.socket.close()
    until(lambda: connections(http) == 0, 20, "they are gone")
    assert http.call("upper", b"x").body == b"X"
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_peers_beyond_the_most_connections_wait_until_others_have_gone(house):
    http = house.start("--connections", "5")
    for _ in range(10):
        peers = [http.connect() for _ in range(8)]
        until(lambda: connections(http) == 5, 5, "the others wait")
        for peer in peers:
            peer.socket.close()
        assert http.request("GET", "/livez", within=5).status == 200


def test_connections_of_one_address_may_have_a_limit(house):
    http = house.start("--per-address", "3")
    until(lambda: connections(http) == 0, 5, "those of the fixture are gone")
    peers = [http.connect() for _ in range(3)]
    until(lambda: connections(http) == 3, 5, "they are connected")
    with http.connect() as fourth:
        assert fourth.is_over()
    for peer in peers:
        peer.socket.close()
    until(lambda: connections(http) == 0, 5, "they are gone")
    assert http.get("/livez").status == 200


def test_peers_leave_descriptors_for_the_broker(house):
    house.broker = house.world.broker()
    few = ("prlimit", "--nofile=64:64")
    fewer = house.gateway("--connections", "9", "--streams", "9", prefix=few, ready=False)
    assert "at most 9 connections, and 4 replies in parts, since 64 descriptors may be open" in fewer.log()
    fewer.terminate()
    http = house.gateway(prefix=few)
    peers = [http.connect() for _ in range(80)]
    until(lambda: connections(http) > 10, 5, "some are connected")
    broker, house.broker = house.broker, None
    broker.kill()
    house.broker = house.world.restart(broker)

    def is_ready():
        peers[0].send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return peers[0].read().status == 200

    until(is_ready, 10, "it has a broker again")
    for peer in peers:
        peer.socket.close()


def test_each_call_ends_with_a_status_though_the_broker_is_killed(house):
    http = house.start("--timeout", "2s")
    house.world.builtin(house.broker, "echo", "--slots", "8")
    answers, over = [], threading.Event()

    def load(number):
        with http.connect() as peer:
            while not over.is_set():
                answer = peer.call("echo", b"%d" % number).read()
                answers.append((answer.status, answer["Riposte-Status"]) if answer else None)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(answers) > 200, 20, "calls end")
        broker, house.broker = house.broker, None
        broker.kill()
        until(lambda: any(answer and answer[0] != 200 for answer in answers), 10, "one fails")
        house.broker = house.world.restart(broker)
        at = len(answers)
        until(lambda: (200, "OK") in answers[at:], 10, "calls are answered again")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert None not in answers
    assert {answer for answer in answers if answer[0] != 200} <= {
        (502, "UNKNOWN"), (503, "NO_BROKER"), (503, "NO_WORKER"), (504, "DEADLINE"), (504, "EXPIRED"),
        (503, "DRAINING")}


# ---- The end -------------------------------------------------------------------------------------------------------

def test_sigterm_waits_for_open_requests_and_for_the_reading_of_their_responses(house):
    http = house.start("--upload", "10m", "--timeout", "10m")
    gate = house.world.gate()
    house.world.worker(house.broker, "held", *gate.command)
    house.world.builtin(house.broker, "echo")
    body = b"x" * (8 << 20)
    with http.connect() as peer, http.connect() as resting, http.connect(receive_buffer=4096) as slow:
        assert resting.call("echo", b"1").read()["Connection"] is None
        peer.call("held")
        slow.call("echo", body)
        until(lambda: gate.starts() and house.ended("OK") == 2, 10, "one runs, one is answered")
        http.terminate()
        http.wait_for("draining: ")
        answer = resting.call("echo", b"2").read()
        assert (answer.status, answer["Riposte-Status"], answer["Connection"]) == (503, "DRAINING", "close")
        with pytest.raises(ConnectionError):
            http.connect()
        gate.open()
        answer = peer.read()
        assert (answer.status, answer.body, answer["Connection"]) == (200, b"delivery 1", "close")
        assert http.alive(), "one response is not read yet"
        assert slow.read().body == body
    assert http.wait(5) == 0


def test_a_second_signal_ends_it_at_once_and_cancels(house):
    http = house.start()
    house.world.builtin(house.broker, "sleep")
    with http.connect() as peer:
        peer.call("sleep", b"60s", "Riposte-Timeout: 60s")
        house.running(1)
        http.terminate()
        http.wait_for("draining: 1 ")
        http.interrupt()
        assert http.wait(5) == 130
        answer = peer.read()
        assert answer is None or answer.status == 503
    until(lambda: house.ended("CANCELLED") == 1, 5, "the broker says CANCELLED")


def test_an_address_in_use_is_one_line(house):
    http = house.start()
    result = house.world.run(http.popen.args[0], "--listen", f"127.0.0.1:{http.port}")
    assert result.code == 1
    assert "--listen" in result.error()
    http.signal(signal.SIGUSR1)
    assert http.get("/livez").status == 200
