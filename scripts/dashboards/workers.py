"""Worker Status: which workers are deployed, known to the backend, at work, and what they take."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from scripts.dashboards.overview import UP
from scripts.dashboards.parts import BAD, DOUBTFUL, GOOD, Query, graph, listing, number, page, timeline

JOB = 'job="ktrdr-workers"'


def dashboard() -> Dashboard:
    """The dashboard."""
    return page(
        "ktrdr-workers",
        "Worker Status",
        "Which workers are deployed, registered and at work.",
        [
            number(
                "Deployed",
                "short",
                Query(f"count(up{{{JOB}}}) or vector(0)"),
                steps=((0, BAD), (1, GOOD)),
                width=6,
            ),
            number(
                "Registered",
                "short",
                Query("sum by (worker_type) (ktrdr_workers_registered_total)", "{{worker_type}}"),
                steps=((0, BAD), (1, GOOD)),
                width=6,
                what="Known to the backend.",
            ),
            number(
                "Free",
                "short",
                Query("sum by (worker_type) (ktrdr_workers_available)", "{{worker_type}}"),
                steps=((0, DOUBTFUL), (1, GOOD)),
                width=6,
            ),
            number(
                "Missing",
                "short",
                Query(f"count(up{{{JOB}}}) - sum(ktrdr_workers_registered_total)"),
                steps=((0, GOOD), (1, BAD)),
                width=6,
                what="Deployed and not registered.",
            ),
            timeline("Up", Query(f"up{{{JOB}}}", "{{node}} {{service}}"), words=UP, width=12),
            listing("Workers", Query(f"up{{{JOB}}}"), "node", "kind", "service", "instance", words=UP),
            graph(
                "At work",
                "short",
                Query(f"sum by (node, service) (ktrdr_operations_active{{{JOB}}})", "{{node}} {{service}}"),
                width=12,
                what="Operations that run on each worker: at most one.",
            ),
            graph(
                "Registered and free",
                "short",
                Query("sum by (worker_type) (ktrdr_workers_registered_total)", "{{worker_type}}, registered"),
                Query("sum by (worker_type) (ktrdr_workers_available)", "{{worker_type}}, free"),
                width=12,
            ),
            graph(
                "Processors that they take",
                "short",
                Query(
                    f"sum by (node, service) (rate(process_cpu_seconds_total{{{JOB}}}[$__rate_interval]))",
                    "{{node}} {{service}}",
                ),
                steps=((0, GOOD), (1, DOUBTFUL)),
                width=12,
                what="1 is one processor: all that a backtest worker may have.",
            ),
            graph(
                "Memory that they take",
                "bytes",
                Query(
                    f"sum by (node, service) (process_resident_memory_bytes{{{JOB}}})", "{{node}} {{service}}"
                ),
                steps=((0, GOOD), (2.5 * 2**30, DOUBTFUL)),
                width=12,
                what="A backtest worker may have 3 GiB.",
            ),
        ],
    )
