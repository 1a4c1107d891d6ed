"""Logging to standard error, quiet where libraries repeat themselves."""

from __future__ import annotations

import logging


def configure(level: str) -> None:
    """Sets the level of this application's own messages.

    Args:
        level: such as "INFO".
    """
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # The pool says "error connecting" each second while the database is away, and an exporter while Jaeger is;
    # httpx says every request.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
