"""Writes the JSON of every dashboard."""

from __future__ import annotations

from scripts.dashboards import all_dashboards, path, text

for dashboard in all_dashboards():
    path(dashboard).write_text(text(dashboard), encoding="utf-8")
