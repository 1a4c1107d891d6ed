"""For how long an address does not answer while something happens."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

INTERVAL = 0.01
"""Seconds between the beginnings of two requests; they are made one after the other, so a slow one delays the next."""

PATIENCE = 1.0
"""Seconds without an answer after which a request has failed."""

T = TypeVar("T")

Asked = tuple[float, float, bool]
"""One request: when it began and ended, in seconds, and whether it was answered with 200."""


def outage(asked: Sequence[Asked]) -> float:
    """Seconds in which requests failed: each time from the start of the first that failed to the end of the next that did not."""
    total, since = 0.0, None
    for began, ended, good in asked:
        if not good and since is None:
            since = began
        if good and since is not None:
            total, since = total + ended - since, None
    return total if since is None else total + asked[-1][1] - since


def while_asked(url: str, work: Callable[[], T]) -> tuple[T, float]:
    """Does the work, asks `url` all the time, and gives what the work gives and the outage in seconds."""
    place = urlsplit(url)
    done = threading.Event()
    asked: list[Asked] = []

    def ask() -> bool:
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE)
        try:
            connection.request("GET", place.path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def keep_asking() -> None:
        while not done.is_set():
            began = time.monotonic()
            good = ask()
            ended = time.monotonic()
            asked.append((began, ended, good))
            time.sleep(max(0.0, INTERVAL - (ended - began)))

    thread = threading.Thread(target=keep_asking)
    thread.start()
    try:
        result = work()
        # What the work leaves behind may still be starting.
        deadline = time.monotonic() + 30
        while not (asked and asked[-1][2]) and time.monotonic() < deadline:
            time.sleep(INTERVAL)
    finally:
        done.set()
        thread.join()
    return result, outage(asked)
