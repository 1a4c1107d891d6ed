"""A worker's side of the register: it signs on, stays known, and signs off."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import httpx
import psycopg

from ktrdr_backend.operations import Operations
from ktrdr_backend.settings import Worker

log = logging.getLogger(__name__)

TRIES = 5
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
UNPOLLED_SECONDS = 30.0
"""Without a poll for so long, a worker asks whether it is still known."""


class Registration:
    """Keeps one worker registered, in a thread of its own.

    Args:
        transport: replaces the network, for tests.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        config: Worker,
        worker_id: str,
        operations: Operations,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._worker_id = worker_id
        self._operations = operations
        self._http = httpx.Client(base_url=config.api_url, timeout=5, transport=transport)
        self._clock = clock
        self._polled = clock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="registration", daemon=True)

    def start(self) -> None:
        """Signs on as soon as the backend answers."""
        self._thread.start()

    def stop(self) -> None:
        """Signs off, so that the backend need not find out by itself."""
        self._stop.set()
        self._thread.join(6)
        try:
            self._http.delete(f"/api/v1/workers/{self._worker_id}", timeout=2)
        except httpx.HTTPError:
            log.warning("the backend does not answer; it will miss this worker by itself")
        self._http.close()

    def polled(self) -> None:
        """The backend has asked how this worker is."""
        self._polled = self._clock()

    def register(self) -> bool:
        """Five tries, one second apart, then two, four, eight."""
        wait = FIRST_WAIT
        for left in reversed(range(TRIES)):
            if self._try():
                self.polled()
                log.info("registered as %s", self._worker_id)
                return True
            if not left or self._stop.wait(wait):
                break
            wait = min(wait * 2, LONGEST_WAIT)
        log.warning("the backend at %s took no registration", self._config.api_url)
        return False

    def forgotten(self) -> bool:
        """Whether the backend, which has not polled for long, says that it does not know this worker."""
        if self._clock() - self._polled < UNPOLLED_SECONDS:
            return False
        self.polled()  # the question counts as one, so that the next follows only after another such time
        try:
            answer = self._http.get(f"/api/v1/workers/{self._worker_id}")
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.NOT_FOUND

    def _try(self) -> bool:
        registration = {
            "worker_id": self._worker_id,
            "worker_type": self._config.type,
            "endpoint_url": self._config.public_url,
            "capabilities": {"version": self._config.version},
        }
        try:
            return self._http.post("/api/v1/workers/register", json=registration).is_success
        except httpx.HTTPError:
            return False

    def _loop(self) -> None:
        released = self._release()
        registered = self.register()
        while not self._stop.wait(1):
            released = released or self._release()
            if not registered or self.forgotten():
                registered = self.register()

    def _release(self) -> bool:
        # What a container before this one was killed over must not wait until somebody misses it.
        try:
            self._operations.interrupt_slot(self._config.slot)
        except psycopg.Error:
            return False
        return True
