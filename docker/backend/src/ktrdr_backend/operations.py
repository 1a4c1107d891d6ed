"""Operations and their checkpoints, in the database that the API and the workers share."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from psycopg.errors import UndefinedTable
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from ktrdr_backend import tracing

SCHEMA = """
-- IF NOT EXISTS alone fails when two connections make the same table at once.
SELECT pg_advisory_xact_lock(hashtext('ktrdr_backend.operations'));
CREATE TABLE IF NOT EXISTS operations (
    operation_id text PRIMARY KEY,
    operation_type text NOT NULL,
    status text NOT NULL,
    worker_id text,
    progress double precision NOT NULL DEFAULT 0,
    parameters jsonb NOT NULL,
    result jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz
);
CREATE TABLE IF NOT EXISTS operation_checkpoints (
    operation_id text PRIMARY KEY REFERENCES operations ON DELETE CASCADE,
    state jsonb NOT NULL,
    checkpoint_type text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
"""

Row = dict[str, Any]


class Operations(Protocol):
    """What the API and the workers do with operations.

    A status is pending, running, interrupted (waiting for a worker to go on), completed or failed. A worker's writes
    count only while the operation is running and its own: whoever lost it finds out at the next write, which says False.
    """

    def prepare(self) -> None:
        """Makes the tables where they are missing."""

    def create(self, operation_id: str, kind: str, parameters: Mapping[str, Any]) -> None:
        """A new operation, pending."""

    def get(self, operation_id: str) -> Row | None:
        """The operation."""

    def waiting(self, kind: str) -> list[str]:
        """Ids of the operations that a worker should take, oldest first."""

    def assign(self, operation_id: str, worker_id: str) -> bool:
        """Gives a waiting operation to a worker; False when it waits no more."""

    def interrupt(self, operation_id: str, worker_id: str) -> bool:
        """Takes a running operation back from its worker."""

    def interrupt_slot(self, slot: str) -> None:
        """Takes back what earlier containers of this slot left running."""

    def interrupt_stale(self, seconds: float) -> None:
        """Takes back what its worker has not touched for so long."""

    def checkpoint(self, operation_id: str) -> Mapping[str, Any] | None:
        """The state saved last."""

    def save(
        self, operation_id: str, worker_id: str, progress: float, state: Mapping[str, Any], kind: str
    ) -> bool:
        """Replaces the checkpoint."""

    def finish(self, operation_id: str, worker_id: str, status: str, result: Mapping[str, Any]) -> bool:
        """Ends the operation as completed or failed."""


class DatabaseOperations:
    """Operations in PostgreSQL.

    Raises:
        psycopg.Error: from every method, when the database does not answer.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def prepare(self) -> None:
        """See Operations."""
        self._change(SCHEMA)

    def create(self, operation_id: str, kind: str, parameters: Mapping[str, Any]) -> None:
        """See Operations."""
        self._change(
            "INSERT INTO operations (operation_id, operation_type, status, parameters) VALUES (%s, %s, 'pending', %s)",
            operation_id,
            kind,
            Jsonb(parameters),
        )

    def get(self, operation_id: str) -> Row | None:
        """See Operations."""
        found = self._rows("SELECT * FROM operations WHERE operation_id = %s", operation_id)
        return found[0] if found else None

    def waiting(self, kind: str) -> list[str]:
        """See Operations."""
        rows = self._rows(
            "SELECT operation_id FROM operations WHERE status IN ('pending', 'interrupted') AND operation_type = %s"
            " ORDER BY created_at",
            kind,
        )
        return [row["operation_id"] for row in rows]

    def assign(self, operation_id: str, worker_id: str) -> bool:
        """See Operations."""
        return self._change(
            "UPDATE operations SET status = 'running', worker_id = %s, updated_at = now(),"
            " started_at = coalesce(started_at, now())"
            " WHERE operation_id = %s AND status IN ('pending', 'interrupted')",
            worker_id,
            operation_id,
        )

    def interrupt(self, operation_id: str, worker_id: str) -> bool:
        """See Operations."""
        return self._change(
            "UPDATE operations SET status = 'interrupted', updated_at = now()"
            " WHERE operation_id = %s AND worker_id = %s AND status = 'running'",
            operation_id,
            worker_id,
        )

    def interrupt_slot(self, slot: str) -> None:
        """See Operations."""
        try:
            self._change(
                "UPDATE operations SET status = 'interrupted', updated_at = now()"
                " WHERE starts_with(worker_id, %s) AND status = 'running'",
                f"{slot}-",
            )
        except UndefinedTable:
            return  # no operation was ever started

    def interrupt_stale(self, seconds: float) -> None:
        """See Operations."""
        self._change(
            "UPDATE operations SET status = 'interrupted', updated_at = now()"
            " WHERE status = 'running' AND updated_at < now() - make_interval(secs => %s)",
            seconds,
        )

    def checkpoint(self, operation_id: str) -> Mapping[str, Any] | None:
        """See Operations."""
        rows = self._rows("SELECT state FROM operation_checkpoints WHERE operation_id = %s", operation_id)
        return rows[0]["state"] if rows else None

    def save(
        self, operation_id: str, worker_id: str, progress: float, state: Mapping[str, Any], kind: str
    ) -> bool:
        """See Operations."""
        return self._change(
            "WITH mine AS (UPDATE operations SET progress = %s, updated_at = now()"
            " WHERE operation_id = %s AND worker_id = %s AND status = 'running' RETURNING operation_id)"
            " INSERT INTO operation_checkpoints (operation_id, state, checkpoint_type) SELECT operation_id, %s, %s FROM mine"
            " ON CONFLICT (operation_id) DO UPDATE"
            " SET state = excluded.state, checkpoint_type = excluded.checkpoint_type, created_at = now()",
            progress,
            operation_id,
            worker_id,
            Jsonb(state),
            kind,
        )

    def finish(self, operation_id: str, worker_id: str, status: str, result: Mapping[str, Any]) -> bool:
        """See Operations."""
        return self._change(
            "UPDATE operations SET status = %s, result = %s, updated_at = now(), completed_at = now(),"
            " progress = CASE WHEN %s = 'completed' THEN 1 ELSE progress END"
            " WHERE operation_id = %s AND worker_id = %s AND status = 'running'",
            status,
            Jsonb(result),
            status,
            operation_id,
            worker_id,
        )

    def _change(self, statement: str, *values: Any) -> bool:
        with _span(statement), self._pool.connection() as connection:
            # Without values, nothing is prepared, and several statements may go at once.
            return connection.execute(statement.encode(), values or None).rowcount > 0

    def _rows(self, statement: str, *values: Any) -> list[Row]:
        with (
            _span(statement),
            self._pool.connection() as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            return cursor.execute(statement.encode(), values).fetchall()


def _span(statement: str) -> AbstractContextManager[None]:
    # The statement has places for values, and never a value.
    text = {"db.system.name": "postgresql", "db.query.text": statement}
    return tracing.call(f"postgresql {statement.split()[0]}", **text)
