# SPDX-License-Identifier: MPL-2.0
"""The dashboard: what people see of a broker in a browser."""

import re
import time
import urllib.request

import pytest

from page import NUMBERS
from support import keys as certificates, programs
from support.waiting import until

VIEWS = ("services", "slow", "jobs", "events", "sessions", "settings")
HOSTILE = ("<img src=x onerror=alert(1)>", "'\"><script>alert(2)</script>", "\u202egnp.exe", "a&lt;b",
           "{{constructor}}", "__proto__")


def _duration(us):
    """As common/base/units writes it, below a second."""
    if us == 0:
        return "–"
    value, unit = (us, "µs") if us < 1000 else (us / 1000, "ms")
    text = f"{value:.0f}" if value >= 99.95 else f"{value:.1f}".removesuffix(".0")
    return f"{text} {unit}"


def _call(page, service, *more, code=0):
    result = page.world.cli(page.broker, "call", service, "x", *more)
    assert result.code == code, result


def _queue(page, count=3):
    """A service with one worker that is busy, and requests that wait for it."""
    gate = page.world.gate()
    page.world.worker(page.broker, "slow", *gate.command)
    for _ in range(count + 1):
        page.world.start_cli(page.broker, "call", "slow", "x", "--timeout", "60s")
    page.world.wait_for_waiting(page.broker, count)
    return gate


# ---- What is shown ------------------------------------------------------------------------------

def test_at_rest_it_shows_what_riposte_services_says(page):
    page.start()
    for service in ("echo", "other", "sleep"):
        page.world.builtin(page.broker, "sleep" if service == "sleep" else "echo", service=service)
    page.world.builtin(page.broker, "echo")
    _call(page, "echo", "--count", "1234", "-q")
    page.expire("sleep")
    page.open()
    page.wait_for_rows("echo", "other", "sleep")
    until(lambda: page.world.services(page.broker)["sleep"]["failed"] == 1, 5, "it is counted")

    def equal():
        services = page.world.services(page.broker)
        rows = {row["name"]: row for row in page.rows()}
        return {name: {key: service[key] for key in NUMBERS} for name, service in services.items()} \
            == {name: {key: row["values"][key] for key in NUMBERS} for name, row in rows.items()}
    until(equal, 5, "every number is that of riposte services")
    echo = page.world.services(page.broker)["echo"]
    assert page.row("echo")["texts"]["p50_us"] == _duration(echo["p50_us"])
    assert page.row("echo")["texts"]["p99_us"] == _duration(echo["p99_us"])
    assert page.row("echo")["texts"]["workers"].split()[0] == "2"
    assert page.text("#sentence").startswith("Healthy: 3 services, 4 workers, ")
    title, sentence = page.js("return [document.title, document.querySelector('#sentence').innerText]")
    assert title == sentence + " – Riposte"


def test_a_killed_worker_is_seen_within_a_second(page):
    """Two in turn are; on a machine that had no second for it, of the next two or the last two."""
    page.start()
    workers = [page.world.builtin(page.broker, "echo") for _ in range(7)]
    page.open()
    until(lambda: page.row("echo") and page.row("echo")["values"]["workers"] == 7, 5, "all are shown")

    def took():
        workers.pop().kill()
        since = time.monotonic()
        until(lambda: page.row("echo")["values"]["workers"] == len(workers), 5, "its death is shown")
        return time.monotonic() - since

    assert any(max(took(), took()) <= 1.0 for _ in range(3))


def test_a_queue_that_grows_has_its_cause_in_words(page):
    page.start()
    page.world.builtin(page.broker, "echo", service="a")
    _queue(page)
    page.open()
    until(lambda: page.row("slow") and page.row("slow")["causes"], 5, "the cause is shown")
    row = page.row("slow")
    assert "busy" in row["causes"][0] and row["state"] in ("warn", "bad")
    assert [one["name"] for one in page.rows()] == ["slow", "a"], "the worst comes first"
    assert page.text("#sentence").startswith("slow: ")


def test_a_service_without_workers_is_red(page):
    page.start()
    page.world.start_cli(page.broker, "call", "gone", "x", "--timeout", "60s", "--wait-worker", "60s")
    page.world.wait_for_waiting(page.broker, 1)
    page.open()
    page.wait_for_rows("gone")
    assert page.row("gone")["state"] == "bad" and page.row("gone")["causes"]
    page.world.builtin(page.broker, "echo", service="gone")
    until(lambda: page.row("gone")["state"] == "ok", 5, "a worker has come")


def test_a_service_opens_with_its_workers_and_times(page):
    page.start()
    page.world.builtin(page.broker, "echo")
    page.world.builtin(page.broker, "echo")
    _call(page, "echo", "--count", "100", "-q")
    page.open()
    page.wait_for_rows("echo")
    page.click("#rows tr[data-name=echo] button")
    until(lambda: page.js("return document.querySelectorAll('[data-worker]').length") == 2, 5, "its workers are shown")
    shown = page.js("return [...document.querySelectorAll('[data-worker]')].map(row => row.dataset.worker)")
    assert set(shown) == {worker["name"] for worker in page.world.workers(page.broker, "echo")}
    page.js("[...document.querySelectorAll('.choice button')].find(one => one.innerText.includes('start')).click()")
    until(lambda: page.find(".chart .work"), 5, "its times are drawn")
    bars = page.js("return [...document.querySelectorAll('.chart .work title')].map(one => parseInt(one.textContent))")
    assert sum(bars) == 100
    page.click("#rows tr[data-name=echo] button")
    until(lambda: not page.find("#detail"), 5, "it is closed")


def test_it_sorts(page):
    page.start()
    for name, count in (("a", 1), ("b", 3), ("c", 2)):
        for _ in range(count):
            page.world.builtin(page.broker, "echo", service=name)
    page.open()
    page.wait_for_rows("a", "b", "c")
    for order, sort in (("bca", "descending"), ("acb", "ascending"), ("abc", None)):
        page.click("#services th[data-key=workers] button")
        assert "".join(row["name"] for row in page.rows()) == order
        assert page.find("#services th[data-key=workers]").get_attribute("aria-sort") == sort


# ---- Whom it trusts -----------------------------------------------------------------------------

def test_no_request_leaves_for_elsewhere(page):
    page.start()
    page.world.builtin(page.broker, "echo")
    _queue(page, 1)
    page.open()
    page.wait_for_rows("echo", "slow")
    for view in (*VIEWS, "service/slow", "trace/nothing"):
        page.go("#" + view)
        time.sleep(0.3)  # nothing is waited for but what should not come
    asked = [one for one in page.browser.requests() if not one.startswith(("data:", "chrome", "about:"))]
    assert len(asked) > 5 and [one for one in asked if not one.startswith(page.url)] == []
    refused = [one for one in page.browser.complaints() if "Content Security" in one or "Trusted" in one]
    assert refused == []


def test_scripts_and_styles_of_others_do_not_run(page):
    page.start()
    page.open()
    page.wait_for("#sentence", "Ready")
    ran = page.js("""const one = document.createElement("script");
        try { one.text = "window.ran = 1"; document.body.append(one); } catch (refused) { return "refused"; }
        return window.ran""")
    assert ran == "refused"
    assert page.js("document.body.setAttribute('style', 'color: red'); return getComputedStyle(document.body).color") \
        != "rgb(255, 0, 0)"
    headers = urllib.request.urlopen(page.url, timeout=30).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"] and headers["X-Frame-Options"] == "DENY"
    assert "unsafe" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize("javascript", [True, False])
def test_names_are_texts(page, javascript):
    page.start()
    for name in HOSTILE:
        page.world.builtin(page.broker, "echo", service=name, ready=False)
    until(lambda: urllib.request.urlopen(page.url, timeout=30).read().count(b"<bdi>") == len(HOSTILE), 5,
          "all are there")
    page.browser.command("Emulation.setScriptExecutionDisabled", value=not javascript)
    page.open()
    if javascript:
        until(lambda: len(page.rows()) == len(HOSTILE), 5, "all are shown")
    page.browser.command("Emulation.setScriptExecutionDisabled", value=False)
    names = set(page.js("return [...document.querySelectorAll('#rows bdi')].map(one => one.textContent)"))
    assert names == {name.replace("\u202e", "\\xe2\\x80\\xae") for name in HOSTILE}
    assert page.js("return document.querySelectorAll('img, iframe, #rows script').length") == 0
    if javascript:
        for name in page.js("return [...document.querySelectorAll('#rows tr')].map(row => row.dataset.name)"):
            page.go("#service/" + urllib.request.quote(name, safe=""))
            until(lambda: page.js("return document.querySelectorAll('[data-worker]').length") == 1, 5,
                  f"{name} opens with its worker")


def test_with_security_a_token_is_asked_for_and_kept_for_this_tab(page):
    keys = certificates.Keys(page.world)
    keys.rules('role = "watcher"\n    observe = 1\nprincipal = "good"\n    observe = 1\n    serve = "*"\nrole = "no"\n')
    keys.authorize("good")
    tokens = {}
    for role in ("watcher", "no"):
        result = page.world.run(programs.CLI, "keys", "token", "--principal", f"p-{role}", "--role", role, "--into",
                                keys.authorized, "-o", "json")
        tokens[role] = re.search(rb"[0-9a-f]{64}", result.out)[0].decode()
    page.world.environment.update(keys.environment("good"))
    page.start(*keys.of_broker)
    page.world.builtin(page.broker, "echo", service="secret-service")
    page.open()
    page.wait_for("#door", "token")
    assert "secret-service" not in page.driver.page_source and page.broker.endpoint not in page.driver.page_source
    for token, reason in (("0" * 64, "not known"), (tokens["no"], "may not observe"), ("ü", "hexadecimal")):
        page.find("#token").send_keys(token + "\n")
        page.wait_for("#door-why", reason)
    page.find("#token").send_keys(tokens["watcher"] + "\n")
    page.wait_for_rows("secret-service")
    assert not page.find("#door").is_displayed() and page.find("#token").get_attribute("value") == ""
    page.driver.refresh()
    page.wait_for_rows("secret-service")
    assert page.js("return [sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
    assert not [one for one in page.browser.requests() if tokens["watcher"] in one], "it is in no address"
    page.click("#forget")
    page.wait_for("#door", "token")


# ---- In every state -----------------------------------------------------------------------------

def test_it_says_that_it_is_not_connected_and_comes_back(page):
    page.start()
    page.world.builtin(page.broker, "echo")
    page.open()
    page.wait_for_rows("echo")
    page.broker.kill()
    page.wait_for("#sentence", "Not connected", within=8)
    assert page.text("#link") == "not connected"
    page.broker = page.world.restart(page.broker, "--http", f"127.0.0.1:{page.port}")
    page.wait_for("#sentence", "Healthy: 1 service, 1 worker", within=10)
    assert page.text("#link") == "live"


def test_a_broker_that_drains_says_so(page):
    page.start()
    gate = _queue(page, 0)
    page.open()
    page.wait_for_rows("slow")
    page.broker.terminate()
    page.wait_for("#sentence", "Draining")
    gate.open()


def test_it_reads_without_javascript(page):
    page.start()
    page.world.builtin(page.broker, "echo")
    _call(page, "echo", "--count", "20", "-q")
    _queue(page)
    page.browser.command("Emulation.setScriptExecutionDisabled", value=True)
    until(lambda: b'class="cause"' in urllib.request.urlopen(page.url, timeout=30).read(), 5, "the cause is told")
    page.open()
    page.keep_picture("no-javascript")
    page.browser.command("Emulation.setScriptExecutionDisabled", value=False)
    assert page.text("#sentence").startswith("slow: ")
    cells = page.js("""return [...document.querySelectorAll('#rows tr')].map(row =>
        [...row.children].map(cell => cell.innerText))""")
    assert [row[0].split("\n")[0] for row in cells] == ["slow", "echo"] and "busy" in cells[0][0]
    echo = page.world.services(page.broker)["echo"]
    assert cells[1][2:4] == [_duration(echo["p50_us"]), _duration(echo["p99_us"])]
    assert not page.find("#tabs").is_displayed() and not page.find("#search").is_displayed()


# ---- For everybody ------------------------------------------------------------------------------

def test_it_is_read_at_400_pixels(page):
    page.start()
    page.world.builtin(page.broker, "echo", service="a-service-with-" + "a-long-name-" * 8)
    _queue(page)
    page.browser.set_size(400, 1200)
    page.open()
    until(lambda: len(page.rows()) == 2, 5, "the services are shown")
    for view in (*VIEWS, "service/slow"):
        page.go("#" + view)
        if view.startswith("service/"):
            until(lambda: page.find("[data-worker]"), 5, "the service is open")
        assert page.js("return document.documentElement.scrollWidth") <= 400, view
        outside = page.js("""return [...document.querySelectorAll("main *")].filter(one =>
            !one.closest("#tabs, .scroll, .unseen, svg") && one.getBoundingClientRect().right > 401)
            .map(one => one.outerHTML)""")
        assert outside == [], view
        page.keep_picture(f"narrow-{view.partition('/')[0]}")


def test_everything_is_reached_with_the_keyboard(page):
    page.start()
    page.world.builtin(page.broker, "echo", service="a")
    page.world.builtin(page.broker, "echo", service="b")
    page.open()
    page.wait_for_rows("a", "b")
    seen = []
    for _ in range(20):
        page.press("TAB")
        seen.append(page.focused())
        outline = page.js("""const style = getComputedStyle(document.activeElement);
            return style.outlineStyle + style.outlineWidth""")
        assert outline == "solid2px", f"{seen[-1]} does not show that it has the focus"
        if seen[-1] == "b":
            break
    assert seen[0] == "Skip to the services" and seen.index("tab-services") < seen.index("a") < seen.index("b")
    page.press("ARROW_UP")
    assert page.focused() == "a"
    page.press("ENTER")
    until(lambda: page.find("[data-worker]"), 5, "Enter opens it")
    assert page.find("#rows button[aria-expanded=true]").text == "a"
    page.press("ESCAPE")
    until(lambda: not page.find("#detail"), 5, "Escape closes it")
    assert page.focused() == "a"
    page.js("document.getElementById('tab-services').focus()")
    for view in (*VIEWS[1:], VIEWS[0]):
        page.press("ARROW_RIGHT")
        until(lambda: page.find(f"#tab-{view}").get_attribute("aria-selected") == "true", 5, f"{view} is chosen")
        assert page.focused() == f"tab-{view}" and page.find(f"#view-{view}").is_displayed()
    page.keys("/")
    assert page.focused() == "wanted"
    page.keys("x/y")
    assert page.find("#wanted").get_attribute("value") == "x/y"


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_its_ground(page, dark):
    page.start()
    page.world.builtin(page.broker, "echo")
    _call(page, "echo", "--count", "20", "-q")
    _queue(page)
    page.browser.set_dark(dark)
    page.open("#service/slow")
    until(lambda: page.find("[data-worker]") and page.row("slow")["causes"], 5, "the service is open")
    page.keep_picture("dark" if dark else "light")
    assert page.low_contrasts() == []
    assert page.js("return getComputedStyle(document.body).backgroundColor") \
        == ("rgb(13, 16, 21)" if dark else "rgb(245, 246, 248)")


def test_a_page_that_is_left_open_does_not_grow(page):
    """Its time runs sixty times as fast, so that minutes pass, while services come and go. Scripts of the driver
    would take memory of the page too, so it is hardly asked."""
    page.start()
    page.world.builtin(page.broker, "echo")
    page.browser.command("Performance.enable")
    script = page.browser.command("Page.addScriptToEvaluateOnNewDocument", source="""
        const [now, later, get, kept] = [Date.now, window.setTimeout, window.fetch, {}];
        window.turns = 0;
        Date.now = () => now() * 60;
        window.setTimeout = (act, ms) => later(act, ms > 2000 ? ms : ms / 60);
        window.fetch = async (path, what) => {
            window.turns += path === "/api/overview";
            if (path === "/events")
                return new Response("", {status: 404});
            if (!kept[path] || now() - kept[path].at > 300) {
                const answer = await get(path, what);
                kept[path] = {at: now(), text: await answer.text(), status: answer.status};
            }
            return new Response(kept[path].text, {status: kept[path].status});
        };""")
    sizes = []
    try:
        page.driver.set_script_timeout(300)
        page.open("#service/echo")
        for name in ("one", "two", "three", "four"):
            worker = page.world.builtin(page.broker, "echo", service=name)
            page.driver.execute_async_script("""
                const [wanted, done] = [(window.turns || 0) + 200, arguments[0]];
                (function look () { window.turns > wanted ? done() : requestAnimationFrame(look); })()""")
            worker.terminate()
            page.browser.command("HeapProfiler.collectGarbage")
            metrics = {one["name"]: one["value"] for one in page.browser.command("Performance.getMetrics")["metrics"]}
            sizes.append((metrics["Nodes"], metrics["JSHeapUsedSize"]))
    finally:
        page.browser.command("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])
    # What is kept for good is kept in each period; the engine's own memory comes in steps.
    nodes, heap = (min(sizes[at + 1][what] - sizes[at][what] for at in (1, 2)) for what in (0, 1))
    assert nodes < 150 and heap < 200000, sizes
