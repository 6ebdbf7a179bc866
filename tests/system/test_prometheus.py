# SPDX-License-Identifier: MPL-2.0
"""packaging/prometheus: the alerts and the dashboard for Grafana ask for metrics that a broker has, and a real
Prometheus finds something to show in each panel."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request

import pytest

from support import programs
from support.waiting import until
from support.web import free_port

FOLDER = programs.SOURCE / "packaging/prometheus"
BOARD = json.loads((FOLDER / "grafana-riposte.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
GRID = 24  # columns of a dashboard


def _queries():
    """Returns each query of the dashboard with what it is for, as Grafana would ask for everything."""
    found = [(f"{panel['title']}/{target['refId']}", target["expr"])
             for panel in PANELS for target in panel["targets"]]
    found += [(one["name"], one["expr"]) for one in BOARD["annotations"]["list"]]
    values = {"$instance": ".*", "$service": ".*", "$__rate_interval": "20s"}
    return [(what, re.sub(r"\$\w+", lambda name: values[name[0]], expr)) for what, expr in found]


def _names(text):
    return set(re.findall(r"\b(?:riposte|process)_\w+", text))


def _alerts():
    """Returns the queries of the alerts."""
    lines = (FOLDER / "riposte.rules.yml").read_text().splitlines()
    return "\n".join(line for line in lines
                     if not re.match(r"\s*(#|summary|description|- alert|- name)", line))


def _there(broker):
    """Returns the names of the metrics that a broker has."""
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.http}/metrics", timeout=10) as answer:
        return set(re.findall(r"^(\w+)", answer.read().decode(), re.M))


def _wants(program):
    if not shutil.which(program):
        pytest.skip(f"SKIPPED: {program} is not here; it is in Debian's package prometheus")


@pytest.fixture
def broker(world):
    port = free_port()
    one = world.broker("--http", f"127.0.0.1:{port}", "--store", world.directory / "jobs.db")
    one.http = port
    world.builtin(one, "echo")
    return one


def test_alerts_and_dashboard_ask_for_metrics_that_are_there(broker):
    there = _there(broker)
    wanted = _names(_alerts()), _names(" ".join(expr for _, expr in _queries()))
    variables = _names(" ".join(one["query"]["query"] for one in BOARD["templating"]["list"] if one["type"] == "query"))
    assert len(wanted[0]) > 10 and len(wanted[1]) > 20 and len(variables) == 2
    missing = set.union(*wanted, variables) - there
    assert missing == {"riposte_store_fenced_total", "riposte_store_lease_seconds"}, "postgres/test_brokers.py"


def test_metrics_of_alerts_and_dashboard_are_documented(world, broker):
    """Counters of `riposte status` have one row for all."""
    text = (programs.SOURCE / "docs/METRICS.md").read_text()
    documented = set(re.findall(r"`((?:riposte|process)_\w+)`", text))
    counters = {f"riposte_{name}_total" for name in world.status(broker)["counters"]}
    wanted = _names(_alerts()) | _names(" ".join(expr for _, expr in _queries()))
    plain = {re.sub(r"_(bucket|sum|count)$", "", name) for name in wanted}
    assert plain - counters <= documented, plain - counters - documented


def test_each_query_parses(world):
    _wants("promtool")
    rules = world.directory / "rules.yml"
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    for number, (_, expr) in enumerate(_queries()):
        lines += [f"      - record: query:{number}", f"        expr: {json.dumps(expr)}"]
    rules.write_text("\n".join(lines) + "\n")
    checked = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(_queries())} rules found" in checked.stdout


def test_the_dashboard_has_the_shape_that_grafana_reads():
    assert BOARD["title"] == "Riposte" and BOARD["uid"] == "riposte" and BOARD["schemaVersion"] >= 36
    assert "id" not in BOARD, "Grafana numbers what it imports"
    variables = {one["name"]: one for one in BOARD["templating"]["list"]}
    assert set(variables) == {"datasource", "instance", "service"}
    assert variables["datasource"]["type"] == "datasource"
    numbers = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    titles = [panel["title"] for panel in BOARD["panels"]]
    for panel in PANELS:
        assert panel["type"] in ("stat", "timeseries") and panel["title"] and panel["description"], panel
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert references and len(set(references)) == len(references), panel["title"]
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        for target in panel["targets"]:
            used = set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval"}
            assert "instance" in used and used <= set(variables), target
    assert len(titles) > 20


def test_no_panel_lies_over_another():
    taken = {}
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        assert 0 <= at["x"] and at["x"] + at["w"] <= GRID, panel["title"]
        for place in [(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]:
            assert place not in taken, f"{panel['title']} lies over {taken[place]}"
            taken[place] = panel["title"]


class Prometheus:
    """A real one, which reads a broker twice a second."""

    def __init__(self, world, broker):
        self.port = free_port()
        config = world.directory / "prometheus.yml"
        config.write_text(f"""\
global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}
rule_files: ["{FOLDER / 'riposte.rules.yml'}"]
scrape_configs:
  - job_name: riposte
    static_configs: [{{targets: ["127.0.0.1:{broker.http}"]}}]
""")
        world.start("prometheus", "prometheus", f"--config.file={config}", "--log.level=warn",
                    f"--storage.tsdb.path={world.directory / 'series'}", f"--web.listen-address=127.0.0.1:{self.port}")

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None  # it is not up yet

    def values(self, query):
        data = self.get(f"query?query={urllib.parse.quote(query)}")
        return [float(one["value"][1]) for one in data["result"]] if data else []


def test_a_real_prometheus_has_something_for_each_panel_and_fires_no_alert(world, broker):
    _wants("prometheus")
    prometheus = Prometheus(world, broker)
    until(lambda: prometheus.values('up{job="riposte"}') == [1], 20, "it reads the broker")

    def empty():
        # What is shown only where it is not 0 is asked for without that; alerts are looked at below.
        assert world.cli(broker, "call", "echo", "x", "--count", "20", "-q").code == 0
        return [what for what, expr in _queries()
                if "ALERTS" not in expr and not prometheus.values(re.sub(r" > 0$", "", expr))]

    last = []

    def shows_everything():
        last[:] = empty()
        return not last

    try:
        until(shows_everything, 30)
    except AssertionError as late:
        raise AssertionError(f"nothing to show in: {last}") from late
    p99 = next(expr for what, expr in _queries() if what == "p99/A")
    assert 0 < prometheus.values(p99)[0] < 60, "requests had a duration"
    until(lambda: all(rule["health"] == "ok" for group in prometheus.get("rules")["groups"]
                      for rule in group["rules"]), 10, "each alert was evaluated")
    assert prometheus.values('ALERTS{alertstate="firing"}') == []
    assert prometheus.get("metadata")["riposte_requests"][0]["type"] == "counter", "it has read OpenMetrics"
