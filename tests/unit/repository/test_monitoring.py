"""Rules, dashboards and pictures: what can be said of them without running anything."""

import json
import re
from itertools import combinations
from typing import Any

import pytest
import yaml

from scripts.dashboards import DIRECTORY, all_dashboards, path, text
from tests import ROOT

DASHBOARDS = all_dashboards()
RULES = ROOT / "monitoring/prometheus/rules"
RUNBOOKS = "docs/user-guides/runbooks.md"

each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.uid)


def alerts() -> list[dict[str, Any]]:
    groups = [
        group for file in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(file.read_text())["groups"]
    ]
    return [rule for group in groups for rule in group["rules"]]


def headings() -> set[str]:
    lines = (ROOT / RUNBOOKS).read_text().splitlines()
    return {line[3:].lower().replace(" ", "-") for line in lines if line.startswith("## ")}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_how_bad_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert alert["annotations"]["summary"]
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert page.endswith(f"/{RUNBOOKS}")
    assert anchor == re.sub(r"(?<!^)(?=[A-Z])", "-", alert["alert"]).lower()
    assert anchor in headings()


def test_every_runbook_is_an_alert_s() -> None:
    assert len(headings()) == len(alerts())


def test_every_alert_is_tested_to_come_and_to_stay_away() -> None:
    tests = yaml.safe_load((ROOT / "tests/prometheus/ktrdr.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    comes = {case["alertname"] for case in cases if case["exp_alerts"]}
    stays_away = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert comes == stays_away == {alert["alert"] for alert in alerts()}


@each_dashboard
def test_its_json_is_what_the_code_makes(dashboard: Any) -> None:
    assert path(dashboard).read_text() == text(dashboard), "run: scripts/run python -m scripts.dashboards"


def test_there_is_no_json_that_no_code_makes() -> None:
    assert {file for file in DIRECTORY.glob("*.json")} == {path(dashboard) for dashboard in DASHBOARDS}


@each_dashboard
def test_its_panels_have_a_title_a_unit_and_a_query_and_do_not_overlap(dashboard: Any) -> None:
    panels = json.loads(text(dashboard))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 4
    for panel in panels:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        assert panel["datasource"]["uid"] == "prometheus"
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


@each_dashboard
def test_it_has_thresholds_deployments_and_ways_to_the_others_and_to_traces(dashboard: Any) -> None:
    data = json.loads(text(dashboard))
    steps = [
        panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", []) for panel in data["panels"]
    ]
    assert max(len(each) for each in steps) >= 2
    annotations = data["annotations"]["list"]
    assert {each["name"] for each in annotations} == {"Deployments", "Failed deployments"}
    assert all(each["useValueForTime"] and each["datasource"]["uid"] == "prometheus" for each in annotations)
    others, traces = data["links"]
    assert (others["type"], others["tags"]) == ("dashboards", data["tags"])
    assert traces["url"].startswith("/explore?")
    assert "jaeger" in traces["url"]


def test_dashboards_come_into_grafana_s_folder() -> None:
    content = (ROOT / "monitoring/grafana/provisioning/dashboards/ktrdr.yml").read_text()
    (provider,) = yaml.safe_load(content)["providers"]
    assert provider["folder"] == "KTRDR"
    mounts = yaml.safe_load((ROOT / "compose/docker-compose.core.yml").read_text())["services"]["grafana"][
        "volumes"
    ]
    assert f"./monitoring/grafana/dashboards:{provider['options']['path']}:ro" in mounts
    assert {d.title for d in DASHBOARDS} == {"System Overview", "Worker Status", "Operations", "Deployments"}


@each_dashboard
def test_there_is_a_small_picture_of_it(dashboard: Any) -> None:
    picture = ROOT / f"docs/dashboards/{dashboard.uid}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 200_000
    assert f"(dashboards/{dashboard.uid}.png)" in (ROOT / "docs/monitoring.md").read_text()
