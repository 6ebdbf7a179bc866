# SPDX-License-Identifier: MPL-2.0
"""The ten-step exchange: one client, one conversation with the service "site"."""

import csv
import io
import json
import re
import subprocess

from support.peer import END, REQUEST
from support.programs import EXAMPLES
from support.talk import Talk
from support.waiting import until

SCRIPT = EXAMPLES / "site.talk"


def test_a_script_shows_ten_steps_as_a_table(world):
    broker = world.broker()
    site = world.site(broker)
    result = world.cli(broker, "talk", "site", SCRIPT, "--set", "user=grace", "--set",
                       "city=Arlington")
    assert (result.code, result.err) == (0, b"")
    lines = result.out.decode().splitlines()
    steps = [line.split(None, 3) for line in lines if re.match(r" *\d+  ", line)]
    assert [int(step[0]) for step in steps] == list(range(1, 11))
    assert [step[1] for step in steps] == ["client", "server"] * 5
    assert [step[2] for step in steps] == ["request", "reply"] * 5
    wanted = ["GET /index.html", "200 OK", "POST /login", "302", "GET /user", "200 OK",
              "POST /update_profile", "200 OK", "GET /settings", "200 OK"]
    for step, content in zip(steps, wanted):
        assert content in step[3], f"step {step[0]}"
    for step in steps[1::2]:
        assert re.search(r"[0-9.]+ (µs|ms|s)$", step[3]), f"step {step[0]} tells its time"
    last = "\n".join(lines[lines.index(next(x for x in lines if x.startswith(" 10  "))):])
    assert "grace" in last and "Arlington" in last, "step 10 shows what step 7 changed"
    until(lambda: world.worker_of(broker, site)["conversations"] == 0, 3, "the worker is told")
    assert world.services(broker)["site"]["conversations"] == 0


def test_the_same_as_json(world):
    broker = world.broker()
    world.site(broker)
    steps = world.cli(broker, "talk", "site", SCRIPT, "-o", "json").json()
    assert [step["status"] for step in steps] == ["OK"] * 5
    assert [step["request"].split()[1] for step in steps] \
        == ["/index.html", "/login", "/user", "/update_profile", "/settings"]
    bodies = [step["body"] for step in steps]
    assert [body.split()[1] for body in bodies] == ["200", "302", "200", "200", "200"]
    assert "Location: /user" in bodies[1]
    assert "ada" in bodies[2] and "London" not in bodies[2]
    assert "uccess" in bodies[3]
    assert "ada" in bodies[4] and "London" in bodies[4]
    assert all(step["total_us"] > 0 and step["attempts"] == 1 for step in steps)


def test_the_same_as_csv(world):
    broker = world.broker()
    world.site(broker)
    text = world.cli(broker, "talk", "site", SCRIPT, "-o", "csv").out.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["status"] for row in rows] == ["OK"] * 5
    assert "London" in rows[4]["body"]


def test_requests_from_a_pipe_are_answered_as_they_come(world):
    """A program may use it as a coprocess, whose next request depends on the last answer."""
    broker = world.broker()
    site = world.site(broker)
    talk = world.start_cli(broker, "talk", "site", "-o", "jsonl", stdin=subprocess.PIPE)

    def ask(text):
        talk.popen.stdin.write(text + b"\n")
        talk.popen.stdin.flush()
        return json.loads(talk.popen.stdout.readline())

    assert "403" in ask(b"GET /user")["body"]
    assert "302" in ask(b"# a comment\n\nPOST /login user=ada")["body"]
    step = ask(b"GET /user")
    assert "ada" in step["body"] and step["number"] == 3
    assert world.worker_of(broker, site)["conversations"] == 1
    result = world.finish(talk)
    assert (result.code, result.out, result.err) == (0, b"", b"")


def test_a_table_of_requests_from_a_pipe_grows_with_each_answer(world):
    broker = world.broker()
    world.site(broker)
    talk = world.start_cli(broker, "talk", "site", "-", stdin=subprocess.PIPE)
    talk.popen.stdin.write(b"GET /user\n")
    talk.popen.stdin.flush()
    rows = [talk.popen.stdout.readline() for _ in range(3)]
    assert b"client" in rows[1] and b"403" in rows[2]
    talk.popen.stdin.write(b"GET /settings")
    result = world.finish(talk)
    assert (result.code, result.err) == (0, b"")
    assert b"2 of 2 requests answered" in result.out, "the last line may lack its newline"


def test_requests_from_a_pipe_end_at_a_mistake_a_signal_or_a_closed_output(world):
    broker = world.broker()
    world.site(broker)

    def begin():
        talk = world.start_cli(broker, "talk", "site", "-o", "jsonl", stdin=subprocess.PIPE)
        talk.popen.stdin.write(b"GET /index.html\n")
        talk.popen.stdin.flush()
        assert talk.popen.stdout.readline()
        return talk

    talk = begin()
    result = world.cli(broker, "talk", "site", "--set", "a=b", stdin=b"GET /index.html\n$b\n")
    assert result.code == 2 and "standard input:2 uses $b" in result.error()
    talk.interrupt()
    assert talk.wait(5) == 130

    talk = begin()
    talk.popen.stdout.close()
    talk.popen.stdin.write(b"GET /index.html\n" * 3)
    talk.popen.stdin.flush()
    assert talk.wait(5) == 1
    assert talk.log() == ""


def test_a_script_that_may_begin_again_is_read_whole(world):
    broker = world.broker()
    world.site(broker)
    result = world.cli(broker, "talk", "site", "--again", "1", stdin=b"GET /index.html\n$b\n")
    assert (result.code, result.out) == (2, b""), "nothing was sent"
    result = world.cli(broker, "talk", "site", "--again", "1", "-o", "jsonl",
                       stdin=b"GET /index.html\n")
    assert json.loads(result.out)["status"] == "OK"


def test_the_same_typed_by_hand(world):
    broker = world.broker()
    site = world.site(broker)
    talk = Talk(world, broker)
    assert "200 OK" in talk.say(b"GET /index.html")
    assert "302" in talk.say(b"POST /login user=hopper")
    assert "hopper" in talk.say(b"GET /user")
    assert "uccess" in talk.say(b"POST /update_profile city=Rome")
    assert world.worker_of(broker, site)["conversations"] == 1
    settings = talk.say(b"GET /settings")
    assert "hopper" in settings and "Rome" in settings
    assert talk.end() == 0
    until(lambda: world.worker_of(broker, site)["conversations"] == 0, 3, "the worker is told")


def test_without_the_login_private_pages_are_forbidden(world):
    broker = world.broker()
    world.site(broker)
    talk = Talk(world, broker)
    for path in (b"/user", b"/settings"):
        assert "403 Forbidden" in talk.say(b"GET " + path)
    talk.say(b"POST /login user=ada")
    assert "403" not in talk.say(b"GET /user")
    talk.end()


def test_what_one_visitor_writes_another_does_not_see(world):
    broker = world.broker()
    world.site(broker)
    ada, bob = Talk(world, broker), Talk(world, broker)
    ada.say(b"POST /login user=ada")
    assert "403" in bob.say(b"GET /user")
    bob.say(b"POST /login user=bob")
    ada.say(b"POST /update_profile city=Paris")
    bob.say(b"POST /update_profile city=Rome")
    page = ada.say(b"GET /settings")
    assert "Paris" in page and "Rome" not in page and "bob" not in page
    page = bob.say(b"GET /settings")
    assert "Rome" in page and "Paris" not in page and "ada" not in page
    ada.end()
    bob.end()


def test_the_site_forgets_a_visit_when_its_client_is_killed(world):
    broker = world.broker()
    site = world.site(broker)
    talk = Talk(world, broker)
    talk.say(b"POST /login user=ada")
    assert world.worker_of(broker, site)["conversations"] == 1
    talk.kill()
    until(lambda: world.worker_of(broker, site)["conversations"] == 0, 3, "the worker is told")


def test_the_worker_is_told_when_a_conversation_is_over(world):
    """The worker gets END, with the conversation's number, when its client ends it or is killed."""
    broker = world.broker()
    worker = world.peer(broker)
    worker.register(b"site", window=2)
    for ends in (lambda talk: talk.end(), lambda talk: talk.kill()):
        talk = Talk(world, broker)
        talk.type(b"hello")
        request = worker.expect(REQUEST)
        assert request.conversation != 0
        worker.reply(request.id, b"hello to you")
        talk.wait()
        ends(talk)
        assert worker.expect(END).conversation == request.conversation
