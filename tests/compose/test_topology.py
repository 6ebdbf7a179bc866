# SPDX-License-Identifier: MPL-2.0
"""The topology of docker-compose.yml, from its start to its end. Each test begins with the state
that the one before left: six healthy workers, and clients that visit them without a pause."""

import contextlib
import time

import pytest

from topology import KEYS, LONG, inspect, run, until
from visits import failures

CLIENTS = 6 if LONG else 4
SERVICES = ("broker", "site", "upper", "client", "http")
LARGEST_IMAGE = 100_000_000  # bytes
SECRET = ".key_secret"
DENIED = 6  # the exit code
SHORT = 2  # seconds within which a loss is reported when a connection breaks
#: The statuses that a request may end with when its broker is gone.
BROKER_GONE = {"NO_BROKER", "UNKNOWN", "NO_WORKER", "DRAINING", "CONVERSATION_LOST", "WORKER_LOST"}


@pytest.fixture
def load(topology):
    """The topology with clients that have begun, and have seen no failure so far."""
    if not topology.clients:
        assert failures(topology.load(CLIENTS)) == []
    return topology


@contextlib.contextmanager
def undone(undo, *arguments):
    """Undoes a fault once, even if the test fails before."""
    done = []

    def once():
        if not done:
            done.append(True)
            undo(*arguments)

    try:
        yield once
    finally:
        once()


def crash(container):
    before = container.state()["Pid"]
    container.crash()
    until(lambda: container.state()["Pid"] not in (0, before), "its restart policy starts it again")


def assert_only_of(lost, site=(), upper=()):
    """Checks that only requests of these workers failed."""
    hosts = {one.host for one in site}
    for failure in lost:
        assert failure.status in ("WORKER_LOST", "CONVERSATION_LOST"), failure
        # A loss does not name its worker; the worker is that of the conversation so far, if it has
        # one.
        assert failure.worker in hosts or failure.worker is None, failure
    services = [failure.service for failure in lost]
    assert site or "site" not in services, lost
    assert services.count("upper") <= len(upper), "a worker of upper has one slot"


# ---- As it comes up ------------------------------------------------------------------------------

def test_its_last_line_says_what_to_try(topology):
    (client,) = topology.containers("client")
    until(lambda: "round 2:" in client.logs(), "the client goes round")
    last = client.logs().splitlines()[-1]
    assert "5 of 5 requests answered" in last
    command = last.split("try: docker-compose exec broker ")[1].split()
    workers = topology.broker().execute(*command).splitlines()
    assert sum(" site " in line for line in workers) == 3, "what it says works"


def test_all_become_healthy(topology):
    everyone = topology.containers()
    assert len(everyone) == 1 + 3 + 3 + 1 + 1
    until(lambda: set(inspect(everyone, "{{.State.Health.Status}}")) == {"healthy"}, "all are healthy")


def test_they_run_with_few_rights(topology):
    everyone = topology.containers() + topology.containers(KEYS)
    rights = inspect(everyone, "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} "
                     "{{.HostConfig.SecurityOpt}}")
    assert rights == ["65532:65532 true [ALL] [no-new-privileges:true]"] * len(everyone)
    for service in SERVICES:
        one = topology.containers(service)[0]
        assert one.execute("sh", "-c", "id -u; touch /tmp/file 2> /dev/null || touch /etc/riposte/file 2> /dev/null "
                           "|| echo 'writes nothing'").splitlines() == ["65532", "writes nothing"]


def test_each_has_its_own_secret_key_only(topology):
    for service, secrets in (("broker", {"broker", "ops"}), ("site", {"site"}), ("upper", {"upper"}),
                             ("client", {"client"}), ("http", {"http"})):
        files = topology.containers(service)[0].execute("ls", "/etc/riposte").split()
        assert {name[:-len(SECRET)] for name in files if name.endswith(SECRET)} == secrets, service


def test_each_may_do_what_it_needs_and_no_more(topology):
    (client,), site, upper = (topology.containers("client"), topology.containers("site")[0],
                              topology.containers("upper")[0])
    assert client.attempt("riposte", "call", "upper", "hi") == 0
    assert client.attempt("riposte", "workers") == DENIED
    assert client.attempt("riposte", "call", "elsewhere", "hi") == DENIED
    for worker in (site, upper):
        assert worker.attempt("riposte", "workers") == 0
        assert worker.attempt("riposte", "call", "upper", "hi") == DENIED
    assert topology.broker().attempt("riposte", "call", "upper", "hi") == DENIED
    assert client.attempt("sh", "-c", "RIPOSTE_KEY_FILE= riposte ping --wait-broker 2s") != 0, "no key, no session"


def test_keys_that_are_there_stay(topology):
    broker = topology.broker()
    keys = broker.execute("sh", "-c", "cat /etc/riposte/*.key /etc/riposte/authorized/*")
    topology.up()
    assert broker.execute("sh", "-c", "cat /etc/riposte/*.key /etc/riposte/authorized/*") == keys


def test_clients_and_workers_do_not_see_each_other(topology):
    (client,), site = topology.containers("client"), topology.containers("site")[0]
    assert client.attempt("getent", "hosts", "broker") == 0
    assert client.attempt("getent", "hosts", "site") != 0
    assert site.attempt("getent", "hosts", "broker") == 0
    assert site.attempt("getent", "hosts", "client") != 0


def test_the_image_is_small(topology):
    image = topology.broker().inspect("{{.Image}}")
    size = int(run("docker", "image", "inspect", "--format", "{{.Size}}", image))
    print(f"the image has {size / 1e6:.0f} MB")
    assert size < LARGEST_IMAGE


# ---- What nobody may notice ----------------------------------------------------------------------

def test_scaling_to_five_and_back_fails_nothing(load):
    then = load.now()
    load.up(site=5, upper=5)
    load.wait_for_workers()
    everyone = {one.host for one in load.containers("site", "upper")}
    assert len(everyone) == 10

    def hosts():
        return {entry["worker"].rsplit("-", 1)[0] for visit in load.since(then)
                for entry in visit.talk + visit.call}

    until(lambda: everyone <= hosts(), "every worker has had work")
    load.up(site=3, upper=3)
    load.wait_for_workers()
    assert len(load.workers()) == 6
    assert failures(load.after(then)) == []


def test_a_rolling_restart_of_all_workers_fails_nothing(load):
    then = load.now()
    for worker in load.containers("site", "upper"):
        assert worker.stop() == 0, "it drained"
        worker.start()
        load.wait_for_workers()
    assert failures(load.after(then)) == []


def test_a_broker_that_stands_still_for_a_second_fails_nothing(load):
    then, broker = load.now(), load.broker()
    broker.pause()
    with undone(broker.unpause):
        time.sleep(1)  # of the three seconds that are allowed
    assert failures(load.after(then)) == []


# ---- What only those notice who had to do with it ------------------------------------------------

def test_a_crash_of_a_worker_is_told_at_once_and_it_comes_back(load):
    for service in ("site", "upper"):
        then, victim = load.now(), load.containers(service)[0]
        crash(victim)
        load.wait_for_workers()
        lost = failures(load.after(then))
        assert_only_of(lost, **{service: [victim]})
        assert all(entry["total_us"] < SHORT * 1e6 for failure in lost
                   for entry in failure.visit.talk + failure.visit.call)


def test_killing_workers_fails_only_what_they_had(load):
    then, site, upper = load.now(), load.containers("site"), load.containers("upper")
    for victim in (site[0], upper[0]):
        victim.kill()
    load.wait_for_workers(site[1:] + upper[1:])
    load.up()
    load.wait_for_workers()
    assert_only_of(failures(load.after(then)), site[:1], upper[:1])


def test_pausing_a_worker_fails_only_what_it_had(load):
    for service in ("site", "upper"):
        then, victim = load.now(), load.containers(service)[2]
        victim.pause()
        with undone(victim.unpause) as unpause:
            until(lambda: victim.host not in load.workers(), "the broker has given it up")
            unpause()
            load.wait_for_workers()
        assert_only_of(failures(load.after(then)), **{service: [victim]})


def test_cutting_a_worker_off_fails_only_what_it_had(load):
    then, victim = load.now(), load.containers("site")[0]
    load.disconnect(victim, "workers")
    with undone(load.connect, victim, "workers") as connect:
        until(lambda: victim.host not in load.workers(), "the broker has given it up")
        connect()
        load.wait_for_workers()
    assert_only_of(failures(load.after(then)), site=[victim])


# ---- What everybody notices: each request has a final status all the same ------------------------

def test_cutting_the_clients_off_ends_each_request_with_a_status(load):
    then, broker = load.now(), load.broker()
    load.disconnect(broker, "clients")
    with undone(load.connect, broker, "clients", "broker") as connect:
        until(lambda: all(failures(client.visits()[count:])
                          for client, count in zip(load.clients, then)), "every client knows")
        assert len(load.workers()) == 6, "which is nothing to the workers"
        connect()
        lost = failures(load.after(then))
    assert {failure.status for failure in lost} <= BROKER_GONE


def test_a_restart_of_the_broker_ends_each_request_with_a_status(load):
    then, broker = load.now(), load.broker()
    assert broker.stop() == 0, "it drained"
    broker.start()
    load.wait_for_workers()
    assert {failure.status for failure in failures(load.after(then))} <= BROKER_GONE


def test_a_crash_of_the_broker_ends_each_request_with_a_status(load):
    then, broker = load.now(), load.broker()
    crash(broker)
    load.wait_for_workers()
    assert {failure.status for failure in failures(load.after(then))} <= BROKER_GONE


# ---- And the end ---------------------------------------------------------------------------------

def test_the_broker_has_no_request_unaccounted_for(load):
    status = load.ask("status")
    gauges = status["gauges"]
    assert status["counters"]["requests"] == \
        sum(status["finals"].values()) + gauges["waiting"] + gauges["running"]


def test_all_end_well_and_every_client_has_told_everything(load):
    load.compose("stop")
    for one in load.containers():
        assert one.state()["ExitCode"] == 0, one.logs()[-1000:]
    for client in load.clients:
        client.ended()
        assert client.account.end() == []
    seen = [visit for client in load.clients for visit in client.visits()]
    print(f"{len(seen)} conversations, {len(failures(seen))} requests failed")
