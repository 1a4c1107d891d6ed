"""Paramiko's transport: nothing is sent for a channel that has been closed, and waiting costs little."""

from __future__ import annotations

import contextlib
import math
import socket
import struct
from typing import Any, cast

import paramiko
from paramiko.common import (
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_EXTENDED_DATA,
)
from paramiko.message import Message
from paramiko.packet import Packetizer
from paramiko.ssh_exception import ChannelException, SSHException

from deploy_lib.ssh.agent import Handshake
from deploy_lib.ssh.waiting import Look, nowhere, wait

_FOR_OPEN_ONES = {MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA, MSG_CHANNEL_EOF}
"""Messages that OpenSSH's server takes for an open channel only: for another one, it ends the connection."""

IDLE_CHECK = 1.0
"""Seconds after which a session's thread wakes up, when nothing comes, to see whether a keep-alive message is due. Paramiko's own 0.1
costs more than all else where many hosts are waited for."""

_FASTER = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
"""Ciphers that authenticate, too, in OpenSSL: for the others Paramiko computes and compares each message's MAC in Python."""


class Packets(Packetizer):
    """Keeps what a server says before it says that it speaks SSH. How long that may take, whoever waits for it says."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.said: list[str] = []

    def readline(self, timeout: float) -> str:
        """A line of the server's, before it speaks SSH."""
        line: str = super().readline(math.inf)
        self.said.append(line.strip())
        return line

    def start_handshake(self, timeout: float) -> None:
        """No timer: the process would not end before it."""


class StrictChannel(paramiko.Channel):
    """A channel that does not wait for a host that says nothing: Paramiko's own waits until TCP gives up."""

    _look: Look = staticmethod(nowhere)

    def exec_command(self, command: Any, look: Look = nowhere) -> None:
        """Starts a command.

        Raises:
            TimeoutError: the host did not answer.
            SSHException, OSError, EOFError: it refused, or the session has ended.
        """
        self._look = look
        super().exec_command(command)

    def _wait_for_event(self) -> None:
        wait(self.event.wait, self.get_transport().channel_timeout, self._look)
        super()._wait_for_event()  # type: ignore[misc]


def patient(channel: paramiko.Channel) -> StrictChannel:
    """A channel of Paramiko's, made one of these: Paramiko asks nobody what class a channel is to have."""
    channel.__class__ = StrictChannel
    return cast(StrictChannel, channel)


class StrictTransport(paramiko.Transport):
    """A session that asks for the host keys that can be verified.

    Attributes:
        wanted: the host key algorithms, certificates among them.
        handshake: what an agent has to know of it; None before keys are agreed on.
        farewell: why the server has ended the session, in its words; "" when it said nothing.
    """

    packetizer: Packets
    wanted: tuple[str, ...] = ()
    handshake: Handshake | None = None
    farewell = ""
    H: bytes
    _channels: Any
    # OpenSSH's own order since 10.0.
    _preferred_ciphers = (
        *_FASTER,
        *(name for name in vars(paramiko.Transport)["_preferred_ciphers"] if name not in _FASTER),
    )

    def settle(self) -> None:
        """Wakes up less often from now on; before that the time that a handshake may take is looked at."""
        self.sock.settimeout(IDLE_CHECK)

    def open_session(self, *given: Any, **more: Any) -> StrictChannel:
        """A channel for a command; raises as `open_channel` does."""
        return patient(super().open_session(*given, **more))

    def open_channel(self, *given: Any, **more: Any) -> paramiko.Channel:
        """A channel.

        Raises:
            TimeoutError: the host did not answer; the session may well go on.
            ChannelException: it opens none.
            SSHException, OSError, EOFError: the session has ended.
        """
        try:
            return super().open_channel(*given, **more)
        except ChannelException:
            raise
        except SSHException as error:
            if self.is_active() and "timeout" in str(error).lower():
                raise TimeoutError("the host did not answer in time") from None
            raise

    def stop_thread(self) -> None:
        """Ends the thread at once, though it waits for the host."""
        with contextlib.suppress(OSError, EOFError):  # the host was first
            self.sock.shutdown(socket.SHUT_RDWR)
        super().stop_thread()

    def _verify_key(self, host_key: bytes, signature: bytes) -> None:
        super()._verify_key(host_key, signature)  # type: ignore[misc]
        # Keys are agreed on anew in a long session, which keeps its first name.
        self.handshake = self.handshake or Handshake(host_key, self.H, signature)

    def _parse_disconnect(self, message: Message) -> None:
        message.get_int()
        self.farewell = message.get_text().strip()

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """What the server is asked for."""
        return self.wanted

    def _send_message(self, data: Message) -> None:
        """Sends a message, unless it comes too late.

        A channel makes its message first and sends it later, without a lock. Between the two the script on the host may end, and
        the thread that reads answers the host's "closed" with ours; that is likely on a busy machine. What is sent for the
        channel after that ends the whole connection, or reaches a newer channel that has got the same number.
        """
        # Every message of a channel comes here under the one lock for all of them, and a channel is marked as closed before
        # its last message is on its way: so none can be closed between this look and the sending.
        if not self._late(data):
            super()._send_message(data)  # type: ignore[misc]

    def _late(self, data: Message) -> bool:
        head = data.asbytes()[:5]
        if len(head) < 5 or head[0] not in _FOR_OPEN_ONES:
            return False
        kind, number = struct.unpack(">BI", head)
        for channel in self._channels.values():
            if channel.remote_chanid == number and channel.active and not channel.closed:
                # One that says nothing of an end of its own is a newer one.
                return kind == MSG_CHANNEL_EOF and not channel.eof_sent
        return True
