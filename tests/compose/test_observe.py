# SPDX-License-Identifier: MPL-2.0
"""The profile `observe` of docker-compose.yml: Debian's Prometheus reads the broker, with a token, and has the
alerts."""

import json
import urllib.error
import urllib.parse
import urllib.request

import pytest

import topology as topologies
from topology import SOURCE, until


@pytest.fixture(scope="module")
def topology(tmp_path_factory):
    one = topologies.Topology(tmp_path_factory.mktemp("topology"), profile="observe")
    try:
        one.build()
        one.up("prometheus", "upper", "http", upper=1)
        one.page = one.compose("port", "prometheus", "9090").strip()  # the port that this machine reaches
        yield one
    finally:
        one.down()


def _get(topology, path):
    """Asks Prometheus."""
    try:
        with urllib.request.urlopen(f"http://{topology.page}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]
    except (urllib.error.URLError, ConnectionError):
        return None  # it is not up yet


def _values(topology, query):
    data = _get(topology, f"query?query={urllib.parse.quote(query)}")
    return [float(one["value"][1]) for one in data["result"]] if data else []


def test_prometheus_reads_the_broker_with_its_token(topology):
    until(lambda: _values(topology, 'up{job="riposte"}') == [1], "the broker is up")
    (target,) = _get(topology, "targets")["activeTargets"]
    assert target["scrapeUrl"] == "http://broker:5580/metrics" and target["lastError"] == ""
    until(lambda: _values(topology, 'sum(riposte_workers{service="upper"})') == [1], "it sees the worker of upper")
    (prometheus,) = topology.containers("prometheus")
    until(lambda: prometheus.health() == "healthy", "it says that it is healthy")


def test_the_port_of_prometheus_is_this_machines_only(topology):
    assert topology.page.startswith("127.0.0.1:")


def test_all_alerts_are_loaded_and_none_is_on(topology):
    rules = (SOURCE / "packaging/prometheus/riposte.rules.yml").read_text()
    wanted = {line.split()[-1] for line in rules.splitlines() if line.strip().startswith("- alert:")}
    groups = until(lambda: (_get(topology, "rules") or {}).get("groups"), "it has rules")
    loaded = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert set(loaded) == wanted and len(wanted) > 8
    until(lambda: all(rule["health"] == "ok" for group in _get(topology, "rules")["groups"]
                      for rule in group["rules"]), "each was evaluated")
    assert _values(topology, "ALERTS") == []


def _status(address, token):
    """Returns the status of a request for the metrics of the broker."""
    headers = {"Host": "broker", **({"Authorization": f"Bearer {token}"} if token else {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{address}:5580/metrics", headers=headers),
                                    timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_without_the_token_metrics_are_refused(topology):
    (prometheus,) = topology.containers("prometheus")
    token = prometheus.execute("cat", "/etc/riposte/token").strip()
    address = topology.broker().inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}").split()[0]
    assert [_status(address, one) for one in (None, "0" * 64, token)] == [401, 401, 200]


def test_prometheus_runs_with_few_rights_too(topology):
    (prometheus,) = topology.containers("prometheus")
    assert prometheus.inspect("{{.Config.User}} {{.HostConfig.ReadonlyRootfs}}") == "65532:65532 true"
    assert prometheus.attempt("touch", "/etc/riposte/file") != 0
