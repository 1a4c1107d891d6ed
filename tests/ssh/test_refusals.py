"""Every failure to connect names its stage and the one thing to do; each is made here for real."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy_lib.errors import ExitCode, Stage, UnreachableError, UsageError
from deploy_lib.ssh import client, connection

from .conftest import NAME, Sshd, keygen, serve


def refusal(sshd: Sshd) -> UnreachableError:
    with pytest.raises(UnreachableError) as caught:
        sshd.session().open()
    assert caught.value.exit_code is ExitCode.NOT_STARTED
    assert caught.value.hint
    return caught.value


def first(sshd: Sshd, *lines: str) -> None:
    """Puts lines before all others: the first value counts."""
    text = sshd.ssh_config.read_text()
    sshd.ssh_config.write_text(text.replace(f"Host {NAME}\n", "\n".join([f"Host {NAME}", *lines]) + "\n"))


@pytest.fixture
def speaking(sshd: Sshd) -> Iterator[Callable[[bytes], int]]:
    """A port where something answers that is no SSH server."""
    listeners: list[socket.socket] = []

    def make(words: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def answer() -> None:
            while True:
                try:
                    made, _ = listener.accept()
                except OSError:
                    return
                with made:
                    made.sendall(words)

        threading.Thread(target=answer, daemon=True).start()
        return int(listener.getsockname()[1])

    yield make
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_what_is_no_ssh_server(
    sshd: Sshd, speaking: Callable[[bytes], int], words: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PAUSES", (0.05,))
    first(sshd, f"Port {speaking(words)}")
    error = refusal(sshd)
    assert error.stage == "SSH"
    assert "is that an SSH server" in str(error)


@pytest.mark.parametrize("words", [b"Exceeded MaxStartups\r\n", b"Not allowed at this time\r\n"])
def test_what_sshd_says_before_it_drops_a_connection_is_no_reason_to_give_up(
    sshd: Sshd, words: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its words since 9.8 are the same for want of room and for an address that it punishes."""
    monkeypatch.setattr(connection, "PAUSES", (0.05,))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        first(sshd, f"Port {server.getsockname()[1]}")

        def drop(times: int) -> None:
            for _ in range(times):
                made, _ = server.accept()
                made.sendall(words)
                made.close()

        with ThreadPoolExecutor(1) as pool:
            twice = pool.submit(drop, 2)
            error = refusal(sshd)
            twice.result(10)
    assert (error.stage, error.off) == ("SSH", False)
    for expected in (
        words.decode().strip(),
        "MaxStartups",
        "PerSourceMaxStartups",
        "PerSourcePenaltyExemptList",
    ):
        assert expected in str(error)


@contextlib.contextmanager
def slow(sshd: Sshd, *silences: float) -> Iterator[None]:
    """The server behind a way that waits before it passes on the server's next words."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def carry() -> None:
            made, _ = listener.accept()
            with made, socket.create_connection(("127.0.0.1", sshd.port)) as own:
                threading.Thread(target=pump, args=(made, own, ()), daemon=True).start()
                pump(own, made, silences)

        def pump(source: socket.socket, to: socket.socket, silences: tuple[float, ...]) -> None:
            pauses = iter(silences)
            with contextlib.suppress(OSError):
                while chunk := source.recv(65536):
                    time.sleep(next(pauses, 0))
                    to.sendall(chunk)

        threading.Thread(target=carry, daemon=True).start()
        first(sshd, f"Port {listener.getsockname()[1]}", "HostKeyAlias slow", "ConnectTimeout 1")
        sshd.trust(f"slow {sshd.public_key('host')}")
        yield


def test_a_connect_timeout_ends_where_it_does_with_ssh(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    with slow(sshd, 0, 1.5):
        done = subprocess.run(
            ["ssh", "-F", str(sshd.ssh_config), NAME, "true"], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    with slow(sshd, 0, 1.5), contextlib.closing(sshd.session()) as session:
        assert session.run("echo there").stdout == "there\n"
    with slow(sshd, 2):
        assert "it said nothing within 1 s" in str(error := refusal(sshd))
        assert "ConnectTimeout in ssh_config gives a slow one longer" in str(error)
    monkeypatch.setattr(client, "KEYS_TIMEOUT", 1.0)
    with slow(sshd, 0, 2):
        assert "no keys were agreed on within 1 s" in str(error := refusal(sshd))
        assert "a ConnectTimeout of more than 1" in str(error)


def place_at(sshd: Sshd) -> socket.socket:
    """A connection that sshd has let in, and that does not log in; a place is free a moment after another has left."""
    deadline = time.monotonic() + 30
    while True:
        made = socket.create_connection(("127.0.0.1", sshd.port))
        if made.recv(4) == b"SSH-":
            return made
        made.close()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_connection_that_sshd_has_no_room_for_is_tried_again(
    sshd_factory: Callable[..., Sshd], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PAUSES", (0.05,) * 600)
    sshd = sshd_factory("MaxStartups 2")
    others = [place_at(sshd), place_at(sshd)]
    with ThreadPoolExecutor(1) as pool, contextlib.closing(sshd.session()) as session:
        came = pool.submit(session.open)
        deadline = time.monotonic() + 30
        while "MaxStartups" not in sshd.log and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not came.done()
        for other in others:
            other.close()
        came.result(30)
    # Where no room comes, it says what to look at.
    monkeypatch.setattr(connection, "PAUSES", (0.05,))
    with place_at(sshd), place_at(sshd):
        error = refusal(sshd)
    assert (error.stage, error.off) == ("SSH", False)
    assert "it closed the connection before it said anything" in str(error)
    assert "MaxStartups" in str(error)


def test_many_targets_behind_one_jump_host_fit_through_its_door(sshd_factory: Callable[..., Sshd]) -> None:
    """By default sshd drops connections at random from the eleventh that has not logged in yet; this one drops each."""
    jump, sshd = sshd_factory("MaxStartups 10"), sshd_factory("MaxStartups 100")
    sshd.configure("ProxyJump jump")
    jump.configure()
    own = sshd.ssh_config.read_text()
    sshd.ssh_config.write_text(own + jump.ssh_config.read_text().replace(NAME, "jump"))
    sessions = [sshd.session() for _ in range(24)]
    with ThreadPoolExecutor(len(sessions)) as pool:
        list(pool.map(lambda session: session.open(), sessions))
        list(pool.map(lambda session: session.close(), sessions))
    # Each has logged in at the jump host, and each at its own.
    for server in (jump, sshd):
        assert server.log.count("Accepted publickey") == len(sessions)


@pytest.mark.parametrize(
    ("lines", "stage", "expected"),
    [
        (["HostName no-such-host.invalid"], "name", "does not resolve.*\n.*check DNS"),
        (["AddressFamily inet6"], "name", "127.0.0.1 does not resolve.*\n.*AddressFamily is inet6"),
        (["Port 1"], "TCP", "Connection refused.*\n.*is the host up"),
        (["ProxyCommand false"], "TCP", "ProxyCommand .* ended with exit status 1\n.*run it by hand"),
        (["ProxyCommand /nowhere/program %h"], "TCP", "exit status 12[67]\n"),
        (["ProxyCommand true", "ProxyUseFdpass yes"], "TCP", "handed over no connection"),
        (["KexAlgorithms sntrup761x25519-sha512@openssh.com"], "SSH", "KexAlgorithms has nothing"),
        (["HostKeyAlgorithms ssh-dss"], "SSH", "HostKeyAlgorithms has none"),
        (["MACs hmac-md5"], "SSH", "no acceptable macs|no algorithm suits both"),
        (["User no-such-user"], "login", "refused the login: tried .*id.*\n.*is no-such-user the right user"),
        (["HostKeyAlias elsewhere"], "host key", "is not known.*SHA256.*\n.*then add it"),
    ],
)
def test_the_stage_and_the_remedy_are_named(
    sshd: Sshd, lines: list[str], stage: Stage, expected: str
) -> None:
    import re

    first(sshd, *lines)
    error = refusal(sshd)
    assert error.stage == stage, str(error)
    assert re.search(expected, str(error)), str(error)
    # Only where nothing is: a program that makes no connection may as well have met a changed key.
    assert error.off is (stage in ("name", "TCP") and "Proxy" not in lines[0])


def test_a_host_whose_key_has_changed_is_not_off(sshd: Sshd, tmp_path: Path) -> None:
    keygen(tmp_path / "other")
    sshd.trust(f"[127.0.0.1]:{sshd.port} {(tmp_path / 'other.pub').read_text()}")
    error = refusal(sshd)
    assert (error.stage, error.off) == ("host key", False)


@pytest.mark.parametrize("silent", [True, False])
def test_a_host_behind_a_jump_host_is_off_where_either_is(sshd: Sshd, silent: bool) -> None:
    hop = "Port 1" if silent else f"Port {sshd.port}"
    own = "" if silent else "Port 1"
    text = sshd.ssh_config.read_text()
    jump = text.replace(f"Host {NAME}\n", f"Host hop\n{hop}\n").rstrip()
    sshd.ssh_config.write_text(
        text.replace(f"Host {NAME}\n", f"Host {NAME}\nProxyJump hop\n{own}\n") + "\n" + jump + "\n"
    )
    error = refusal(sshd)
    assert (error.stage, error.jump, error.off) == ("TCP", silent, True), str(error)


def test_a_host_that_drops_what_is_sent_to_it_is_off_behind_a_jump_host_too(sshd: Sshd) -> None:
    text = sshd.ssh_config.read_text()
    with contextlib.ExitStack() as held:
        # Two fill its queue: Linux answers no further one then.
        silent = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = silent.getsockname()[1]
        for _ in range(2):
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        first(sshd, "ProxyJump hop", f"Port {port}", "ConnectTimeout 1")
        sshd.ssh_config.write_text(sshd.ssh_config.read_text() + text.replace(NAME, "hop"))
        error = refusal(sshd)
    assert (error.stage, error.jump, error.off) == ("TCP", False, True), str(error)
    assert f"the jump host hop makes no TCP connection to root@127.0.0.1:{port}: nothing answered" in str(
        error
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("IdentityFile ~/%z", "IdentityFile ~/%z: there is no token '%z'"),
        ("CertificateFile ${NO_SUCH_VARIABLE}/x", "the environment has no NO_SUCH_VARIABLE"),
        ("KnownHostsCommand /bin/false", "ended with exit status 1"),
        ("ProxyJump jump", "ProxyJump leads in a circle, by way of jump"),
        ("ProxyJump by-%n", "ProxyJump leads in a circle, by way of by-by-"),
        ("ProxyJump %z", "ProxyJump %z: there is no token '%z'"),
    ],
)
def test_a_mistake_in_ssh_config_is_one_line(sshd: Sshd, line: str, expected: str) -> None:
    sshd.ssh_config.write_text(f"Host *\n{line}\nHostName 127.0.0.1\nPort {sshd.port}\n")
    with pytest.raises(UsageError) as caught:
        sshd.session().open()
    assert expected.lower() in str(caught.value).lower()


# --- certificates -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server whose certificate ran out long ago."""
    directory = tmp_path_factory.mktemp("certified")
    for name in ("host", "ca", "id", "other"):
        keygen(directory / name)
    shutil.copy(directory / "id.pub", directory / "authorized_keys")
    sign = ["ssh-keygen", "-q", "-s", str(directory / "ca"), "-I", "x", "-h", "-n", "127.0.0.1"]
    subprocess.run(
        [*sign, "-V", "20200101:20210101", str(directory / "host.pub")], check=True, capture_output=True
    )
    server = serve(directory, f"HostKey {directory}/host", f"HostCertificate {directory}/host-cert.pub")
    server.configure()
    yield server
    server.process.terminate()
    server.process.wait(timeout=10)


def fingerprint(key: Path) -> str:
    done = subprocess.run(["ssh-keygen", "-lf", str(key)], check=True, capture_output=True, text=True)
    return done.stdout.split()[1]


def test_a_certificate_that_does_not_count_is_named_with_its_authority(certified: Sshd) -> None:
    certified.trust(f"@cert-authority * {certified.public_key('ca')}")
    message = str(refusal(certified))
    assert f"signed by ssh-ed25519 {fingerprint(certified.directory / 'ca.pub')}" in message
    assert "it has expired at 20" in message
    certified.trust(f"@cert-authority * {certified.public_key('other')}")
    assert f"the @cert-authority line in {certified.known_hosts} has another" in str(refusal(certified))
    certified.trust("x ssh-ed25519 AAAA")
    assert "no @cert-authority line has that" in str(refusal(certified))


def test_a_host_without_a_certificate_is_told_with_the_line_that_wants_one(sshd: Sshd) -> None:
    sshd.trust(f"@cert-authority * {sshd.public_key('other')}")
    expected = f"{sshd.known_hosts} has a @cert-authority line for it, and it presents no certificate"
    assert expected in str(refusal(sshd))
