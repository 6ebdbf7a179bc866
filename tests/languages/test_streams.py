# SPDX-License-Identifier: MPL-2.0
"""Bodies in parts, in every language."""

from languages import Client
from support.programs import PATIENCE
from support.waiting import until


def test_a_reply_in_parts_comes_whole_and_in_order(world, language):
    """Many times its window, and with a window of the default size."""
    broker = world.broker()
    world.worker(broker, "numbers", "seq", "1", "100000", options=("--stream",))
    client = Client(world, language, broker.endpoint)
    numbers = b"".join(b"%d\n" % number for number in range(1, 100001))
    for window in ({"window": 20000}, {}):
        answer = client.do("stream", service="numbers", **window)
        assert (answer["status"], answer["body"]) == ("OK", numbers)
        assert answer["parts"] >= (len(numbers) // 20000 if window else 2)
    client.close()


def test_an_error_comes_behind_the_parts(world, language):
    broker = world.broker()
    seen = world.directory / "seen"
    world.worker(broker, "half", "sh", "-c", f"echo half; while test ! -e {seen}; do sleep 0.02; done; exit 3",
                 options=("--stream",))
    client = Client(world, language, broker.endpoint)
    number = client.ask("stream", service="half")
    world.wait_for_running(broker, 1)
    seen.touch()
    assert client.answer(number)["status"] == "APP_ERROR"


def test_silence_ends_a_stream(world, language):
    broker = world.broker()
    world.worker(broker, "silent", "sh", "-c", "echo first; exec sleep 1000", options=("--stream",))
    client = Client(world, language, broker.endpoint)
    answer = client.do("stream", service="silent", idle_timeout_ms=500)
    assert (answer["status"], answer["body"], answer["parts"]) == ("DEADLINE", b"first\n", 1)


def test_a_worker_that_writes_no_parts_answers_with_one(world, language):
    broker = world.broker()
    world.builtin(broker, "upper")
    client = Client(world, language, broker.endpoint)
    answer = client.do("stream", service="upper", body="hello")
    assert (answer["status"], answer["body"], answer["parts"]) == ("OK", b"HELLO", 1)


def test_a_body_and_its_reply_go_in_parts_at_once(stage):
    """Both are several times their windows, so each side waits for the other."""
    more = [bytes([97 + number]) * 300000 for number in range(3)]
    stage.worker("parts")
    answer = stage.client.do("stream", service="parts", body="head ", more=more)
    assert (answer["status"], answer["body"]) == ("OK", b"HEAD " + b"".join(more).upper())


def test_parts_of_a_reply_come_joined_to_a_client_that_reads_none(stage):
    answer = stage.call("parts", b"one")
    assert (answer["status"], answer["body"]) == ("OK", b"ONE")


def test_a_handler_that_waits_for_parts_is_told_when_nobody_waits_for_it(stage):
    worker = stage.worker("parts")
    begun = len(worker.starts())
    answer = stage.client.do("stream", service="parts", body="one", more=[], open=True, timeout_ms=1000 * PATIENCE)
    assert answer["status"] == "DEADLINE"
    if stage.language != "asyncio":  # it joins the body before its handler begins
        worker.wait_for_start(begun + 1)
        until(lambda: worker.events("cancelled"), 10, "its handler was told", worker.process)
