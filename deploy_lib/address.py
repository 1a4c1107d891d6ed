"""A destination as an operator writes it: `[user@]host[:port]`, with `[v6]:port` for an address of IPv6."""

from __future__ import annotations

import re

from msgspec import Struct

_HOST = re.compile(r"(?!-)[^\s\x00-\x1f'\"`$\\;&<>|(){}@,]+\Z")
"""The names that every `ssh` takes: those that mean something to a shell are refused by its newer versions."""


class Address(Struct, frozen=True):
    """The parts of a destination; "" for what it leaves to ssh_config."""

    host: str
    user: str = ""
    port: str = ""

    @property
    def place(self) -> tuple[str, int]:
        """Host and port, the same however they are written; the port is that of `ssh`, as far as the destination says."""
        return self.host.lower(), int(self.port or 22)

    def is_at(self, other: Address) -> bool:
        """Whether both may mean the same host: users do not matter, and ports where both are given."""
        return self.host.lower() == other.host.lower() and (
            "" in (self.port, other.port) or self.port == other.port
        )


def parse(destination: str) -> Address:
    """The parts of `[user@]host[:port]`.

    Raises:
        ValueError: that is no destination; the message says why.
    """
    # The last "@", as ssh has it: users of a directory service have one in their names.
    uri = destination.startswith("ssh://")
    user, at, address = destination.removeprefix("ssh://").rpartition("@")
    host, port = _split_port(address)
    if at and (not user or user.startswith("-")):
        raise ValueError(f"{destination!r} has no user before the @")
    if not _HOST.match(host) or (uri and "/" in host):
        raise ValueError(f"{destination!r} is not a host name")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{destination!r}: {port!r} is not a port")
    # As a number: "02222" is the port that somebody else writes as "2222".
    return Address(host, user, port.lstrip("0"))


def completed(given: str, known: str) -> str:
    """A destination with what it leaves open taken from another one of the same host.

    Raises:
        ValueError: one of them is no destination.
    """
    mine, other = parse(given), parse(known)
    user, port = mine.user or other.user, mine.port or other.port
    host = f"[{mine.host}]" if ":" in mine.host else mine.host
    return f"{f'{user}@' if user else ''}{host}{f':{port}' if port else ''}"


def _split_port(address: str) -> tuple[str, str]:
    if address.startswith("["):
        host, closed, rest = address[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            return "", ""
        return host, rest.removeprefix(":")
    host, _, port = address.partition(":")
    return (address, "") if ":" in port else (host, port)


def without_user(text: str) -> str:
    """A text as it may be shown: before the host of a URL may stand a password."""
    return re.sub(r"//[^/\s]*@", "//***@", text)
