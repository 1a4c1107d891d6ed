"""Runs the API."""

from __future__ import annotations

import logging

import uvicorn

from ktrdr_backend import app, database, settings, tracing


def main() -> None:
    """Serves until SIGTERM, then answers what it has begun."""
    config = settings.from_environment()
    logging.basicConfig(level=config.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # The pool says "error connecting" each second while the database is away; once a state change is enough.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    tracing.configure("ktrdr-api", config.otlp_endpoint)
    uvicorn.run(
        app.create(database.connect(config), config.version),
        host=config.api_host,
        port=config.api_port,
        log_level=config.log_level.lower(),
        access_log=False,
        timeout_graceful_shutdown=20,
    )


if __name__ == "__main__":
    main()
