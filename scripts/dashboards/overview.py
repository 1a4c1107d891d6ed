"""System Overview: is all well, and where is it not."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from scripts.dashboards.parts import BAD, DOUBTFUL, GOOD, WATCHED, Query, graph, number, page, took

UP = {1: ("up", GOOD), 0: ("down", BAD)}
COUNT = "http_server_duration_milliseconds_count"
BUCKET = "http_server_duration_milliseconds_bucket"


def dashboard() -> Dashboard:
    """The dashboard."""
    requests = f"sum by (job) (rate({COUNT}[$__rate_interval]))"
    wrong = f'sum by (job) (rate({COUNT}{{http_status_code=~"5.."}}[$__rate_interval]))'
    return page(
        "ktrdr-overview",
        "System Overview",
        "Whether all of KTRDR is well, and where it is not.",
        [
            number("Backend", "short", Query('up{job="ktrdr-backend"}'), words=UP),
            number("Database", "short", Query("ktrdr_database_up"), words=UP, what="As the backend sees it."),
            number(
                "Targets down", "short", Query("count(up == 0) or vector(0)"), steps=((0, GOOD), (1, BAD))
            ),
            number(
                "Alerts",
                "short",
                Query('count(ALERTS{alertstate="firing"}) or vector(0)'),
                steps=((0, GOOD), (1, BAD)),
                what="That are firing; Prometheus lists them.",
            ),
            number(
                "Workers registered",
                "short",
                Query("sum(ktrdr_workers_registered_total)"),
                steps=((0, BAD), (1, GOOD)),
            ),
            number(
                "Workers free",
                "short",
                Query("sum(ktrdr_workers_available)"),
                steps=((0, DOUBTFUL), (1, GOOD)),
            ),
            graph("Requests", "reqps", Query(requests, "{{job}}"), what="Health checks included."),
            graph(
                "Requests that fail",
                "percentunit",
                Query(f"({wrong} or 0 * {requests}) / {requests}", "{{job}}"),
                steps=((0, GOOD), (0.05, BAD)),
                traces=True,
            ),
            graph(
                "Time to answer",
                "ms",
                *took("job", f"rate({BUCKET}[$__rate_interval])"),
                steps=((0, GOOD), (1000, BAD)),
                traces=True,
            ),
            graph(
                "Requests by route",
                "reqps",
                Query(
                    f"sum by (http_route) (rate({COUNT}{{{WATCHED}}}[$__rate_interval]))", "{{http_route}}"
                ),
                width=12,
                what="But for health checks and scrapes.",
            ),
            graph(
                "Memory of the applications",
                "bytes",
                Query(
                    'sum by (job, instance) (process_resident_memory_bytes{job=~"ktrdr-.*"})', "{{instance}}"
                ),
                width=12,
            ),
            graph(
                "Processors of the hosts",
                "percentunit",
                Query(
                    '1 - avg by (node) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))',
                    "{{node}}",
                ),
                steps=((0, GOOD), (0.9, DOUBTFUL)),
                most=1,
            ),
            graph(
                "Memory of the hosts",
                "percentunit",
                Query("1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", "{{node}}"),
                steps=((0, GOOD), (0.9, DOUBTFUL)),
                most=1,
            ),
            graph(
                "Disks of the hosts",
                "percentunit",
                Query(
                    'max by (node, disk) (1 - node_filesystem_avail_bytes{disk!=""} / node_filesystem_size_bytes{disk!=""})',
                    "{{node}}, {{disk}}",
                ),
                steps=((0, GOOD), (0.85, DOUBTFUL), (0.95, BAD)),
                most=1,
                what="Docker's disk, and the one that the stack's files lie on.",
            ),
        ],
    )
