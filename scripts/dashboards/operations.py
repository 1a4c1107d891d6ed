"""Operations: what runs, how it ended, and how long it took."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from scripts.dashboards.parts import BAD, GOOD, PLAIN, Query, graph, number, page, took

ENDED = "ktrdr_operations_total"


def dashboard() -> Dashboard:
    """The dashboard; workers count from their start."""
    failed = f'sum({ENDED}{{status="failed"}})'
    return page(
        "ktrdr-operations",
        "Operations",
        "Backtests and trainings: what runs, how it ended, how long it took.",
        [
            number("Running", "short", Query("sum(ktrdr_operations_active)"), steps=((0, PLAIN),), width=6),
            number(
                "Ended",
                "short",
                Query(f"sum by (operation_type) ({ENDED})", "{{operation_type}}"),
                width=6,
                what="Since the workers started.",
            ),
            number(
                "Failed",
                "percentunit",
                Query(f"({failed} or vector(0)) / sum({ENDED})"),
                steps=((0, GOOD), (0.05, BAD)),
                width=6,
                what="Of those that ended since the workers started.",
            ),
            number(
                "Take on average",
                "s",
                Query(
                    "sum(ktrdr_operation_duration_seconds_sum) / sum(ktrdr_operation_duration_seconds_count)"
                ),
                width=6,
                what="Since the workers started.",
            ),
            graph(
                "Running",
                "short",
                Query("sum by (operation_type) (ktrdr_operations_active)", "{{operation_type}}"),
                width=12,
            ),
            graph(
                "Ended",
                "short",
                Query(f"sum by (operation_type, status) ({ENDED})", "{{operation_type}}, {{status}}"),
                width=12,
                what="Since the workers started; a worker that is replaced begins anew.",
            ),
            graph(
                "How long they take",
                "s",
                *took("operation_type", "ktrdr_operation_duration_seconds_bucket"),
                steps=((0, GOOD), (3600, BAD)),
                width=12,
                what="Since the workers started.",
            ),
            graph(
                "Requests about operations",
                "reqps",
                Query(
                    "sum by (http_route, http_status_code) (rate("
                    'http_server_duration_milliseconds_count{http_route=~".*(backtests|operations).*"}[$__rate_interval]))',
                    "{{http_route}} {{http_status_code}}",
                ),
                width=12,
            ),
        ],
    )
