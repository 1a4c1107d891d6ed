"""Probes through a real sshd, at servers that answer in every way that HTTP allows."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from deploy_lib.compose.container import Container
from deploy_lib.config import Probe
from deploy_lib.errors import RemoteError
from deploy_lib.host.prove.endpoints import ANSWER_TIMEOUT
from deploy_lib.host.prove.probe import prove
from deploy_lib.ssh.session import Session

from .conftest import Sshd

Server = Callable[..., int]


@pytest.fixture
def server() -> Iterator[Server]:
    """Starts a server that sends these pieces to each request, a moment apart, and gives its port."""
    listeners: list[socket.socket] = []

    def start(*pieces: bytes, close: bool) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                # Who asks may have had enough.
                with client, contextlib.suppress(ConnectionError):
                    while client.recv(65536):
                        for piece in pieces:
                            client.sendall(piece)
                            time.sleep(0.1)
                        if close:
                            break

        threading.Thread(target=serve, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.close()


def probe(port: int, value: str, timeout: float = 5) -> Probe:
    return Probe(
        name="p", service="s", url=f"http://127.0.0.1:{port}/x", json_values={"a": value}, timeout=timeout
    )


def test_an_answer_that_ends_with_its_connection_is_read_whole(
    sshd: Sshd, session: Session, server: Server
) -> None:
    port = server(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n", b'{"a":', b'"b"}', close=True)
    before = sshd.log
    [finding] = prove(session, [probe(port, "b")], tuple)
    assert finding.ok, finding.problem
    assert sshd.log.removeprefix(before).count("new direct-tcpip [direct-tcpip]") == 1  # at the first try


def test_one_forward_serves_all_tries_at_an_endpoint(sshd: Sshd, session: Session, server: Server) -> None:
    body = b'{"a":"no"}'
    port = server(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body, close=False)
    before = sshd.log
    [finding] = prove(session, [probe(port, "yes", timeout=2)], tuple)
    assert 'a is "no", expected "yes"' in finding.problem
    assert sshd.log.removeprefix(before).count("new direct-tcpip [direct-tcpip]") == 1


ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", *[b"data: x\n\n"] * 600


def test_an_answer_without_end_is_one_where_only_its_status_counts(session: Session, server: Server) -> None:
    port = server(*ENDLESS, close=True)
    asked = Probe(name="p", service="s", url=f"http://127.0.0.1:{port}/x", timeout=20)
    [finding] = prove(session, [asked], tuple)
    assert finding.ok, finding.problem
    assert finding.seconds < ANSWER_TIMEOUT


def test_an_answer_has_a_limit_as_a_whole(
    session: Session, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy_lib.host.prove.endpoints.ANSWER_TIMEOUT", 1.0)
    [finding] = prove(session, [probe(server(*ENDLESS, close=True), "b", timeout=1)], tuple)
    assert "it did not end within 1 s" in finding.problem
    assert finding.seconds < 20


def test_nobody_listening_is_said_so_in_time(session: Session) -> None:
    [finding] = prove(session, [probe(1, "x", timeout=1)], tuple)
    assert "no connection to 127.0.0.1:1" in finding.problem
    assert finding.seconds < 5


def test_a_session_that_has_ended_is_an_error_at_once(session: Session) -> None:
    """No probe can succeed on it any more, however much time it has left."""
    with session.start("grep PPid: /proc/$PPID/status; sleep 60") as process:
        ends = int(next(iter(process)).split()[1])
        asked: list[int] = []

        def look() -> tuple[Container, ...]:
            if not asked:
                os.kill(ends, signal.SIGKILL)
            asked.append(len(asked))
            return ()

        findings = prove(session, [probe(1, "x", timeout=600)], look)
        with pytest.raises(RemoteError, match="session has ended"):
            next(findings)
