# SPDX-License-Identifier: MPL-2.0
"""Makes messages of every protocol that are malformed, or right but in the wrong place, from a
seed.

No two hostile peers can affect each other: nobody offers the services that their clients ask for,
and nobody asks for those that their workers offer. So the effect of a message depends only on the
earlier messages of the same connection."""

import model
from model import (BUNDLES, BYE, CANCEL, CREDIT, DRAIN, END, GRANT, HEARTBEAT, HELLO, INLINE, MORE, OPEN, PART,
                   REPLY, REQUEST, STREAM, TRACE, WELCOME, WORKER)
from support.peer import head, pack_headers

_TEMPLATES = 400
_COMMANDS = (HELLO, HELLO, HELLO, WELCOME, REQUEST, REQUEST, REQUEST, REPLY, REPLY, CANCEL, CREDIT,
             HEARTBEAT, DRAIN, BYE, END, PART, GRANT)
_ASKED = (b"asked", b"asked-twice", b"asked\xff\xfe", b"mmi.service", b"mmi.nothing", b"riposte.ping",
          b"riposte.nothing", b"a" * 127)
_OFFERED = (b"offered", b"offered-too", b"o\xcc\x80", b"mmi.service", b"riposte.ping", b"o" * 127)
_WORDS_01 = (b"\1", b"\2", b"\3", b"\4", b"\5")
_WORDS_02 = (*_WORDS_01, b"\6")
_JUNK = (b"", b"\0", b"\xff" * 8, b"MDPC01", b"MDPW01", b"MDPC02", b"MDPW02", b"MDPC03", b"MDP", b"RP",
         b"RB", b"\xaa\xa4", b"GET / HTTP/1.1", b"x" * 127, b"n" * 128, b"a\nb", b"\1")
#: Bytes of the fixed part in which a change does not change a length.
_FIELDS = (*range(0, 4), *range(6, 36), *range(42, 48))


def _packed(name, command, service=None):
    number = command + (3 if name[3:4] == b"W" else 0)
    frame = b"\xaa\xa4" + bytes([number & 255, len(name)]) + name + bytes([command])
    return frame if service is None else frame + bytes([len(service)]) + service


class Noise:
    def __init__(self, rng, max_body):
        self.rng, self.max_body = rng, max_body
        self.natives = {command: [self._native(command) for _ in range(_TEMPLATES)]
                        for command in set(_COMMANDS)}
        self.big = rng.randbytes(max_body + 1)

    # ---- Valid messages --------------------------------------------------------------------------

    def _headers(self):
        rng = self.rng
        if rng.random() < 0.7:
            return b""
        return pack_headers([(b"key-%d" % index, rng.randbytes(rng.randrange(8)).hex().encode())
                             for index in range(rng.choice((1, 2, 64)))])

    def _native(self, command):
        """Returns a valid head of this command."""
        rng = self.rng
        number, long = rng.getrandbits(64) or 1, rng.choice((60000, 0xffffffff))
        if command == HELLO:
            worker = rng.random() < 0.5
            return head(HELLO, flags=(WORKER if worker else 0) | rng.choice((0, BUNDLES)),
                        name=rng.choice(_OFFERED) if worker else b"", key=b"noise", time=long,
                        value=rng.choice((0, 1, 4096, 4097)) if worker else 0,
                        headers=self._headers())
        if command == REQUEST:
            talk = rng.choice((0, 0, rng.getrandbits(64) or 1))
            return head(REQUEST, name=rng.choice(_ASKED), id=number, conversation=talk,
                        flags=rng.choice((0, INLINE, TRACE, STREAM, MORE)) | (OPEN if talk else 0),
                        time=rng.choice((0, 1, 50, 1000)), value=rng.choice((0, 0, 1, 50)),
                        attempts=rng.randrange(1, 11), headers=self._headers())
        if command == REPLY:
            return head(REPLY, id=number, status=rng.randrange(13), text=b"text" * rng.randrange(3),
                        flags=rng.choice((0, INLINE, MORE)), code=rng.choice((0, 7)), headers=self._headers())
        fields = {WELCOME: {"time": long, "value": 5, "key": b"me"}, CANCEL: {"id": number},
                  CREDIT: {"time": rng.choice((0, 1, 50, long)), "value": rng.choice((0, 1, 4096, 4097))},
                  END: {"conversation": number}, GRANT: {"id": number, "conversation": number},
                  PART: {"id": number, "flags": rng.choice((0, INLINE, MORE))},
                  BYE: {"status": rng.randrange(13), "text": b"bye"}}
        return head(command, **fields.get(command, {}))

    def _body(self):
        rng = self.rng
        chance = rng.random()
        if chance < 0.7:
            return ()
        if chance < 0.995:
            return tuple(rng.randbytes(rng.randrange(40)) for _ in range(rng.choice((1, 1, 2, 5))))
        if chance < 0.9995:
            return (b"x",) * rng.choice((62, 63, 64, 65, 78, 79, 80, 81, 300))
        return (self.big,) * rng.choice((1, 17, 19))

    # ---- Ways to spoil a message -----------------------------------------------------------------

    def _spoil_head(self, frame):
        rng = self.rng
        chance = rng.random()
        if chance < 0.5:  # another value, or a field that this command does not have
            spoiled = bytearray(frame)
            for _ in range(rng.choice((1, 1, 2, 4))):
                spoiled[_FIELDS[int(rng.random() * len(_FIELDS))]] = int(rng.random() * 256)
            return bytes(spoiled)
        if chance < 0.65:
            return frame[:int(rng.random() * len(frame))]
        if chance < 0.75:
            return frame + rng.randbytes(rng.randrange(1, 30))
        spoiled = bytearray(frame)
        if chance < 0.9:  # a length
            spoiled[rng.choice((4, 5, 36, 37, 38, 39, 40, 41))] = int(rng.random() * 256)
        else:  # a byte after the fixed part
            spoiled[int(rng.random() * len(frame))] = rng.choice((0, 10, 127, 255))
        return bytes(spoiled)

    def _one_native(self):
        rng = self.rng
        frame = rng.choice(self.natives[rng.choice(_COMMANDS)])
        return frame if rng.random() < 0.3 else self._spoil_head(frame)

    def native(self):
        return (self._one_native(), *self._body())

    def bundle(self):
        rng = self.rng
        messages = [self._one_native() for _ in range(rng.choice((1, 2, 3, 20)))]
        frame = b"RB\1\0" + b"".join(len(one).to_bytes(4, "big") + one for one in messages)
        chance = rng.random()
        if chance < 0.4:
            return (frame,)
        if chance < 0.5:
            return (frame, b"")
        if chance < 0.6:
            return (frame[:int(rng.random() * len(frame))] or b"RB",)
        if chance < 0.602:
            return (frame + b"\0\0\0\1x" * 14000,)  # over 65536 bytes
        spoiled = bytearray(frame)
        spoiled[rng.choice((2, 3, 4, 5, 6, 7))] = rng.choice((0, 1, 2, 255))
        return (bytes(spoiled),)

    def _shake(self, frames):
        """Returns frames of which some are missing, doubled, moved, cut, or changed."""
        rng = self.rng
        frames = list(frames)
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            at, chance = int(rng.random() * len(frames)), rng.random()
            if chance < 0.25:
                del frames[at]
            elif chance < 0.35:
                frames.insert(at, frames[at])
            elif chance < 0.45:
                other = int(rng.random() * len(frames))
                frames[at], frames[other] = frames[other], frames[at]
            elif chance < 0.65:
                frames[at] = rng.choice(_JUNK)
            elif chance < 0.8:
                frames.insert(at, rng.choice(_JUNK))
            elif chance < 0.9:
                frames[at] = frames[at][:int(rng.random() * len(frames[at]))]
            elif frames[at]:
                spoiled = bytearray(frames[at])
                spoiled[int(rng.random() * len(spoiled))] ^= 1 << int(rng.random() * 8)
                frames[at] = bytes(spoiled)
            if not frames:
                return (b"",)
        return tuple(frames)

    def _foreign(self, dialect, worker):
        """Returns a valid message of MDP, if this side may send its command."""
        rng = self.rng
        service = rng.choice(_OFFERED if worker else _ASKED)
        before = (b"",) if dialect in ("mdp01", "empty", "majortomo") else ()
        if dialect == "packed":
            command = rng.randrange(1, 8)
            named = command == 1 if worker else True
            frames = (_packed(b"MDPW02" if worker else b"MDPC02", command,
                              service if named else None),)
        elif not worker:
            word = () if dialect == "mdp01" else (b"\2",) if dialect == "majortomo" else \
                (b"\1",) if rng.random() < 0.8 else (rng.choice(_WORDS_02),)
            envelope = tuple(rng.randbytes(4) for _ in range(rng.choice((0, 0, 0, 1, 8, 9)))) \
                if before else ()
            name = b"MDPC01" if dialect == "mdp01" else b"MDPC02"
            return (*envelope, *before, name, *word, service, *self._body(), b"body")
        else:
            word = rng.choice(_WORDS_01 if dialect == "mdp01" else _WORDS_02)
            frames = (*before, b"MDPW01" if dialect == "mdp01" else b"MDPW02", word)
            command = word[0]
            if command == 1:
                return (*frames, service)
        if worker and command in (3, 4) or (not worker and rng.random() < 0.9):
            address = (rng.randbytes(rng.choice((8, 8, 5))), b"") if worker else ()
            frames += (*address, *self._body(), b"body")
        return frames

    def foreign(self, dialect=None, worker=None):
        rng = self.rng
        if dialect is None or rng.random() < 0.1:
            dialect = rng.choice(("mdp01", "mdp02", "empty", "majortomo", "packed"))
            worker = rng.random() < 0.5
        frames = self._foreign(dialect, worker)
        return frames if rng.random() < 0.35 else self._shake(frames)

    def junk(self):
        rng = self.rng
        if rng.random() < 0.5:
            return tuple(rng.choice(_JUNK) for _ in range(rng.randrange(1, 6)))
        return tuple(rng.randbytes(rng.randrange(60)) for _ in range(rng.randrange(1, 4)))

    def front(self):
        """For a plain frontend. A few are valid requests, which healthy workers answer."""
        rng = self.rng
        chance = rng.random()
        if chance < 0.6:
            return self.junk()
        envelope = tuple(rng.randbytes(rng.choice((1, 5, 200))) for _ in range(rng.randrange(12)))
        if chance < 0.9:
            return (*envelope, b"x") if envelope else (b"",)
        return (*envelope, b"", *self._body(), b"body")

    def back(self):
        """For a plain backend: replies to no request."""
        rng = self.rng
        frames = (rng.randbytes(rng.choice((8, 8, 5))), b"", *self._body(), b"body")
        return frames if rng.random() < 0.5 else self._shake(frames)

    # ---- A message for the present state of a session --------------------------------------------

    def next(self, side):
        while True:
            frames = self._next(side)
            # DRAIN would end the session at a time that cannot be predicted.
            drains = side.role == "worker" and not side.dialect and (
                _says(frames[0], DRAIN) or any(_says(one, DRAIN)
                                               for one in model.unbundle(frames[0]) or ()))
            if not drains:
                return frames

    def _next(self, side):
        rng = self.rng
        if side.listener != "open":
            return self.front() if side.listener == "front" else self.back()
        chance = rng.random()
        if side.role is None and chance < 0.4:  # begins a session, so that there is one to break
            if rng.random() < 0.6:
                return (rng.choice(self.natives[HELLO]),)
            worker = rng.random() < 0.5
            return self._foreign(rng.choice(("mdp01", "mdp02", "empty", "majortomo", "packed")), worker)
        if chance > 0.95:
            return self.junk()
        if side.dialect:
            return self.foreign(side.dialect, side.role == "worker")
        if side.bundles and chance < 0.4:
            return self.bundle()
        if side.role is None and chance > 0.7:
            return self.foreign()
        return self.bundle() if chance > 0.9 else self.native()


def _says(frame, command):
    return frame[:4] == b"RP\1" + bytes([command])
