# SPDX-License-Identifier: MPL-2.0
"""SRV records: what is read of an answer, by the corpus of the C fuzzer, and the order of brokers."""

import collections
import pathlib
import random
import struct

import pytest

from riposte import _srv
from riposte._link import split_endpoint

CORPUS = pathlib.Path(__file__).resolve().parents[1] / "fuzz" / "corpus" / "srv"


@pytest.mark.parametrize("name, records", [
    ("three", [(10, 60, 5555, "a.example.org"), (10, 40, 5556, "b.example.org"), (20, 0, 5557, "c.example.org")]),
    ("compressed", [(0, 0, 1, "a.example.org")]), ("alias", [(0, 1, 2, "a")]), ("none", []),
])
def test_an_answer_is_read(name, records):
    assert _srv.read((CORPUS / name).read_bytes()) == records


@pytest.mark.parametrize("name", ["cut", "ring"])
def test_what_is_no_answer_is_refused(name):
    with pytest.raises((ValueError, IndexError, struct.error)):
        _srv.read((CORPUS / name).read_bytes())


def test_the_lowest_priority_comes_first_and_weights_share():
    chance = random.Random(1)
    records = [_srv.Record(20, 100, 1, "c"), _srv.Record(10, 30, 1, "a"), _srv.Record(10, 10, 1, "b"),
               _srv.Record(10, 0, 1, "z")]
    first = collections.Counter()
    for _ in range(1000):
        order = [one.host for one in _srv.order(records, chance.random)]
        assert order[3] == "c"
        first[order[0]] += 1
    assert 680 <= first["a"] <= 820 and 180 <= first["b"] <= 320 and first["z"] < 20, first
    alike = [_srv.Record(1, 0, 1, name) for name in "ab"]
    assert {_srv.order(alike, chance.random)[0].host for _ in range(100)} == {"a", "b"}


def test_an_endpoint_of_records_has_a_name_and_no_port():
    assert split_endpoint("srv:_riposte._tcp.example.org") == ("srv", "_riposte._tcp.example.org", "")
    for wrong in ("srv:", "srv:a:5555", "srv://a", "srv:a b"):
        with pytest.raises(ValueError):
            split_endpoint(wrong)
