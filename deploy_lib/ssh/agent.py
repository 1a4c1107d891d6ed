"""An SSH agent behind a socket of its own: nodes connect side by side, and each may have another.

Paramiko's finds its socket in the process's environment, and cannot sign for a certificate that lies in a file.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import defaultdict

from msgspec import Struct
from paramiko.message import Message

TIMEOUT = 120.0
"""Seconds until an agent must have answered: it may wait for a touch, or for a fingerprint on a desktop."""

_REQUEST_IDENTITIES, _IDENTITIES = 11, 12
_SIGN_REQUEST, _SIGNED = 13, 14
_EXTENSION = 27
_MOST = 256 * 1024  # bytes of an answer, as with OpenSSH's own

_turns: dict[str, threading.Lock] = defaultdict(threading.Lock)
"""By socket: an agent's requests come one after the other, so that a person is asked for one thing at a time."""


class AgentError(Exception):
    """An agent does not answer, or refuses."""


class AgentKey(Struct, frozen=True):
    """A public key, or a certificate, whose private half an agent has."""

    blob: bytes
    comment: str


class Handshake(Struct, frozen=True):
    """What an agent has to know of a session: it keeps a key that was added with `ssh-add -h` for the hosts named there.

    Attributes:
        host_key: as the host has presented it.
        name: the session's id.
        signature: the host's, of that id.
    """

    host_key: bytes
    name: bytes
    signature: bytes

    @property
    def request(self) -> bytes:
        """What binds a connection to it (OpenSSH's PROTOCOL.agent)."""
        message = Message()
        message.add_byte(bytes([_EXTENSION]))
        message.add_string("session-bind@openssh.com")
        for part in (self.host_key, self.name, self.signature):
            message.add_string(part)
        message.add_boolean(False)  # the agent itself is not forwarded
        return message.asbytes()


class Agent:
    """One connection to an agent for each request, so that nothing is left open.

    Args:
        handshake: that of the session that it is asked for.
    """

    def __init__(self, path: str, handshake: Handshake | None = None) -> None:
        self.path = path
        self._handshake = handshake

    def keys(self) -> list[AgentKey]:
        """What it can sign with, in its own order.

        Raises:
            AgentError: there is no agent, or it does not answer.
        """
        answer = self._ask(bytes([_REQUEST_IDENTITIES]), _IDENTITIES)
        return [
            AgentKey(answer.get_binary(), answer.get_binary().decode(errors="replace"))
            for _ in range(answer.get_int())
        ]

    def sign(self, blob: bytes, data: bytes, flags: int) -> bytes:
        """A signature with the private half of one of its keys.

        Args:
            flags: 2 or 4 for SHA-256 or SHA-512 with an RSA key, otherwise 0.

        Raises:
            AgentError: it refuses, such as when a touch did not come.
        """
        request = Message()
        request.add_byte(bytes([_SIGN_REQUEST]))
        request.add_string(blob)
        request.add_string(data)
        request.add_int(flags)
        return self._ask(request.asbytes(), _SIGNED).get_binary()

    def _ask(self, request: bytes, expected: int) -> Message:
        with _turns[self.path], contextlib.closing(socket.socket(socket.AF_UNIX)) as conn:
            conn.settimeout(TIMEOUT)
            try:
                conn.connect(self.path)
                if self._handshake is not None:
                    # One that does not know this refuses it, and has no keys that need it.
                    self._exchange(conn, self._handshake.request)
                answer = self._exchange(conn, request)
            except OSError as error:
                raise AgentError(
                    f"the agent at {self.path} does not answer: {error.strerror or error}"
                ) from None
        if not answer or answer[0] != expected:
            raise AgentError(f"the agent at {self.path} refuses")
        return Message(answer[1:])

    def _exchange(self, conn: socket.socket, request: bytes) -> bytes:
        conn.sendall(struct.pack(">I", len(request)) + request)
        (length,) = struct.unpack(">I", _read(conn, 4))
        if length > _MOST:
            raise AgentError(f"the agent at {self.path} answers nonsense")
        return _read(conn, length)


def _read(conn: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        if not (chunk := conn.recv(count - len(data))):
            raise AgentError("the agent has closed the connection")
        data += chunk
    return data
