# SPDX-License-Identifier: MPL-2.0
"""The codec, with the messages of the C fuzzers' corpora too."""

import pathlib
import random

import pytest

from riposte import _wire as wire

CORPUS = pathlib.Path(__file__).resolve().parents[1] / "fuzz" / "corpus"
BAD_HEADS = {"command-99", "mdp", "version-2", "wrong-size"}
GOOD_BUNDLES = {"largest": 1, "many": 200, "nested": 1, "one": 1, "three": 3}
BAD_HEADERS = {"control", "cut", "upper-case"}


def files(kind):
    found = sorted(path for path in (CORPUS / kind).iterdir())
    assert found
    return pytest.mark.parametrize("path", found, ids=lambda path: path.name)


@files("wire")
def test_a_head_of_the_corpus_is_what_it_is_called_and_is_the_same_when_encoded_again(path):
    data = path.read_bytes()
    if path.name in BAD_HEADS:
        with pytest.raises(wire.WireError):
            wire.decode([data])
    else:
        message = wire.decode([data])
        assert message.command == getattr(wire, path.name.split("-")[0].upper())
        assert wire.encode(message) == [data]


@files("bundle")
def test_a_bundle_of_the_corpus_is_taken_apart_or_refused(path):
    data = path.read_bytes()
    if path.name in GOOD_BUNDLES:
        messages = wire.unbundle([data])
        assert len(messages) == GOOD_BUNDLES[path.name] and wire.bundle(messages) == data
    else:
        with pytest.raises(wire.WireError):
            wire.unbundle([data])


@files("headers")
def test_headers_of_the_corpus_are_the_same_when_packed_again_or_refused(path):
    data = path.read_bytes()
    try:
        headers = wire.unpack_headers(data)
    except wire.WireError:
        assert path.name in BAD_HEADERS
    else:
        assert path.name not in BAD_HEADERS and wire.pack_headers(headers) == data


@pytest.mark.parametrize("headers", [
    [("", "v")], [("Upper", "v")], [("a b", "v")], [("k" * 64, "v")], [("k", "v" * 4097)], [("k", "two\nlines")],
    [("k", "v")] * 65, [("k", "v" * 4000)] * 3])
def test_headers_that_may_not_travel_are_refused(headers):
    with pytest.raises(wire.WireError):
        wire.pack_headers(headers)


@pytest.mark.parametrize("flags, fields", [
    (wire.BUNDLES, {}), (wire.WORKER, {}), (0, {"key": b"k"}), (0, {"status": 1}), (0, {"id": 0})])
def test_a_request_with_what_it_may_not_have_is_refused(flags, fields):
    good = dict(id=1, time=1000, attempts=1, name=b"echo")
    wire.decode(wire.encode(wire.Message(wire.REQUEST, **good)))
    with pytest.raises(wire.WireError):
        wire.decode(wire.encode(wire.Message(wire.REQUEST, flags=flags, **{**good, **fields})))


def test_any_bytes_are_a_message_or_refused():
    chance = random.Random(19)
    seeds = [path.read_bytes() for kind in ("wire", "bundle") for path in sorted((CORPUS / kind).iterdir())]
    taken = 0
    for _ in range(5000):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(1, 4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        data = bytes(data[:chance.choice((len(data), chance.randrange(len(data) + 1)))])
        try:
            for one in wire.unbundle([data]) if wire.is_bundle(data) else [data]:
                message = wire.decode([one])
                assert wire.encode(message) == [one]
                taken += 1
        except wire.WireError:
            pass
    assert taken > 100


def test_a_message_of_several_frames_keeps_its_place_between_bundles():
    bundler = wire.Bundler()
    bundler.bundles = True
    for frames in ([b"a"], [b"b"], [b"c", b"body"], [b"d"], [b"e" * 60000], [b"f"]):
        bundler.add(frames)
    sent = bundler.take()
    flat = [message for frames in sent
            for message in (wire.unbundle(frames) if wire.is_bundle(frames[0]) else [frames[0]])]
    assert flat == [b"a", b"b", b"c", b"d", b"e" * 60000, b"f"]
    assert [b"c", b"body"] in sent and all(len(frames[0]) <= wire.BUNDLE_MAX for frames in sent)
    assert bundler.take() == []
