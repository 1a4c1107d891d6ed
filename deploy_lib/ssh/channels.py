"""The channels of one connection, as many as sshd opens, some of them opened ahead: session channels, each for one script, and
forwards.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import paramiko
from paramiko.ssh_exception import ChannelException, SSHException

from deploy_lib.errors import RemoteError
from deploy_lib.ssh.connection import StrictConnection
from deploy_lib.ssh.script_channel import ScriptChannel
from deploy_lib.ssh.shared import SharedSession

_SETTLING = 0.5
"""Seconds until sshd has certainly forgotten a session channel that was closed."""

_PROHIBITED = 1
"""SSH's reason for a channel that is not opened: "administratively prohibited"."""


class Channels:
    """The channels of a connection, which is open before any is asked for.

    Args:
        node: the node's name, for messages.
    """

    def __init__(self, node: str, connection: StrictConnection) -> None:
        self._node = node
        self._connection = connection
        self._forwards: dict[tuple[str, int], paramiko.Channel] = {}
        self._sessions: deque[ScriptChannel] = deque()

    def take(self) -> ScriptChannel:
        """A session channel for one script: one that was opened ahead, or a new one.

        Raises:
            ChannelException: sshd opens none; `Session.start` says what to do about that.
            SSHException, OSError, EOFError: the connection has ended.
        """
        with contextlib.suppress(IndexError):
            while (channel := self._sessions.popleft()).closed:
                pass
            return channel
        return self._create()

    def reserve(self, count: int) -> int:
        """Opens session channels ahead, for the next scripts: so a limit is found out before anything depends on them.

        Returns:
            how many of `count` there are. When there are fewer, sshd has refused one more, and none is kept.

        Raises:
            RemoteError: the connection has ended.
        """
        if isinstance(self._connection.transport, SharedSession):
            return self._connection.transport.room(count)
        if self._reserve_side_by_side(count - len(self._sessions)):
            return count
        try:
            while len(self._sessions) < count:
                self._sessions.append(self._create())
        except ChannelException:
            found = len(self._sessions)
            while self._sessions:
                self._sessions.pop().close()
            return found
        except (SSHException, OSError, EOFError) as error:
            raise RemoteError(f"no channel could be opened: {error}", node=self._node) from None
        return count

    def _reserve_side_by_side(self, count: int) -> bool:
        """Opens so many at once: each takes a round trip, and over a long way that is most of what a look takes.

        Returns:
            whether all are there; otherwise none is. Paramiko keeps one error for all channels, so it is not known why.
        """
        if count < 2:
            return False
        with ThreadPoolExecutor(count) as pool:
            asked = [pool.submit(self._connection.create_session) for _ in range(count)]
        opened = [each.result() for each in asked if each.exception() is None]
        if len(opened) == count:
            self._sessions.extend(opened)
            return True
        for channel in opened:
            channel.close()
        return False

    def _create(self) -> ScriptChannel:
        deadline = time.monotonic() + _SETTLING
        while True:
            try:
                return self._connection.create_session()
            except ChannelException:
                # sshd counts one that was closed until it has looked at its channels again.
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.05)

    def forward(self, host: str, port: int) -> paramiko.Channel:
        """A socket to `host:port` as the node sees it.

        Raises:
            RemoteError: nothing listens there, or sshd forbids forwarding.
        """
        spare = self._forwards.pop((host, port), None)
        if spare is not None and not spare.closed and not spare.eof_received:
            return spare
        try:
            return self._forward(host, port)
        except (SSHException, OSError, EOFError) as error:
            raise RemoteError(f"no connection to {host}:{port}: {error}", node=self._node) from None

    def forbids_forwarding(self, host: str, port: int) -> bool:
        """Whether sshd would not make a `forward` to there, no matter whether anything listens.

        One that it does make is kept for the first `forward` to the same place.

        Raises:
            RemoteError: the connection has ended.
        """
        if (host, port) in self._forwards:
            return False
        try:
            self._forwards[host, port] = self._forward(host, port)
        except ChannelException as error:
            return bool(error.code == _PROHIBITED)
        except (SSHException, OSError, EOFError) as error:
            raise RemoteError(f"no channel could be opened: {error}", node=self._node) from None
        return False

    def _forward(self, host: str, port: int) -> paramiko.Channel:
        transport: paramiko.Transport = self._connection.transport
        return transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=10)
