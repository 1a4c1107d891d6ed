"""The addresses of this machine's network interfaces, for BindInterface. Python has none of that; the C library does."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import socket
import sys
from collections.abc import Iterator

_IFF_UP = 1
_PLACES: dict[int, tuple[int, int]] = {socket.AF_INET: (4, 4), socket.AF_INET6: (8, 16)}
"""By family, where an address begins in its `sockaddr`, and its length."""


class _Entry(ctypes.Structure):
    """The head of `struct ifaddrs`, which Linux and macOS have alike."""


_Entry._fields_ = [
    ("next", ctypes.POINTER(_Entry)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
]


def address_of(interface: str, family: int) -> str | None:
    """The address that `ssh` comes from with BindInterface: one that leads further than this link, where there is one.

    Returns:
        None where an interface that is up has none of this family, or does not exist.
    """
    found = [
        ipaddress.ip_address(raw) for name, kind, raw in _addresses() if (name, kind) == (interface, family)
    ]
    found.sort(key=lambda each: each.is_loopback or (each.version == 6 and each.is_link_local))
    return str(found[0]) if found else None


def _addresses() -> Iterator[tuple[str, int, bytes]]:
    """Interface, family and address, of those that are up."""
    library = ctypes.CDLL(None, use_errno=True)
    first = ctypes.POINTER(_Entry)()
    if library.getifaddrs(ctypes.byref(first)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        entry = first
        while entry:
            each = entry.contents
            if each.address and each.flags & _IFF_UP:
                family = _family(ctypes.string_at(each.address, 2))
                if family in _PLACES:
                    start, length = _PLACES[family]
                    yield os.fsdecode(each.name), family, ctypes.string_at(each.address + start, length)
            entry = each.next
    finally:
        library.freeifaddrs(first)


def _family(head: bytes) -> int:
    # macOS has a byte with the length first.
    return head[1] if sys.platform == "darwin" else int.from_bytes(head, sys.byteorder)
