"""The API."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import psycopg
from fastapi import FastAPI, HTTPException, Query, Response
from prometheus_client import CollectorRegistry, Gauge
from pydantic import BaseModel, Field

from ktrdr_backend import web
from ktrdr_backend.dispatch import Dispatcher
from ktrdr_backend.operations import Operations
from ktrdr_backend.settings import WORKER_TYPES, WorkerType
from ktrdr_backend.workers import AVAILABLE, Workers


class Registration(BaseModel):
    """What a worker says of itself."""

    worker_id: str = Field(min_length=1, max_length=200)
    worker_type: WorkerType
    endpoint_url: str = Field(pattern=r"^https?://[^/\s]+$")
    capabilities: dict[str, Any] = {}


class Backtest(BaseModel):
    """A sample backtest over made-up prices: real in every way but its subject."""

    symbol: str = Field("EURUSD", pattern=r"^[A-Za-z0-9._-]{1,20}$")
    timeframe: str = Field("1h", pattern=r"^[A-Za-z0-9]{1,5}$")
    steps: int = Field(200, ge=1, le=100_000)
    seconds: float = Field(10, ge=0, le=3600)


def create(
    database_state: Callable[[], str],
    operations: Operations,
    workers: Workers,
    dispatcher: Dispatcher,
    version: str,
) -> FastAPI:
    """The application.

    Args:
        database_state: asks the database; "ok" or "unavailable".
        version: what the health endpoint says it is.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        dispatcher.start()
        yield
        dispatcher.stop()

    app = FastAPI(title="KTRDR reference API", version=version, lifespan=lifespan, telemetry=web.TELEMETRY)
    _measure(web.instrument(app), workers, database_state)

    # None of these is async: they ask the database or a worker and block, and FastAPI runs such functions in threads.
    @app.get("/api/v1/health")
    def health() -> dict[str, Any]:
        """Alive, and the state of the database; 200 as long as the process answers, as in KTRDR."""
        return {
            "status": "ok",
            "version": version,
            "database": database_state(),
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    @app.post("/api/v1/workers/register")
    def register(worker: Registration) -> dict[str, Any]:
        """Takes a worker in; who had its endpoint before is gone."""
        row = workers.register(worker.worker_id, worker.worker_type, worker.endpoint_url, worker.capabilities)
        dispatcher.hurry()
        return row.as_dict()

    @app.get("/api/v1/workers")
    def list_workers(
        worker_type: WorkerType | None = None, status: Annotated[str | None, Query()] = None
    ) -> list[dict[str, Any]]:
        """The registered workers."""
        return [row.as_dict() for row in workers.all(worker_type, status)]

    @app.get("/api/v1/workers/{worker_id}")
    def get_worker(worker_id: str) -> dict[str, Any]:
        """One of them; a worker asks this to find out whether it is still known."""
        row = workers.get(worker_id)
        if row is None:
            raise HTTPException(404, "no such worker")
        return row.as_dict()

    @app.delete("/api/v1/workers/{worker_id}", status_code=204)
    def remove_worker(worker_id: str) -> Response:
        """A worker says good-bye; what it left behind goes to another."""
        workers.remove(worker_id)
        dispatcher.hurry()
        return Response(status_code=204)

    @app.post("/api/v1/backtests/start", status_code=202)
    def start_backtest(backtest: Backtest) -> dict[str, Any]:
        """Starts a backtest on a free worker; 503 when there is none."""
        operation_id = f"backtest-{uuid.uuid4().hex[:12]}"
        if not workers.all("backtesting", AVAILABLE):
            raise HTTPException(503, "no backtest worker is free")
        try:
            dispatcher.prepare()
            operations.create(operation_id, "backtest", backtest.model_dump())
            worker_id = dispatcher.begin(operation_id, "backtest")
        except psycopg.Error:
            raise HTTPException(503, "the database does not answer") from None
        # Nobody took it after all: it waits for the next worker that comes free.
        return {
            "operation_id": operation_id,
            "status": "running" if worker_id else "pending",
            "worker_id": worker_id,
        }

    @app.get("/api/v1/operations/{operation_id}")
    def get_operation(operation_id: str) -> dict[str, Any]:
        """An operation as the database has it."""
        try:
            dispatcher.prepare()
            row = operations.get(operation_id)
        except psycopg.Error:
            raise HTTPException(503, "the database does not answer") from None
        if row is None:
            raise HTTPException(404, "no such operation")
        return row

    return app


def _measure(registry: CollectorRegistry, workers: Workers, database_state: Callable[[], str]) -> None:
    Gauge("ktrdr_database_up", "1 when the database answers, otherwise 0.", registry=registry).set_function(
        lambda: database_state() == "ok"
    )
    registered = Gauge(
        "ktrdr_workers_registered_total",
        "Workers that the backend knows.",
        ["worker_type"],
        registry=registry,
    )
    available = Gauge("ktrdr_workers_available", "Workers that are free.", ["worker_type"], registry=registry)
    for kind in WORKER_TYPES:
        registered.labels(kind).set_function(partial(_count, workers, kind))
        available.labels(kind).set_function(partial(_count, workers, kind, AVAILABLE))


def _count(workers: Workers, kind: str, status: str | None = None) -> int:
    return len(workers.all(kind, status))
