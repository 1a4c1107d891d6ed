"""Ways to a host: addresses in their order, and programs that make the connection."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from paramiko.ssh_exception import ChannelException, NoValidConnectionsError

from deploy_lib.ssh.refusals import ProxyError, explain
from deploy_lib.ssh.target import Target
from deploy_lib.ssh.ways import Proxy, dial, nothing_answered


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def target(port: int, **more: object) -> Target:
    return Target(**{"name": "web", "hostname": "web.internal", "port": port, "user": "me", **more})  # type: ignore[arg-type]


def resolves(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def found(host: str, port: int, family: int, kind: int) -> list[object]:
        return [(socket.AF_INET, kind, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def test_addresses_are_tried_in_their_order(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resolves(monkeypatch, "127.0.0.7", "127.0.0.1")
    with dial(target(port), 5) as made:
        assert made.getpeername()[0] == "127.0.0.1"
    resolves(monkeypatch, "127.0.0.7", "127.0.0.8")
    with pytest.raises(NoValidConnectionsError) as caught:
        dial(target(port), 5)
    assert nothing_answered(caught.value)
    resolves(monkeypatch, "127.0.0.7")
    with pytest.raises(ConnectionRefusedError):
        dial(target(port), 5)


def test_a_family_that_this_machine_lacks_says_nothing_of_a_host(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolves(monkeypatch, "fd00::7", "127.0.0.7", "127.0.0.1")
    plain = socket.socket.connect

    def connect(self: socket.socket, place: tuple[str, int]) -> None:
        if ":" in place[0]:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        plain(self, place)

    monkeypatch.setattr(socket.socket, "connect", connect)
    with dial(target(port), 5) as conn:
        assert conn.getpeername()[0] == "127.0.0.1"
    resolves(monkeypatch, "fd00::7", "127.0.0.7")
    with pytest.raises(OSError, match="refused") as caught:
        dial(target(port), 5)
    assert nothing_answered(caught.value)

    def none(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", none)
    with pytest.raises(NoValidConnectionsError) as caught:
        dial(target(port), 5)
    assert not nothing_answered(caught.value), "nothing was asked"


def test_the_address_to_come_from(port: int) -> None:
    with dial(target(port, hostname="127.0.0.1", bind="127.0.0.9"), 5) as made:
        assert made.getsockname()[0] == "127.0.0.9"
    with pytest.raises(OSError, match="assign") as caught:
        dial(target(port, hostname="127.0.0.1", bind="192.0.2.1"), 5)
    assert not nothing_answered(caught.value), "the host may well be there"


def test_the_interface_to_come_from(port: int) -> None:
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    with dial(target(port, hostname="127.0.0.1", interface=loopback), 5) as made:
        assert made.getsockname()[0] == "127.0.0.1"
    with pytest.raises(OSError, match="BindInterface nosuch0") as caught:
        dial(target(port, hostname="127.0.0.1", interface="nosuch0"), 5)
    assert not nothing_answered(caught.value), "the host may well be there"
    with dial(target(port, hostname="127.0.0.1", interface="nosuch0", bind="127.0.0.9"), 5) as made:
        assert made.getsockname()[0] == "127.0.0.9"


def test_tcp_is_tried_as_often_as_ssh_config_says(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    listeners: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = int(closed.getsockname()[1])

    def starts(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            listeners.append(socket.create_server(("127.0.0.1", port)))

    monkeypatch.setattr(time, "sleep", starts)
    with pytest.raises(ConnectionRefusedError):
        dial(target(port, hostname="127.0.0.1", attempts=2), 5)
    assert pauses == [1.0]
    with dial(target(port, hostname="127.0.0.1", attempts=2), 5):
        assert len(pauses) == 2
    listeners[0].close()


@pytest.mark.parametrize(
    ("error", "off"),
    [
        (socket.gaierror(-2, "x"), True),
        (TimeoutError(), True),
        (OSError(errno.EHOSTUNREACH, "x"), True),
        (OSError(errno.EACCES, "x"), False),
        (ChannelException(2, "Connect failed"), True),
        (ChannelException(1, "Administratively prohibited"), False),
        (NoValidConnectionsError({("a", 1): OSError(errno.ECONNREFUSED, "x"), ("b", 1): OSError(errno.EACCES, "x")}), False),
        (ValueError(), False),
    ],
)  # fmt: skip
def test_only_where_nothing_is_nothing_has_answered(error: Exception, off: bool) -> None:
    assert nothing_answered(error) is off


def test_a_program_is_the_way_and_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/sh")
    proxy = Proxy(target(22, proxy_command="cat; exit"))
    proxy.socket.sendall(b"there")
    assert proxy.socket.recv(10) == b"there"
    began = time.monotonic()
    proxy.end()
    assert proxy.process.returncode is not None
    stubborn = Proxy(target(22, proxy_command="sleep 60"))
    assert stubborn.problem() == ""
    stubborn.end()
    assert stubborn.process.returncode == -15
    assert time.monotonic() - began < 20


def test_why_a_program_is_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/sh")
    proxy = Proxy(target(22, proxy_command="sh -c 'exit 7'"))
    assert proxy.problem() == "it ended with exit status 7"
    proxy.end()
    with pytest.raises(ProxyError, match="handed over no connection"):
        Proxy(target(22, proxy_command="echo x", passes_socket=True))
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def kept(*given: Any, **more: Any) -> subprocess.Popen[bytes]:
        started.append(start(*given, **more))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", kept)
    with pytest.raises(ProxyError, match="handed over no connection"):
        Proxy(target(22, proxy_command="sh -c 'echo x; exec sleep 60'", passes_socket=True))
    assert started[0].returncode == -15, "it goes on"
    monkeypatch.setenv("SHELL", "/nowhere/sh")
    with pytest.raises(ProxyError, match="/nowhere/sh: No such file"):
        Proxy(target(22, proxy_command="true"))


def test_a_command_is_in_no_message_and_no_traceback() -> None:
    to = target(22, proxy_command="ncat --proxy-auth me:hidden web 22")
    problem = explain(to, ProxyError("it ended with exit status 1"))
    assert "no terminal" in str(problem)
    assert "hidden" not in f"{problem} {problem.hint} {to!r}"


def test_a_connection_that_a_program_hands_over_is_used(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/sh")
    script = (
        'import socket; m = socket.create_connection(("127.0.0.1", %p)); '
        'socket.send_fds(socket.socket(fileno=1), [b"x"], [m.fileno()])'
    ).replace("%p", str(port))
    proxy = Proxy(target(port, proxy_command=f"python3 -c '{script}'", passes_socket=True))
    assert proxy.socket.getpeername() == ("127.0.0.1", port)
    proxy.end()
    assert os.environ["SHELL"] == "/bin/sh"
