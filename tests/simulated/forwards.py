"""Forwarded connections: what containers of a simulated host answer over HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

Answer = Callable[[int, str], tuple[int, bytes] | None]
"""What a host answers over HTTP: by port and path, the status and the body; None where nothing listens."""


class Forward:
    """A forwarded connection: it answers a request when it is asked for the answer."""

    def __init__(self, port: int, answer: Answer) -> None:
        self._port, self._answer, self._asked = port, answer, b""

    def settimeout(self, seconds: float) -> None:
        """It never waits."""

    def sendall(self, data: bytes) -> None:
        """Takes a request."""
        self._asked += data

    def makefile(self, *_: Any, **__: Any) -> io.BytesIO:
        """The answer."""
        path = self._asked.split()[1].decode()
        self._asked = b""
        found = self._answer(self._port, path)
        if found is None:
            return io.BytesIO()
        status, body = found
        return io.BytesIO(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))

    def close(self) -> None:
        """Nothing is open."""
