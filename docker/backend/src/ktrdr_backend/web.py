"""What every application of the image has: metrics of its requests, and traces of those that matter."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

QUIET = ("/metrics", "/metrics/", "/health", "/api/v1/health")
"""Asked every few seconds by machines: measured, but not traced."""

TELEMETRY: TelemetryConfig = {
    "exclude": lambda scope: scope["path"] in QUIET,
    "operation_spans": False,
    "metrics": False,
    "logs": False,
}
"""For FastAPI's own tracing: one span a request, in its caller's trace; Prometheus has the metrics."""


def instrument(app: FastAPI) -> CollectorRegistry:
    """Adds the metrics endpoint and the measuring; gives the registry for the application's own metrics."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    duration = Histogram(
        "http_server_duration_milliseconds",
        "Time to answer a request.",
        ["http_method", "http_route", "http_status_code"],
        registry=registry,
        buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000),
    )

    @app.middleware("http")
    async def measured(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        began, status = time.perf_counter(), 500
        try:
            response = await call_next(request)
            status = response.status_code
            return response
        finally:
            spent = (time.perf_counter() - began) * 1000
            duration.labels(request.method, _route(request), str(status)).observe(spent)

    @app.get("/metrics", include_in_schema=False)
    @app.get("/metrics/", include_in_schema=False)
    def metrics() -> Response:
        """Prometheus's text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return registry


def _route(request: Request) -> str:
    # The route's pattern, never the path: a label must not have as many values as there are ids.
    return str(getattr(request.scope.get("route"), "path", "unmatched"))
