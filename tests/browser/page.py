# SPDX-License-Identifier: MPL-2.0
"""The dashboard of a broker, as the browser shows it."""

import os
import pathlib
import socket

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from support.peer import REPLY, Peer
from support.programs import PATIENCE
from support.waiting import until

#: Members of riposte.services that the table has as they are.
NUMBERS = ("p50_us", "p99_us", "waiting", "oldest_us", "running", "workers", "failed")

_ROWS = """return [...document.querySelectorAll("#rows > tr[data-name]")].map(row => ({
    name: row.querySelector("bdi").textContent, state: row.dataset.state,
    causes: [...row.querySelectorAll(".cause")].map(cause => cause.textContent),
    values: Object.fromEntries([...row.querySelectorAll("td")].map(cell =>
        [cell.className, Number(cell.dataset.value)])),
    texts: Object.fromEntries([...row.querySelectorAll("td")].map(cell =>
        [cell.className, cell.innerText.trim()]))}))"""

#: Texts that do not stand out from their ground: contrast and element.
_LOW = """
        const parts = colour => colour.match(/[\\d.]+/g).map(Number);
        const light = colour => parts(colour).slice(0, 3).map(one => one / 255).map(one =>
            one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4).reduce((sum, one, at) =>
            sum + one * [0.2126, 0.7152, 0.0722][at], 0);
        const ground = one => {
            for (; one; one = one.parentElement) {
                const colour = getComputedStyle(one).backgroundColor;
                if (parts(colour)[3] !== 0) return colour;
            }
        };
        return [...document.querySelectorAll("body *")].filter(one => one.checkVisibility()
            && !one.closest("svg, script")
            && [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim())).map(one => {
            const [ink, paper] = [light(getComputedStyle(one).color), light(ground(one))];
            return [(Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05), one.outerHTML];
        }).filter(([contrast]) => contrast < 4.5)"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Page:
    def __init__(self, world, browser):
        self.world, self.browser, self.driver = world, browser, browser.driver
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.broker = None
        browser.set_size(1280, 900)
        browser.set_dark(False)
        browser.requests(), browser.complaints()

    def start(self, *options, **more):
        """Starts the broker."""
        self.broker = self.world.broker("--http", f"127.0.0.1:{self.port}", *options, **more)
        return self.broker

    def expire(self, service):
        """A request to a worker that sleeps, whose deadline passes. Its session is there before, so that only the
        worker has to begin within that time."""
        with Peer(self.broker.endpoint) as peer:
            peer.hello(heartbeat_ms=60000)
            peer.request(service.encode(), b"9s", time_ms=300 * PATIENCE)
            assert peer.expect(REPLY, within=5).status_name() == "DEADLINE"

    def open(self, hash=""):
        self.driver.get(self.url + hash)

    def go(self, hash):
        self.js("location.hash = arguments[0]", hash)

    def end(self):
        self.browser.command("Emulation.setScriptExecutionDisabled", value=False)
        self.driver.get("about:blank")

    # ---- What it shows --------------------------------------------------------------------------

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        """The first element; None if there is none."""
        return self.js("return document.querySelector(arguments[0])", selector)

    def click(self, selector, within=5.0):
        """Waits for the first element. A page that is drawn anew may put another in its place before the click."""
        until(lambda: self._clicked(selector), within, f"{selector} is clicked")

    def _clicked(self, selector):
        try:
            element = self.find(selector)
            if element:
                element.click()
            return bool(element)
        except StaleElementReferenceException:
            return False

    def text(self, selector):
        """What is to be read there; "" if it is not shown."""
        return self.js("const one = document.querySelector(arguments[0]); return one ? one.innerText : ''", selector)

    def wait_for(self, selector, text="", within=5.0):
        until(lambda: text in self.text(selector) and (text or self.find(selector)), within,
              f"{selector} says {text!r}")

    def rows(self):
        return self.js(_ROWS)

    def row(self, name):
        return next((row for row in self.rows() if row["name"] == name), None)

    def wait_for_rows(self, *names, within=5.0):
        until(lambda: {row["name"] for row in self.rows()} == set(names), within, f"there are rows of {names}")

    def keys(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def press(self, key, times=1):
        self.keys(*[getattr(Keys, key)] * times)

    def focused(self):
        """The id of the element that has the focus, or its text."""
        return self.js("const one = document.activeElement; return one.id || one.innerText")

    def low_contrasts(self):
        return self.js(_LOW)

    def keep_picture(self, name):
        directory = os.environ.get("RIPOSTE_PICTURES")
        if directory:
            pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
            self.browser.picture(pathlib.Path(directory) / f"{name}.png")
