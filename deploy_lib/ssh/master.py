"""The master of a session that the operator has opened already: what is said over its socket (OpenSSH's PROTOCOL.mux).

A session or forward that is asked for lives as long as its connection to the socket, and gets the ends of sockets as its standard
streams. (The protocol has another mode, for all messages of SSH: a master of OpenSSH 9.2 ends with every session in it when the
program that uses that mode is killed.)
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from pathlib import Path

from msgspec import Struct
from paramiko.ssh_exception import ChannelException

from deploy_lib.ssh.waiting import Look, nowhere, wait

ANSWER_TIMEOUT = 5.0
"""Seconds until a master must have answered what it answers by itself: it is a program on this machine."""

_VERSION = 4  # each OpenSSH since 5.6 has this one
_HELLO = 0x00000001
_NEW_SESSION, _NEW_FORWARD = 0x10000002, 0x10000008
_REFUSED, _FAILED, _EXIT, _OPENED = 0x80000002, 0x80000003, 0x80000004, 0x80000006
_REQUEST = 1
_NO_ESCAPE = 0xFFFFFFFF
_MOST = 256 * 1024  # bytes of a message, as with OpenSSH's own

PROHIBITED, CONNECT_FAILED = 1, 2
"""SSH's reasons for a channel that is not opened. A master says none: here the first is its own refusal, the second the host's."""


class Message(Struct, frozen=True):
    """A message of a master's: its kind and what follows."""

    kind: int
    body: bytes

    def number(self, place: int) -> int:
        """The number at a place of the body."""
        return int.from_bytes(self.body[4 * place : 4 * place + 4], "big")


class Control:
    """One connection to a master, which has said that it speaks the protocol.

    Raises:
        OSError: none listens, or another program does.
    """

    def __init__(self, path: str) -> None:
        # ssh_config may name a place where others can make a socket; a master of theirs would see all that is sent.
        if Path(path).stat().st_uid not in (os.getuid(), 0):
            raise PermissionError(f"{path} is another user's")
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.settimeout(ANSWER_TIMEOUT)
            self.socket.connect(path)
            self._send(struct.pack(">II", _HELLO, _VERSION))
            hello = self._message()
            if (hello.kind, hello.number(0)) != (_HELLO, _VERSION):
                raise ConnectionError(f"{path} speaks another protocol")
        except OSError:
            self.socket.close()
            raise

    def run(
        self, command: str, streams: tuple[socket.socket, ...], timeout: float, look: Look = nowhere
    ) -> None:
        """Starts a command on the host.

        Args:
            streams: its standard input, output and error.
            timeout: seconds that the host may take to open a session.

        Raises:
            ChannelException: the host or the master does not open one.
            TimeoutError: the host does not answer.
            OSError: the master has ended.
        """
        # No terminal, no X11, no agent, no subsystem; nothing is set in its environment.
        request = struct.pack(">II", _NEW_SESSION, _REQUEST) + _text("") + struct.pack(">4I", 0, 0, 0, 0)
        request += struct.pack(">I", _NO_ESCAPE) + _text("") + _text(command)
        self._open(request, streams, timeout, look)

    def forward(self, host: str, port: int, streams: tuple[socket.socket, ...], timeout: float) -> None:
        """Connects two streams with `host:port` as the host sees it; raises as `run` does."""
        request = struct.pack(">II", _NEW_FORWARD, _REQUEST) + _text("") + _text(host)
        self._open(request + struct.pack(">I", port), streams, timeout)

    def status(self) -> int:
        """How the command ended, when it has ended; -1 where that is not known, such as when the session has."""
        try:
            while True:
                message = self._message()
                if message.kind == _EXIT:
                    return message.number(1)
        except OSError:
            return -1

    @property
    def ended(self) -> bool:
        """Whether the master has closed it; for a connection over which nothing is asked."""
        return at_end(self.socket)

    def close(self) -> None:
        """Ends what was opened over it; whoever waits for its status is told."""
        with contextlib.suppress(OSError):  # the master was first
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _open(
        self, request: bytes, streams: tuple[socket.socket, ...], timeout: float, look: Look = nowhere
    ) -> None:
        self._send(request)
        for stream in streams:
            socket.send_fds(self.socket, [b"\0"], [stream.fileno()])
        wait(lambda seconds: arrived(self.socket, seconds), timeout, look)
        answer = self._message()
        if answer.kind in (_REFUSED, _FAILED):
            reason = PROHIBITED if answer.kind == _REFUSED else CONNECT_FAILED
            raise ChannelException(reason, answer.body[8:].decode(errors="replace"))
        if answer.kind != _OPENED:
            raise ConnectionError("the master answers nonsense")
        self.socket.settimeout(None)

    def _send(self, body: bytes) -> None:
        self.socket.sendall(struct.pack(">I", len(body)) + body)

    def _message(self) -> Message:
        length = int.from_bytes(self._read(4), "big")
        if not 4 <= length <= _MOST:
            raise ConnectionError("the master answers nonsense")
        data = self._read(length)
        return Message(int.from_bytes(data[:4], "big"), data[4:])

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            if not (chunk := self.socket.recv(count - len(data))):
                raise ConnectionResetError("the master has closed the connection")
            data += chunk
        return data


def arrived(stream: socket.socket, seconds: float = 0) -> bool:
    """Whether something can be read within so many seconds, be it the end."""
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def at_end(stream: socket.socket) -> bool:
    """Whether the other side has ended it, and all was read."""
    try:
        return arrived(stream) and stream.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">I", len(data)) + data
