# SPDX-License-Identifier: MPL-2.0
"""Where the cores meet libzmq: contexts, DEALERs and their monitors, endpoint lists and keys. No thread, no loop."""

from __future__ import annotations

import atexit
import os
import random
import re
import socket
import stat
import struct
import threading
from typing import Any, Callable, Dict, Iterable, List, Optional, Protocol, Sequence, Tuple, Union

import zmq

from riposte import _explain as explain
from riposte import _link, _srv
from riposte._status import Status

DEFAULT_SERVER = "tcp://127.0.0.1:5555"
DAY_MS = 86400000
LINGER_MS = 1000  #: how long a closed socket may take to get rid of what was sent

Servers = Union[str, Sequence[str], None]


# ---- What the user and the environment give --------------------------------------------------------


def endpoints_of(servers: Servers) -> List[str]:
    """A list of endpoints, or one text with commas; None: RIPOSTE_SERVER, or the default. Raises ValueError."""
    if servers is None:
        servers = os.environ.get("RIPOSTE_SERVER") or DEFAULT_SERVER
    if isinstance(servers, str):
        servers = servers.split(",")
    if not isinstance(servers, (list, tuple)) or not all(isinstance(one, str) for one in servers):
        raise TypeError(f"endpoints are a text, or a list of texts, not {servers!r}")
    endpoints = [one.strip() for one in servers if one.strip()]
    if not endpoints:
        raise ValueError("no endpoint is given: tcp://HOST:PORT or ipc://PATH")
    for one in endpoints:
        _link.split_endpoint(one)
    return endpoints


def own_name() -> str:
    """HOST-PID, the name of a peer for people."""
    host = "".join(char for char in socket.gethostname().split(".")[0] if 32 < ord(char) < 127)
    return f"{host[:40]}-{os.getpid()}"


class Keys:
    """CURVE keys; `server` is None without security. Raises ValueError or OSError for files that do not serve."""

    def __init__(self, key_file: Optional[str], server_key: Optional[str]) -> None:
        key_file = key_file if key_file is not None else os.environ.get("RIPOSTE_KEY_FILE") or None
        server_key = server_key if server_key is not None else os.environ.get("RIPOSTE_SERVER_KEY") or None
        self.server: Optional[bytes] = None
        self.public = self.secret = b""
        self.is_made = False  #: for want of a key file
        if key_file and not server_key:
            raise ValueError(f"the key in {key_file} is of no use without the broker's public key (server_key)")
        if not server_key:
            return
        if len(server_key) == 40 and not os.path.exists(server_key):
            self.server = server_key.encode()
        else:
            self.server = _certificate(server_key)["public-key"]
        if not key_file:
            self.public, self.secret = zmq.curve_keypair()
            self.is_made = True
            return
        if os.stat(key_file).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ValueError(f"{key_file}: others may read this secret key; chmod 600 {key_file}")
        values = _certificate(key_file)
        if "secret-key" not in values:
            raise ValueError(f"{key_file} has no secret key; give the file that ends in .key_secret")
        self.public, self.secret = values["public-key"], values["secret-key"]


def _certificate(path: str) -> Dict[str, bytes]:
    """The keys in a certificate of CZMQ, pyzmq or `riposte keys`."""
    with open(path, encoding="utf-8", errors="replace") as file:
        found = re.findall(r'^\s*(public-key|secret-key)\s*=\s*(["\'])(.{40})\2\s*$', file.read(), re.M)
    values = {name: key.encode() for name, _, key in found}
    if "public-key" not in values:
        raise ValueError(f"{path} is no certificate: it has no public-key")
    return values


def addresses_of(infos: Iterable[Tuple[Any, ...]], port: object) -> List[str]:
    """What getaddrinfo says, as endpoints that have no name, in its order."""
    hosts = dict.fromkeys(f"[{info[4][0]}]" if info[0] == socket.AF_INET6 else str(info[4][0]) for info in infos)
    return [f"tcp://{host}:{port}" for host in hosts]


def look_up(endpoint: str, records: bool = False) -> Tuple[List[str], str]:
    """The addresses of an endpoint's name, or of the hosts that its SRV records name, and why there are none. records:
    of SRV records, an endpoint for each host. Waits for the name servers."""
    addresses: List[str] = []
    trouble = ""
    _, name, number = _link.split_endpoint(endpoint)
    hosts: List[Tuple[str, object]] = [(name, number)]
    if _srv.is_srv(endpoint):
        try:
            hosts = [(one.host, one.port) for one in _srv.order(_srv.ask(name), random.random)]
        except OSError as error:
            return [], f"{name} {explain.UNRESOLVED}: {error.strerror}"
        if records:
            return [f"tcp://{host}:{port}" for host, port in hosts], ""
    for host, port in hosts:
        try:
            infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses += [one for one in addresses_of(infos, port) if one not in addresses]
        except (OSError, UnicodeError) as error:  # a label that is empty or too long has no form in the DNS
            trouble = f"host {host} {explain.UNRESOLVED}: {getattr(error, 'strerror', '') or error}"
    return addresses, trouble


# ---- One context for a process ---------------------------------------------------------------------

_context_lock = threading.Lock()
_context: Optional["zmq.Context[zmq.Socket[bytes]]"] = None
_context_users = 0
_context_pid = 0


def acquire_context() -> "zmq.Context[zmq.Socket[bytes]]":
    """The context that all clients and workers of a process share: made with the first, ended with the last."""
    global _context, _context_users, _context_pid
    with _context_lock:
        if _context is None or _context_pid != os.getpid():
            _context, _context_users, _context_pid = zmq.Context(), 0, os.getpid()
            _context.set(zmq.MAX_SOCKETS, 65535)
        _context_users += 1
        return _context


def release_context(may_wait: bool) -> None:
    """The last user ends it, which waits LINGER_MS at most for what was sent; one that may not wait leaves that to the
    end of the next, or of the process."""
    global _context_users
    with _context_lock:
        _context_users -= 1
    if may_wait:
        _end_context()


def _end_context() -> None:
    global _context
    with _context_lock:
        ended = _context if _context_users == 0 and _context_pid == os.getpid() else None
        if ended is not None:
            _context = None
    if ended is not None:
        ended.term()


atexit.register(_end_context)


# ---- DEALERs -----------------------------------------------------------------------------------------

# Looked up once. Whether there is something to read is asked for: an EAGAIN, an exception in Python, takes three times
# as long.
_EVENTS, _MORE, _POLLIN = int(zmq.EVENTS), int(zmq.RCVMORE), int(zmq.POLLIN)
_NOBLOCK, _SNDMORE = int(zmq.NOBLOCK), int(zmq.SNDMORE | zmq.NOBLOCK)
_REPORTED = (zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
             | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_CONNECT_RETRIED)
_MECHANISM_MISMATCH, _CRYPTOGRAPHIC, _KEY_EXCHANGE = 0x11000001, 0x11000002, 0x10000015  # ZMQ_PROTOCOL_ERROR_ZMTP_…
_DENIED = 400  # with which ZAP refuses a peer
_NO_ZMTP = "what listens there does not speak ZMTP, or hung up"


class Dealer:
    """One DEALER socket, which connects once, and its monitor."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", address: str, keys: Keys) -> None:
        self.socket = context.socket(zmq.DEALER)
        self._keys = keys if keys.server is not None and address.startswith("tcp://") else None
        self._path = address[6:] if address.startswith("ipc:///") else ""
        self._connected = False
        try:
            self._set_options(address)
            self.monitor: "zmq.Socket[bytes]" = self.socket.get_monitor_socket(_REPORTED)
            self.socket.connect(address)
        except BaseException:
            self.close(0)
            raise
        self.fd = int(self.socket.getsockopt(zmq.FD))
        self.monitor_fd = int(self.monitor.getsockopt(zmq.FD))

    def _set_options(self, address: str) -> None:
        dealer = self.socket
        dealer.setsockopt(zmq.LINGER, LINGER_MS)
        # Both are bounded by the number of open requests. A full receive queue lets a peer abort libzmq (libzmq#3937).
        dealer.setsockopt(zmq.SNDHWM, 0)
        dealer.setsockopt(zmq.RCVHWM, 0)
        # A connection is one session, so libzmq must not make another. Not -1, with which libzmq 4.3.4 drops messages
        # that came just before the end of a connection.
        dealer.setsockopt(zmq.RECONNECT_IVL, DAY_MS)
        dealer.setsockopt(zmq.TCP_KEEPALIVE, 1)
        dealer.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 15)
        dealer.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 5)
        dealer.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
        if address.startswith("tcp://["):
            dealer.setsockopt(zmq.IPV6, 1)
        if self._keys is not None:
            dealer.curve_serverkey = self._keys.server
            dealer.curve_publickey = self._keys.public
            dealer.curve_secretkey = self._keys.secret

    def news(self) -> List[Tuple[str, Optional[Status]]]:
        """What the monitor has reported since: ("", None) where the handshake is done, otherwise why there is no
        connection, and DENIED if it did not accept the key."""
        news: List[Tuple[str, Optional[Status]]] = []
        get: Callable[[int], Any] = self.monitor.getsockopt
        while get(_EVENTS) & _POLLIN:
            first, _ = self.monitor.recv_multipart(zmq.NOBLOCK)
            event, value = struct.unpack("=HI", first)
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._connected = True
                news.append(("", None))
            else:
                denied = event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and value == _DENIED
                news.append((self._failure(event, value), Status.DENIED if denied else None))
        return news

    def _failure(self, event: int, value: int) -> str:
        keys = self._keys
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            if value != _DENIED:
                return "it could not check who this is; see its log"
            if keys is None:
                return "it does not accept peers without a key"
            return explain.KEY_MADE if keys.is_made else explain.KEY_DENIED
        if event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            if value == _MECHANISM_MISMATCH:
                return explain.KEY_MISSING if keys is None else explain.KEY_NEEDLESS
            return explain.KEY_WRONG if keys is not None and value in (_CRYPTOGRAPHIC, _KEY_EXCHANGE) else _NO_ZMTP
        if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            # The C library connects once more to tell by the greeting.
            return _NO_ZMTP if keys is None else f"{explain.KEY_WRONG}, or it does not speak ZMTP"
        if event == zmq.EVENT_DISCONNECTED:
            return "the connection broke" if self._connected else "what listens there hung up"
        if self._path and os.path.exists(self._path) and not os.access(self._path, os.W_OK):
            return explain.FORBIDDEN
        return explain.UNREACHED

    def close(self, linger: Optional[int] = None) -> None:
        try:
            self.socket.disable_monitor()
        except (zmq.ZMQError, AttributeError):
            pass
        self.socket.close(linger)


class Core(Protocol):
    """What both cores offer to their sockets."""

    actions: List[_link.Action]
    wants_records: bool  #: see look_up

    def receive(self, number: int, frames: Sequence[bytes], now: float) -> None: ...
    def connected(self, number: int, now: float) -> None: ...
    def failed(self, number: int, why: str, now: float, status: Optional[Status] = None) -> None: ...
    def resolved(self, endpoint: str, addresses: Sequence[str], trouble: str, now: float) -> None: ...
    def tick(self, now: float) -> None: ...
    def due(self) -> float: ...
    def flush(self) -> None: ...


class Waiter(Protocol):
    """What a thread waits for."""

    reply: Any


class Hub:
    """The DEALERs of one core. `watch` and `unwatch` are called with a descriptor that is to be polled, or no longer,
    and whether it is a monitor's; `resolve` with an endpoint whose host is a name."""

    def __init__(self, core: Core, keys: Keys, watch: Callable[[int, bool], Any], unwatch: Callable[[int, bool], Any],
                 resolve: Callable[[str], Any], other: Callable[[_link.Action], None],
                 clock: Callable[[], float]) -> None:
        self._core = core
        self._keys = keys
        self._watch = watch
        self._unwatch = unwatch
        self._resolve = resolve
        self._other = other
        self._clock = clock
        self._context = acquire_context()
        self._dealers: Dict[int, Dealer] = {}
        self._has_new = False
        self._closed = False

    def turn(self, monitors: bool, until: Optional[Waiter] = None) -> None:
        """Sends what is to be sent, reads all that is there, and does what is due. Each socket is read until it has
        nothing more, so that its next message makes its descriptor readable; but once `until` has its reply, what is
        left is for the next turn, which must come before a poll. The monitors are asked only
        if `monitors`: one of their descriptors is readable, or nobody polls them; and once when they are new, because a
        descriptor reports nothing before."""
        core = self._core
        now = self._clock()
        while True:
            core.flush()
            if core.actions:
                self._carry_out(now)
            self._read(now, monitors or self._has_new, until)
            if now >= core.due():
                core.tick(now)
            core.flush()
            if not core.actions:
                return

    def _read(self, now: float, monitors: bool, until: Optional[Waiter]) -> None:
        core = self._core
        receive = core.receive
        self._has_new = False
        for number, dealer in list(self._dealers.items()):
            # The monitor first: what it reports as broken has left all of its messages in the socket.
            news = dealer.news() if monitors else ()
            if ("", None) in news:
                core.connected(number, now)
            recv = dealer.socket.recv
            get: Callable[[int], Any] = dealer.socket.getsockopt
            while get(_EVENTS) & _POLLIN:
                frames = [recv(_NOBLOCK)]
                while get(_MORE):
                    frames.append(recv(_NOBLOCK))
                receive(number, frames, now)
                if until is not None and until.reply is not None and not news:
                    return
            for why, status in news:
                if why:
                    core.failed(number, why, now, status)

    def _carry_out(self, now: float) -> None:
        core = self._core
        actions = core.actions[:]
        core.actions.clear()
        for action in actions:
            kind = action[0]
            if kind == "send":
                dealer = self._dealers.get(action[1])
                if dealer is not None:
                    frames = action[2]
                    send = dealer.socket.send
                    try:
                        for frame in frames[:-1]:
                            send(frame, _SNDMORE)
                        send(frames[-1], _NOBLOCK)
                    except zmq.ZMQError as error:  # its connection is gone; half a message goes with the socket
                        core.failed(action[1], f"nothing can be sent: {error}", now)
            elif kind == "connect":
                try:
                    dealer = Dealer(self._context, action[2], self._keys)
                except zmq.ZMQError as error:
                    core.failed(action[1], str(error), now)
                    continue
                self._dealers[action[1]] = dealer
                self._has_new = True
                self._watch(dealer.fd, False)
                self._watch(dealer.monitor_fd, True)
            elif kind == "close":
                dealer = self._dealers.pop(action[1], None)
                if dealer is not None:
                    self._drop(dealer, None if action[2] else 0)
            elif kind == "resolve":
                self._resolve(action[1])
            else:
                self._other(action)

    def _drop(self, dealer: Dealer, linger: Optional[int]) -> None:
        self._unwatch(dealer.fd, False)
        self._unwatch(dealer.monitor_fd, True)
        dealer.close(linger)

    def close(self, may_wait: bool) -> None:
        """Sends what is to be sent, and closes the sockets. Waits LINGER_MS at most, or not at all."""
        if self._closed:
            return
        self._closed = True
        self._core.flush()
        self._carry_out(self._clock())
        for dealer in self._dealers.values():
            self._drop(dealer, None)
        self._dealers.clear()
        release_context(may_wait)
