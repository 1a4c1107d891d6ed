"""The database's part, in memory."""

import json
from collections.abc import Mapping
from typing import Any

import psycopg


class MemoryOperations:
    """Operations that keep the promises of the database's; `down` makes every call fail."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.checkpoints: dict[str, str] = {}
        self.kinds: list[str] = []
        self.down = False

    def _answer(self) -> None:
        if self.down:
            raise psycopg.OperationalError("connection refused")

    def prepare(self) -> None:
        self._answer()

    def create(self, operation_id: str, kind: str, parameters: Mapping[str, Any]) -> None:
        self._answer()
        self.rows[operation_id] = {
            "operation_id": operation_id,
            "operation_type": kind,
            "status": "pending",
            "worker_id": None,
            "progress": 0.0,
            "parameters": dict(parameters),
            "result": None,
        }

    def get(self, operation_id: str) -> dict[str, Any] | None:
        self._answer()
        return self.rows.get(operation_id)

    def waiting(self, kind: str) -> list[str]:
        self._answer()
        return [
            key
            for key, row in self.rows.items()
            if row["operation_type"] == kind and row["status"] in ("pending", "interrupted")
        ]

    def assign(self, operation_id: str, worker_id: str) -> bool:
        self._answer()
        if operation_id not in self.waiting("backtest"):
            return False
        self.rows[operation_id].update(status="running", worker_id=worker_id)
        return True

    def interrupt(self, operation_id: str, worker_id: str) -> bool:
        return self._change(operation_id, worker_id, status="interrupted")

    def interrupt_slot(self, slot: str) -> None:
        self._answer()
        for row in self.rows.values():
            if row["status"] == "running" and row["worker_id"].startswith(f"{slot}-"):
                row["status"] = "interrupted"

    def interrupt_stale(self, seconds: float) -> None:
        self._answer()

    def checkpoint(self, operation_id: str) -> Mapping[str, Any] | None:
        self._answer()
        saved = self.checkpoints.get(operation_id)
        return json.loads(saved) if saved else None

    def save(
        self, operation_id: str, worker_id: str, progress: float, state: Mapping[str, Any], kind: str
    ) -> bool:
        if not self._change(operation_id, worker_id, progress=progress):
            return False
        self.checkpoints[operation_id] = json.dumps(state)
        self.kinds.append(kind)
        return True

    def finish(self, operation_id: str, worker_id: str, status: str, result: Mapping[str, Any]) -> bool:
        return self._change(operation_id, worker_id, status=status, result=dict(result))

    def _change(self, operation_id: str, worker_id: str, **values: Any) -> bool:
        self._answer()
        row = self.rows.get(operation_id)
        if row is None or row["worker_id"] != worker_id or row["status"] != "running":
            return False
        row.update(values)
        return True
