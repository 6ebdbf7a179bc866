# SPDX-License-Identifier: MPL-2.0
"""A broker's side of a core, for tests without a socket: it reads what the core sends, and answers."""

from riposte import _wire as wire


class Puppet:
    """Holds a core and its time. Actions that are no sends are in `others`; messages by the DEALER that they went
    over."""

    def __init__(self, make):
        self.now = 100.0
        self.others = []
        self.sent = []
        self.connects = []  # (number, address)
        self.closed = []
        self.core = make(self.now)
        self.look()

    def look(self):
        """Takes what the core wants so far."""
        self.core.flush()
        actions, self.core.actions[:] = list(self.core.actions), []
        for kind, *rest in actions:
            if kind == "send":
                number, frames = rest
                messages = wire.unbundle(frames) if wire.is_bundle(frames[0]) else [frames]
                for one in messages:
                    self.sent.append((number, wire.decode([one] if isinstance(one, bytes) else one)))
            elif kind == "connect":
                self.connects.append(tuple(rest))
            elif kind == "close":
                self.closed.append(rest[0])
            else:
                self.others.append((kind, *rest))

    def take(self, command=None):
        """The messages that were sent since, of one command."""
        self.look()
        messages = [message for _, message in self.sent if command in (None, message.command)]
        self.sent.clear()
        return messages

    def one(self, command):
        messages = self.take(command)
        assert len(messages) == 1, messages
        return messages[0]

    @property
    def number(self):
        """Of the latest DEALER."""
        return self.connects[-1][0]

    def say(self, command, number=None, **fields):
        fields["headers"] = tuple(fields.get("headers", ()))
        body = fields.get("body")
        if body:
            fields["flags"] = fields.get("flags", 0) | wire.INLINE
        self.core.receive(number or self.number, wire.encode(wire.Message(command, **fields)), self.now)
        self.look()

    def up(self, interval=1000, window=100, headers=(("max-body", "1000"), ("jobs", "1")), flags=0):
        self.look()
        self.core.connected(self.number, self.now)
        hello = self.one(wire.HELLO)
        self.say(wire.WELCOME, time=interval, value=window, key=b"instance", headers=headers, flags=flags)
        return hello

    def lose(self, number=None):
        self.core.failed(number or self.number, "the connection broke", self.now)
        self.look()

    def wait(self, seconds, step=0.05):
        """Time passes, in steps, while the core does what is due."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + step)
            if self.now >= self.core.due():
                self.core.tick(self.now)
            self.look()
