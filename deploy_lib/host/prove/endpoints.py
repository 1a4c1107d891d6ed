"""What answers HTTP on a host, asked through the session."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator

import paramiko

from deploy_lib.ssh.session import Session

ANSWER_TIMEOUT = 10.0
"""Seconds that one answer may take, all of it."""

_LARGEST = 4 * 1024 * 1024
"""Bytes of an answer that are read."""

_SMALL = 64 * 1024
"""Bytes that are read although nobody asks for them, so that the connection can be used again."""


class _Socket:
    """A channel as `http.client` wants its socket.

    It closes that before it has read an answer which ends with the connection: a real socket stays open until its last
    file is closed, a channel does not, and the answer's body would be lost.
    """

    def __init__(self, channel: paramiko.Channel) -> None:
        self.sendall = channel.sendall
        self.makefile = channel.makefile

    def close(self) -> None:
        """Leaves the channel open; `Endpoints` closes it."""


class Endpoints:
    """One kept-alive connection for each host and port that is asked.

    Args:
        stack: closes them.
    """

    def __init__(self, session: Session, stack: contextlib.ExitStack) -> None:
        self._session = session
        self._stack = stack
        self._open: dict[tuple[str, int], tuple[http.client.HTTPConnection, paramiko.Channel]] = {}

    def get(self, host: str, port: int, path: str, *, enough: int | None = None) -> tuple[int, bytes]:
        """The status and the body of an answer.

        Args:
            enough: a status whose body nobody asks for; it may be one that never ends.

        Raises:
            OSError: there is no answer in time, or one that is too large.
            http.client.HTTPException: it is none of HTTP.
            DeployError: the host cannot be asked.
        """
        place = host, port
        connection, channel = self._open.pop(place) if place in self._open else self._connect(*place)
        with _ended_in_time(channel):
            connection.request("GET", path, headers={"Accept": "application/json"})
            response = connection.getresponse()
            if response.status == enough and (response.length is None or response.length > _SMALL):
                channel.close()
                return response.status, b""
            body = response.read(_LARGEST)
            if response.read(1):
                raise OSError(f"it has more than {_LARGEST // 1024 // 1024} MiB")
        if not response.will_close:
            self._open[place] = connection, channel  # only one that worked is used again
        return response.status, body

    def _connect(self, host: str, port: int) -> tuple[http.client.HTTPConnection, paramiko.Channel]:
        connection = http.client.HTTPConnection(host, port, timeout=ANSWER_TIMEOUT)
        channel = self._session.forward(host, port)
        channel.settimeout(ANSWER_TIMEOUT)
        connection.sock = _Socket(channel)
        connection.auto_open = 0
        self._stack.callback(channel.close)
        return connection, channel


@contextlib.contextmanager
def _ended_in_time(channel: paramiko.Channel) -> Iterator[None]:
    """Closes a channel after a while: its own time limit is for each part of an answer, and not for all of them.

    Raises:
        TimeoutError: it did so.
    """
    over = threading.Event()

    def end() -> None:
        over.set()
        channel.close()

    timer = threading.Timer(ANSWER_TIMEOUT, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception:
        if not over.is_set():
            raise
    finally:
        timer.cancel()
    if over.is_set():
        raise TimeoutError(f"it did not end within {ANSWER_TIMEOUT:g} s")
