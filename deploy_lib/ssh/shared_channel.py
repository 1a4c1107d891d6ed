"""Channels over a session that the operator has opened, as much of Paramiko's as is used here."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from paramiko.ssh_exception import ChannelException, SSHException

from deploy_lib.ssh.master import Control, arrived, at_end
from deploy_lib.ssh.waiting import Look, nowhere

_SETTLING = 2.0
"""Seconds until sshd has certainly forgotten a session that was closed."""


class SharedChannel:
    """A command of its own on the host, with the part of Paramiko's `Channel` that is used here.

    Args:
        connect: makes one more connection to the master.
        timeout: seconds that the host may take to open a session.

    Attributes:
        status_event: set when it has ended.
        closed: it was closed here.
    """

    def __init__(self, connect: Callable[[], Control], timeout: float) -> None:
        self._connect, self._timeout = connect, timeout
        self._streams, self._theirs = socket.socketpair()
        self._stderr, self._their_stderr = socket.socketpair()
        self._control: Control | None = None
        self._status = -1
        self.status_event = threading.Event()
        self.closed = False

    def exec_command(self, command: str, look: Look = nowhere) -> None:
        """Starts the command.

        Raises:
            ChannelException: sshd opens no further session.
            TimeoutError: the host does not answer.
            SSHException: the session has ended.
        """
        deadline = time.monotonic() + _SETTLING
        while self._control is None:
            control = self._connect()
            try:
                streams = (self._theirs, self._theirs, self._their_stderr)
                control.run(command, streams, self._timeout, look)
                self._control = control
            except ChannelException:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.05)
            except TimeoutError:
                raise
            except OSError as error:
                raise SSHException(f"the shared session: {error}") from None
            finally:
                if self._control is None:
                    control.close()
        self._theirs.close()
        self._their_stderr.close()
        threading.Thread(target=self._wait, args=[self._control], daemon=True).start()

    def _wait(self, control: Control) -> None:
        self._status = control.status()
        self.status_event.set()

    def settimeout(self, seconds: float | None) -> None:
        """Seconds until `recv`, `send` and `sendall` give up."""
        self._streams.settimeout(seconds)

    def send(self, data: bytes) -> int:
        """Writes some of it to its standard input, and says how much."""
        return self._streams.send(data)

    def sendall(self, data: bytes) -> None:
        """Writes to its standard input."""
        self._streams.sendall(data)

    def shutdown_write(self) -> None:
        """Ends its standard input."""
        self._streams.shutdown(socket.SHUT_WR)

    def recv(self, count: int) -> bytes:
        """Some of its standard output; b"" at its end."""
        return _received(self._streams, count)

    def recv_ready(self) -> bool:
        """Whether output has come."""
        return arrived(self._streams)

    def recv_stderr(self, count: int) -> bytes:
        """Some of its standard error; b"" at its end."""
        return _received(self._stderr, count)

    def exit_status_ready(self) -> bool:
        """Whether it has ended."""
        return self.status_event.is_set()

    def recv_exit_status(self) -> int:
        """Its exit status, when it has ended; -1 where nobody knows."""
        self.status_event.wait()
        return self._status

    def close(self) -> None:
        """Ends it at its next write; safe to call twice."""
        self.closed = True
        if self._control is not None:
            self._control.close()
        for stream in (self._streams, self._stderr):
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)  # whoever reads is told
        for stream in (self._theirs, self._their_stderr):
            stream.close()


class SharedForward(socket.socket):
    """A socket to a place as the host sees it."""

    control: Control

    @property
    def closed(self) -> bool:
        """Whether it was closed here."""
        return self.fileno() == -1

    @property
    def eof_received(self) -> bool:
        """Whether the other end has ended."""
        return at_end(self)

    def close(self) -> None:
        """Ends it."""
        self.control.close()
        super().close()


def _received(stream: socket.socket, count: int) -> bytes:
    try:
        return stream.recv(count)
    except ConnectionResetError:
        return b""  # it ended before it had read everything; what it had written was read first
