# SPDX-License-Identifier: MPL-2.0
"""What grows: services, workers, clients, queues; and skewed work. Each function returns one figure, or
raises Failed; bench/compare repeats them and holds them beside each other."""
import resource
import time

from systems import Failed, Shape, Stage, SYSTEMS, cpu_seconds, measure_clients, memory

QUEUED = 1000000
QUEUED_SIZE = 64
LIMITS = ("client_open=1000000", "service_queue=2000000", "service_queue_bytes=4GiB",
          "total_queue=2000000", "total_queue_bytes=4GiB", "pending_connections=100000")
SHAPE = Shape()
# Descriptors that a broker needs beside those of its peers.
SPARE = 200


def descriptors():
    """Raises the limit as far as it goes, and returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def crowd(count):
    """As many peers as descriptors allow, and what to say if they are fewer."""
    limit = descriptors()
    if count + SPARE <= limit:
        return count, None
    return limit - SPARE, f"{limit - SPARE} instead of {count}: the limit of descriptors is {limit}"


def rate_with_workers(build, seconds, workers, services=0, system="riposte", work_us=2):
    """Workers are all of one thread and take message by message, so that one and a thousand differ in
    nothing but their number. They say that a request takes work_us; 0: they do not say."""
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
    """With that many requests waiting for another service. Returns the run, and bytes a request."""
    with Stage(build) as stage:
        middle, endpoint = stage.broker(*LIMITS)
        each = _fill(stage, middle, endpoint, queued, "nobody") if queued else None
        stage.start_ready("bench_load", "riposte", "worker", endpoint, SHAPE.workers, SHAPE.window)
        return measure_clients(stage, middle, "riposte", endpoint, SHAPE, seconds), each


def rate_of_drain(build, queued):
    """µs of the broker's CPU for a request, from the workers' arrival until a queue of that length is
    done. By the clock it would be the one client that is measured, which has to read them all."""
    with Stage(build) as stage:
        middle, endpoint = stage.broker(*LIMITS, "connection_backlog=1000000")
        _fill(stage, middle, endpoint, queued, "bench")
        before = cpu_seconds(middle.pid)[0]
        stage.start_ready("bench_load", "riposte", "worker", endpoint, SHAPE.workers, SHAPE.window)
        _wait_for(stage, endpoint, "the end of the queue",
                  lambda status: status["finals"]["OK"] >= queued)
        return (cpu_seconds(middle.pid)[0] - before) / queued * 1e6


def bytes_per_client(build, count, system="riposte"):
    """That an idle client takes in the middle."""
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
# Three workers take 5 ms for a request, and one 500 ms; or four take as long as gives the same
# capacity. Requests come at three fifths of it, on a schedule, so that what waits is counted. Much shorter
# work would measure the pauses of a shared machine: a few ms.

FAST_US, SLOW_US = 5000, 500000
CAPACITY = 3e6 / FAST_US + 1e6 / SLOW_US
SKEW_RATE = int(CAPACITY * 0.6)


def skew(build, seconds, even, slots):
    """p50 and p99 of all requests, µs."""
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
    """What riposte bench says of a rate that is asked for, of workers in a process of their own."""
    with Stage(build) as stage:
        _, endpoint = stage.broker()
        stage.start_ready("bench_load", "riposte", "worker", endpoint, SHAPE.workers, SHAPE.window)
        return stage.run("riposte", "--server", endpoint, "bench", "bench", "--rate", int(rate),
                         "--clients", 4, "--duration", f"{seconds}s", "--warmup", "500ms",
                         "--size", "64B", "-o", "json", bound=seconds + 60)
