# SPDX-License-Identifier: MPL-2.0
"""The bar: each target that Riposte is to reach, as a row, and how it is measured."""
import dataclasses
import functools
import os
import statistics

import growth
import profiles
from systems import Failed, SYSTEMS, Shape, Stage, free_ports, measure

# Systems whose ratio is a row run OFTEN times as often as the others, since single pairs differ by
# a fifth. The order of the systems is reversed every other time; as OFTEN is odd, the others run in
# both orders too.
OFTEN = 5
PAIRED = ("zmq_proxy", "riposte", "textbook", "mdp")
MAJORDOMO = ("textbook", "mdp", "mdp-64")
OTHERS = ("direct", "zmq_proxy", "riposte", "bare", "nats", "gearman")


@dataclasses.dataclass
class Verdict:
    what: str
    value: float | None
    low: float | None
    high: float | None
    op: str
    limit: float | None
    unit: str
    met: bool | None
    pairs: int
    pairs_met: int
    note: str
    profile: object = None  # (title, function): shows what limits it


def divide(one, other):
    """Pairs values that are next to each other; None where one of them is missing."""
    return [left / right if left is not None and right else None for left, right in zip(one, other)]


def figures(runs, field):
    return [getattr(run, field) if run else None for run in runs]


def ratios(rows, one, other, field):
    return divide(figures(rows.get(one, []), field), figures(rows.get(other, []), field))


def of_shape(bench, shape, *systems):
    """The profile of a row: where the time goes at this load, and the systems compared."""
    def show():
        return [profiles.by_process(bench.build, name, shape) for name in systems]
    return f"{shape}: {', '.join(SYSTEMS[name].label for name in systems)}", show


def _shapes(bench):
    for shape in (Shape(), Shape(inflight=512, window=1024)):
        systems = OTHERS + MAJORDOMO if shape == Shape() else OTHERS
        rows = bench.table(shape, systems, PAIRED)
        name = f"{shape.clients} × {shape.inflight}, 64 B"
        proxy = [ratio for ratio in ratios(rows, "zmq_proxy", "nats", "rate") if ratio]
        notes = {"nats": f"zmq_proxy, which decides nothing, is at {statistics.median(proxy):.2f} of nats in "
                         "this run: the bar is above what libzmq can do here"} if proxy else {}
        for other, limit in (("zmq_proxy", 1.0), ("nats", 2.0), ("gearman", 15.0)):
            bench.verdict(f"{name}: rate / {other}", ratios(rows, "riposte", other, "rate"), ">=",
                          limit, note=notes.get(other, ""),
                          profile=of_shape(bench, shape, "riposte", "zmq_proxy", "nats"))
        bench.verdict(f"{name}: rate with bare sockets / zmq_proxy",
                      ratios(rows, "bare", "zmq_proxy", "rate"), ">=", None)
        if shape == Shape():
            bench.verdict(f"{name}: CPU in the middle / zmq_proxy",
                          ratios(rows, "riposte", "zmq_proxy", "cpu"), "<=", 1.2)


def _sizes(bench):
    for shape in (Shape(size=1 << 10), Shape(size=64 << 10), Shape(size=1 << 20, inflight=8)):
        systems = ("zmq_proxy", "riposte", "bare") + (("nats",) if shape.size < 1 << 20 else ())
        rows = bench.table(shape, systems, PAIRED)
        size = f"{shape.size >> 10} KiB" if shape.size < 1 << 20 else "1 MiB"
        bench.verdict(f"{shape.clients} × {shape.inflight}, {size}: rate / zmq_proxy",
                      ratios(rows, "riposte", "zmq_proxy", "rate"), ">=", 1.0,
                      note="whoever wakes for a body finds nothing of its code in the cache through which the last "
                           "one passed: that costs the libraries' threads more than bare sockets, and the broker "
                           "makes it good or not (NOTES)" if shape.size > 1 << 12 else "",
                      profile=of_shape(bench, shape, "riposte", "zmq_proxy"))
        bench.verdict(f"{shape.clients} × {shape.inflight}, {size}: CPU in the middle / zmq_proxy",
                      ratios(rows, "riposte", "zmq_proxy", "cpu"), "<=", None)


def _sequential(bench):
    for clients in (1, 8):
        shape = Shape(clients=clients, inflight=1)
        rows = bench.table(shape, OTHERS, PAIRED)
        for field in ("p50", "p99"):
            bench.verdict(f"{clients} × 1: {field} / zmq_proxy",
                          ratios(rows, "riposte", "zmq_proxy", field), "<=", 1.0,
                          note="five threads wake each other on the way there and five on the way back, as with "
                               "zmq_proxy, and that is most of it; what the libraries do more than bare sockets "
                               "shows on one core, where nobody waits for another",
                          profile=of_shape(bench, shape, "riposte", "zmq_proxy"))
        bench.verdict(f"{clients} × 1: p50 with bare sockets / zmq_proxy",
                      ratios(rows, "bare", "zmq_proxy", "p50"), "<=", None)
    _on_one_core(bench, Shape(clients=1, inflight=1))


def _on_one_core(bench, shape):
    """Measures systems in turn, all on one core: what each system does for a request, without the
    cost of waking another core, which is larger and differs from run to run."""
    names = ("zmq_proxy", "riposte", "bare")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # the processes that are started inherit it
    try:
        proxy, *ours = bench.repeat(f"{shape}, on one core", [
            functools.partial(measure, bench.build, name, shape, bench.seconds) for name in names])
    finally:
        os.sched_setaffinity(0, cores)
    for how, runs in zip(("", " with bare sockets"), ours):
        bench.verdict(f"{shape.clients} × {shape.inflight}, on one core: p50{how} / zmq_proxy",
                      divide(figures(runs, "p50"), figures(proxy, "p50")), "<=", None)


def _curve(bench):
    shape = Shape()
    pair = ("zmq_proxy-curve", "riposte-curve")
    rows = bench.table(shape, ("zmq_proxy", *pair, "riposte"), pair)
    name = f"{shape.clients} × {shape.inflight}, 64 B, CURVE on both legs"
    bench.verdict(f"{name}: rate / zmq_proxy with CURVE", ratios(rows, "riposte-curve", "zmq_proxy-curve", "rate"),
                  ">=", 1.0, profile=of_shape(bench, shape, "riposte-curve", "zmq_proxy-curve"))
    bench.verdict(f"{name}: CPU in the middle / zmq_proxy with CURVE",
                  ratios(rows, "riposte-curve", "zmq_proxy-curve", "cpu"), "<=", None)
    bench.verdict(f"{name}: rate / without CURVE", ratios(rows, "riposte-curve", "riposte", "rate"), ">=", None)
    bench.verdict(f"{name}: the same of zmq_proxy", ratios(rows, "zmq_proxy-curve", "zmq_proxy", "rate"), ">=", None)


def _majordomo(bench):
    many, few = (bench.table(Shape(workers=workers), MAJORDOMO, PAIRED) for workers in (64, 4))
    for workers, rows in ((4, few), (64, many)):
        bench.verdict(f"MDP 0.1, {workers} workers, one at a time: rate / textbook",
                      ratios(rows, "mdp", "textbook", "rate"), ">=", 1.0,
                      note="the textbook broker serves requests as they came, so that a client which sent 64 "
                           "gets runs of replies and finds the next without sleeping; here clients take turns, "
                           "so that each reply wakes one. The rest is some 2 µs of decisions in the middle",
                      profile=of_shape(bench, Shape(workers=workers), "mdp", "textbook"))
    bench.verdict("MDP 0.1: rate with 64 workers / with 4",
                  divide(figures(many.get("mdp", []), "rate"), figures(few.get("mdp", []), "rate")),
                  ">=", 1.0)
    bench.verdict("MDP 0.1, window 64: rate / one at a time",
                  ratios(few, "mdp-64", "mdp", "rate"), ">=", None)


def _core(bench):
    def cases():
        with Stage(bench.build) as stage:
            return stage.run("bench_core", "-o", "json")
    runs = [run for run in bench.repeat("bench_core", [cases])[0] if run]
    for what, key, limit, unit in (("ns a request, the slowest case", "ns_per_request", 400, "ns"),
                                   ("allocations a request", "allocations_per_request", 0, "")):
        bench.verdict(f"core alone: {what}", [max(case[key] for case in run) for run in runs], "<=",
                      limit, unit)


def _workers(bench):
    rate = functools.partial(growth.rate_with_workers, bench.build, bench.seconds)
    many, note = growth.crowd(1000)
    bench.note(note)
    one, all_, turns, services, proxy_one, proxy_all = bench.repeat("growth of workers", [
        lambda: rate(1), lambda: rate(many), lambda: rate(many, work_us=0), lambda: rate(many, many),
        lambda: rate(1, system="zmq_proxy"), lambda: rate(many, system="zmq_proxy")])
    ours = divide(figures(all_, "rate"), figures(one, "rate"))
    theirs = divide(figures(proxy_all, "rate"), figures(proxy_one, "rate"))
    bench.verdict(f"{many:,} workers: rate / 1 worker", ours, ">=", 0.8,
                  note="requests of microseconds go to few of the workers")
    bench.verdict(f"{many:,} workers: the same of zmq_proxy", theirs, ">=", None)
    bench.verdict(f"{many:,} workers: CPU in the middle / zmq_proxy's with as many",
                  divide(figures(all_, "cpu"), figures(proxy_all, "cpu")), "<=", None)
    bench.verdict(f"{many:,} services of a worker each: rate / one service with as many workers in turn",
                  divide(figures(services, "rate"), figures(turns, "rate")), ">=", 0.8,
                  note="workers in turn have not said how long a request takes: like those of services of "
                       "their own they get one request at a time, and the number of services is all that "
                       "differs")
    bench.verdict(f"{many:,} services of a worker each: rate / zmq_proxy's with as many workers",
                  divide(figures(services, "rate"), figures(proxy_all, "rate")), ">=", None)


def _clients(bench):
    idle, note = growth.crowd(10000)
    bench.note(note)
    none, some = bench.repeat("growth of clients", [
        lambda: growth.rate_with_clients(bench.build, bench.seconds, 0),
        lambda: growth.rate_with_clients(bench.build, bench.seconds, idle)])
    bench.verdict(f"{idle:,} connected clients: rate / none beside the 8",
                  divide(figures(some, "rate"), figures(none, "rate")), ">=", 0.8,
                  note="each says and hears a sign of life every ten seconds, and whoever plays them "
                       "shares the machine with what is measured")
    ours, theirs = bench.repeat("memory of clients", [
        lambda: growth.bytes_per_client(bench.build, idle),
        lambda: growth.bytes_per_client(bench.build, idle, "zmq_proxy")])
    bench.verdict("memory of an idle client / zmq_proxy's", divide(ours, theirs), "<=", 1.1,
                  note="libzmq's part is the same in both; the rest is the session, in the core and in "
                       "the shell")


def _queue(bench):
    def beside(queued):
        return lambda: growth.rate_beside_queue(bench.build, bench.seconds, queued)
    empty, full = bench.repeat("growth of the queue", [beside(0), beside(growth.QUEUED)])
    rates = [[pair[0].rate if pair else None for pair in column] for column in (empty, full)]
    name = f"{growth.QUEUED:,} queued"
    bench.verdict(f"{name}: rate / empty queue", divide(rates[1], rates[0]), ">=", 0.8)
    bench.verdict(f"{name}: bytes each beside its body", [pair[1] if pair else None for pair in full],
                  "<=", 200, "B", "the core's record, the message around the payload, and libzmq's "
                  "block with the head in it")
    small, large = bench.repeat("drain of the queue", [
        lambda: growth.rate_of_drain(bench.build, growth.QUEUED // 10),
        lambda: growth.rate_of_drain(bench.build, growth.QUEUED)])
    bench.verdict(f"{name}, worked off: CPU a request of a queue a tenth as long / of this",
                  divide(small, large), ">=", 0.8)


def _idle(bench):
    workers, _ = growth.crowd(1000)

    def show():
        return profiles.idle_broker(
            bench.build, lambda stage, endpoint: growth.idle_workers(stage, endpoint, workers))
    (percents,) = bench.repeat("idle CPU", [lambda: growth.idle_cpu(bench.build, workers, 6)])
    bench.verdict(f"{workers:,} idle workers: CPU of the broker", percents, "<=", 2, "%",
                  "two signs of life in three seconds of each, in either direction: each a send or a receive "
                  "of libzmq's thread, and the kernel's way through TCP on loopback",
                  (f"a broker with {workers:,} idle workers", show))


def _skew(bench):
    for slots in (1, 256):
        even, skewed = bench.repeat("skew", [
            lambda: growth.skew(bench.build, 8, True, slots),  # noqa: B023
            lambda: growth.skew(bench.build, 8, False, slots)], times=2)  # noqa: B023
        tails = [[pair[1] if pair else None for pair in column] for column in (skewed, even)]
        bench.verdict(f"one worker in four 100 × slower, {slots} slots each: p99 of all / the even case",
                      divide(*tails), "<=", 1.2)


def _watched(bench):
    services, _ = growth.crowd(1000)
    costs, pairs, slow = bench.repeat("metrics", [
        lambda: growth.scrape_cpu(bench.build, services, 4),
        lambda: growth.watched_latency(bench.build, services, 4),
        lambda: growth.watched_latency(bench.build, services, 4, growth.SlowPeers)])

    def of(runs, which):
        return [watched[which] / alone[which] for run in runs if run for alone, watched in run]
    costs = [cost for cost in costs if cost]
    name = f"{services:,} services, metrics read each second"
    size = f"{statistics.median(cost[1] for cost in costs) / 1e6:.1f} MB a reading" if costs else ""
    bench.verdict(f"{name}: CPU of the broker for it", [cost[0] for cost in costs], "<=", 1, "%", size)
    bench.verdict(f"{name}: p99 at {growth.WATCHED_RATE:,}/s / nobody reads", of(pairs, 1), "<=", 1.05)
    bench.verdict(f"{name}: p50 at {growth.WATCHED_RATE:,}/s / nobody reads", of(pairs, 0), "<=", None)
    bench.verdict(f"1,000 slow peers of HTTP: p99 at {growth.WATCHED_RATE:,}/s / none", of(slow, 1), "<=", 1.2)
    if not bench.options.no_profile:
        _watched_instructions(bench)


def _watched_instructions(bench):
    """A count does not depend on how busy the machine is, but batches differ from run to run."""
    (port,) = free_ports(1)
    at = f"127.0.0.1:{port}"
    off, on, read = bench.repeat("instructions with HTTP", [
        lambda: profiles.loop_instructions(bench.build, "off"),
        lambda: profiles.loop_instructions(bench.build, at),
        lambda: profiles.loop_instructions(bench.build, at, growth.Scraper(port))])
    for runs, what in ((on, "nobody reads"), (read, "metrics read each second")):
        bench.verdict(f"HTTP on, {what}: instructions a request in the loop / HTTP off", divide(runs, off), "<=", 1.03)


def _profile(bench):
    if bench.options.no_profile:
        return
    bench.shares = bench.attempt("shares", profiles.shares, bench.build)
    bench.breakdown = bench.attempt("breakdown", profiles.breakdown, bench.build)
    for title, show in dict(row.profile for row in bench.verdicts
                            if row.met is False and row.profile).items():
        rows = bench.attempt(f"profile of {title}", show)
        if rows:
            bench.profiles.append((title, rows))


GROUPS = {"shapes": _shapes, "curve": _curve, "sizes": _sizes, "sequential": _sequential, "majordomo": _majordomo,
          "core": _core, "workers": _workers, "clients": _clients, "queue": _queue, "idle": _idle,
          "skew": _skew, "watched": _watched, "profile": _profile}


def measure_all(bench):
    wanted = bench.options.rows.split(",") if bench.options.rows else [""]
    groups = [function for name, function in GROUPS.items() if any(word in name for word in wanted)]
    if not groups:
        raise Failed(f"--rows knows {', '.join(GROUPS)}")
    for function in groups:
        function(bench)
