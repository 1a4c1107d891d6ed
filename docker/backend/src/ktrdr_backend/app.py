"""The API."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from psycopg_pool import ConnectionPool

from ktrdr_backend import database


def create(pool: ConnectionPool, version: str) -> FastAPI:
    """The application over a pool of database connections.

    Args:
        version: what the health endpoint says it is.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        pool.close()

    app = FastAPI(title="KTRDR reference API", version=version, lifespan=lifespan)
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
    async def measure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        began = time.perf_counter()
        response = await call_next(request)
        # The route's pattern, never the path: a label must not have as many values as there are ids.
        route = getattr(request.scope.get("route"), "path", "unmatched")
        spent = (time.perf_counter() - began) * 1000
        duration.labels(request.method, route, str(response.status_code)).observe(spent)
        return response

    # Not async: asking the database blocks, and FastAPI runs such functions in a thread.
    @app.get("/api/v1/health")
    def health() -> dict[str, Any]:
        """Alive, and the state of the database; 200 as long as the process answers, as in KTRDR."""
        return {
            "status": "ok",
            "version": version,
            "database": database.state(pool),
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    @app.get("/metrics", include_in_schema=False)
    @app.get("/metrics/", include_in_schema=False)
    def metrics() -> Response:
        """Prometheus's text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return app
