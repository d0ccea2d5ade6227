"""Dashboard and alerts ask for metrics that are there, and the alerts come when they should."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from flexvol.agent import telemetry as agent
from tests.agent.make import CALL, NOON, line, report, slab
from tests.guest.machine import PROJECT
from tests.manifests.rendering import MANIFESTS, Manifest, one, pod_specs, rendered
from webhook import telemetry as webhook
from webhook.review import answer as admit
from webhook.settings import Settings, resolve

MONITORING = MANIFESTS / "monitoring"
PROMTOOL = PROJECT / ".guest" / "root" / "usr" / "bin" / "promtool"
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
ALERTS = Path(__file__).with_name("alerts.yaml")
OPERATIONS = (PROJECT / "docs" / "operations.md").read_text()
ADDED = {"node", "le", "pod"}
"""Labels that scraping adds, and histograms."""


ADMISSION = PROJECT / "tests" / "admission"
GOOD = (ADMISSION / "gitlab-runner.create.json").read_bytes()
BAD = (ADMISSION / "bad-size.create.json").read_bytes()

METRIC = re.compile(r"\b(dind_(?:webhook|node)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"([^\"]*)\"")
GROUPING = re.compile(r"\bby \(([^)]*)\)")


def load(path: Path) -> Any:  # noqa: ANN401 - YAML
    return YAML(typ="safe").load(path.read_text())


RULES: list[dict[str, Any]] = [
    rule for group in load(MONITORING / "rules.yaml")["spec"]["groups"] for rule in group["rules"]
]


def panels() -> Iterator[dict[str, Any]]:
    yield from (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def expressions() -> Iterator[str]:
    """Yield every expression of rules and dashboard, as Prometheus gets it."""
    yield from (rule["expr"] for rule in RULES)
    for panel in panels():
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "5m").replace("$__range", "1d")
            yield text.replace("$node", ".*")


def built_in(_: str) -> Settings:
    return resolve()


def exposed() -> dict[str, dict[str, set[str]]]:
    """Return the labels of every metric that the programs have, with the values they have."""
    ours = webhook.Telemetry(lambda _: None)
    for counter in (ours.turned_away, ours.defaults_faults, ours.cluster_errors):
        counter.labels("any")
    for name in ("certificate_expiry_timestamp_seconds", "defaults_faulty", "ready"):
        ours.gauge(name, "As webhook.serve offers it.", lambda: 0)
    for answer in (admit(GOOD, built_in), admit(BAD, built_in)):
        ours.decided(answer, 0.001)
    theirs = agent.Telemetry(lambda: NOON)
    theirs.cluster_errors.labels("any")
    for outcome in agent.RESULTS:
        theirs.count(line("mounted", outcome=outcome, took_ms=300, **CALL))
    theirs.remember(line("released", slab="a"))
    theirs.reported(report(slab("a")), ready=True)
    found: dict[str, dict[str, set[str]]] = {}
    for registry in (ours.registry, theirs.registry):
        for sample in (sample for family in registry.collect() for sample in family.samples):
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


METRICS = exposed()


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_what_is_asked_for_is_there(expression: str) -> None:
    asked = METRIC.findall(expression)
    assert asked
    known = set(ADDED)
    for name, matchers in asked:
        assert name in METRICS, name
        known |= METRICS[name].keys()
        for label, pattern in MATCHER.findall(matchers):
            if label not in ADDED:
                values = METRICS[name][label]
                assert any(re.fullmatch(pattern, value) for value in values), (label, pattern)
    for labels in GROUPING.findall(expression):
        assert {label.strip() for label in labels.split(",")} <= known


def test_prometheus_can_read_every_expression(tmp_path: Path) -> None:
    rules = [{"record": f"r{n}", "expr": text} for n, text in enumerate(expressions())]
    write(tmp_path / "rules.yml", {"groups": [{"name": "all", "rules": rules}]})
    promtool("check", "rules", str(tmp_path / "rules.yml"))


@pytest.mark.parametrize("evening", load(ALERTS).values(), ids=load(ALERTS))
def test_alerts_come_when_they_should_and_only_then(
    tmp_path: Path, evening: dict[str, Any]
) -> None:
    groups = load(MONITORING / "rules.yaml")["spec"]["groups"]
    write(tmp_path / "rules.yml", {"groups": groups})
    expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in evening["firing"]]
    asked = {
        "expr": 'sum by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": evening["at"],
        "exp_samples": expected,
    }
    test = {"interval": "1m", "input_series": evening["series"], "promql_expr_test": [asked]}
    written = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    write(tmp_path / "test.yml", written)
    promtool("test", "rules", str(tmp_path / "test.yml"))


def test_every_alert_was_seen_to_come_and_is_in_the_operations_page() -> None:
    names = {rule["alert"] for rule in RULES}
    assert set(load(ALERTS)["wrong"]["firing"]) == names
    for name in names:
        assert f"`{name}`" in OPERATIONS


def test_the_dashboard_is_one_that_grafana_loads() -> None:
    assert DASHBOARD["uid"]
    assert DASHBOARD["schemaVersion"] >= 36
    variables = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(numbers) == len(set(numbers))
    for panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["title"]
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24


def test_no_two_panels_lie_on_each_other() -> None:
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))


def test_the_component_adds_monitors_rules_and_dashboard_for_our_pods(tmp_path: Path) -> None:
    (tmp_path / "manifests").symlink_to(MANIFESTS)
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [manifests/overlays/file]\ncomponents: [manifests/monitoring]\n"
    )
    objects = rendered(tmp_path)
    board = one(objects, "ConfigMap", "dind-dashboard")
    assert board["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert json.loads(board["data"]["dind.json"]) == DASHBOARD
    assert one(objects, "PrometheusRule", "dind")["spec"]["groups"]
    specs = dict(pod_specs(objects))
    for name in ("dind-webhook", "dind-node"):
        monitor = one(objects, "PodMonitor", name)
        assert monitor["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": name}
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        ports = [port["name"] for each in specs[name]["containers"] for port in each["ports"]]
        assert endpoint["port"] in ports
    plain = {each["kind"] for each in rendered(MANIFESTS)}
    assert not plain & {"PodMonitor", "PrometheusRule"}, "the base needs no operator"


def write(path: Path, content: Manifest) -> None:
    with path.open("w") as stream:
        YAML(typ="safe").dump(content, stream)


def promtool(*words: str) -> None:
    done = subprocess.run([PROMTOOL, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
