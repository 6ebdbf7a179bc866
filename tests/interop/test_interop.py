# SPDX-License-Identifier: MPL-2.0
"""Every client reaches every worker: bodies frame by frame, many requests at once, streams, and the
broker's own services (8/MMI)."""

import pytest

from stage import CLIENTS, MDP_CLIENTS, PIPELINING, STREAMING, WORKERS, pair
from support.waiting import until

BODIES = {
    "one frame": (b"one",),
    "several frames": (b"first", b"second", b"third"),
    "one empty frame": (b"",),
    "empty frames among others": (b"", b"middle", b""),
    "1 MiB": (bytes(range(256)) * 4096,),
}
NAMED_CLIENTS = [*MDP_CLIENTS, "native"]


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_bodies_pass_frame_by_frame(stage, client, worker):
    broker = stage.shared_broker(plain=pair(client, worker))
    serving, asking = stage.offer(broker, worker), stage.client(broker, client)
    for what, body in BODIES.items():
        asking.request(b"svc", *body)
        seen = serving.serve()
        reply = asking.reply()
        if "native" in (client, worker):  # these programs handle a body as one piece
            assert b"".join(reply.body) == b"".join(body), what
            continue
        assert seen == [body], what
        assert reply.body == body, what
        assert not reply.more, what
        if asking.names_back:
            assert reply.service == b"svc", "the reply names the service"


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize("client", [*PIPELINING, "native"])
def test_ten_requests_at_once(stage, client, worker):
    broker = stage.shared_broker(plain=pair(client, worker))
    serving, asking = stage.offer(broker, worker), stage.client(broker, client)
    asked = [b"request %d" % number for number in range(10)]
    for body in asked:
        asking.request(b"svc", body)
    serving.serve(10)
    replies = [asking.reply() for _ in asked]
    assert sorted(reply.body[0] for reply in replies) == sorted(asked)
    for reply in replies:
        if reply.tag:  # the numbers begin with 1
            assert reply.body[0] == asked[int(reply.tag[0]) - 1], "it is the reply to that one"


@pytest.mark.parametrize("worker", STREAMING)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_stream_arrives_in_parts_or_as_one(stage, client, worker):
    broker = stage.shared_broker(plain=pair(client))
    serving, asking = stage.offer(broker, worker), stage.client(broker, client)
    for final in ((b"end",), (b"end", b"of it"), (b"",)):
        asking.request(b"svc", b"count")
        job = serving.job()
        serving.partial(job, b"one")
        if asking.streams:
            assert asking.reply()[1:3] == ((b"one",), True), "a part does not wait for the rest"
        serving.partial(job, b"two", b"and a half")
        serving.answer(job, *final)
        if asking.streams:
            assert asking.whole() == [(b"two", b"and a half"), final]
        elif client == "native":
            assert asking.reply().body[0] == b"onetwoand a half" + b"".join(final)
        else:
            assert asking.whole() == [(b"one", b"two", b"and a half", *final)]


@pytest.mark.parametrize("worker", STREAMING)
def test_a_stream_of_a_native_client_gets_partials_as_they_come(stage, worker):
    broker = stage.shared_broker()
    serving = stage.offer(broker, worker)
    call = stage.start_cli(broker, "call", "--stream", "svc", "count")
    job = serving.job()
    serving.partial(job, b"one")
    assert call.popen.stdout.read(3) == b"one", "a part does not wait for the rest"
    serving.partial(job, b"two", b"and a half")
    serving.answer(job, b"end")
    result = stage.finish(call)
    assert (result.code, result.out) == (0, b"twoand a halfend")


@pytest.mark.parametrize("client", ["req-mdp01", "dealer-mdp01"])
def test_a_native_worker_that_writes_parts_answers_a_foreign_client_with_one(stage, client):
    """Of 0.1, which has no word for a part. The worker is told of no reader of parts, so its library joins them."""
    broker = stage.shared_broker()
    stage.worker(broker, "svc", "sh", "-c", "echo one; sleep 0.1; echo two", options=("--stream",))
    asking = stage.client(broker, client)
    asking.request(b"svc", b"x")
    assert asking.whole() == [(b"one\ntwo\n",)]


@pytest.mark.parametrize("worker", STREAMING)
def test_streams_of_two_clients_do_not_mix(stage, worker):
    broker = stage.shared_broker()
    first, second = (stage.offer(broker, worker) for _ in range(2))
    clients = {name: stage.client(broker, "mdp02") for name in (b"a", b"b")}
    for name, client in clients.items():
        client.request(b"svc", name)
    jobs = [(serving, serving.job()) for serving in (first, second)]
    for number in range(5):
        for serving, job in jobs:
            serving.partial(job, job.body[0] + b"%d" % number)
    for serving, job in jobs:
        serving.answer(job, job.body[0])
    for name, client in clients.items():
        assert client.whole() == [(name + b"%d" % number,) for number in range(5)] + [(name,)]


@pytest.mark.parametrize("tag", [(), (b"a",), (b"a", b"b", b"c"), (b"x" * 1000,),
                                 tuple(b"%d" % number for number in range(8))],
                         ids=["none", "one", "three", "1000 bytes", "eight"])
@pytest.mark.parametrize("client", ["dealer-mdp01", "plain-dealer"])
def test_a_dealers_own_frames_come_back_as_they_were(stage, client, tag):
    broker = stage.shared_broker(plain=pair(client))
    serving, asking = stage.offer(broker, "mdp01"), stage.client(broker, client)
    asking.request(b"svc", b"body", tag=tag)
    assert serving.serve() == [(b"body",)], "they are nothing to the worker"
    reply = asking.reply()
    assert (reply.tag, reply.body) == (tag, (b"body",))


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_is_answered_a_hundred_times(stage, client):
    """One request after the other."""
    broker = stage.shared_broker(plain=pair(client))
    serving, asking = stage.offer(broker, "native"), stage.client(broker, client)
    for number in range(100 if client != "native" else 10):
        assert asking.call(b"svc", b"%d" % number).body == (b"%d" % number,)
    serving.serve()


@pytest.mark.parametrize("worker", WORKERS)
def test_clients_of_all_protocols_share_one_worker(stage, worker):
    broker = stage.shared_broker(plain=("svc",))
    serving = stage.offer(broker, worker)
    clients = {name: stage.client(broker, name) for name in CLIENTS}
    for name, client in clients.items():
        client.request(b"svc", name.encode())
    serving.serve(len(clients))
    for name, client in clients.items():
        assert client.reply().body == (name.encode(),), name


# ---- 8/MMI, and what Riposte adds to it ----------------------------------------------------------


@pytest.mark.parametrize("client", NAMED_CLIENTS)
def test_mmi_service_says_200_while_there_is_a_worker_and_404_otherwise(stage, client):
    broker = stage.shared_broker()
    asking = stage.client(broker, client)
    assert asking.call(b"mmi.service", b"svc").body == (b"404",)
    serving = stage.offer(broker, "mdp01")
    assert asking.call(b"mmi.service", b"svc").body == (b"200",)
    assert asking.call(b"mmi.service", b"sv").body == (b"404",)
    serving.disconnect()
    until(lambda: stage.count(broker, b"svc") == 0, 5, "the worker is gone")
    assert asking.call(b"mmi.service", b"svc").body == (b"404",)


@pytest.mark.parametrize("worker", WORKERS)
def test_mmi_service_knows_workers_of_every_protocol(stage, worker):
    """A REP worker is not known before it has answered: the listener pair stands for it."""
    broker = stage.shared_broker(plain=pair(worker))
    serving, asking = stage.offer(broker, worker), stage.client(broker, "mdp02")
    if worker == "plain-rep":
        asking.request(b"svc", b"hello")
        serving.serve()
        assert asking.reply().body == (b"hello",)
    assert asking.call(b"mmi.service", b"svc").body == (b"200",)


@pytest.mark.parametrize("name", [b"mmi.foo", b"mmi.", b"mmi.servicex", b"mmi.Service"])
@pytest.mark.parametrize("client", NAMED_CLIENTS)
def test_other_names_of_mmi_are_not_implemented(stage, client, name):
    broker = stage.shared_broker()
    assert stage.client(broker, client).call(name, b"svc").body == (b"501",)


@pytest.mark.parametrize("name, answer", [(b"mmi.service", b"404"), (b"mmi.workers", b"404"),
                                          (b"mmi.foo", b"501"), (b"mmi.services", b"svc\n")])
@pytest.mark.parametrize("client", NAMED_CLIENTS)
def test_a_question_without_a_body_is_answered(stage, client, name, answer):
    broker = stage.shared_broker()
    stage.offer(broker, "mdp01")
    assert stage.client(broker, client).call(name).body == (answer,)


@pytest.mark.parametrize("client", NAMED_CLIENTS)
def test_mmi_workers_counts_the_workers_of_a_service(stage, client):
    broker = stage.shared_broker()
    asking = stage.client(broker, client)
    assert asking.call(b"mmi.workers", b"svc").body == (b"404",), "none"
    for count, worker in enumerate(("mdp01", "mdp02", "native"), 1):
        stage.offer(broker, worker)
        assert asking.call(b"mmi.workers", b"svc").body == (b"%d" % count,)


@pytest.mark.parametrize("client", NAMED_CLIENTS)
def test_mmi_services_lists_the_services_that_have_workers(stage, client):
    broker = stage.shared_broker()
    asking = stage.client(broker, client)
    assert asking.call(b"mmi.services", b"").body[0].split() == []
    stage.offer(broker, "mdp01", b"one")
    stage.offer(broker, "mdp02", b"two")
    stage.offer(broker, "native", b"three")
    assert sorted(asking.call(b"mmi.services", b"").body[0].splitlines()) \
        == [b"one", b"three", b"two"]


def test_mmi_questions_of_a_pipelining_client_keep_their_tags(stage):
    broker = stage.shared_broker()
    asking = stage.client(broker, "dealer-mdp01")
    for name in (b"mmi.service", b"mmi.foo"):
        asking.request(name, b"svc", tag=(name,))
    for _ in range(2):
        reply = asking.reply()
        assert reply.tag == (reply.service,)
