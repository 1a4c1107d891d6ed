"""What a script runs in, whoever has opened the session."""

from __future__ import annotations

import threading
from typing import Protocol

from deploy_lib.ssh.waiting import Look


class ScriptChannel(Protocol):
    """What a script runs in: as much of Paramiko's `Channel` as is used here; that of a shared session has as much."""

    @property
    def status_event(self) -> threading.Event:
        """Set when the script has ended."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""

    def exec_command(self, command: str, look: Look = ...) -> None:
        """Starts a command; see `StrictChannel.exec_command`."""

    def settimeout(self, timeout: float | None, /) -> None:
        """Seconds until what follows gives up."""

    def send(self, data: bytes, /) -> int:
        """Writes some of it to standard input, and says how much."""

    def sendall(self, data: bytes, /) -> None:
        """Writes all of it."""

    def shutdown_write(self) -> None:
        """Ends standard input."""

    def recv(self, count: int, /) -> bytes:
        """Some of standard output; b"" at its end."""

    def recv_ready(self) -> bool:
        """Whether output has come."""

    def recv_stderr(self, count: int, /) -> bytes:
        """Some of standard error; b"" at its end."""

    def recv_exit_status(self) -> int:
        """How the script ended; -1 where nobody knows."""

    def close(self) -> None:
        """Ends it; safe to call twice."""
