# SPDX-License-Identifier: MPL-2.0
"""A name server (RFC 1035) that knows what a test tells it: SRV records, and addresses of IPv4."""

import socket
import struct
import threading

import pytest

from support.names import SILENT

NAME = "_riposte._tcp.example.org"
SERVER = f"srv:{NAME}"
A, SRV = 1, 33
NO_ERROR, NO_SUCH_NAME = 0, 3
TRUNCATED = 0x0200


def _name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


class NameServer:
    """records: {(name, type): list}, of A addresses, of SRV (priority, weight, port, host). An answer that is longer
    than UDP allows is truncated, and is asked for again over TCP."""

    def __init__(self, address):
        self.records = {}
        self.asked = []  # (name, type), as they came
        self._over = False
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for one in (self._udp, self._tcp):
            one.bind(address)
            one.settimeout(0.1)
        self._tcp.listen()
        self._threads = [threading.Thread(target=run) for run in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    def _answer(self, query, limit):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind, = struct.unpack_from(">H", query, at + 1)
        name = ".".join(labels).lower()
        self.asked.append((name, kind))
        answers = b"".join(self._record(kind, record) for record in self.records.get((name, kind), ()))
        known = any(name == one for one, _ in self.records)
        count = len(self.records.get((name, kind), ()))
        flags = 0x8180 | (NO_ERROR if known else NO_SUCH_NAME)
        if len(answers) + at + 5 > limit:
            flags, count, answers = flags | TRUNCATED, 0, b""
        return query[:2] + struct.pack(">HHHHH", flags, 1, count, 0, 0) + query[12:at + 5] + answers

    @staticmethod
    def _record(kind, record):
        data = socket.inet_aton(record) if kind == A else struct.pack(">HHH", *record[:3]) + _name(record[3])
        return b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(data)) + data

    def _serve_udp(self):
        while not self._over:
            try:
                query, peer = self._udp.recvfrom(4096)
            except socket.timeout:
                continue
            self._udp.sendto(self._answer(query, 512), peer)

    def _serve_tcp(self):
        while not self._over:
            try:
                peer, _ = self._tcp.accept()
            except socket.timeout:
                continue
            with peer:
                peer.settimeout(5)
                size, = struct.unpack(">H", peer.recv(2, socket.MSG_WAITALL))
                answer = self._answer(peer.recv(size, socket.MSG_WAITALL), 65535)
                peer.sendall(struct.pack(">H", len(answer)) + answer)

    def close(self):
        self._over = True
        for thread in self._threads:
            thread.join()
        self._udp.close()
        self._tcp.close()


@pytest.fixture(name="server")
def fixture_server(names):
    names.write("nsswitch.conf", "hosts: files dns\n")
    names.write("resolv.conf", f"nameserver {SILENT[0]}\noptions timeout:2 attempts:2\n")
    try:
        server = NameServer(SILENT)
    except OSError as error:
        pytest.skip(f"{SILENT[0]} cannot be had: {error}")
    for number in range(8):
        server.records[f"b{number}.example.org", A] = ["127.0.0.1"]
    yield server
    server.close()
