# SPDX-License-Identifier: MPL-2.0
"""Too many connections, requests or bytes: the broker goes on serving those that it can serve, and
refuses the others."""

import resource
import socket
import statistics
import time

import pytest

from load import LONG, Asker, BigWorker, Flood, costs_little, cpu_percent, crowd
from support.peer import REPLY, REQUEST, Peer
from support.programs import PATIENCE
from support.waiting import until

MIB = 1 << 20
#: The limits that docs/OPERATIONS.md recommends for 256 MiB.
SMALL = {"max_body": "1MiB", "total_queue_bytes": "64MiB", "service_queue_bytes": "48MiB",
         "total_queue": 50000, "service_queue": 40000, "connection_backlog_bytes": "8MiB",
         "connection_backlog": 4096}


def _call(world, broker, service="echo", **more):
    result = world.cli(broker, "call", service, "hello", **more)
    assert (result.code, result.out) == (0, b"hello"), result


# ---- Connections -----------------------------------------------------------------------------------

CROWD = 10000


def _descriptors():
    """Raises the limit of descriptors as far as it goes, and returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 16, max(hard, 1 << 16)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_ten_thousand_clients_are_connected_and_another_calls(world):
    limit = _descriptors()
    if limit * 9 // 10 < CROWD + 100:
        pytest.skip(f"SKIPPED: the limit of descriptors is {limit}, and cannot be raised")
    broker = world.broker(limits={"pending_connections": 100000})
    world.builtin(broker, "echo", "--slots", "8")
    memory = broker.resident_bytes()
    crowd(world, "client", broker.endpoint, CROWD)
    for _ in range(20):
        _call(world, broker)
    result = world.cli(broker, "call", "echo", "hello", "--count", "5000", "--parallel", "50", "-q",
                       within=60)
    assert result.code == 0, result
    assert world.status(broker)["clients"] == CROWD + 1
    each = (broker.resident_bytes() - memory) / CROWD
    print(f"{CROWD} clients: {each / 1024:.1f} KiB each, "
          f"{cpu_percent(broker, 3):.0f}% CPU with their heartbeats")


DESCRIPTORS = 256


def _connect(broker, count):
    host, port = broker.endpoint.removeprefix("tcp://").rsplit(":", 1)
    made = []
    for _ in range(count):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex((host, int(port)))  # it may wait in the backlog of listen()
        made.append(one)
    return made


def test_more_connections_than_descriptors_harm_nobody(world):
    """Bursts of connections arrive, more than there are descriptors, and stay."""
    broker = world.broker(prefix=("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"),
                          limits={"pending_connections": 1000, "pending_timeout": "10m"})
    world.builtin(broker, "echo", "--slots", "8")
    client = world.peer(broker)
    client.hello(heartbeat_ms=60000)
    waiting = []
    load = []
    for burst in range(4):
        waiting += _connect(broker, 2 * DESCRIPTORS)
        load.append(cpu_percent(broker, 2))
        assert client.call(b"echo", b"still here").body == b"still here"
    failed = broker.log().count("cannot accept a connection")
    print(f"CPU in the 2 s after each burst: {load}; lines of accept that failed: {failed}")
    assert max(load) < 20, load
    assert "a connection was cut: nearly all file descriptors are in use" in broker.log()
    for one in waiting:
        one.close()
    begin = time.monotonic()
    with Peer(broker.endpoint) as other:
        other.hello()
        assert other.call(b"echo", b"new").body == b"new"
    assert time.monotonic() - begin < 1 * PATIENCE
    assert len(world.workers(broker, "echo")) == 1, "its worker is still the same"


# ---- A client that does not read ------------------------------------------------------------------

#: A rate of 5 MiB a second, which alone does not slow others; the client exceeds its limit after 0.4 s, and is cut off
#: a second later.
BIG, PAUSE, BACKLOG = MIB // 4, 0.05, 2 * MIB
#: Turns of each kind, one after the other; seconds of a turn.
ROUNDS, ROUND = (150, 4) if LONG else (4, 2)


#: Memory that the broker and libzmq take beside the replies that wait.
SLACK = 24 * MIB


def test_a_client_that_does_not_read_is_cut_off_before_it_fills_the_memory(world):
    """The client asks for 1.6 GB. It has a second to read, in which it gets no more than half of what all may have."""
    size, backlog = 4 * MIB, 64 * MIB
    broker = world.broker("--log-level", "debug", limits={
        "max_body": "16MiB", "service_queue_bytes": "96MiB", "total_queue_bytes": "128MiB",
        "connection_backlog_bytes": "32MiB"})
    big = BigWorker(broker.endpoint, b"big", size)
    big.start()
    before, most = broker.resident_bytes(), 0
    deaf = world.peer(broker, deaf=True)
    deaf.hello(heartbeat_ms=60000)
    for _ in range(400):
        deaf.request(b"big", time_ms=60000)

    def is_cut():
        nonlocal most
        most = max(most, broker.resident_bytes() - before)
        return "it does not read what is sent to it" in broker.log()

    until(is_cut, 60, "it is cut off")
    until(lambda: world.status(broker)["gauges"]["backlog_bytes"] == 0, 10, "nothing waits for it")
    big.stop()
    print(f"{most >> 20} MiB more before it was cut off")
    assert most < backlog + 2 * size + SLACK


def _p99(world, broker):
    result = world.cli(broker, "bench", "echo", "--clients", "2", "--rate", "500", "--duration",
                       f"{ROUND}s", "--warmup", "200ms", "--size", "64B", "-o", "json",
                       within=ROUND + 20)
    assert result.code == 0, result
    return result.json()["latency_us"]["p99"]


def test_a_client_that_does_not_read_costs_others_nothing(world):
    """The client sends requests, is cut off, connects again and goes on. The p99 of others is at most
    1.2 times its value beside the same client that reads."""
    broker = world.broker("--log-level", "debug",
                          limits={"connection_backlog_bytes": f"{BACKLOG >> 20}MiB"})
    world.builtin(broker, "echo", "--slots", "64")
    big = BigWorker(broker.endpoint, b"big", BIG)
    big.start()
    before = broker.resident_bytes()
    memory, lives = [], 0

    def turn(reads):
        nonlocal lives
        asker = Asker(broker.endpoint, b"big", 8 * BACKLOG // BIG, PAUSE, reads)
        asker.start()
        p99 = _p99(world, broker)
        memory.append(broker.resident_bytes() - before)
        asker.stop()
        lives += 0 if reads else asker.lives
        return p99

    little, heard, deaf = costs_little(lambda: turn(True), lambda: turn(False), ROUNDS)
    big.stop()
    cut = broker.log().count("it does not read what is sent to it")
    print(f"p99 of others beside a client that reads: {statistics.median(heard)} µs (up to "
          f"{max(heard)}), that does not: {statistics.median(deaf)} µs (up to {max(deaf)}); "
          f"memory: up to {max(memory) >> 20} MiB more; {lives} connections, {cut} cut off")
    assert cut >= ROUNDS // 2
    assert little
    assert max(memory) < 4 * BACKLOG + SLACK, memory
    until(lambda: world.status(broker)["gauges"]["backlog_bytes"] == 0, 10, "nothing waits for it")


def test_clients_that_do_not_read_cannot_together_keep_others_out(world):
    """For none of them too many bytes wait; for all of them together, more than the limit."""
    broker = world.broker("--log-level", "debug", limits=SMALL)
    world.builtin(broker, "echo", "--slots", "8")
    for _ in range(10):
        deaf = world.peer(broker, deaf=True)
        deaf.hello(heartbeat_ms=60000)
        for _ in range(7):
            deaf.request(b"riposte.ping", b"x" * (MIB - 1000), time_ms=60000)
    until(lambda: broker.log().count("it does not read what is sent to it") >= 2, 10, "some are cut off")
    until(lambda: world.cli(broker, "call", "echo", "hello").code == 0, 10, "others are served")


def test_clients_that_read_are_not_cut_off_however_much_waits_for_them(world):
    """Six replies of 15 MiB at once, over a link that takes 5 s for them: more bytes than the
    limit."""
    size = 15 * MIB
    broker = world.broker("--log-level", "debug", limits={
        **SMALL, "max_body": "16MiB", "connection_backlog_bytes": "32MiB"})
    link = world.proxy(broker, rate=18 * MIB)
    worker = world.peer(broker)
    worker.register(b"big", window=6, heartbeat_ms=60000)
    clients = [Peer(link.endpoint) for _ in range(6)]
    for client in clients:
        client.hello(heartbeat_ms=60000)
        client.request(b"big", time_ms=60000)
    jobs = [worker.expect(REQUEST) for _ in clients]  # all requests are accepted before any reply waits
    for job in jobs:
        worker.reply(job.id, b"b" * size)
    most = 0

    def waits():
        nonlocal most
        most = max(most, world.status(broker)["gauges"]["backlog_bytes"])
        return most > 64 * MIB

    until(waits, 20, "more than the limit waits")
    for client in clients:
        assert len(client.expect(REPLY, within=30).body) == size
        client.close()
    print(f"{most >> 20} MiB waited at once")
    assert "it does not read what is sent to it" not in broker.log()


@pytest.mark.parametrize("rate", [None, 60 * MIB])
def test_a_client_that_reads_may_have_more_waiting_than_its_limit(world, rate):
    """Eight replies of 15 MiB at once, as fast as it can and over a link that takes 2 s for them; its limit is 64 MiB,
    and half of the limit of all is 512."""
    size = 15 * MIB
    broker = world.broker("--log-level", "debug")
    worker = world.peer(broker)
    worker.register(b"big", window=8, heartbeat_ms=60000)
    with Peer(world.proxy(broker, rate=rate).endpoint if rate else broker.endpoint) as client:
        client.hello(heartbeat_ms=60000)
        for _ in range(8):
            client.request(b"big", time_ms=60000)
        jobs = [worker.expect(REQUEST) for _ in range(8)]
        for job in jobs:
            worker.reply(job.id, b"b" * size)
        for _ in range(8):
            assert len(client.expect(REPLY, within=30).body) == size


# ---- A flood from one client ----------------------------------------------------------------------

@pytest.mark.parametrize("window", [1, 4])
def test_a_flood_of_one_client_lets_others_have_their_turn(world, window):
    """Between the arrival and the start of another client's request, the worker gets at most one
    request of the flood."""
    flood, turns = 10000, 25
    broker = world.broker()
    worker, first, second = (world.peer(broker) for _ in range(3))
    worker.register(b"slow", window=window, heartbeat_ms=60000)
    first.hello(heartbeat_ms=60000)
    second.hello(heartbeat_ms=60000)
    for _ in range(flood):
        first.request(b"slow", b"flood", time_ms=600000)
    world.wait_for_waiting(broker, flood - window, within=20)
    held = [worker.expect(REQUEST) for _ in range(window)]
    for turn in range(1, turns + 1):
        first.request(b"slow", b"flood", time_ms=600000)  # keeps as many open as it may
        second.request(b"slow", b"single", time_ms=600000)
        until(lambda: world.status(broker)["counters"]["requests"] == flood + 2 * turn, 5, "both have arrived")
        before = 0
        while True:
            worker.reply(held.pop(0).id, b"done")
            held.append(worker.expect(REQUEST))
            if held[-1].body == b"single":
                break
            before += 1
            assert before <= 1, f"{before} of the flood went before it"


# ---- Requests that wait ---------------------------------------------------------------------------

#: Just below a power of two, where arrays and tables that double are fullest.
QUEUED = 1000000 if LONG else 130000
#: The requests come from this many clients in turn, so that few wait in libzmq at any time.
CLIENTS = 10
BODY = 64
#: Bytes beside the body that a waiting request may take; a short queue also bears what libzmq took.
EACH = 200 if LONG else 240


def test_a_long_queue_takes_little_memory(world):
    broker = world.broker(limits={
        "client_open": 1000000, "service_queue": 2000000, "service_queue_bytes": "4GiB",
        "total_queue": 2000000, "total_queue_bytes": "4GiB"})
    memory = []
    for client in range(1, CLIENTS + 1):
        crowd(world, "queue", broker.endpoint, QUEUED // CLIENTS, BODY, "nobody")
        world.wait_for_waiting(broker, QUEUED // CLIENTS * client, within=60)
        memory.append(broker.resident_bytes())
    # The first client's requests do not count: with them comes what the broker takes only once.
    each = (memory[-1] - memory[0]) / (QUEUED - QUEUED // CLIENTS) - BODY
    print(f"{QUEUED} requests of {BODY} bytes: {each:.0f} bytes each beside the body")
    broker.kill()  # an orderly end of a million requests takes seconds
    assert each <= EACH


# ---- Little memory --------------------------------------------------------------------------------

MEMORY = 256 * MIB
FLOOD_S = 60 if LONG else 3


def test_with_little_memory_the_broker_says_busy_and_lives(world):
    """RLIMIT_AS counts reserved memory too, the stacks of threads for one. The limit of a control group,
    which counts used memory, would be reached later."""
    broker = world.broker(prefix=("prlimit", f"--as={MEMORY}"), limits=SMALL)
    assert "warning: it may take" not in broker.log(), "it is enough"
    world.builtin(broker, "echo", "--slots", "8")
    floods = [Flood(broker.endpoint, b"nobody", 64 << 10), Flood(broker.endpoint, b"nobody", 64),
              Flood(broker.endpoint, b"echo", 256 << 10), Flood(broker.endpoint, b"echo", 64)]
    for one in floods:
        one.start()
    begin = time.monotonic()

    def is_flooded():
        world.status(broker)
        return (time.monotonic() > begin + FLOOD_S
                and all(one.ended.get("BUSY") for one in floods[:2]))

    until(is_flooded, FLOOD_S + 60, "it says BUSY", broker)
    for one in floods:
        one.stop()
    for one in floods:
        print(f"asked {one.asked}: {one.ended}; cut off {one.cuts} times")
    used, reserved = broker.peak_bytes()
    print(f"at most {used >> 20} MiB used, {reserved >> 20} MiB reserved")
    assert reserved < used + MEMORY // 3, "little is reserved and not used"
    until(lambda: world.status(broker)["clients"] <= 1, 10, "they are gone")
    until(lambda: world.cli(broker, "call", "echo", "hello").code == 0, 10, "there is room again")


def test_a_broker_with_less_memory_than_its_limits_allow_says_so(world):
    broker = world.broker(prefix=("prlimit", f"--as={1024 * MIB}"))
    broker.wait_for("warning: it may take 1.9 GiB, but this process may use 1 GiB of memory")
    assert "total_queue_bytes" in broker.log()
