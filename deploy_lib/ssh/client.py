"""Paramiko's client, which trusts and logs in as `ssh` does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import paramiko
from paramiko.client import SSHClient
from paramiko.ssh_exception import IncompatiblePeer, SSHException

from deploy_lib.ssh.doors import DroppedError, SilentError
from deploy_lib.ssh.login import log_in
from deploy_lib.ssh.refusals import GreetingError, refusal
from deploy_lib.ssh.shared import SharedSession
from deploy_lib.ssh.target import Target
from deploy_lib.ssh.transport import Packets, StrictTransport
from deploy_lib.ssh.trust import Known, presented
from deploy_lib.ssh.waiting import wait

CONNECT_TIMEOUT = 10.0
"""Seconds for the TCP connection and for the server's first words, each, unless ssh_config has a ConnectTimeout."""

KEYS_TIMEOUT = 30.0
"""Seconds until keys must have been agreed on; a ConnectTimeout that is longer counts. `ssh` itself waits without an end here."""

CHANNEL_TIMEOUT = 20.0
"""Seconds until a host must have opened a channel; a frozen peer is noticed here."""


class StrictClient(SSHClient):
    """A client for one target.

    Attributes:
        further: private key files that come before those of ssh_config.
    """

    _transport: Any

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.target = target
        self.further: tuple[Path, ...] = ()

    def take(self, session: SharedSession) -> None:
        """Takes another's session for its own, so that closing it leaves that."""
        self._transport = session

    def connect(  # type: ignore[override]
        self, *, sock: Any, batch: bool = False, heeds: bool = True
    ) -> paramiko.Transport:
        """Verifies the host and logs in.

        Args:
            sock: a socket or channel that leads to the host.
            batch: nothing may be asked.
            heeds: Ctrl-C ends the login.

        Returns:
            the session.

        Raises:
            DroppedError: the server had no room, and did not say who it is.
            HostKeyError: the host's key is not accepted; the user's name was not sent.
            paramiko.SSHException, OSError: the session or the login failed; see `refusals.explain`.
        """
        if isinstance(sock, socket.socket) and sock.family in (socket.AF_INET, socket.AF_INET6):
            # Without this every small message waits for the acknowledgement of the one before it.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        timeout = self.target.timeout or CONNECT_TIMEOUT
        transport = self._transport = StrictTransport(sock, packetizer_class=Packets)
        transport.channel_timeout = CHANNEL_TIMEOUT
        _set_algorithms(transport, self.target)
        known = Known(self.target)
        transport.wanted = known.algorithms(_verifiable())
        if not transport.wanted:
            raise IncompatiblePeer("HostKeyAlgorithms has none that this program can verify")
        _greet(transport, timeout)
        transport.settle()
        key = presented(transport.get_remote_server_key())
        problem = known.problem(key)
        if problem == "new" and self.target.trust.accept_new:
            known.write_down(key)
        elif problem:
            raise refusal(known, key, problem)
        log_in(transport, self.target, self.further, batch=batch, heeds=heeds)
        return transport


def _greet(transport: StrictTransport, timeout: float) -> None:
    """Agrees with the server on keys.

    Args:
        timeout: seconds until it must have said who it is.

    Raises:
        DroppedError: it has closed the connection before that.
        SilentError: it did not come in time, or is not SSH's.
        SSHException, OSError: it did not get further than that.
    """
    ended, keys_timeout = threading.Event(), max(KEYS_TIMEOUT, timeout)
    transport.start_client(event=ended)
    said = transport.packetizer.said
    try:
        wait(lambda seconds: ended.wait(seconds) or bool(transport.remote_version), timeout)
    except TimeoutError:
        raise SilentError(
            f"it said nothing within {timeout:g} s{_quoted(said)}",
            "is that an SSH server? ConnectTimeout in ssh_config gives a slow one longer.",
        ) from None
    try:
        wait(ended.wait, keys_timeout)
    except TimeoutError:
        raise GreetingError(
            f"no keys were agreed on within {keys_timeout:g} s",
            "the host is very slow, or the way to it loses large packets (its MTU); a ConnectTimeout of more than "
            f"{keys_timeout:g} in ssh_config gives it longer.",
        ) from None
    if transport.is_active():
        return
    error = transport.get_exception()
    if transport.remote_version:
        if error is None or not str(error):
            error = SSHException(
                f"it ended the session before keys were agreed on {transport.farewell}".strip()
            )
        raise error
    # A reset is an end, too. What sshd says before it drops a connection depends on its version, and since 9.8 is no reason.
    if any(
        isinstance(each, EOFError | ConnectionError) for each in (error, getattr(error, "__context__", None))
    ):
        raise DroppedError(
            f"it closed the connection before it said anything{_quoted(said)}",
            "is that an SSH server, and has it room? sshd drops connections that are too many at once (MaxStartups, "
            "PerSourceMaxStartups), and for a while all from where logins have failed (PerSourcePenalties): wait, or have "
            "PerSourcePenaltyExemptList of its sshd_config name where you come from.",
        )
    raise SilentError(f"{error}{_quoted(said)}")


def _quoted(said: Sequence[str]) -> str:
    return f" but {said[-1][:200]!r}" if said else ""


def _verifiable() -> tuple[str, ...]:
    # All that it can do, in its order.
    return tuple(vars(paramiko.Transport)["_preferred_keys"])


def _set_algorithms(transport: paramiko.Transport, target: Target) -> None:
    """The algorithms that ssh_config sets, as far as Paramiko has them."""
    for keyword, attribute, wanted in (
        ("Ciphers", "ciphers", target.ciphers),
        ("MACs", "digests", target.macs),
        ("KexAlgorithms", "kex", target.kex),
    ):
        if not wanted:
            continue
        options = transport.get_security_options()
        able = _able(transport, attribute)
        usable = tuple(name for name in wanted if name in able)
        if not usable:
            raise IncompatiblePeer(
                f"ssh_config's {keyword} has nothing that this program can do, which is {', '.join(able)}"
            )
        setattr(options, attribute, usable)


def _able(transport: paramiko.Transport, attribute: str) -> tuple[str, ...]:
    table = {"ciphers": "_cipher_info", "digests": "_mac_info", "kex": "_kex_info"}[attribute]
    return tuple(getattr(transport, table))
