"""Grafana's dashboards as typed code; their JSON in monitoring/grafana/dashboards is made from it:

scripts/run python -m scripts.dashboards
"""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from scripts.dashboards import deployments, operations, overview, workers

ROOT = Path(__file__).resolve().parents[2]
DIRECTORY = ROOT / "monitoring" / "grafana" / "dashboards"


def all_dashboards() -> list[Dashboard]:
    """Every dashboard, in the order in which people look at them."""
    return [module.dashboard() for module in (overview, workers, operations, deployments)]


def text(dashboard: Dashboard) -> str:
    """A dashboard's JSON, the same each time."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def path(dashboard: Dashboard) -> Path:
    """Where that JSON lies."""
    return DIRECTORY / f"{dashboard.uid}.json"
