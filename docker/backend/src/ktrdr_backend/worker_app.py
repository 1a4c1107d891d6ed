"""A worker's own API: the backend starts operations and asks how it is."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from fastapi import FastAPI, HTTPException, Request

from ktrdr_backend import web
from ktrdr_backend.dispatch import USER_AGENT
from ktrdr_backend.operations import Operations
from ktrdr_backend.registration import Registration
from ktrdr_backend.runner import NotMine, Occupied, Runner
from ktrdr_backend.settings import Worker

DRAIN_SECONDS = 15.0
"""A stopping worker's time for its checkpoint: half of what Compose grants before it kills."""


def create(
    config: Worker,
    worker_id: str,
    database_state: Callable[[], str],
    operations: Operations,
    registration: Registration,
) -> FastAPI:
    """The application.

    Args:
        worker_id: unique to this container.
        database_state: asks the database; "ok" or "unavailable".
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        registration.start()
        yield
        # Checkpoint first: who takes the operation over must find it.
        runner.stop(DRAIN_SECONDS)
        registration.stop()

    app = FastAPI(
        title=f"KTRDR reference worker ({config.type})",
        version=config.version,
        lifespan=lifespan,
        telemetry=web.TELEMETRY,
    )
    runner = Runner(operations, worker_id, config.shared, web.instrument(app))

    @app.get("/health")
    def health(request: Request) -> dict[str, Any]:
        """How this worker is, and what it works on."""
        if request.headers.get("User-Agent") == USER_AGENT:
            registration.polled()
        current = runner.current
        return {
            "healthy": True,
            "service": config.slot,
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "status": "operational",
            "worker_status": "busy" if current else "idle",
            "current_operation": current,
            "worker_id": worker_id,
            "version": config.version,
            "database": database_state(),
            "shared_storage": _state(config.shared),
        }

    @app.post("/operations/{operation_id}/start", status_code=202)
    def start(operation_id: str) -> dict[str, str]:
        """Begins or resumes an operation that the backend has assigned to this worker."""
        try:
            runner.start(operation_id)
        except Occupied:
            raise HTTPException(409, "this worker takes no operation now") from None
        except NotMine:
            raise HTTPException(404, "this operation is not to run here") from None
        except psycopg.Error:
            raise HTTPException(503, "the database does not answer") from None
        return {"operation_id": operation_id, "status": "running"}

    return app


def _state(shared: Path) -> str:
    return "ok" if os.access(shared, os.W_OK | os.X_OK) else "unavailable"
