"""The addresses of network interfaces."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from deploy_lib.ssh import interfaces
from deploy_lib.ssh.interfaces import address_of

LOOPBACK = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))


def test_an_interfaces_address_is_known() -> None:
    assert address_of(LOOPBACK, socket.AF_INET) == "127.0.0.1"
    assert address_of("nosuch0", socket.AF_INET) is None


def test_an_address_that_leads_further_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> Iterator[tuple[str, int, bytes]]:
        yield "en0", socket.AF_INET6, socket.inet_pton(socket.AF_INET6, "fe80::1")
        yield "en0", socket.AF_INET, socket.inet_aton("10.0.0.7")
        yield "en0", socket.AF_INET6, socket.inet_pton(socket.AF_INET6, "fd00::7")
        yield "en1", socket.AF_INET6, socket.inet_pton(socket.AF_INET6, "fe80::2")

    monkeypatch.setattr(interfaces, "_addresses", found)
    assert address_of("en0", socket.AF_INET) == "10.0.0.7"
    assert address_of("en0", socket.AF_INET6) == "fd00::7"
    assert address_of("en1", socket.AF_INET6) == "fe80::2"
