"""Ports of a host, and which of them cannot be bound at once."""

from __future__ import annotations

import ipaddress

from msgspec import Struct


class Port(Struct, frozen=True):
    """A port of the host that leads to a container.

    Attributes:
        protocol: "tcp", "udp" or "sctp".
        address: of the host; "" for all of them.
    """

    published: int
    protocol: str = "tcp"
    address: str = ""

    def __str__(self) -> str:
        protocol = "" if self.protocol == "tcp" else f"/{self.protocol}"
        return f"{self.published}{protocol}" + (f" on {self.address}" if self.address else "")

    def collides(self, other: Port) -> bool:
        """Whether both cannot be bound at once: the same protocol and number, on the same address or on one and all."""
        # Whoever listens on all addresses of IPv6 usually has those of IPv4, too.
        both = ipaddress.IPv6Address(0) in (_address(self.address), _address(other.address))
        return self._same(other) and (both or _overlap(_address(self.address), _address(other.address)))

    def excludes(self, other: Port) -> bool:
        """The same of two that Docker publishes: for an address of IPv6 it listens for IPv6 alone."""
        return self._same(other) and _overlap(_address(self.address), _address(other.address))

    def _same(self, other: Port) -> bool:
        return (self.published, self.protocol) == (other.published, other.protocol)


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address | str


def _address(text: str) -> _Address:
    """An address of a host; "" for all of them; what is none stays as it is."""
    try:
        found = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return text
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _overlap(one: _Address, other: _Address) -> bool:
    if "" in (one, other) or one == other:
        return True
    if isinstance(one, str) or isinstance(other, str) or one.version != other.version:
        return False
    return one.is_unspecified or other.is_unspecified
