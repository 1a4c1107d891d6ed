"""What the stacks tell of themselves: targets, dashboards, alerts and traces, each asked of the lab's own programs."""

import json
import math
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import docker as build
from lab.layout import Lab
from scripts.dashboards import all_dashboards, text
from scripts.dashboards.parts import FAILED

from .conftest import BACKEND, CHECKOUT, FIRST, SECOND, Host, Run, command
from .test_workers import Fleet, until

PROMETHEUS = "prom/prometheus:v2.53.5"
PERIODS = {"$__rate_interval": "1m", "$__range": "1h"}
"""What Grafana puts in the place of its variables."""


class Monitored(Fleet):
    """Core and B."""

    def query(self, expr: str) -> list[dict[str, Any]]:
        for name, period in PERIODS.items():
            expr = expr.replace(name, period)
        answer = self.ask(9090, f"/api/v1/query?query={urllib.parse.quote(expr)}")
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def numbers(self, expr: str) -> list[float]:
        return [float(row["value"][1]) for row in self.query(expr)]

    def firing(self, name: str) -> list[dict[str, Any]]:
        alerts = self.ask(9090, "/api/v1/alerts")["data"]["alerts"]
        return [a for a in alerts if a["labels"]["alertname"] == name and a["state"] == "firing"]

    def trace(self, trace_id: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.ask(16686, f"/api/traces/{trace_id}")["data"][0]
        except urllib.error.HTTPError:
            return None
        return found


@pytest.fixture(scope="module")
def fleet(lab: Lab, stack: None) -> Iterator[Monitored]:
    """Core and B run the first tag, one worker of each kind on B."""
    made = Monitored(lab)
    # A failure that another module has left in the history would be the newest outcome.
    for tag in () if Host(lab).kinds()[-1:] == ["proven"] else (SECOND, FIRST):
        assert command("invoke", "deploy-core", "--tag", tag).code == 0
    outcome = made.workers("B", "--tag", FIRST, "--replicas-backtest", "1", "--replicas-training", "1")
    assert outcome.code == 0, outcome.err
    yield made
    made.sh("core", "rm -f /opt/ktrdr-core/targets/*")
    made.sh(
        "B",
        "docker ps -aq --filter label=com.docker.compose.project=ktrdr-workers | xargs -r docker rm -f; "
        "docker network rm ktrdr-workers_default; rm -rf /opt/ktrdr-workers*",
    )


@pytest.fixture(scope="module")
def traced(fleet: Monitored) -> str:
    """The trace of a sample backtest that was asked for, and has ended."""
    until(lambda: len(fleet.registered()) == 2, 60, "the workers are not registered")
    trace_id = secrets.token_hex(16)
    request = urllib.request.Request(
        fleet.lab.url("core", 8000) + "/api/v1/backtests/start",
        data=json.dumps({"symbol": "EURUSD", "steps": 20, "seconds": 2}).encode(),
        headers={
            "Content-Type": "application/json",
            "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01",
        },
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        operation = json.load(answer)["operation_id"]
    until(lambda: fleet.operation(operation)["status"] == "completed", 60, "it did not end")
    return trace_id


def in_prometheus(script: str) -> str:
    """Runs shell text where Debian's promtool and this checkout's files are."""
    return build.run(
        *("run", "--rm", "--network", "none", "--user", "0", "-v", f"{CHECKOUT}:/src:ro", "-w", "/src"),
        *("--entrypoint", "sh", PROMETHEUS, "-c", script),
    )


def test_promtool_finds_the_configurations_right_and_every_rule_s_test_passes(lab: Lab) -> None:
    said = in_prometheus(
        "set -e; cd monitoring; promtool check rules --lint-fatal prometheus/rules/*.yml;"
        "promtool check config --lint-fatal prometheus/prometheus.yml;"
        "promtool check config --lint-fatal prometheus-dev.yml;"
        "promtool test rules ../tests/prometheus/*.yml"
    )
    assert said.count("1 rule files found") == 2
    assert said.rstrip().endswith("SUCCESS")


def test_every_target_is_up(fleet: Monitored) -> None:
    def targets() -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for target in fleet.ask(9090, "/api/v1/targets?state=active")["data"]["activeTargets"]:
            node = target["labels"].get("node", "")
            found.setdefault(target["labels"]["job"], []).append((node, target["health"]))
        return {job: sorted(rows) for job, rows in found.items()}

    wanted = {
        "prometheus": [("", "up")],
        "ktrdr-backend": [("", "up")],
        "ktrdr-workers": [("B", "up"), ("B", "up")],
        "node": [("B", "up"), ("core", "up")],
    }
    until(lambda: targets() == wanted, 30, f"the targets are {targets()}")


def test_a_request_through_backend_database_and_worker_is_one_trace(fleet: Monitored, traced: str) -> None:
    # Each process hands its spans on when it is its time.
    deadline = time.monotonic() + 30
    while problem := lacking(fleet.trace(traced)):
        assert time.monotonic() < deadline, problem
        time.sleep(0.5)


def lacking(trace: Any) -> str:
    """What a trace of a backtest does not show yet; "" when it is whole."""
    if not trace:
        return "it has not arrived"
    of = {s["spanID"]: trace["processes"][s["processID"]]["serviceName"] for s in trace["spans"]}
    by_id = {s["spanID"]: s for s in trace["spans"]}
    worker = next((name for name in of.values() if name.startswith("ktrdr-backtest-worker-")), "")
    if set(of.values()) != {"ktrdr-api", worker}:
        return f"it has spans of {sorted(set(of.values()))}"
    for service in set(of.values()):
        statements = [
            tag["value"]
            for s in trace["spans"]
            if of[s["spanID"]] == service and s["operationName"].startswith("postgresql ")
            for tag in s["tags"]
            if tag["key"] == "db.query.text"
        ]
        if not any(" operations" in statement for statement in statements):
            return f"no statement of {service}"
    # From the worker's own work back to the request, each span's parent is in the trace; the first one's is its caller's.
    span = next((s for s in trace["spans"] if s["operationName"] == "backtest"), None)
    way = []
    while span is not None:
        way.append((of[span["spanID"]], span["operationName"]))
        span = by_id.get(span["references"][0]["spanID"])
    services = [service for service, _ in way]
    apis = services.count("ktrdr-api")
    if services != [worker] * services.count(worker) + ["ktrdr-api"] * apis or apis < 2:
        return f"the way back to the request is {way}"
    asked = ("ktrdr-api", "POST /operations/{operation_id}/start")
    return "" if asked in way else f"{asked} is not on the way {way}"


def test_every_query_of_every_dashboard_has_data_after_the_sample_backtest(
    fleet: Monitored, traced: str
) -> None:
    waiting = {
        f"{dashboard.title}, {panel['title']}: {target['expr']}": target["expr"]
        for dashboard in all_dashboards()
        for panel in json.loads(text(dashboard))["panels"]
        for target in panel["targets"]
    }
    assert len(waiting) > 30

    def answered() -> bool:
        for name, expr in list(waiting.items()):
            numbers = fleet.numbers(expr)
            if numbers and not any(math.isnan(number) for number in numbers):
                del waiting[name]
        return not waiting

    # A rate needs two scrapes.
    deadline = time.monotonic() + 30
    while not answered():
        assert time.monotonic() < deadline, "\n".join(waiting)
        time.sleep(0.5)


def test_each_node_tells_its_own_deployments(fleet: Monitored) -> None:
    rows = fleet.query('deploy_last_outcome{outcome="proven"} == 1')
    assert {(r["metric"]["node"], r["metric"]["stack"]) for r in rows} == {("core", "core"), ("B", "workers")}
    assert {r["metric"]["tag"] for r in fleet.query("deploy_release_info")} == {FIRST}
    assert all(number > 0 for number in fleet.numbers("deploy_duration_seconds"))
    ages = fleet.numbers("time() - deploy_last_success_timestamp_seconds")
    assert len(ages) == 2


def test_a_reverted_deployment_is_on_the_dashboard_and_an_alert(
    fleet: Monitored, deploy: Run, core: Host, checkout: Path
) -> None:
    path = checkout / "deploy.toml"
    wanted, never = (
        'json = { "database" = "ok" }\ntimeout = 60',
        'json = { "database" = "never" }\ntimeout = 2',
    )
    assert wanted in path.read_text()
    path.write_text(path.read_text().replace(wanted, never))
    outcome = command("invoke", "deploy-core", "--tag", FIRST, "--json", root=checkout)
    assert outcome.code == 10, outcome.err
    assert core.kinds()[-1] == "reverted"

    (dashboard,) = (json.loads(text(d)) for d in all_dashboards() if d.uid == "ktrdr-deployments")
    queries = {panel["title"]: panel["targets"][0]["expr"] for panel in dashboard["panels"]}

    def told() -> bool:
        (last,) = (r for r in fleet.query(queries["Last outcome"]) if r["metric"]["node"] == "core")
        wrong = [
            r["metric"] for r in fleet.query(queries["What went wrong in this time"]) if r["value"][1] == "1"
        ]
        return last["value"][1] == "5" and ("core", "reverted") in [(m["node"], m["outcome"]) for m in wrong]

    until(told, 30, "the dashboard does not have it")
    assert [r["metric"]["node"] for r in fleet.query(FAILED)] == ["core"]  # an annotation on all of them
    (alert,) = until(lambda: fleet.firing("DeploymentReverted"), 45, "there is no alert")
    assert (alert["labels"]["node"], alert["labels"]["outcome"]) == ("core", "reverted")


@pytest.mark.full
@pytest.mark.takes(50)
def test_killing_the_backend_is_an_alert_within_a_minute_that_goes_by_itself(
    fleet: Monitored, core: Host
) -> None:
    assert not fleet.firing("BackendDown")
    core.sh(f"docker kill {BACKEND}")
    try:
        until(lambda: fleet.firing("BackendDown"), 60, "there is no alert")
    finally:
        core.sh(f"docker start {BACKEND}")
    until(lambda: not fleet.firing("BackendDown"), 60, "the alert stays")
    until(lambda: len(fleet.registered()) == 2, 60, "the workers did not come back")
