# SPDX-License-Identifier: MPL-2.0
"""Measures growing numbers of services, workers, clients and queued requests, and skewed work. Each
function returns one figure, or raises Failed; bench/compare repeats the functions and compares the
figures."""
import http.client
import resource
import socket
import threading
import time

from systems import Failed, Shape, Stage, SYSTEMS, cpu_seconds, free_ports, measure_clients, memory

QUEUED = 1000000
QUEUED_SIZE = 64
LIMITS = ("client_open=1000000", "service_queue=2000000", "service_queue_bytes=4GiB",
          "total_queue=2000000", "total_queue_bytes=4GiB", "pending_connections=100000")
SHAPE = Shape()
# Descriptors that a broker needs beside those of its peers.
SPARE = 200


def descriptors():
    """Raises the limit of descriptors to its maximum, and returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def crowd(count):
    """Returns how many peers the descriptors allow, and a note if they are fewer than wanted."""
    limit = descriptors()
    if count + SPARE <= limit:
        return count, None
    return limit - SPARE, f"{limit - SPARE} instead of {count}: the limit of descriptors is {limit}"


def rate_with_workers(build, seconds, workers, services=0, system="riposte", work_us=2):
    """Every worker has one thread and takes messages one by one, so that one worker and a thousand
    differ only in their number. work_us: the time that the workers state for a request; 0: they
    state none."""
    with Stage(build) as stage:
        middle, front, back = SYSTEMS[system].start(stage, SHAPE)
        if system == "riposte":
            stage.start_ready("bench_crowd", "worker", back, workers, services, 256,
                              work_us)
        else:
            stage.start_ready("bench_crowd", "zmq-worker", back, workers)
        return measure_clients(stage, middle, SYSTEMS[system].load, front, SHAPE, seconds, services)


def rate_with_clients(build, seconds, idle):
    with Stage(build) as stage:
        middle, endpoint = stage.broker("pending_connections=100000")
        stage.start_ready("bench_load", "riposte", "worker", endpoint, SHAPE.workers, SHAPE.window)
        if idle:
            stage.start_ready("bench_crowd", "client", endpoint, idle, bound=60)
        return measure_clients(stage, middle, "riposte", endpoint, SHAPE, seconds)


def _status(stage, endpoint):
    return stage.run("riposte", "--server", endpoint, "--timeout", "30s", "status", "-o", "json")


def _wait_for(stage, endpoint, what, reached, bound=120):
    end = time.monotonic() + bound
    while time.monotonic() < end:
        if reached(_status(stage, endpoint)):
            return
        time.sleep(0.05)
    raise Failed(f"{what} not within {bound} s")


def _fill(stage, middle, endpoint, count, service):
    """Returns the bytes that each waiting request takes beside its body."""
    before = memory(middle.pid, "VmRSS")
    stage.start_ready("bench_crowd", "queue", endpoint, count, QUEUED_SIZE, service, bound=60)
    _wait_for(stage, endpoint, f"{count} requests in the queue",
              lambda status: status["gauges"]["waiting"] >= count)
    return (memory(middle.pid, "VmRSS") - before) / count - QUEUED_SIZE


def rate_beside_queue(build, seconds, queued):
    """Runs with that many requests waiting for another service. Returns the run, and bytes a
    request."""
    with Stage(build) as stage:
        middle, endpoint = stage.broker(*LIMITS)
        each = _fill(stage, middle, endpoint, queued, "nobody") if queued else None
        stage.start_ready("bench_load", "riposte", "worker", endpoint, SHAPE.workers, SHAPE.window)
        return measure_clients(stage, middle, "riposte", endpoint, SHAPE, seconds), each


def rate_of_drain(build, queued):
    """µs of the broker's CPU for a request, from the workers' arrival until a queue of that length
    is served. The time by the clock would measure the one client, which has to read all replies."""
    with Stage(build) as stage:
        middle, endpoint = stage.broker(*LIMITS, "connection_backlog=1000000")
        _fill(stage, middle, endpoint, queued, "bench")
        before = cpu_seconds(middle.pid)[0]
        stage.start_ready("bench_load", "riposte", "worker", endpoint, SHAPE.workers, SHAPE.window)
        _wait_for(stage, endpoint, "the end of the queue",
                  lambda status: status["finals"]["OK"] >= queued)
        return (cpu_seconds(middle.pid)[0] - before) / queued * 1e6


def bytes_per_client(build, count, system="riposte"):
    """Returns the bytes that an idle client takes in the process in the middle."""
    with Stage(build) as stage:
        if system == "riposte":
            middle, front = stage.broker("pending_connections=100000")
        else:
            middle, front, _ = SYSTEMS[system].start(stage, SHAPE)
        kind = "client" if system == "riposte" else "zmq-client"
        stage.start_ready("bench_crowd", kind, front, 10)
        before = memory(middle.pid, "VmRSS")
        stage.start_ready("bench_crowd", kind, front, count, bound=60)
        return (memory(middle.pid, "VmRSS") - before) / count


def idle_workers(stage, endpoint, workers):
    stage.start_ready("bench_crowd", "worker", endpoint, workers, 0, 1)


def idle_cpu(build, workers, seconds):
    """Percent of one core that a broker takes while its workers have nothing to do."""
    with Stage(build) as stage:
        middle, endpoint = stage.broker()
        idle_workers(stage, endpoint, workers)
        time.sleep(1)
        before, begin = cpu_seconds(middle.pid)[0], time.monotonic()
        time.sleep(seconds)
        return (cpu_seconds(middle.pid)[0] - before) / (time.monotonic() - begin) * 100


# ---- Skew ------------------------------------------------------------------------------------------
# Three workers take 5 ms for a request and one takes 500 ms; or four equal workers have the same
# capacity. Requests come at three fifths of the capacity, on a schedule, so that their waiting
# counts. With much shorter work the pauses of a shared machine, a few ms, would be measured
# instead.

FAST_US, SLOW_US = 5000, 500000
CAPACITY = 3e6 / FAST_US + 1e6 / SLOW_US
SKEW_RATE = int(CAPACITY * 0.6)


def skew(build, seconds, even, slots):
    """Returns p50 and p99 of all requests, µs."""
    groups = [(4, int(4e6 / CAPACITY))] if even else [(3, FAST_US), (1, SLOW_US)]
    with Stage(build) as stage:
        _, endpoint = stage.broker()
        for count, work in groups:
            stage.start_ready("bench_load", "riposte", "worker", endpoint, count, slots, work)
        out = stage.run("riposte", "--server", endpoint, "bench", "bench", "--rate", SKEW_RATE,
                        "--clients", 4, "--duration", f"{seconds}s", "--warmup", "1s", "-o", "json",
                        bound=seconds + 60)
        if not out.get("latency_us"):
            raise Failed("no request ended")
        return out["latency_us"]["p50"], out["latency_us"]["p99"]


def latency_at(build, rate, seconds):
    """Returns riposte bench's result at a given rate, with workers in a process of their own."""
    with Stage(build) as stage:
        _, endpoint = stage.broker()
        stage.start_ready("bench_load", "riposte", "worker", endpoint, SHAPE.workers, SHAPE.window)
        return stage.run("riposte", "--server", endpoint, "bench", "bench", "--rate", int(rate),
                         "--clients", 4, "--duration", f"{seconds}s", "--warmup", "500ms",
                         "--size", "64B", "-o", "json", bound=seconds + 60)


# ---- Watched ---------------------------------------------------------------------------------------
# A broker whose metrics somebody reads once a second, beside itself without readers. All its services had requests,
# so that every histogram has values.

WATCHED_RATE = 10000


def scrape(port):
    """Reads the metrics once. Returns their bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise Failed(f"/metrics answered {response.status}")
    return len(body)


class Scraper(threading.Thread):
    """Reads the metrics each second until the end of the with block."""

    def __init__(self, port):
        super().__init__()
        self.port = port
        self.over = threading.Event()
        self.failed = None

    def run(self):
        while not self.over.is_set():
            due = time.monotonic() + 1
            try:
                scrape(self.port)
            except (Failed, OSError, http.client.HTTPException) as error:
                self.failed = error
            self.over.wait(max(0, due - time.monotonic()))

    def __enter__(self):
        self.start()

    def __exit__(self, *_):
        self.over.set()
        self.join()
        if self.failed:
            raise Failed(str(self.failed))


def _watched_stage(stage, services):
    port = free_ports(1)[0]
    middle, endpoint = stage.broker(options=("--http", f"127.0.0.1:{port}"))
    stage.start_ready("bench_crowd", "worker", endpoint, services, services, 256)
    stage.run("bench_load", "riposte", "client", endpoint, SHAPE.clients, SHAPE.inflight, SHAPE.size, 2, services,
              bound=60)
    scrape(port)
    time.sleep(1)
    return middle, endpoint, port


def scrape_cpu(build, services, seconds):
    """Percent of one core that reading the metrics once a second takes in the broker, and their bytes. The median
    of three, each beside a time without."""
    with Stage(build) as stage:
        middle, _, port = _watched_stage(stage, services)

        def taken():
            before = cpu_seconds(middle.pid)[0]
            time.sleep(seconds)
            return (cpu_seconds(middle.pid)[0] - before) / seconds * 100
        more = []
        for _ in range(3):
            alone = taken()
            with Scraper(port):
                more.append(taken() - alone)
        return sorted(more)[1], scrape(port)


class SlowPeers:
    """A thousand connections of HTTP, of which the broker takes 128: they send half requests byte by byte, or ask for
    much and read nothing, until the end of the with block."""

    def __init__(self, port):
        self.port = port
        self.held = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._trickle)

    def _trickle(self):
        while not self.over.wait(0.1):
            for one in self.held[:64]:
                try:
                    one.send(b"x")
                except OSError:
                    pass

    def __enter__(self):
        for number in range(1000):
            one = socket.socket()
            if number >= 64:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", self.port))
            try:
                one.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + (b"X: " if number < 64 else b"\r\n"))
            except OSError:
                pass
            self.held.append(one)
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        for one in self.held:
            one.close()


def watched_latency(build, services, seconds, watch=Scraper, pairs=3):
    """Returns [(p50, p99) alone, (p50, p99) with Scraper or SlowPeers] of each pair, µs; requests are on a
    schedule."""
    with Stage(build) as stage:
        _, endpoint, port = _watched_stage(stage, services)

        def latency():
            out = stage.run("riposte", "--server", endpoint, "bench", "bench-1", "--rate", WATCHED_RATE, "--clients", 4,
                            "--duration", f"{seconds}s", "--warmup", "500ms", "--size", "64B", "-o", "json",
                            bound=seconds + 60)
            return out["latency_us"]["p50"], out["latency_us"]["p99"]
        found = []
        for number in range(pairs):
            pair = [None, None]
            for which in (0, 1) if number % 2 else (1, 0):
                if which:
                    with watch(port):
                        pair[1] = latency()
                else:
                    pair[0] = latency()
            found.append(pair)
        return found
