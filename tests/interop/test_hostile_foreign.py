# SPDX-License-Identifier: MPL-2.0
"""Peers that break the rules of 7/MDP, 18/MDP, their dialects and REQ/REP. Each attack happens in
the same scene: a healthy service, and a client whose request a worker holds, which a forged reply
would aim at. Afterwards the broker lives and serves, no peer got a message that was not for it, a
counter has risen, and the log has one line for each fault."""

import pytest

import peers
from peers import packed
from stage import MDP_WORKERS, Stage
from support.programs import PATIENCE
from support.waiting import until


class Scene:
    """For several tests, one after the other: each begins with begin, and ends with end."""

    def __init__(self, stage, plain=()):
        self.stage = stage
        self.broker = stage.interop_broker(plain=plain, max_body="64KiB", rejoin_grace="0s",
                                           foreign_heartbeat="60s")
        stage.builtin(self.broker, "echo", service="healthy")
        self.holder = stage.offer(self.broker, "mdp01", b"held")
        self.alice = stage.client(self.broker, "mdp02")
        self._stay = stage.peers()

    def begin(self):
        self.alice.request(b"held", b"precious")
        self.job = self.holder.job()
        self.log = len(self.broker.lines())
        self.mark()

    def has_room(self):
        """Whether the log, which is bounded, has room for what one more test writes to it."""
        return self.broker.hangups < 16 and self.log < 24

    def mark(self):
        """Forgets the faults so far."""
        self.wrongs = self.stage.wrongs(self.broker)

    def told(self, count=1, unanswered=0):
        """Checks that this many faults were counted, and logged in no more lines, but at least one;
        and that one more line was logged for each request that ends without an answer to its
        client."""
        until(lambda: self.stage.wrongs(self.broker) >= self.wrongs + count, 5, "it is counted")
        lines = self.lines()
        assert len(lines) > unanswered, "it is logged"
        assert sum("its client is not told" in line for line in lines) == unanswered, lines
        assert len(lines) <= count + unanswered, lines
        self.mark()

    def lines(self):
        """Returns the lines since the mark, but those about peers that joined, and sets the next mark."""
        lines = self.broker.lines()
        fresh, self.log = lines[self.log:], len(lines)
        return [line for line in fresh if " joined " not in line]

    def end(self):
        assert self.broker.alive(), "the broker is gone"
        assert self.stage.client(self.broker, "req-mdp01").call(b"healthy", b"x").body == (b"x",)
        assert self.alice.reply(within=0.05) is None, "a reply that was for nobody"
        self.holder.answer(self.job, b"genuine")
        assert self.alice.reply().body == (b"genuine",)
        assert self.alice.reply(within=0.05) is None
        self.stage.close_all_but(self._stay)
        until(lambda: self._is_alone(self.stage.status(self.broker)), 5, "all others have gone")

    @staticmethod
    def _is_alone(status):
        gauges = status["gauges"]
        # alice and who asks; the workers of healthy and held
        return (status["clients"], status["workers"], gauges["waiting"], gauges["running"]) == (2, 2, 0, 0)


class Scenes:
    def __init__(self, factory, plain):
        self._factory, self._plain = factory, plain
        self._scene = None

    def begin(self):
        if self._scene is None or not self._scene.has_room():
            self.end()
            self._scene = Scene(Stage(self._factory.mktemp("scene")), self._plain)
        scene, self._scene = self._scene, None  # one that a test spoils is not used again
        scene.begin()
        return scene

    def finish(self, scene):
        scene.end()
        self._scene = scene

    def end(self):
        if self._scene:
            troubles = self._scene.stage.end()
            assert not troubles, troubles


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    scenes = Scenes(tmp_path_factory, ())
    yield scenes
    scenes.end()


@pytest.fixture(scope="module")
def plain_scenes(tmp_path_factory):
    scenes = Scenes(tmp_path_factory, ("plain",))
    yield scenes
    scenes.end()


@pytest.fixture
def scene(request, scenes):
    scene = scenes.begin()
    request.node.stage = scene.stage
    yield scene
    scenes.finish(scene)


@pytest.fixture
def plain_scene(request, plain_scenes):
    scene = plain_scenes.begin()
    request.node.stage = scene.stage
    yield scene
    plain_scenes.finish(scene)


# A name has 127 bytes at most.
LONG = b"n" * 128
CLIENT = {
    "mdp01: no service": (b"", b"MDPC01"),
    "mdp01: no body": (b"", b"MDPC01", b"healthy"),
    "mdp01: an empty service": (b"", b"MDPC01", b"", b"x"),
    "mdp01: a name too long": (b"", b"MDPC01", LONG, b"x"),
    "mdp01: a control character": (b"", b"MDPC01", b"heal\nthy", b"x"),
    "mdp01: in lower case": (b"", b"mdpc01", b"healthy", b"x"),
    "mdp01: without the empty frame": (b"MDPC01", b"healthy", b"x"),
    "mdp01: an envelope of nine frames": (*[b"e"] * 9, b"", b"MDPC01", b"healthy", b"x"),
    "mdp01: an envelope of 1025 bytes": (b"e" * 1025, b"", b"MDPC01", b"healthy", b"x"),
    "mdp02: the name alone": (b"MDPC02",),
    "mdp02: no service": (b"MDPC02", b"\1"),
    "mdp02: no body": (b"MDPC02", b"\1", b"healthy"),
    "mdp02: an empty service": (b"MDPC02", b"\1", b"", b"x"),
    "mdp02: a name too long": (b"MDPC02", b"\1", LONG, b"x"),
    "mdp02: a control character": (b"MDPC02", b"\1", b"heal\0thy", b"x"),
    "mdp02: in lower case": (b"mdpc02", b"\1", b"healthy", b"x"),
    "mdp02: command 0": (b"MDPC02", b"\0", b"healthy", b"x"),
    "mdp02: a broker's PARTIAL": (b"MDPC02", b"\2", b"healthy", b"x"),
    "mdp02: a broker's FINAL": (b"MDPC02", b"\3", b"healthy", b"x"),
    "mdp02: command 255": (b"MDPC02", b"\xff", b"healthy", b"x"),
    "mdp02: an empty command": (b"MDPC02", b"", b"healthy", b"x"),
    "mdp02: a command of two bytes": (b"MDPC02", b"\1\1", b"healthy", b"x"),
    "mdp02: a later version": (b"MDPC03", b"\1", b"healthy", b"x"),
    "libmdp: no service": (b"", b"MDPC02", b"\1"),
    "libmdp: no body": (b"", b"MDPC02", b"\1", b"healthy"),
    "libmdp: a name too long": (b"", b"MDPC02", b"\1", LONG, b"x"),
    "libmdp: command 0": (b"", b"MDPC02", b"\0", b"healthy", b"x"),
    "libmdp: command 3": (b"", b"MDPC02", b"\3", b"healthy", b"x"),
    "majortomo: no service": (b"", b"MDPC02", b"\2"),
    "majortomo: no body": (b"", b"MDPC02", b"\2", b"healthy"),
    "majortomo: a name too long": (b"", b"MDPC02", b"\2", LONG, b"x"),
    "majortomo: command 4": (b"", b"MDPC02", b"\4", b"healthy", b"x"),
    "packed: the signature alone": (b"\xAA\xA4",),
    "packed: another signature": (b"\xAA\xA5" + packed(1, b"MDPC02", 1, b"healthy")[2:], b"x"),
    "packed: number 0": (packed(0, b"MDPC02", 1, b"healthy"), b"x"),
    "packed: number 10": (packed(10, b"MDPC02", 1, b"healthy"), b"x"),
    "packed: a broker's PARTIAL": (packed(2, b"MDPC02", 2, b"healthy"), b"x"),
    "packed: number and command differ": (packed(1, b"MDPC02", 2, b"healthy"), b"x"),
    "packed: a name that is none": (packed(1, b"MDPX02", 1, b"healthy"), b"x"),
    "packed: another version": (packed(1, b"MDPC01", 1, b"healthy"), b"x"),
    "packed: no service": (packed(1, b"MDPC02", 1), b"x"),
    "packed: an empty service": (packed(1, b"MDPC02", 1, b""), b"x"),
    "packed: a name too long": (packed(1, b"MDPC02", 1, LONG), b"x"),
    "packed: no body": (packed(1, b"MDPC02", 1, b"healthy"),),
    "packed: cut in the name": (packed(1, b"MDPC02", 1, b"healthy")[:7], b"x"),
    "packed: cut in the service": (packed(1, b"MDPC02", 1, b"healthy")[:-2], b"x"),
    "packed: bytes behind the service": (packed(1, b"MDPC02", 1, b"healthy") + b"!", b"x"),
    "of no protocol": (b"", b"hello"),
    "of no protocol, one frame": (b"GET / HTTP/1.1",),
    "empty frames": (b"",) * 5,
}


@pytest.mark.parametrize("what", CLIENT)
def test_a_client_that_says_it_wrong(scene, what):
    peer = scene.stage.raw(scene.broker)
    peer.send(*CLIENT[what])
    scene.told()
    assert peer.receive(within=0.05) is None, "no RFC has a word for it"


def _wrong_words(name):
    """Returns messages that a worker of this protocol must never send, by what is wrong with
    them."""
    with peers.WORKERS[name]("inproc://nobody") as one:
        ready, beat = one.pack("READY", service=b"wrong"), one.pack("HEARTBEAT")
        final = one.pack("FINAL", b"address", (b"x",))
        long, control = one.pack("READY", service=LONG), one.pack("READY", service=b"a\nb")
    words = {
        "READY with a name too long": long,
        "READY with a control character": control,
        "FINAL without a body": final[:-1],
        "FINAL without an empty frame": (*final[:-2], b"x"),
        "FINAL without an address": final[:-3],
    }
    if name == "packed":
        head = beat[0]
        words["an unknown command"] = (head[:2] + b"\x0a" + head[3:],)
        words["a broker's REQUEST"] = (packed(5, b"MDPW02", 2), b"address", b"", b"x")
        words["READY of an empty service"] = (packed(4, b"MDPW02", 1, b""),)
        return words
    before = beat[:-1]
    words["READY without a service"] = ready[:-1]
    words["READY of an empty service"] = (*ready[:-1], b"")
    words["an unknown command"] = (*before, b"\x63")
    words["no command"] = before
    words["an empty command"] = (*before, b"")
    words["a command of two bytes"] = (*before, b"\4\4")
    words["a broker's REQUEST"] = (*before, b"\2", b"address", b"", b"x")
    return words


def _disconnect(name):
    with peers.WORKERS[name]("inproc://nobody") as one:
        return one.pack("DISCONNECT")


WORDS = [(name, what) for name in MDP_WORKERS for what in _wrong_words(name)]


@pytest.mark.parametrize("worker,what", WORDS)
def test_a_peer_without_a_session_that_says_it_wrong_as_a_worker(scene, worker, what):
    outsider = scene.stage.unready(scene.broker, worker)
    outsider.send(*_wrong_words(worker)[what])
    assert outsider.hears("DISCONNECT")
    scene.told()
    assert scene.stage.count(scene.broker, b"wrong") == 0


@pytest.mark.parametrize("worker,what", WORDS)
def test_a_worker_that_says_it_wrong(scene, worker, what):
    hostile = scene.stage.offer(scene.broker, worker, b"hostile")
    scene.mark()
    hostile.send(*_wrong_words(worker)[what])
    assert hostile.hears("DISCONNECT")
    scene.told()
    assert hostile.next(within=0.05) is None, "and nothing more"
    until(lambda: scene.stage.count(scene.broker, b"hostile") == 0, 5, "it is in no list")


@pytest.mark.parametrize("name", [b"mdpw01", b"MDPw01", b"mdpw02", b"MDPW03", b"MDPW"])
@pytest.mark.parametrize("before", [(), (b"",)], ids=["", "behind an empty frame"])
def test_a_worker_of_a_version_that_is_none(scene, name, before):
    peer = scene.stage.raw(scene.broker)
    peer.send(*before, name, b"\1", b"wrong")
    scene.told()
    assert peer.receive(within=0.05) is None, "nobody knows what it would understand"
    assert scene.stage.count(scene.broker, b"wrong") == 0


@pytest.mark.parametrize("service", [b"hostile", b"another"], ids=["twice", "for two services"])
@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_a_worker_that_registers_again(scene, worker, service):
    hostile = scene.stage.offer(scene.broker, worker, b"hostile")
    scene.mark()
    hostile.ready(service)
    assert hostile.hears("DISCONNECT")
    scene.told()
    for name in (b"hostile", b"another"):
        assert scene.stage.count(scene.broker, name) == 0


@pytest.mark.parametrize("worker", MDP_WORKERS)
@pytest.mark.parametrize("client", ["dealer-mdp01", "mdp02", "libmdp", "majortomo", "packed"])
def test_a_client_that_turns_worker_on_the_same_socket(scene, client, worker):
    """A peer is either a client or a worker. Its open request is not answered on a worker's
    socket."""
    turning = scene.stage.client(scene.broker, client)
    assert turning.call(b"healthy", b"x").body == (b"x",)
    turning.request(b"held", b"mine")
    scene.stage.wait_for_waiting(scene.broker, 1)
    scene.mark()
    with peers.WORKERS[worker]("inproc://nobody") as one:
        turning.send(*one.pack("READY", service=b"wrong"))
        assert one.unpack(turning.receive()).command == "DISCONNECT"
    scene.told(unanswered=1)
    assert scene.stage.count(scene.broker, b"wrong") == 0
    scene.stage.wait_for_waiting(scene.broker, 0)


@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_a_worker_that_turns_client_on_the_same_socket(scene, worker):
    turning = scene.stage.offer(scene.broker, worker, b"hostile")
    scene.mark()
    turning.send(b"MDPC02", b"\1", b"healthy", b"x")
    assert turning.hears("DISCONNECT")
    scene.told()
    assert scene.stage.count(scene.broker, b"hostile") == 0


@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_a_worker_that_changes_its_protocol(scene, worker):
    turning = scene.stage.offer(scene.broker, worker, b"hostile")
    other = "mdp01" if worker != "mdp01" else "mdp02"
    scene.mark()
    with peers.WORKERS[other]("inproc://nobody") as one:
        turning.send(*one.pack("HEARTBEAT"))
    assert turning.receive(within=5) is not None, "DISCONNECT, in one protocol or the other"
    scene.told()
    assert scene.stage.count(scene.broker, b"hostile") == 0


@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_forged_replies_reach_nobody(scene, worker):
    """The forger is a worker that has a request; an idle one is disconnected (statement 4)."""
    stage, broker = scene.stage, scene.broker
    forger, bob = stage.offer(broker, worker, b"hostile"), stage.client(broker, "req-mdp01")
    bob.request(b"hostile", b"mine")
    own = forger.job()
    scene.mark()
    token = scene.job.address
    forged = [token, token[:-1], token + b"\0", bytes(reversed(token)), b"\xff" * 8, b"1",
              b"x" * 1000]
    for address in forged:
        forger.answer(own._replace(address=address), b"stolen")
    scene.told(len(forged))
    forger.answer(own, b"genuine")
    assert bob.reply().body == (b"genuine",)


@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_a_worker_that_answers_twice(scene, worker):
    stage, broker = scene.stage, scene.broker
    twice, bob = stage.offer(broker, worker, b"hostile"), stage.client(broker, "mdp02")
    bob.request(b"hostile", b"one")
    job = twice.job()
    scene.mark()
    twice.answer(job, b"first")
    twice.answer(job, b"second")
    assert bob.reply().body == (b"first",)
    assert bob.reply(within=0.1) is None
    assert twice.hears("DISCONNECT"), "it was idle (statement 4)"
    scene.told()


@pytest.mark.parametrize("worker", [name for name in MDP_WORKERS if name != "mdp01"])
def test_a_part_after_the_end(scene, worker):
    stage, broker = scene.stage, scene.broker
    late, bob = stage.offer(broker, worker, b"hostile"), stage.client(broker, "mdp02")
    bob.request(b"hostile", b"one")
    job = late.job()
    late.answer(job, b"end")
    assert bob.reply().body == (b"end",)
    scene.mark()
    late.partial(job, b"more")
    assert late.hears("DISCONNECT")
    scene.told()
    assert bob.reply(within=0.05) is None


MANY = {
    "mdp01": (b"", b"MDPC01", b"healthy"), "mdp02": (b"MDPC02", b"\1", b"healthy"),
    "libmdp": (b"", b"MDPC02", b"\1", b"healthy"), "majortomo": (b"", b"MDPC02", b"\2", b"healthy"),
    "packed": (packed(1, b"MDPC02", 1, b"healthy"),), "worker of mdp01": (b"", b"MDPW01", b"\1"),
    "worker of mdp02": (b"MDPW02", b"\4", b"address", b""),
    "packed worker": (packed(7, b"MDPW02", 4), b"address", b""), "no protocol": (b"",),
}


@pytest.mark.parametrize("what", MANY)
def test_thousands_of_frames(scene, what):
    before = scene.stage.status(scene.broker)["counters"]["too_many_frames"]
    scene.stage.raw(scene.broker).send(*MANY[what], *[b"x"] * 5000)
    scene.told()
    assert scene.stage.status(scene.broker)["counters"]["too_many_frames"] == before + 1


@pytest.mark.parametrize("what", ["mdp01: in lower case", "mdp02: command 0", "of no protocol",
                                  "packed: cut in the name", "mdp02: no body"])
def test_a_flood_costs_neither_memory_nor_the_log(scene, what):
    before = scene.broker.resident_bytes()
    peer = scene.stage.raw(scene.broker)
    for _ in range(20000):
        peer.send(*CLIENT[what])
    until(lambda: scene.stage.wrongs(scene.broker) >= scene.wrongs + 20000, 20, "all are counted")
    assert scene.broker.resident_bytes() - before < (32 << 20) * PATIENCE
    assert len(scene.lines()) < 60, "20 at once, then one a second"


@pytest.mark.parametrize("worker", MDP_WORKERS)
def test_a_flood_of_workers_that_are_refused(scene, worker):
    before = scene.broker.resident_bytes()
    for _ in range(200):
        hostile = scene.stage.unready(scene.broker, worker).ready(b"mmi.x")
        assert hostile.hears("DISCONNECT")
        hostile.close()
    assert scene.stage.status(scene.broker)["workers"] == 2
    assert scene.broker.resident_bytes() - before < (16 << 20) * PATIENCE


# ---- On the listener pairs -----------------------------------------------------------------------


def _on(scene, end):
    """Makes a raw DEALER at one end of the pair: 0 for clients, 1 for workers."""
    return scene.stage.own(peers.Peer(scene.stage.pair(b"plain")[end]))


PLAIN_CLIENT = {
    "no empty frame": (b"hello",),
    "several frames, none empty": (b"a", b"b"),
    "no body": (b"",),
    "a tag, and no body": (b"tag", b""),
    "an envelope of nine frames": (*[b"e"] * 9, b"", b"x"),
    "an envelope of 1025 bytes": (b"e" * 1025, b"", b"x"),
    "thousands of frames": (b"", *[b"x"] * 5000),
}


@pytest.mark.parametrize("what", PLAIN_CLIENT)
def test_a_plain_client_that_says_it_wrong(plain_scene, what):
    peer = _on(plain_scene, 0)
    peer.send(b"")  # as ZMQ_PROBE_ROUTER does, which is allowed once
    peer.send(*PLAIN_CLIENT[what])
    plain_scene.told()
    assert peer.receive(within=0.05) is None


def test_a_rep_worker_that_answers_twice(plain_scene):
    """A REP socket cannot do this, but a program that looks like one can."""
    stage, broker = plain_scene.stage, plain_scene.broker
    worker, bob = _on(plain_scene, 1), stage.client(broker, "plain-req", b"plain")
    bob.request(b"plain", b"one")
    envelope = worker.receive()
    plain_scene.mark()
    worker.send(*envelope[:-1], b"first")
    worker.send(*envelope[:-1], b"second")
    assert bob.reply().body == (b"first",)
    plain_scene.told()
    bob.request(b"plain", b"two")
    envelope = worker.receive()
    assert envelope[-1] == b"two"
    worker.send(*envelope[:-1], b"to two")
    assert bob.reply().body == (b"to two",)


PLAIN_WORKER = {
    "of no request": lambda envelope: (b"forged", b"", b"stolen"),
    "of zeros": lambda envelope: (b"\0" * 8, b"", b"stolen"),
    "without an envelope": lambda envelope: (b"", b"stolen"),
    "without an empty frame": lambda envelope: (b"stolen",),
    "without a body": lambda envelope: envelope[:-1],
    "empty frames": lambda envelope: (b"", b"", b""),
    "thousands of frames": lambda envelope: (*envelope[:-1], *[b"x"] * 5000),
    "another protocol": lambda envelope: (b"MDPW02", b"\1", b"wrong"),
}


@pytest.mark.parametrize("what", PLAIN_WORKER)
def test_a_rep_worker_that_says_it_wrong(plain_scene, what):
    stage, broker = plain_scene.stage, plain_scene.broker
    worker, bob = _on(plain_scene, 1), stage.client(broker, "plain-req", b"plain")
    bob.request(b"plain", b"one")
    envelope = worker.receive()
    plain_scene.mark()
    worker.send(*PLAIN_WORKER[what](envelope))
    plain_scene.told()
    assert bob.reply(within=0.05) is None
    worker.send(*envelope[:-1], b"genuine")
    assert bob.reply().body == (b"genuine",), "it costs the request nothing"


def test_a_rep_worker_that_names_the_request_of_an_mdp_worker(plain_scene):
    """A worker of MDP 0.1 holds plain_scene.job; a worker of the pair may not answer its token."""
    worker = _on(plain_scene, 1)
    worker.send(plain_scene.job.address, b"", b"stolen")
    plain_scene.told()
