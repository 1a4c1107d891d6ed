"""A throwaway sshd on a loopback port, with its own keys and configuration in a temporary directory."""

from __future__ import annotations

import functools
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy_lib.ssh.connection import connect_to
from deploy_lib.ssh.session import Session

NAME = "throwaway.internal"


@dataclass
class Sshd:
    """The server, and the client's side of it."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        return self.directory / "ssh_config"

    @property
    def log(self) -> str:
        return (self.directory / "sshd.log").read_text()

    def public_key(self, name: str) -> str:
        return " ".join((self.directory / f"{name}.pub").read_text().split()[:2])

    def trust(self, line: str | None = None) -> None:
        own = f"[127.0.0.1]:{self.port} {self.public_key('host')}"
        self.known_hosts.write_text(f"{line or own}\n")

    def configure(self, *options: str) -> None:
        lines = [
            f"Host {NAME}",
            "HostName 127.0.0.1",
            f"Port {self.port}",
            "User root",
            f"IdentityFile {self.directory}/id",
            "IdentitiesOnly yes",
            f"UserKnownHostsFile {self.known_hosts}",
            "GlobalKnownHostsFile /dev/null",
            *options,
        ]
        self.ssh_config.write_text("\n".join(lines) + "\n")

    def session(self) -> Session:
        return Session("core", connect_to(NAME, self.ssh_config))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def keygen(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


@functools.cache
def without_penalties(program: str) -> tuple[str, ...]:
    """What keeps a newer sshd from locking this machine out: tests fail to log in on purpose."""
    line = "PerSourcePenalties no"
    tried = subprocess.run(
        [program, "-t", "-f", "/dev/null", "-o", line.replace(" ", "=")], capture_output=True, text=True
    )
    return () if "Bad configuration option" in tried.stderr else (line,)


def serve(directory: Path, *options: str) -> Sshd:
    """Starts sshd with the lines that every test wants, and these.

    Args:
        directory: has `authorized_keys`, and gets configuration and log.
    """
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin")
    assert program, "these tests need OpenSSH's server: apt-get install openssh-server"
    Path("/run/sshd").mkdir(exist_ok=True)  # sshd refuses to start without it
    port = free_port()
    settings = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"AuthorizedKeysFile {directory}/authorized_keys",
        "PermitRootLogin yes",
        "StrictModes no",
        "UsePAM no",
        "PidFile none",
        "LogLevel DEBUG1",
        *without_penalties(program),
        *options,
    ]
    (directory / "sshd_config").write_text("\n".join(settings) + "\n")
    with (directory / "sshd.log").open("wb") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(directory / "sshd_config")], stderr=log)
    server = Sshd(directory, port, process)
    deadline = time.monotonic() + 10
    while "Server listening" not in server.log:
        assert process.poll() is None, server.log
        assert time.monotonic() < deadline, "sshd did not start"
        time.sleep(0.02)
    return server


@pytest.fixture(scope="session")
def sshd_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Sshd]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> Sshd:
        directory = tmp_path_factory.mktemp("sshd")
        directory.chmod(0o700)
        keygen(directory / "host")
        keygen(directory / "other")
        keygen(directory / "id")
        shutil.copy(directory / "id.pub", directory / "authorized_keys")
        server = serve(directory, f"HostKey {directory}/host", *options)
        started.append(server.process)
        server.trust()
        server.configure()
        return server

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def shared_sshd(sshd_factory: Callable[..., Sshd]) -> Sshd:
    return sshd_factory()


@pytest.fixture
def sshd(shared_sshd: Sshd) -> Sshd:
    shared_sshd.trust()
    shared_sshd.configure()
    return shared_sshd


@pytest.fixture
def session(sshd: Sshd) -> Iterator[Session]:
    session = sshd.session()
    yield session
    session.close()
