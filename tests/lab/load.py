"""A load of requests of all kinds, so that none that is lost goes unnoticed."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

PAUSE = 0.05
"""Seconds between two requests of a client. There are four that ask for what takes no time, so one of them asks about every 12 ms;
more would take the machine's time from what is tested beside it."""

SLOW = 1.5
"""Seconds that a slow answer takes."""

KINDS = ("kept GET", "kept POST", "new GET", "new POST", "slow GET", "slow POST")
"""On a connection that is kept, on one for each request, and with an answer that takes its time."""


@dataclass
class Load:
    """Requests to one address, until it is stopped.

    Attributes:
        answered: by kind of request and container that answered, how often.
        failed: what went wrong.
        versions: of those that have answered, in their order, each once in a row.
    """

    url: str
    pause: float = PAUSE
    slow: float = SLOW
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def total(self) -> int:
        return sum(self.answered.values())

    def await_more(self, number: int, seconds: float = 60) -> None:
        """Until so many more were answered, of those that take no time."""
        goal, deadline = self.total + number, time.monotonic() + seconds
        while self.total < goal:
            assert time.monotonic() < deadline, (self.total, goal, self.failed[-3:])
            time.sleep(0.05)

    def _client(self, kind: str) -> None:
        at = urlsplit(self.url)
        connection: http.client.HTTPConnection | None = None
        number = 0
        while not self._stop.is_set():
            number += 1
            body = f"{kind} {number}" if "POST" in kind else None
            began = time.monotonic()
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=30)
                connection.request(kind.split()[1], f"/slow/{self.slow}" if "slow" in kind else "/", body)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 200:
                    raise ValueError(f"{answer.status} {text[:60]!r}")
                self._judge(kind, body or "", json.loads(text))
            except (OSError, ValueError, http.client.HTTPException) as error:
                with self._lock:
                    spent = time.monotonic() - began
                    self.failed.append(f"{kind} {number} after {spent:.2f} s: {error!r}")
                connection = None
            if connection is not None and "kept" not in kind:
                connection.close()
                connection = None
            self._stop.wait(self.pause)

    def _judge(self, kind: str, body: str, said: dict[str, Any]) -> None:
        if said["body"] != body or said["late"]:
            raise ValueError(f"a wrong answer: {said}")
        with self._lock:
            self.answered[kind, said["host"]] += 1
            if said["version"] not in self.versions[-1:] and "slow" not in kind:
                self.versions.append(said["version"])


@contextmanager
def load(url: str, pause: float = PAUSE, slow: float = SLOW) -> Iterator[Load]:
    """A client of each kind, and two more that take their time."""
    made = Load(url, pause, slow)
    clients = [threading.Thread(target=made._client, args=(kind,)) for kind in (*KINDS, *KINDS[-2:])]
    for client in clients:
        client.start()
    try:
        yield made
    finally:
        made._stop.set()
        for client in clients:
            client.join()
