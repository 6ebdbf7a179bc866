# SPDX-License-Identifier: MPL-2.0
"""Clients of several brokers."""

#: Clients that share the brokers.
CLIENTS = 300


def test_many_clients_that_spread_share_the_brokers(world):
    brokers = [world.broker() for _ in range(3)]
    servers = ",".join(broker.endpoint for broker in brokers)
    worker = world.builtin(brokers[0], "echo", endpoint=servers)
    for broker in brokers[1:]:
        world.wait_for_worker(broker, worker, "echo")
    before = [world.status(broker)["counters"]["clients_joined"] for broker in brokers]
    for spread in ((), ("--spread",)):
        result = world.cli(servers, "bench", "echo", "--clients", str(CLIENTS), "--count", str(CLIENTS), *spread)
        assert result.code == 0, result
        after = [world.status(broker)["counters"]["clients_joined"] for broker in brokers]
        joined = [now - then - 1 for then, now in zip(before, after)]  # less the one that asks
        before = after
        if not spread:
            assert joined == [CLIENTS, 0, 0]
    assert sum(joined) == CLIENTS
    assert all(CLIENTS * 20 // 100 <= count <= CLIENTS // 2 for count in joined), joined
