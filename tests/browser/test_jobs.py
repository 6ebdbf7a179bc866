# SPDX-License-Identifier: MPL-2.0
"""The dashboard: jobs, their lives, and what may be done with dead ones."""

import json
import re

from page import Keys
from support import keys as certificates, programs
from support.waiting import until

HOSTILE = "<img src=x onerror=alert(1)>'\"&amp;{{x}}__proto__"


def _start(page, *options):
    page.start("--store", page.world.directory / "jobs.db", *options)


def _send(page, service, body="x", *options):
    result = page.world.cli(page.broker, "send", service, body, *options)
    assert result.code == 0, result
    return result.out.decode().split()[-1]


def _state(page, job):
    return page.world.cli(page.broker, "job", job, "-o", "json").json()["state"]


def _dead(page, service, body="x"):
    """A job whose only attempt has failed."""
    worker = page.world.worker(page.broker, service, "sh", "-c", "exit 75")
    job = _send(page, service, body, "--attempts", "1")
    until(lambda: _state(page, job) == "dead", 10, "it is dead")
    worker.terminate()
    until(lambda: worker.poll() is not None, 5, "its worker is gone")
    return job


def _listed(page):
    return page.js("return [...document.querySelectorAll('#view-jobs a')].map(one => one.textContent)")


def test_jobs_are_counted_listed_and_told(page):
    _start(page)
    page.world.worker(page.broker, "upper", "tr", "a-z", "A-Z")
    done = _send(page, "upper", "hello", "--key", "order-1")
    assert page.world.cli(page.broker, "result", done, "--wait", "10s").out == b"HELLO"
    waiting = [_send(page, "later") for _ in range(2)]
    page.open("#jobs")
    page.wait_for("#view-jobs", "2 waiting · 0 running · since the start 3 accepted · 1 done · 0 dead")
    page.wait_for("#view-jobs tbody", "no worker; 2 jobs wait")
    until(lambda: _listed(page) == [done, *waiting], 5, "all are listed")
    page.click("#view-jobs button[aria-label='2 waiting of later']")
    until(lambda: _listed(page) == waiting, 5, "those that wait are listed")
    page.go(f"#job/{done}")
    page.wait_for("#found-body", "replied OK")
    text = page.text("#found-body")
    assert text.startswith("upper done OK") and "key order-1" in text and "(attempt 1)" in text and "\nhello" in text
    assert page.text("#found-body .steps").startswith("+0 µs\naccepted") and not page.find("#found .job-acts")
    assert page.focused() == "found"
    page.browser.set_size(400, 1200)
    assert page.js("return document.documentElement.scrollWidth") <= 400
    page.keep_picture("narrow-job")
    page.press("ESCAPE")
    until(lambda: not page.find("#found").is_displayed() and page.find("#view-jobs").is_displayed(), 5, "it is closed")
    page.keep_picture("narrow-jobs")
    assert page.js("return document.documentElement.scrollWidth") <= 400


def test_a_long_list_has_pages(page):
    _start(page)
    lines = "".join(f"{number}\n" for number in range(70)).encode()
    sent = page.world.cli(page.broker, "send", "later", "-n", stdin=lines).out.decode().split()
    page.open("#jobs")
    until(lambda: _listed(page) == sent[:50], 5, "the first are listed")
    page.click("#view-jobs .pages button:last-child")
    until(lambda: _listed(page) == sent[50:], 5, "the others are listed")
    page.click("#view-jobs .pages button:first-child")
    until(lambda: _listed(page) == sent[:50], 5, "the first are listed again")


def test_a_dead_job_is_retried_by_its_button_and_runs(page):
    _start(page)
    dead = _dead(page, "later", "again")
    gate = page.world.gate()
    page.world.worker(page.broker, "later", *gate.command)
    page.open("#jobs")
    page.wait_for("#view-jobs", "1 job died in the last hour")
    page.click(f"#view-jobs a[href='#job/{dead}']")
    page.wait_for("#found-body", "dead: that was its last attempt")
    page.find(".job-acts button").send_keys(Keys.ENTER)
    page.wait_for("#found-body", f"a new life of job {dead}")
    again = page.js("return location.hash").removeprefix("#job/")
    until(lambda: len(gate.starts()) == 1, 5, "the worker has it")
    gate.open()
    assert page.world.cli(page.broker, "result", again, "--wait", "10s").out == b"delivery 1"
    page.go(f"#job/{dead}")
    page.wait_for("#found-body", f"retried as job {again}")
    assert not page.find(".job-acts")


def test_purging_is_asked_for_twice(page):
    _start(page)
    dead = _dead(page, "later")
    page.open(f"#job/{dead}")
    page.wait_for(".job-acts", "Purge")
    purge = page.find(".job-acts .quiet")
    purge.click()
    assert purge.text == "Purge for good?" and _state(page, dead) == "dead"
    purge.click()
    page.wait_for(".job-acts", "It is purged.")
    assert page.world.cli(page.broker, "job", dead).code == 1


def test_without_admin_nothing_is_changed_and_no_body_is_shown(page):
    keys = certificates.Keys(page.world)
    keys.rules('role = "watcher"\n    observe = 1\nrole = "chief"\n    observe = 1\n    admin = 1\n'
               'principal = "good"\n    observe = 1\n    call = "*"\n    serve = "*"\n')
    keys.authorize("good")
    tokens = {}
    for role in ("watcher", "chief"):
        result = page.world.run(programs.CLI, "keys", "token", "--principal", f"p-{role}", "--role", role, "--into",
                                keys.authorized, "-o", "json")
        tokens[role] = re.search(rb"[0-9a-f]{64}", result.out)[0].decode()
    page.world.environment.update(keys.environment("good"))
    config = page.world.directory / "config"
    config.write_text("http_open = 1\n")  # so that the page shows jobs without any token
    _start(page, "--config", config, *keys.of_broker)
    dead = _dead(page, "later", "a secret")
    page.open(f"#job/{dead}")
    for token, reason in ((None, "a token is wanted"), ("0" * 64, "not known"), (tokens["watcher"], "ask for: admin")):
        if token:
            page.find(".other input").send_keys(token + "\n")
        else:
            page.wait_for(".job-acts", "Retry")
            assert "a secret" not in page.driver.page_source and "It is not shown" in page.text("#found-body")
            page.click(".job-acts button")
        page.wait_for(".job-acts .said", reason)
        assert _state(page, dead) == "dead"
    page.driver.refresh()
    page.wait_for("#found-body", "It is not shown: who has this token may not do it; ask for: admin")
    page.click(".job-acts button")
    page.wait_for(".job-acts .said", "ask for: admin")
    page.find(".other input").send_keys(tokens["chief"] + "\n")
    page.wait_for("#found-body", f"a new life of job {dead}")
    assert "a secret" in page.text("#found-body") and _state(page, dead) == "done"
    assert not [one for one in page.browser.requests() if tokens["chief"] in one], "it is in no address"


def test_names_and_bodies_are_texts(page):
    _start(page)
    body = f"{HOSTILE}\n<script>alert(2)</script>\u202e\x1b[31m"
    job = _send(page, HOSTILE, body, "--key", HOSTILE)
    dead = _dead(page, HOSTILE, body)
    page.open("#jobs")
    until(lambda: _listed(page) == [job, dead] or len(_listed(page)) == 2, 5, "they are listed")
    assert HOSTILE in page.js("return [...document.querySelectorAll('#view-jobs bdi')].map(one => one.textContent)")
    for one in (job, dead):
        page.go(f"#job/{one}")
        page.wait_for("#found-title", one)
        until(lambda: page.find("#found-body pre"), 5, "its body is shown")
        assert page.js("return document.querySelector('#found-body pre').textContent") \
            == f"{HOSTILE}\n<script>alert(2)</script>\\xe2\\x80\\xae\\x1b[31m"
    page.go("#job/" + "%3Cimg%20src%3Dx%3E%2F..%2F..%3F%23")
    page.wait_for("#found-body", "id")
    assert page.js("return document.querySelectorAll('main img, main iframe, main script').length") == 0
    asked = [one for one in page.browser.requests() if one.startswith("http") and not one.startswith(page.url)]
    assert asked == [] and not [one for one in page.browser.complaints() if "Content Security" in one]


def test_every_text_of_jobs_stands_out_from_its_ground(page):
    _start(page)
    dead, _ = _dead(page, "import", "a body"), _send(page, "later")
    page.open(f"#job/{dead}")
    page.wait_for("#view-jobs tbody", "no worker; 1 job waits")
    page.click(".job-acts .quiet")
    for dark in (False, True):
        page.browser.set_dark(dark)
        assert page.low_contrasts() == []
        page.keep_picture("job-dark" if dark else "job-light")


def test_without_a_store_it_says_how_to_get_one(page):
    page.start()
    page.open("#jobs")
    page.wait_for("#view-jobs", "riposte-broker --store")
    assert json.loads(page.js("return JSON.stringify(document.querySelectorAll('#view-jobs button').length)")) == 0
