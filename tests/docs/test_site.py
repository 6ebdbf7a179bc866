# SPDX-License-Identifier: MPL-2.0
"""The site that script/site makes: every link leads somewhere in it, and it loads nothing from elsewhere."""

import html.parser
import re
import shutil
import subprocess

import pytest

from blocks import SOURCE


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors.add(attributes.get("id"))
        if tag == "a":
            self.links.append(attributes["href"])
        elif "src" in attributes or tag == "link":
            self.loads.append(attributes.get("src") or attributes["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if not shutil.which("lowdown"):
        pytest.skip("lowdown is not there; script/deps lowdown installs it")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([SOURCE / "script" / "site", folder], check=True, capture_output=True, timeout=60)
    return folder, {path: Page(path) for path in folder.rglob("*.html")}


def test_every_document_is_a_page(site):
    folder, pages = site
    for document in ("README", "docs/OPERATIONS", "docs/adr/README", "python/README", "go/README", "index"):
        assert folder / f"{document}.html" in pages


def test_every_link_leads_somewhere(site):
    _, pages = site
    wrong = []
    for path, page in pages.items():
        for link in page.links:
            name, _, anchor = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            if not re.match(r"[a-z]+:", link) and (
                    not target.exists() or anchor and target in pages and anchor not in pages[target].anchors):
                wrong.append(f"{path.name}: {link}")
    assert not wrong


def test_it_loads_nothing_from_elsewhere(site):
    _, pages = site
    loads = [(path, name) for path, page in pages.items() for name in page.loads]
    assert loads
    assert not [name for path, name in loads if re.match(r"[a-z]+:|//", name) or not (path.parent / name).exists()]
