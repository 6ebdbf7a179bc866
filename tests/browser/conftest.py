# SPDX-License-Identifier: MPL-2.0
"""The dashboard in a real browser: Debian's Chromium, without a screen, before real brokers. The parts that these
tests share with the system tests are in tests/system/support; RIPOSTE_BUILD has the same meaning there.

RIPOSTE_PICTURES=DIRECTORY  keeps pictures of the page there, to be looked at"""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from support.fixtures import pytest_runtest_makereport, pytest_sessionstart, world  # noqa: E402, F401

from browser import CHROMIUM, DRIVER, Browser  # noqa: E402
from page import Page  # noqa: E402


@pytest.fixture(name="browser", scope="session")
def fixture_browser(tmp_path_factory):
    """One for all tests: each has a broker at a port of its own, and so an origin of its own."""
    if not CHROMIUM or not DRIVER:
        pytest.skip("SKIPPED: chromium is not here; it is in Debian's packages chromium and chromium-driver")
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(name="page")
def fixture_page(world, browser):  # noqa: F811
    page = Page(world, browser)
    yield page
    page.end()
