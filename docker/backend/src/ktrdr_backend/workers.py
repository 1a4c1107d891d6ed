"""The workers that the backend knows: in memory, because every one of them registers again by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

AVAILABLE, BUSY, UNAVAILABLE = "available", "busy", "temporarily_unavailable"

FAILURES_ALLOWED = 3
"""Polls in a row without an answer, after which a worker counts as unavailable."""

FORGET_AFTER = 300.0
"""Seconds after its last answer until a worker is forgotten."""


@dataclass(frozen=True)
class Worker:
    """A row of the register.

    Attributes:
        seen: when it answered last; `used`: when it was last given work. Both in the clock's seconds.
    """

    worker_id: str
    worker_type: str
    endpoint_url: str
    capabilities: dict[str, Any]
    registered_at: str
    seen: float
    status: str = AVAILABLE
    failures: int = 0
    used: float = field(default=0.0)

    def as_dict(self) -> dict[str, Any]:
        """The row as the API shows it."""
        return {
            "worker_id": self.worker_id,
            "worker_type": self.worker_type,
            "endpoint_url": self.endpoint_url,
            "status": self.status,
            "capabilities": self.capabilities,
            "registered_at": self.registered_at,
            "health_check_failures": self.failures,
        }


class Workers:
    """The register. Every method may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: dict[str, Worker] = {}

    def register(self, worker_id: str, kind: str, endpoint: str, capabilities: dict[str, Any]) -> Worker:
        """Takes a worker in; who had its endpoint before is gone."""
        row = Worker(
            worker_id,
            kind,
            endpoint,
            capabilities,
            registered_at=datetime.now(UTC).isoformat(timespec="seconds"),
            seen=self._clock(),
        )
        with self._lock:
            self._rows = {k: w for k, w in self._rows.items() if w.endpoint_url != endpoint}
            self._rows[worker_id] = row
        return row

    def remove(self, worker_id: str) -> bool:
        """Forgets a worker that said good-bye."""
        with self._lock:
            return self._rows.pop(worker_id, None) is not None

    def get(self, worker_id: str) -> Worker | None:
        """The row of this id."""
        with self._lock:
            return self._rows.get(worker_id)

    def all(self, kind: str | None = None, status: str | None = None) -> list[Worker]:
        """The rows, by endpoint."""
        with self._lock:
            rows = list(self._rows.values())
        chosen = [w for w in rows if kind in (None, w.worker_type) and status in (None, w.status)]
        return sorted(chosen, key=lambda w: w.endpoint_url)

    def take(self, kind: str) -> Worker | None:
        """The free worker that has rested longest, now busy."""
        with self._lock:
            free = [w for w in self._rows.values() if w.worker_type == kind and w.status == AVAILABLE]
            if not free:
                return None
            chosen = min(free, key=lambda w: w.used)
            return self._put(replace(chosen, status=BUSY, used=self._clock()))

    def answered(self, worker_id: str, *, busy: bool) -> None:
        """A poll was answered."""
        with self._lock:
            if row := self._rows.get(worker_id):
                self._put(replace(row, status=BUSY if busy else AVAILABLE, failures=0, seen=self._clock()))

    def missed(self, worker_id: str) -> None:
        """A poll was not answered."""
        with self._lock:
            if row := self._rows.get(worker_id):
                failures = row.failures + 1
                status = UNAVAILABLE if failures >= FAILURES_ALLOWED else row.status
                self._put(replace(row, status=status, failures=failures))

    def evict(self) -> None:
        """Forgets who has not answered for too long."""
        with self._lock:
            oldest = self._clock() - FORGET_AFTER
            self._rows = {k: w for k, w in self._rows.items() if w.seen >= oldest}

    def _put(self, row: Worker) -> Worker:
        self._rows[row.worker_id] = row
        return row
