"""What the dashboards are put together from: panels with a unit, thresholds and queries; links; deployments as annotations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote

from grafana_foundation_sdk.builders import common as draw
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROMETHEUS = dashboard.DataSourceRef(type_val="prometheus", uid="prometheus")
"""The uid is fixed in monitoring/grafana/provisioning/datasources/ktrdr.yml, as is Jaeger's."""

WIDTH = 24
"""Columns of a dashboard."""

GOOD, BAD, DOUBTFUL, PLAIN = "green", "red", "orange", "blue"

Steps: TypeAlias = Sequence[tuple[float, str]]
"""From a value on, a colour."""

Panel: TypeAlias = Builder[dashboard.Panel]

WATCHED = 'http_route!~".*/health|/metrics/?"'
"""Requests but for health checks and scrapes, which are many and never slow; as in the rules."""


@dataclass(frozen=True)
class Query:
    """A question to Prometheus.

    Attributes:
        legend: what a series of its answer is called, with `{{label}}`.
    """

    expr: str
    legend: str = ""


def took(label: str, buckets: str) -> tuple[Query, Query]:
    """How long half of what a histogram counts took at most, and 19 of 20.

    Args:
        label: what each series is for.
        buckets: the histogram's buckets, as PromQL.
    """

    def within(share: str) -> str:
        return f"histogram_quantile({share}, sum by ({label}, le) ({buckets}))"

    name = f"{{{{{label}}}}}"
    return Query(within("0.5"), f"{name}, half"), Query(within("0.95"), f"{name}, 19 of 20")


def number(
    title: str,
    unit: str,
    *queries: Query,
    steps: Steps = ((0, PLAIN),),
    words: Mapping[int, tuple[str, str]] | None = None,
    width: int = 4,
    what: str = "",
) -> Panel:
    """The value now, large.

    Args:
        steps: colours of its values.
        words: in place of a value, a word and its colour.
        what: explains it.
    """
    panel = (
        stat.Panel().title(title).description(what).datasource(PROMETHEUS).unit(unit).height(4).span(width)
    )
    panel = panel.thresholds(_thresholds(steps)).mappings(_mappings(words)).no_value("unknown")
    panel = panel.color_mode(common.BigValueColorMode.BACKGROUND).graph_mode(common.BigValueGraphMode.NONE)
    panel = panel.reduce_options(draw.ReduceDataOptions().calcs(["lastNotNull"]))
    for query in _built(queries, instant=True):
        panel = panel.with_target(query)
    return panel


def graph(
    title: str,
    unit: str,
    *queries: Query,
    steps: Steps = (),
    width: int = 8,
    most: float | None = None,
    what: str = "",
    traces: bool = False,
) -> Panel:
    """Values over time; `steps` become lines across it.

    Args:
        traces: a link leads from it to the requests that it is about.
    """
    panel = timeseries.Panel().title(title).description(what).datasource(PROMETHEUS).unit(unit)
    panel = panel.height(8).span(width).min(0).fill_opacity(10).show_points(common.VisibilityMode.NEVER)
    panel = panel.legend(
        draw.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel = panel.tooltip(draw.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    if most is not None:
        panel = panel.max(most)
    if traces:
        panel = panel.links([build.DashboardLink("Traces").url(TRACES)])
    if steps:
        style = draw.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(_thresholds(steps)).thresholds_style(style)
    for query in _built(queries):
        panel = panel.with_target(query)
    return panel


def timeline(
    title: str, *queries: Query, words: Mapping[int, tuple[str, str]], width: int = WIDTH, what: str = ""
) -> Panel:
    """States over time, one row a series."""
    panel = statetimeline.Panel().title(title).description(what).datasource(PROMETHEUS).unit("short")
    panel = panel.height(8).span(width).mappings(_mappings(words)).show_value(common.VisibilityMode.NEVER)
    panel = panel.thresholds(_thresholds(((0, PLAIN),)))
    for query in _built(queries):
        panel = panel.with_target(query)
    return panel


def listing(
    title: str,
    query: Query,
    *columns: str,
    words: Mapping[int, tuple[str, str]] | None = None,
    unit: str = "short",
    width: int = 12,
) -> Panel:
    """A table: a row a series, with some of its labels as columns, and its value.

    Args:
        columns: labels, in their order.
    """
    shown = {name: n for n, name in enumerate((*columns, "Value"))}
    only = dashboard.DataTransformerConfig(
        id_val="filterFieldsByName", options={"include": {"names": list(shown)}}
    )
    order = dashboard.DataTransformerConfig(
        id_val="organize", options={"indexByName": shown, "excludeByName": {}, "renameByName": {}}
    )
    panel = table.Panel().title(title).datasource(PROMETHEUS).unit(unit).height(8).span(width)
    panel = panel.mappings(_mappings(words)).thresholds(_thresholds(((0, PLAIN),)))
    panel = panel.with_transformation(only).with_transformation(order)
    return panel.with_target(_built([query], instant=True)[0].format(PromQueryFormat.TABLE))


def page(uid: str, title: str, what: str, panels: Sequence[Panel]) -> dashboard.Dashboard:
    """A dashboard: its panels, the links to the others and to the traces, and the deployments."""
    made = build.Dashboard(title).uid(uid).description(what).tags(["ktrdr"]).readonly()
    made = made.timezone("browser").time("now-1h", "now").refresh("10s")
    made = made.tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
    made = made.annotation(_Deployments("Deployments", "blue", PROVEN)).annotation(
        _Deployments("Failed deployments", "red", FAILED)
    )
    others = build.DashboardLink("KTRDR").type(dashboard.DashboardLinkType.DASHBOARDS)
    made = made.link(others.tags(["ktrdr"]).keep_time(True).include_vars(True))
    traces = build.DashboardLink("Traces").type(dashboard.DashboardLinkType.LINK).icon("external link")
    made = made.link(traces.url(TRACES).tooltip("Requests to the API, in Jaeger").keep_time(True))
    for n, panel in enumerate(panels, 1):
        numbered = panel.build()
        numbered.id_val = n
        made = made.with_panel(_Given(numbered))
    return made.build()


def _traces() -> str:
    query = {"refId": "A", "queryType": "search", "service": "ktrdr-api"}
    pane = {"datasource": "jaeger", "queries": [query], "range": {"from": "now-1h", "to": "now"}}
    return "/explore?schemaVersion=1&orgId=1&panes=" + quote(json.dumps({"a": pane}, separators=(",", ":")))


TRACES = _traces()
"""Grafana's page that searches Jaeger for the API's requests."""

PROVEN = "deploy_last_success_timestamp_seconds * 1000"
FAILED = (
    "deploy_last_end_timestamp_seconds * 1000"
    ' and on (node, stack) deploy_last_outcome{outcome=~"failed|reverted|aborted"} == 1'
)


class _Deployments(Builder[dashboard.AnnotationQuery]):
    """Deployments at the time that the query's value names, in milliseconds."""

    def __init__(self, name: str, colour: str, expr: str) -> None:
        self._query = _AnnotationQuery(name=name, datasource=PROMETHEUS, icon_color=colour, expr=expr)

    def build(self) -> dashboard.AnnotationQuery:
        return self._query


class _AnnotationQuery(dashboard.AnnotationQuery):
    """With what Grafana's Prometheus datasource reads beside the SDK's fields."""

    def to_json(self) -> dict[str, object]:
        more = {"titleFormat": self.name, "textFormat": "{{stack}} on {{node}}", "tagKeys": "node,stack"}
        return {**super().to_json(), **more, "step": "10s", "useValueForTime": True}


class _Given(Builder[dashboard.Panel]):
    def __init__(self, panel: dashboard.Panel) -> None:
        self._panel = panel

    def build(self) -> dashboard.Panel:
        return self._panel


def _built(queries: Sequence[Query], *, instant: bool = False) -> list[prometheus.Dataquery]:
    built = []
    for ref, query in zip("ABCDEFGH", queries, strict=False):
        one = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref)
        built.append(one.instant() if instant else one.range())
    return built


def _thresholds(steps: Steps) -> build.ThresholdsConfig:
    # The first one holds for everything below the second.
    values = [None, *(value for value, _ in steps[1:])]
    made = [dashboard.Threshold(value, colour) for value, (_, colour) in zip(values, steps, strict=True)]
    return build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(made)


def _mappings(words: Mapping[int, tuple[str, str]] | None) -> list[dashboard.ValueMapping]:
    if not words:
        return []
    options = {
        str(value): dashboard.ValueMappingResult(text=word, color=colour, index=n)
        for n, (value, (word, colour)) in enumerate(words.items())
    }
    return [dashboard.ValueMap(options=options)]
