"""The backend's side of the workers: it polls them, and hands them what waits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
from opentelemetry import propagate

from ktrdr_backend import tracing
from ktrdr_backend.operations import Operations
from ktrdr_backend.workers import FORGET_AFTER, Worker, Workers

log = logging.getLogger(__name__)

USER_AGENT = "ktrdr-backend"
"""By it a worker tells the backend's polls from everybody else's."""

POLL_SECONDS = 10.0
KINDS = {"backtest": "backtesting"}
"""Which type of worker takes an operation of which type."""


class Dispatcher:
    """Polls and hands over, in one thread of its own.

    Args:
        transport: replaces the network, for tests.
    """

    def __init__(
        self, workers: Workers, operations: Operations, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._workers = workers
        self._operations = operations
        self._http = httpx.Client(timeout=3, headers={"User-Agent": USER_AGENT}, transport=transport)
        self._handing = threading.Lock()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="dispatch", daemon=True)
        self._prepared = False

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the round that is under way."""
        self._stop.set()
        self._wake.set()
        self._thread.join(5)
        self._http.close()

    def hurry(self) -> None:
        """Hands over now and not at the next round: a worker came, or left its work behind."""
        self._wake.set()

    def prepare(self) -> None:
        """Makes the tables, once.

        Raises:
            psycopg.Error: the database does not answer.
        """
        if not self._prepared:
            self._operations.prepare()
            self._prepared = True

    def poll(self) -> None:
        """Asks every worker how it is, and forgets those that are long gone."""
        rows = self._workers.all()
        if rows:
            with ThreadPoolExecutor(max_workers=min(8, len(rows))) as together:
                list(together.map(self._ask, rows))
        self._workers.evict()

    def hand_over(self) -> None:
        """Gives each waiting operation to a free worker, as far as there are any.

        Raises:
            psycopg.Error: the database does not answer.
        """
        with self._handing:
            self.prepare()
            self._operations.interrupt_stale(FORGET_AFTER)
            for kind, worker_type in KINDS.items():
                for operation_id in self._operations.waiting(kind):
                    if self._give(operation_id, worker_type) is None:
                        break

    def begin(self, operation_id: str, kind: str) -> str | None:
        """Gives one operation to a free worker; the worker's id, or None when none took it.

        Raises:
            psycopg.Error: the database does not answer.
        """
        with self._handing:
            return self._give(operation_id, KINDS[kind])

    def _give(self, operation_id: str, worker_type: str) -> str | None:
        while worker := self._workers.take(worker_type):
            # First the database, then the worker: it refuses what is not its own.
            if not self._operations.assign(operation_id, worker.worker_id):
                self._workers.answered(worker.worker_id, busy=False)
                return None
            if self._took(worker, operation_id):
                log.info("%s goes to %s", operation_id, worker.worker_id)
                return worker.worker_id
            self._operations.interrupt(operation_id, worker.worker_id)
        return None

    def _took(self, worker: Worker, operation_id: str) -> bool:
        headers: dict[str, str] = {}
        try:
            with tracing.call(
                "POST /operations/{operation_id}/start", **{"server.address": worker.endpoint_url}
            ):
                propagate.inject(headers)
                answer = self._http.post(
                    f"{worker.endpoint_url}/operations/{operation_id}/start", headers=headers
                )
        except httpx.HTTPError:
            self._workers.missed(worker.worker_id)
            return False
        return answer.status_code == httpx.codes.ACCEPTED

    def _ask(self, worker: Worker) -> None:
        try:
            answer = self._http.get(f"{worker.endpoint_url}/health")
            busy = answer.raise_for_status().json()["worker_status"] != "idle"
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            self._workers.missed(worker.worker_id)
        else:
            self._workers.answered(worker.worker_id, busy=busy)

    def _loop(self) -> None:
        due = time.monotonic() + POLL_SECONDS
        while not self._stop.is_set():
            self._wake.wait(max(0.0, due - time.monotonic()))
            self._wake.clear()
            if self._stop.is_set():
                return
            # By the clock, not by whether somebody woke it: workers that come and go must not keep it from polling.
            if time.monotonic() >= due:
                due = time.monotonic() + POLL_SECONDS
                _guarded(self.poll)
            _guarded(self.hand_over)


def _guarded(step: Callable[[], None]) -> None:
    try:
        step()
    except psycopg.Error as error:
        log.warning("the database does not answer: %s", type(error).__name__)
    except Exception:
        log.exception("a round failed")  # the next one may not
