# SPDX-License-Identifier: MPL-2.0
"""Terms of services, as a broker's settings state them and a reload changes them."""

import signal

from support.waiting import until


def _broker(world, *services):
    config = world.directory / "terms.conf"
    config.write_text("".join(f'service = "{service}"\n' for service in services))
    return world.broker("--config", config), config


def _held(world, broker):
    return world.services(broker)["held"]


def test_concurrency_holds_and_a_reload_changes_it(world):
    broker, config = _broker(world, "held: concurrency=1 queue=2")
    gate = world.gate()
    for _ in range(2):
        world.worker(broker, "held", *gate.command)
    calls = [world.start_cli(broker, "call", "held", "--timeout", "30s") for _ in range(3)]
    world.wait_for_waiting(broker, 2)
    assert _held(world, broker)["running"] == 1
    assert _held(world, broker)["terms"] == "concurrency=1 queue=2"
    refused = world.cli(broker, "call", "held")
    assert refused.code == 7 and "setting service, held: queue=2" in refused.err.decode()
    assert "\"service\"" in world.cli(broker, "explain", "held").out.decode()
    config.write_text('service = "held: concurrency=2"\n')
    broker.signal(signal.SIGHUP)
    until(lambda: _held(world, broker)["running"] == 2, 5, "another request has begun", broker)
    assert _held(world, broker)["terms"] == "concurrency=2"
    gate.open()
    assert [world.finish(call).code for call in calls] == [0, 0, 0]


def test_a_mistake_in_a_reload_changes_nothing(world):
    broker, config = _broker(world, "held: rate=5")
    world.builtin(broker, "upper", service="held")
    config.write_text('service = "held: rate=0"\n')
    broker.signal(signal.SIGHUP)
    until(lambda: "wants rate=1 to 1000000" in broker.log(), 5, "the mistake is logged", broker)
    assert _held(world, broker)["terms"] == "rate=5"


def test_the_settings_read_back_as_they_are_printed(world):
    broker, _ = _broker(world, "a b: concurrency=3", "c: deadline=5s attempts=2")
    printed = world.cli(broker, "config").out.decode()
    assert "a b: concurrency=3" in printed and "c: deadline=5000ms attempts=2" in printed


def test_a_full_queue_may_drop_what_has_waited_longest(world):
    broker, _ = _broker(world, "held: queue=1 overload=drop_oldest")
    gate = world.gate()
    world.worker(broker, "held", *gate.command, options=("--slots", "1"))
    calls = []
    for waiting in (0, 1, 1):
        calls.append(world.start_cli(broker, "call", "held", "--timeout", "30s"))
        if len(calls) < 3:
            world.wait_for_waiting(broker, waiting)
            world.wait_for_running(broker, 1)
    dropped = world.finish(calls[1])
    assert dropped.code == 7 and "overload=drop_oldest" in dropped.error()
    assert _held(world, broker)["terms"] == "queue=1 overload=drop_oldest"
    gate.open()
    assert [world.finish(calls[index]).code for index in (0, 2)] == [0, 0]
    assert world.status(broker)["counters"]["dropped"] == 1


def test_what_would_be_late_is_refused_at_once(world):
    broker, _ = _broker(world, "held: admission=on")
    world.worker(broker, "held", "sh", "-c", "sleep 0.3", options=("--slots", "1"))
    world.start_cli(broker, "bench", "held", "--clients", "8", "--inflight", "20", "--timeout", "10s",
                    "--duration", "1m")
    until(lambda: world.status(broker)["counters"]["not_admitted"], 10, "one was refused", broker)
    refused = world.cli(broker, "call", "held", "--timeout", "1s")  # its turn is the ninth
    assert refused.code == 5, refused
    assert "admission=on" in refused.error()
    (service,) = world.cli(broker, "explain", "held", "-o", "json").json()["services"]
    assert "overload" in [cause["kind"] for cause in service["causes"]]
