# SPDX-License-Identifier: MPL-2.0
"""The dashboard: single requests, events and settings, which the broker answers itself."""

from page import Keys
from support import programs
from support.waiting import until


def test_a_request_is_found_by_its_id(page):
    page.start()
    page.world.builtin(page.broker, "echo")
    assert page.world.cli(page.broker, "call", "echo", "x", "-H", "request-id:order-17").code == 0
    page.open()
    page.wait_for_rows("echo")
    page.keys("/", "order-17", Keys.ENTER)
    page.wait_for("#found-body", "replied OK")
    assert page.text("#found-body .steps").startswith("+0 µs\naccepted") and "echo OK" in page.text("#found-body")
    page.find("#wanted").clear()
    page.find("#wanted").send_keys("order-18" + Keys.ENTER)
    page.wait_for("#found-body", "No request with this id")
    page.click("#found-close")
    until(lambda: not page.find("#found").is_displayed(), 5, "it is closed")


def test_a_failure_has_a_command_to_try_again_and_its_trace(page):
    page.start()
    page.world.builtin(page.broker, "sleep", service="it's slow")
    page.expire("it's slow")
    page.open("#service/it's slow")
    page.wait_for(".failed-part", "DEADLINE")
    command = page.text(".failed-part code")
    assert command == f"riposte call -s {page.broker.endpoint} 'it'\\''s slow'"
    again = page.world.run("sh", "-c", command.replace("riposte", str(programs.CLI), 1), stdin=b"1ms")
    assert again.code == 0, again
    page.click(".failed-part a")
    page.wait_for("#found-body", "DEADLINE")


def test_events_are_shown_as_they_come(page):
    page.start()
    first = page.world.builtin(page.broker, "echo")
    page.open("#events")
    page.wait_for("#view-events tbody", f"-{first.pid} joined")
    second = page.world.builtin(page.broker, "echo")
    page.wait_for("#view-events tbody tr", f"-{second.pid} joined")
    first.kill()
    page.wait_for("#view-events tbody tr", f"-{first.pid} ")
    assert page.js("return document.querySelectorAll('#view-events tbody tr').length") == 3


def test_slow_requests_are_listed(page):
    page.start()
    page.world.builtin(page.broker, "sleep")
    for lasts in ("1ms", "80ms"):
        assert page.world.cli(page.broker, "call", "sleep", lasts).code == 0
    page.expire("sleep")
    page.open("#slow")
    statuses = "return [...document.querySelectorAll('#view-slow .status')].map(one => one.textContent)"
    until(lambda: page.js(statuses) == ["DEADLINE", "OK", "OK"], 5, "the slowest comes first")
    page.click("#view-slow input")
    until(lambda: page.js(statuses) == ["DEADLINE"], 5, "only failed ones are listed")


def test_settings_are_shown_with_their_source(page):
    page.start(limits={"max_body": "2MiB"})
    page.open("#settings")
    page.wait_for("#view-settings", "max_body")
    page.click("#view-settings input")
    row = page.js("""return [...document.querySelectorAll("#view-settings tbody tr")].map(row => row.innerText)
        .find(text => text.includes("max_body"))""")
    assert "2097152" in row.replace("2MiB", "2097152") and "config-1" in row, row
