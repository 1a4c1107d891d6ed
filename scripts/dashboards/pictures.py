"""Draws docs/dashboards from a running Prometheus's answers to the dashboards' own queries, so that people can look before
they install. It needs matplotlib, which nothing else does:

    uv run --group pictures python -m scripts.dashboards.pictures http://localhost:9090 [MINUTES]

It is a drawing, and not Grafana's: panels, queries, units and thresholds are the same, fonts and colours are not.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.dashboards import ROOT, all_dashboards, text

DIRECTORY = ROOT / "docs" / "dashboards"
POINTS = 120
ROW, WIDTH, TOP = 0.3, 13.0, 0.45
"""Inches: a row of Grafana's grid, a whole picture, and its title."""

COLOURS = {"green": "#56a64b", "red": "#d44a3a", "orange": "#e0891a", "blue": "#3f7ecb"}
JsonObject = dict[str, Any]


class Prometheus:
    """A Prometheus, asked over its HTTP API.

    Args:
        seconds: the time that graphs show.

    Attributes:
        start, end: of that time, in Unix time.
        step: seconds between two points.
    """

    def __init__(self, url: str, seconds: int) -> None:
        self._url = url.rstrip("/")
        self.end = time.time()
        self.start = self.end - seconds
        self.step = max(5, seconds // POINTS)

    def now(self, expr: str) -> list[JsonObject]:
        """The series of an instant query."""
        return self._ask("query", query=self._filled(expr), time=self.end)

    def over_time(self, expr: str) -> list[JsonObject]:
        """The series of a range query."""
        return self._ask(
            "query_range", query=self._filled(expr), start=self.start, end=self.end, step=self.step
        )

    def _filled(self, expr: str) -> str:
        shown = f"{int(self.end - self.start)}s"
        return expr.replace("$__rate_interval", "1m").replace("$__range", shown)

    def _ask(self, what: str, **values: Any) -> list[JsonObject]:
        url = f"{self._url}/api/v1/{what}?{urllib.parse.urlencode(values)}"
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - the address is the operator's
            found: list[JsonObject] = json.load(answer)["data"]["result"]
        return found


def draw(dashboard: JsonObject, prometheus: Prometheus) -> Figure:
    """A dashboard's panels at their places, and its annotations as lines across the graphs."""
    panels = dashboard["panels"]
    rows = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels)
    height = rows * ROW + TOP
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    figure.text(0.008, 1 - 0.3 / height, dashboard["title"], fontsize=15, weight="bold")
    events = [
        (float(value) / 1000, COLOURS[annotation["iconColor"]])
        for annotation in dashboard["annotations"]["list"]
        for row in prometheus.over_time(annotation["expr"])
        for value in {value for _, value in row["values"]}
    ]
    for panel in panels:
        at, kind = panel["gridPos"], panel["type"]
        left = {"timeseries": 0.55, "state-timeline": 1.2}.get(kind, 0.1)
        below = 0.05 if left == 0.1 else 0.25
        x, width = WIDTH * at["x"] / 24 + left, WIDTH * at["w"] / 24 - left - 0.12
        top = TOP + at["y"] * ROW + 0.26
        bottom = TOP + (at["y"] + at["h"]) * ROW - below
        axes = figure.add_axes((x / WIDTH, 1 - bottom / height, width / WIDTH, (bottom - top) / height))
        axes.set_title(panel["title"], loc="left", fontsize=9, weight="bold", pad=4)
        _DRAWN[kind](axes, panel, prometheus)
        if kind == "timeseries":
            for when, colour in events:
                axes.axvline((when - prometheus.end) / 60, color=colour, linewidth=0.8, linestyle=":")
    return figure


def _number(axes: Axes, panel: JsonObject, prometheus: Prometheus) -> None:
    rows = [(r, t) for t in panel["targets"] for r in prometheus.now(t["expr"])]
    axes.set_axis_off()
    for n, (row, target) in enumerate(rows):
        value = float(row["value"][1])
        word, colour = _said(panel, value)
        left, width = n / len(rows), 1 / len(rows)
        axes.add_patch(
            mpl.patches.Rectangle((left, 0), width * 0.98, 1, color=colour, transform=axes.transAxes)
        )
        legend = _legend(target, row["metric"])
        middle = left + width / 2
        axes.text(
            middle,
            0.55,
            word,
            ha="center",
            va="center",
            color="white",
            fontsize=16 if len(rows) < 3 else 11,
            transform=axes.transAxes,
        )
        axes.text(
            middle,
            0.12,
            legend,
            ha="center",
            va="center",
            color="white",
            fontsize=7,
            transform=axes.transAxes,
        )


def _graph(axes: Axes, panel: JsonObject, prometheus: Prometheus) -> None:
    for target in panel["targets"]:
        for row in prometheus.over_time(target["expr"]):
            times = [(float(at) - prometheus.end) / 60 for at, _ in row["values"]]
            axes.plot(
                times,
                [float(v) for _, v in row["values"]],
                linewidth=1.1,
                label=_legend(target, row["metric"]),
            )
    steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
    for step in steps[1:]:
        if step["value"] <= 1.2 * axes.get_ylim()[1]:
            axes.axhline(step["value"], color=COLOURS[step["color"]], linestyle="--", linewidth=0.8)
    axes.set_xlim((prometheus.start - prometheus.end) / 60, 0)
    axes.set_ylim(0, 1.15 * max(axes.get_ylim()[1], 1e-9))
    unit = panel["fieldConfig"]["defaults"]["unit"]
    axes.yaxis.set_major_formatter(lambda value, _: _with_unit(value, unit))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} min" if value else "now")
    axes.tick_params(labelsize=6.5)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=6, loc="upper left", framealpha=0.6)


def _states(axes: Axes, panel: JsonObject, prometheus: Prometheus) -> None:
    rows = [(r, t) for t in panel["targets"] for r in prometheus.over_time(t["expr"])]
    width = prometheus.step / 60
    for n, (row, _) in enumerate(rows):
        for at, value in row["values"]:
            axes.barh(
                n,
                width,
                left=(float(at) - prometheus.end) / 60,
                height=0.7,
                color=_said(panel, float(value))[1],
            )
    axes.set_yticks(range(len(rows)), [_legend(target, row["metric"]) for row, target in rows])
    axes.set_xlim((prometheus.start - prometheus.end) / 60, 0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} min" if value else "now")
    axes.tick_params(labelsize=6.5)


def _table(axes: Axes, panel: JsonObject, prometheus: Prometheus) -> None:
    columns = panel["transformations"][0]["options"]["include"]["names"]
    cells = [
        [*(row["metric"].get(name, "") for name in columns[:-1]), _said(panel, float(row["value"][1]))[0]]
        for target in panel["targets"]
        for row in prometheus.now(target["expr"])
    ]
    axes.set_axis_off()
    made = axes.table(cellText=cells, colLabels=columns, loc="upper left", cellLoc="left", edges="horizontal")
    made.auto_set_font_size(False)
    made.set_fontsize(7)
    made.auto_set_column_width(range(len(columns)))


def _said(panel: JsonObject, value: float) -> tuple[str, str]:
    """How a panel says a value, and in which colour."""
    defaults = panel["fieldConfig"]["defaults"]
    for mapping in defaults.get("mappings") or ():
        if (found := mapping["options"].get(f"{value:.0f}")) is not None:
            return found["text"], COLOURS[found["color"]]
    steps = defaults.get("thresholds", {}).get("steps") or [{"color": "blue"}]
    colour = [s["color"] for n, s in enumerate(steps) if n == 0 or value >= s["value"]][-1]
    return _with_unit(value, defaults["unit"]), COLOURS[colour]


def _with_unit(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{value * 100:.3g}%"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    if unit == "dateTimeFromNow":
        return f"{(time.time() - value / 1000) / 60:.0f} minutes ago"
    words = {"s": " s", "ms": " ms", "d": " days", "reqps": " req/s"}
    return f"{value:.4g}{words.get(unit, '')}"


def _legend(target: JsonObject, labels: Mapping[str, str]) -> str:
    legend = str(target.get("legendFormat") or "")
    for name, value in labels.items():
        legend = legend.replace("{{" + name + "}}", value)
    return legend


_DRAWN: dict[str, Callable[[Axes, JsonObject, Prometheus], None]] = {
    "stat": _number,
    "table": _table,
    "state-timeline": _states,
    "timeseries": _graph,
}


def main(arguments: list[str]) -> None:
    """Draws every dashboard."""
    if len(arguments) not in (1, 2):
        raise SystemExit("usage: python -m scripts.dashboards.pictures PROMETHEUS_URL [MINUTES]")
    prometheus = Prometheus(arguments[0], 60 * int(arguments[1] if len(arguments) > 1 else 60))
    DIRECTORY.mkdir(exist_ok=True)
    for dashboard in all_dashboards():
        figure = draw(json.loads(text(dashboard)), prometheus)
        # Without the program's version, and in few colours: the same answers are the same file, and a small one.
        figure.savefig(DIRECTORY / f"{dashboard.uid}.png", dpi=90, metadata={"Software": None})


if __name__ == "__main__":
    main(sys.argv[1:])
