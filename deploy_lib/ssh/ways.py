"""Ways to a host: TCP, and programs that make the connection (ProxyCommand)."""

from __future__ import annotations

import array
import contextlib
import errno
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from paramiko.ssh_exception import ChannelException, NoValidConnectionsError

from deploy_lib.ssh.interfaces import address_of
from deploy_lib.ssh.refusals import ProxyError
from deploy_lib.ssh.target import Target

_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


_PAUSE = 1.0
"""Seconds between ConnectionAttempts, as with `ssh`."""


def dial(target: Target, timeout: float) -> socket.socket:
    """A TCP connection to a host: its addresses are tried in their order, as often as ConnectionAttempts says.

    Raises:
        socket.gaierror: its name does not resolve.
        NoValidConnectionsError, OSError: no address accepts connections.
    """
    family = _FAMILIES.get(target.family, socket.AF_UNSPEC)
    places = [
        (found[0], found[4])
        for found in socket.getaddrinfo(target.hostname, target.port, family, socket.SOCK_STREAM)
    ]
    for _ in range(target.attempts - 1):
        with contextlib.suppress(OSError):
            return _dial(target, places, timeout)
        time.sleep(_PAUSE)
    return _dial(target, places, timeout)


def _dial(target: Target, places: Sequence[tuple[int, Any]], timeout: float) -> socket.socket:
    errors: dict[Any, OSError] = {}
    for kind, place in places:
        conn = None
        try:
            conn = socket.socket(kind, socket.SOCK_STREAM)
            conn.settimeout(timeout)
            if own := _own_address(target, kind):
                conn.bind((own, 0))
            conn.connect(place)
            return conn
        except OSError as error:
            if conn is not None:
                conn.close()
            errors[place[:2]] = error
    # What this machine cannot even try says nothing about the host, where something else does.
    bound = target.bind or target.interface
    errors = {p: e for p, e in errors.items() if bound or e.errno not in _HERE} or errors
    if len(errors) == 1 or any(isinstance(error, TimeoutError) for error in errors.values()):
        raise next(iter(errors.values()))
    raise NoValidConnectionsError(errors)


def _own_address(target: Target, family: int) -> str | None:
    """The address to come from, where ssh_config has one: that of BindAddress counts more."""
    if target.bind or not target.interface:
        return target.bind
    own = address_of(target.interface, family)
    if own is None:
        raise OSError(
            errno.EADDRNOTAVAIL, f"BindInterface {target.interface} has no address that leads there"
        )
    return own


_HERE = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
"""A machine has no addresses of this family."""

_SILENT = {
    errno.ECONNREFUSED,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ETIMEDOUT,
}


def nothing_answered(error: Exception) -> bool:
    """Whether the way to a host failed because nothing is there: no such name, no route, refused, or no answer in time.

    A ProxyCommand's exit status does not tell that from a key that has changed or a program that is missing, so its failure
    never counts.
    """
    if isinstance(error, NoValidConnectionsError):
        return all(nothing_answered(each) for each in error.errors.values())
    if isinstance(error, ChannelException):
        return error.code == _CONNECT_FAILED
    if isinstance(error, socket.gaierror | TimeoutError):
        return True
    return isinstance(error, OSError) and error.errno in _SILENT


_CONNECT_FAILED = 2
"""SSH's reason for a channel that is not opened: the jump host makes no connection. It forbids none, which would be 1."""


class Proxy:
    """What a ProxyCommand makes: a socket for Paramiko, and the program's end with it.

    It is run as `ssh` does it, by the user's shell, which the program replaces; but in a session of its own, so that Ctrl-C does
    not end it while a host is put back. So it has no terminal.
    """

    def __init__(self, target: Target) -> None:
        command = target.proxy_command or ""
        shell = os.environ.get("SHELL") or "/bin/sh"
        self.socket, theirs = socket.socketpair()
        with theirs:
            try:
                self.process = subprocess.Popen(
                    [shell, "-c", f"exec {command}"],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    start_new_session=True,
                )
            except OSError as error:
                self.socket.close()
                raise ProxyError(f"{shell}: {error.strerror}") from None
        if target.passes_socket:
            try:
                self._receive()
            except BaseException:
                self.end()
                raise

    def problem(self) -> str:
        """Why a session could not begin, when that is because the program has ended; "" otherwise."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.process.wait(timeout=1)
            return f"it ended with exit status {code}"
        return ""

    def end(self) -> None:
        """Ends the program, as far as it has not ended with its socket."""
        self.socket.close()
        try:
            self.process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=5)

    def _receive(self) -> None:
        """Takes the connected socket that the program hands over (ProxyUseFdpass)."""
        numbers = array.array("i")
        self.socket.settimeout(30)
        try:
            _, ancillary, _, _ = self.socket.recvmsg(1, socket.CMSG_LEN(numbers.itemsize))
        except OSError:
            ancillary = []
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers.frombytes(data[: numbers.itemsize])
        if not numbers:
            raise ProxyError("it handed over no connection (ProxyUseFdpass)")
        self.socket.close()
        self.socket = socket.socket(fileno=numbers[0])
