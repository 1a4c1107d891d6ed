"""Runs the API."""

from __future__ import annotations

import uvicorn

from ktrdr_backend import app, logs, settings, tracing
from ktrdr_backend.database import Database
from ktrdr_backend.dispatch import Dispatcher
from ktrdr_backend.operations import DatabaseOperations
from ktrdr_backend.workers import Workers


def main() -> None:
    """Serves until SIGTERM, then answers what it has begun."""
    config = settings.api()
    logs.configure(config.log_level)
    tracing.configure("ktrdr-api", config.otlp_endpoint)
    database = Database(config.database, "ktrdr-api")
    operations, workers = DatabaseOperations(database.pool), Workers()
    uvicorn.run(
        app.create(database.state, operations, workers, Dispatcher(workers, operations), config.version),
        host=config.host,
        port=config.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=20,
    )
    database.close()


if __name__ == "__main__":
    main()
