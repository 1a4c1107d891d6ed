"""The database: a pool that comes back by itself after the server was away."""

from __future__ import annotations

import threading

import psycopg
from psycopg_pool import ConnectionPool

from ktrdr_backend.settings import Database as Settings

ANSWER_TIMEOUT = 1.0
"""Seconds until a health question counts as unanswered; shorter than what a container's health check allows."""


class Database:
    """A pool of connections, opened in the background: the application starts before its database."""

    def __init__(self, settings: Settings, application: str) -> None:
        """Args:
        application: the name under which the server lists these connections.
        """
        self.pool = ConnectionPool(
            # Keywords, not a connection string: nothing has to be quoted, and no string holds the password.
            kwargs={
                "host": settings.host,
                "port": settings.port,
                "dbname": settings.name,
                "user": settings.user,
                "password": settings.password,
                "connect_timeout": 2,
                "application_name": application,
                # A server whose host vanished without a word is given up after seconds; the kernel's own patience is a quarter of an hour.
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 2,
                "tcp_user_timeout": 10_000,
            },
            min_size=1,
            max_size=10,
            timeout=2,
            check=ConnectionPool.check_connection,
            reconnect_timeout=60,
            open=True,
        )
        self._asking = threading.Lock()

    def state(self) -> str:
        """ "ok" when the server answers, otherwise "unavailable"."""
        # A server that accepts and then says nothing holds one asker for good; it must not hold them all.
        if not self._asking.acquire(timeout=ANSWER_TIMEOUT):
            return "unavailable"
        try:
            with self.pool.connection(timeout=ANSWER_TIMEOUT) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return "unavailable"
        finally:
            self._asking.release()
        return "ok"

    def close(self) -> None:
        """Closes every connection."""
        self.pool.close(timeout=2)
