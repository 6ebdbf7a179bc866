# SPDX-License-Identifier: MPL-2.0
"""Habits of programs in use that no RFC describes, and that other brokers accept."""

import pytest

import peers
from stage import MDP_CLIENTS


class Unseparated(peers.Mdp01Worker):
    """The guide's worker in PHP: its reply has no empty frame after the client's address."""

    def answer(self, word, *body):
        self.send(*self.pack("FINAL")[:3], word.address, *body)


@pytest.mark.parametrize("body", [(b"one",), (b"one", b"", b"three")], ids=["one frame", "three"])
@pytest.mark.parametrize("client", MDP_CLIENTS)
def test_a_reply_of_0_1_without_its_empty_frame_is_taken(stage, client, body):
    broker = stage.interop_broker()
    worker = stage.own(Unseparated(broker.endpoint)).ready(b"svc")
    asking = stage.client(broker, client)
    for _ in range(3):
        asking.request(b"svc", *body)
        assert worker.serve() == [body]
        assert asking.reply().body == body
    assert not any(stage.status(broker)["bad"].values())
