"""A worker's one operation at a time: begun or resumed, checkpointed, finished, or handed back."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from opentelemetry import context, trace
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ktrdr_backend import backtest
from ktrdr_backend.operations import Operations

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 1.0


class Occupied(Exception):  # noqa: N818 - a state, not a fault
    """The worker has an operation already, or takes no more."""


class NotMine(Exception):  # noqa: N818
    """The operation is not this worker's to run."""


class Runner:
    """Runs operations in a thread, one at a time.

    Args:
        worker_id: under which the database has this worker's operations.
        shared: the directory that all nodes share; results go there.
        checkpoint_seconds: time between two checkpoints.
    """

    def __init__(
        self,
        operations: Operations,
        worker_id: str,
        shared: Path,
        registry: CollectorRegistry,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._operations = operations
        self._worker_id = worker_id
        self._shared = shared
        self._every = checkpoint_seconds
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.current: str | None = None
        self._total = Counter(
            "ktrdr_operations", "Operations ended here.", ["operation_type", "status"], registry=registry
        )
        self._active = Gauge(
            "ktrdr_operations_active", "Operations running here.", ["operation_type"], registry=registry
        )
        self._duration = Histogram(
            "ktrdr_operation_duration_seconds",
            "Time that an operation ran here.",
            ["operation_type"],
            registry=registry,
            buckets=(1, 5, 10, 30, 60, 300, 900, 3600),
        )
        self._active.labels("backtest").set(0)

    def start(self, operation_id: str) -> None:
        """Begins or resumes an operation that was assigned to this worker.

        Raises:
            Occupied: another one runs, or the worker is stopping.
            NotMine: the database does not say that it is to run here.
            psycopg.Error: the database does not answer.
        """
        with self._lock:
            if self.current or self._stop.is_set():
                raise Occupied
            row = self._operations.get(operation_id)
            if row is None or row["worker_id"] != self._worker_id or row["status"] != "running":
                raise NotMine
            saved = self._operations.checkpoint(operation_id)
            self.current = operation_id
            self._thread = threading.Thread(
                target=self._work,
                args=(operation_id, row["parameters"], saved, context.get_current()),
                name=operation_id,
                daemon=True,
            )
            self._thread.start()

    def stop(self, timeout: float) -> None:
        """Takes nothing more, and has what runs checkpointed and handed back within `timeout` seconds."""
        with self._lock:
            self._stop.set()
        if self._thread:
            self._thread.join(timeout)

    def _work(
        self,
        operation_id: str,
        parameters: Mapping[str, Any],
        saved: Mapping[str, Any] | None,
        parent: context.Context,
    ) -> None:
        began, kind = time.monotonic(), "backtest"
        self._active.labels(kind).inc()
        status = "failed"
        with trace.get_tracer("ktrdr_backend").start_as_current_span(kind, parent) as span:
            span.set_attribute("operation_id", operation_id)
            try:
                status = self._run(operation_id, parameters, saved)
            except Exception as error:
                log.exception("%s failed", operation_id)
                self._say_failed(operation_id, error)
            finally:
                log.info("%s: %s", operation_id, status)
                self._active.labels(kind).dec()
                self._total.labels(kind, status).inc()
                self._duration.labels(kind).observe(time.monotonic() - began)
                self.current = None

    def _run(self, operation_id: str, parameters: Mapping[str, Any], saved: Mapping[str, Any] | None) -> str:
        steps, pause = parameters["steps"], parameters["seconds"] / parameters["steps"]
        state = dict(saved or backtest.begin())
        resumed_at = state["step"]
        log.info("%s: from step %s of %s", operation_id, resumed_at, steps)
        due = time.monotonic()
        while state["step"] < steps:
            stopping = self._stop.wait(pause)
            if stopping or time.monotonic() >= due:
                kind = "shutdown" if stopping else "periodic"
                if not self._save(operation_id, state["step"] / steps, state, kind):
                    return "lost"
                due = time.monotonic() + self._every
            if stopping:
                return self._hand_back(operation_id)
            state = backtest.advance(state, parameters["symbol"])
        self._save(operation_id, 1.0, state, "final")
        result = {**backtest.summary(state), "resumed_from_step": resumed_at}
        self._write(operation_id, {**parameters, **result})
        finished = self._insist(
            lambda: self._operations.finish(operation_id, self._worker_id, "completed", result)
        )
        return "completed" if finished else "lost"

    def _save(self, operation_id: str, progress: float, state: backtest.State, kind: str) -> bool:
        return self._insist(
            lambda: self._operations.save(operation_id, self._worker_id, progress, state, kind)
        )

    def _hand_back(self, operation_id: str) -> str:
        self._insist(lambda: self._operations.interrupt(operation_id, self._worker_id))
        return "interrupted"

    def _insist(self, write: Callable[[], bool]) -> bool:
        """Writes as soon as the database answers; a worker that is being stopped tries once."""
        while True:
            try:
                return write()
            except psycopg.OperationalError as error:
                log.warning("the database does not answer: %s", type(error).__name__)
                if self._stop.wait(1):
                    return False

    def _write(self, operation_id: str, result: Mapping[str, Any]) -> None:
        directory = self._shared / "results"
        directory.mkdir(exist_ok=True)
        unfinished = directory / f".{operation_id}.{self._worker_id}"
        unfinished.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        unfinished.rename(directory / f"{operation_id}.json")

    def _say_failed(self, operation_id: str, error: Exception) -> None:
        # The kind of error only: its text may quote what nobody meant to show.
        reason = (
            f"{type(error).__name__}: {error.strerror}"
            if isinstance(error, OSError)
            else type(error).__name__
        )
        try:
            self._operations.finish(operation_id, self._worker_id, "failed", {"error": reason})
        except psycopg.Error:
            log.warning("%s: its failure could not be written", operation_id)
