#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""A persistent worker: riposte-worker --persistent upper -- examples/upper-persistent.py

It also counts the requests of each conversation, and replies with the number in a header.
docs/WORKER.md describes the framing.
"""

import signal
import sys


def read_headers(stream):
    """Reads "key: value" lines up to the empty one."""
    headers = {}
    while (line := stream.readline()) not in (b"\n", b""):
        key, _, value = line.decode().rstrip("\n").partition(": ")
        headers[key] = value
    return headers


def main():
    # Ctrl-C also reaches riposte-worker, which ends this process once its requests are done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    seen = {}  # per conversation
    while line := requests.readline():
        verb, *fields = line.decode().split()[1:]
        read_headers(requests)
        if verb == "END":
            seen.pop(fields[0], None)
            continue
        request_id, size, _time_left_ms, _attempt, conversation = fields
        body = requests.read(int(size))
        seen[conversation] = seen.get(conversation, 0) + 1
        reply = body.upper()
        answers.write(b"RP/1 OK %s %d\n" % (request_id.encode(), len(reply)))
        if conversation != "0":
            answers.write(b"count: %d\n" % seen[conversation])
        answers.write(b"\n" + reply)
        answers.flush()


main()
