# SPDX-License-Identifier: MPL-2.0
"""The principal that the broker gives a peer: what a peer says of itself never counts, on any
listener."""

import os
import pathlib
import re
import socket
import stat
import struct

import pytest
import zmq

from support import programs
from support.keys import Keys
from support.peer import BYE, HELLO, REQUEST, Message, Peer, head
from support.programs import PATIENCE
from support.waiting import until

RULES = """\
principal = "ada"
    call = "upper"
    serve = "upper"
    observe = 1
principal = "bob"
    call = "lower"
principal = "uid:0"
    observe = 1
"""
NO_WORKER, DENIED = 2, 5
#: The greeting of a NULL handshake.
GREETING = b"\xff" + 8 * b"\0" + b"\x7f\x03\x00NULL" + 16 * b"\0" + b"\0" + 31 * b"\0"


@pytest.fixture(name="secure")
def secure_keys(world):
    """Keys of a broker, of ada and bob, who are authorized, and of eve, who is not."""
    keys = Keys(world)
    keys.rules(RULES)
    keys.authorize("ada")
    keys.authorize("bob")
    keys.new("eve")
    return keys


def peer_of(world, keys, name, broker):
    peer = Peer(broker.endpoint, curve=keys.curve(name))
    world._others.append(peer)
    return peer


def socket_of(context, keys, name, kind):
    """A socket with that key, not yet connected."""
    one = context.socket(kind)
    one.linger = 0
    one.curve_publickey, one.curve_secretkey, one.curve_serverkey = keys.curve(name)
    return one


def denial(peer, service):
    reply = peer.call(service)
    assert reply.status == DENIED, vars(reply)
    return reply.text.decode()


# ---- Keys ------------------------------------------------------------------------------------------------------

def test_a_key_is_its_principal(world, secure):
    broker = world.broker(*secure.of_broker, limits={"rejoin_grace": "0s"})
    ada = peer_of(world, secure, "ada", broker)
    ada.hello()
    assert ada.call(b"upper").status == NO_WORKER
    assert '"ada" may not call "lower"' in denial(ada, b"lower")
    bob = peer_of(world, secure, "bob", broker)
    bob.hello()
    assert bob.call(b"lower").status == NO_WORKER
    assert '"bob" may not call "upper"' in denial(bob, b"upper")


def test_a_message_of_many_frames_is_from_its_principal(world, secure):
    """However many frames a message has, the broker reads its properties from a frame that has them."""
    broker = world.broker(*secure.of_broker)
    peer = peer_of(world, secure, "bob", broker)
    peer.send(head(HELLO, key=b"peer", time=1000))
    peer.send(head(REQUEST, name=b"upper", time=5000, attempts=1, id=1), *[b"x"] * 40)
    answers = [peer.receive(), peer.receive()]
    assert '"bob" may not call "upper"' in answers[1].text.decode()


def test_an_unknown_key_is_refused_and_the_log_says_where_it_came_from(world, secure):
    broker = world.broker(*secure.of_broker)
    eve = peer_of(world, secure, "eve", broker)
    eve.send(head(HELLO, key=b"eve", time=1000))
    # Of a connection that ended before the broker looked at it, it does not know the address; eve comes again.
    until(lambda: re.search(r" 127\.0\.0\.1:\d+: refused: its key is not authorized\n", broker.log()), 10,
          "the log says so", broker)
    assert eve.receive(0.5) is None
    result = world.cli(broker, "workers", "-o", "json", *secure.of("ada"))
    assert (result.code, result.json()) == (0, {"workers": []})


def test_who_has_a_key_cannot_say_that_it_is_another(world, secure):
    """A peer may send properties with the names of ZAP's; those of ZAP come first and count."""
    broker = world.broker(*secure.of_broker)
    bob = peer_of(world, secure, "bob", broker)
    bob.socket.close()
    bob.socket = socket_of(bob.context, secure, "bob", zmq.DEALER)
    bob.socket.setsockopt(zmq.METADATA, b"X-Riposte-Key:" + secure.curve("ada")[0])
    bob.socket.connect(broker.endpoint)
    bob.hello()
    assert '"bob" may not call "upper"' in denial(bob, b"upper")


# ---- Listeners without keys -----------------------------------------------------------------------------------

class Forger:
    """A peer of ZMTP 3.0 without a key, which claims a principal by its properties."""

    def __init__(self, endpoint, **properties):
        if endpoint.startswith("ipc://"):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(endpoint.removeprefix("ipc://"))
        else:
            host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
            self._socket = socket.create_connection((host, int(port)))
        self._socket.settimeout(5 * PATIENCE)
        self._socket.sendall(GREETING)
        self._take(64)
        ready = b"\x05READY" + b"".join(
            struct.pack(">B", len(name)) + name.encode() + struct.pack(">I", len(value)) + value
            for name, value in {"Socket-Type": b"DEALER", "Identity": b"", **properties}.items())
        self._socket.sendall(struct.pack(">BB", 4, len(ready)) + ready)
        assert self._frame()[0] & 4  # the broker's READY

    def _take(self, size):
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            assert more, "the broker has ended the connection"
            data += more
        return data

    def _frame(self):
        flags = self._take(1)[0]
        size = struct.unpack(">Q", self._take(8))[0] if flags & 2 else self._take(1)[0]
        return flags, self._take(size)

    def send(self, data):
        assert len(data) < 256
        self._socket.sendall(struct.pack(">BB", 0, len(data)) + data)

    def receive(self):
        frames, more = [], True
        while more:
            flags, data = self._frame()
            more = flags & 1
            frames.append(data)
        return Message(frames)

    def close(self):
        self._socket.close()


@pytest.mark.parametrize("way", ["tcp", "ipc"])
def test_who_comes_without_a_key_cannot_say_who_it_is(world, secure, way):
    ipc = f"ipc://{world.directory}/broker.ipc"
    if way == "tcp":
        broker = world.broker("--rules", secure.rules_file)
        endpoint, principal = broker.endpoint, "anonymous"
    else:
        broker = world.broker("--bind", ipc, *secure.of_broker)
        endpoint, principal = ipc, f"uid:{os.getuid()}"
    forged = {"User-Id": b"ada", "X-Riposte-Key": secure.curve("ada")[0]}
    forger = Forger(endpoint, **forged)
    world._others.append(forger)
    forger.send(head(HELLO, key=b"forger", time=10000))
    forger.receive()
    forger.send(head(REQUEST, name=b"upper", time=5000, attempts=1, id=1))
    assert f'"{principal}" may not call "upper"' in forger.receive().text.decode()
    forger.send(head(BYE))


def test_a_worker_over_ipc_is_its_user(world, secure):
    ipc = f"ipc://{world.directory}/broker.ipc"
    secure.rules(f'principal = "uid:{os.getuid()}"\n    serve = "upper"\n    call = "upper"\n')
    world.broker("--bind", ipc, *secure.of_broker)
    worker = world.worker(None, "upper", endpoint=ipc, ready=False, options=("--builtin", "upper"))
    until(lambda: "registered with" in worker.log(), 5, "it is registered", worker)
    assert world.cli(ipc, "call", "upper", "hi").out == b"HI"


# ---- Plain REP workers ----------------------------------------------------------------------------------------

def test_a_rep_worker_needs_a_key_that_may_serve(world, secure):
    back = world.directory / "ports"
    broker = world.start("broker", programs.BROKER, "--bind", "tcp://127.0.0.1:*", "--ports-file", back,
                         "--plain", "upper=tcp://127.0.0.1:*,tcp://127.0.0.1:*", *secure.of_broker)
    until(lambda: back.exists() and back.read_text().count("\n") == 3, 5, "it is ready", broker)
    native, _, endpoint = back.read_text().split()
    context = zmq.Context()
    bob, ada = (socket_of(context, secure, name, zmq.REP) for name in ("bob", "ada"))
    try:
        bob.connect(endpoint)
        until(lambda: "refused: its key is not authorized" in broker.log(), 5, "bob is refused", broker)
        ada.connect(endpoint)
        asking = world.start_cli(native, "call", "upper", "hi", "--wait-worker", "5s", *secure.of("ada"))
        assert ada.poll(5000 * PATIENCE), broker.log()
        assert ada.recv() == b"hi"
        ada.send(b"HI")
        assert world.finish(asking).out == b"HI"
    finally:
        context.destroy()


# ---- Sockets of ipc -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("given, mode", [("0600", 0o600), ("0660", 0o660), ("0666", 0o666)])
def test_an_ipc_socket_has_the_permissions_of_the_setting(world, given, mode):
    path = pathlib.Path(world.directory) / "broker.ipc"
    config = world.directory / "config"
    config.write_text(f"security\n    ipc_mode = {given}\n")
    world.broker("--config", config, "--bind", f"ipc://{path}")
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_the_socket_of_a_dead_broker_is_replaced_and_that_of_a_living_one_is_not(world):
    path = pathlib.Path(world.directory) / "broker.ipc"
    first = world.broker("--bind", f"ipc://{path}")
    first.kill()
    assert path.is_socket()
    world.broker("--bind", f"ipc://{path}")
    assert world.cli(f"ipc://{path}", "services").code == 0
    result = world.run(programs.BROKER, "--bind", f"ipc://{path}")
    assert result.code == 1
    assert "another process listens there" in result.error()
    assert world.cli(f"ipc://{path}", "services").code == 0
