"""The database: a pool that comes back by itself after the server was away."""

from __future__ import annotations

import psycopg
from psycopg_pool import ConnectionPool

from ktrdr_backend.settings import Settings

ANSWER_TIMEOUT = 2.0
"""Seconds until a health question counts as unanswered."""


def connect(settings: Settings) -> ConnectionPool:
    """A pool; it opens in the background, so that the application starts before its database."""
    return ConnectionPool(
        # Keywords, not a connection string: nothing has to be quoted, and no string holds the password.
        kwargs={
            "host": settings.db_host,
            "port": settings.db_port,
            "dbname": settings.db_name,
            "user": settings.db_user,
            "password": settings.db_password,
            "connect_timeout": 2,
            "application_name": "ktrdr-backend",
        },
        min_size=1,
        max_size=10,
        timeout=ANSWER_TIMEOUT,
        check=ConnectionPool.check_connection,
        reconnect_timeout=60,
        open=True,
    )


def state(pool: ConnectionPool) -> str:
    """ "ok" when the database answers, otherwise "unavailable"."""
    try:
        with pool.connection(timeout=ANSWER_TIMEOUT) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error:
        return "unavailable"
    return "ok"
