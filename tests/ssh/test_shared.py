"""A session that the operator has opened already (ControlPath), where nothing else can log in."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest
from paramiko.ssh_exception import ChannelException

from deploy_lib.errors import LockedError, RemoteError, StoppedError, UnreachableError
from deploy_lib.host.change.lock import Lock, me
from deploy_lib.ssh import shared
from deploy_lib.ssh.asking import Asker
from deploy_lib.ssh.session import Session
from deploy_lib.ssh.shared import SharedSession

from .conftest import NAME, Sshd, free_port

Open = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(autouse=True)
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens sessions as an operator does, to be shared by way of `master`."""
    made: list[subprocess.Popen[bytes]] = []

    def start(sshd: Sshd) -> subprocess.Popen[bytes]:
        command = ["ssh", "-F", str(sshd.ssh_config), "-MN", "-S", str(tmp_path / "master"), NAME]
        made.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + 10
        while not (tmp_path / "master").exists():
            assert made[-1].poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        # From here on nothing else can log in.
        sshd.configure(f"ControlPath {tmp_path}/master", "BatchMode yes")
        text = sshd.ssh_config.read_text().replace(
            f"IdentityFile {sshd.directory}/id\n", "IdentityFile none\n"
        )
        sshd.ssh_config.write_text(text)
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.wait(timeout=10)


@pytest.fixture
def session(sshd: Sshd, opened: Open) -> Iterator[Session]:
    opened(sshd)
    session = sshd.session()
    session.open()
    assert isinstance(session.connection.transport, SharedSession)
    yield session
    session.close()


def test_scripts_run_over_it_as_over_one_of_its_own(session: Session) -> None:
    big = os.urandom(300_000)
    result = session.run('echo "$A"; wc -c; echo oh >&2; exit 3', env={"A": "b"}, stdin=big, check=False)
    assert (result.exit_code, result.stdout) == (3, "b\n300000\n")
    assert result.stderr.endswith("oh\n")
    with session.start('echo ready; read x; echo "$x"', keep_stdin=True) as process:
        lines = iter(process)
        assert next(lines) == "ready"
        process.send(b"later\n")
        assert list(lines) == ["later"]
        assert process.wait() == 0
    with session.start("wc -c", keep_stdin=True) as process:
        process.feed(big)
        process.close_stdin()
        assert list(process) == ["300000"]
    # It ends before it has read what it is given.
    assert session.run("echo early", stdin=big * 10).stdout == "early\n"
    assert session.connection.run("echo fabric", hide=True).stdout == "fabric\n"
    with pytest.raises(RemoteError, match="did not answer in time"):
        session.run("sleep 30", timeout=0.5)
    with pytest.raises(RemoteError, match="ended before the command did"):
        session.run("kill -9 $PPID $$")


def test_forwards_go_over_it(session: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert not session.forbids_forwarding("127.0.0.1", port)
        made = session.forward("127.0.0.1", port)
        theirs, _ = listener.accept()
        made.sendall(b"there")
        assert theirs.recv(5) == b"there"
        theirs.close()
        made.settimeout(5)
        assert made.recv(1) == b""
        assert made.eof_received
        made.close()
        assert made.closed
    assert not session.forbids_forwarding("127.0.0.1", free_port())
    with pytest.raises(RemoteError, match="Connect failed"):
        session.forward("127.0.0.1", free_port())


def test_the_limits_of_its_sshd_are_found(sshd_factory: Callable[..., Sshd], opened: Open) -> None:
    server = sshd_factory("AllowTcpForwarding no", "MaxSessions 2")
    opened(server)
    session = server.session()
    assert session.reserve(2) == 2
    assert session.reserve(3) == 2
    assert session.forbids_forwarding("127.0.0.1", server.port)
    with (
        session.start("cat", keep_stdin=True),
        session.start("cat", keep_stdin=True),
        pytest.raises(RemoteError, match="sshd opens no further session"),
    ):
        session.run("true")
    assert session.run("echo again").stdout == "again\n"
    session.close()


def test_a_jump_host_that_opens_no_sessions_is_shared(
    sshd: Sshd, sshd_factory: Callable[..., Sshd], opened: Open, tmp_path: Path
) -> None:
    bastion = sshd_factory("MaxSessions 0")
    opened(bastion)
    sshd.configure("ProxyJump bastion")
    own = bastion.ssh_config.read_text().replace(f"Host {NAME}\n", "Host bastion\n")
    sshd.ssh_config.write_text(sshd.ssh_config.read_text() + own)
    session = sshd.session()
    assert session.run("echo there").stdout == "there\n"
    session.close()
    # To the bastion itself there is no session.
    with pytest.raises(UnreachableError, match="refused the login"):
        bastion.session().open()


HOLD = """\
import pathlib, sys
from deploy_lib.host.change.lock import Lock, me
from deploy_lib.ssh.connection import connect_to
from deploy_lib.ssh.session import Session
session = Session("core", connect_to(sys.argv[1], pathlib.Path(sys.argv[2])))
lock = Lock(session, pathlib.PurePosixPath(sys.argv[3]), me("a test"))
lock.take()
print("held", flush=True)
session.run("sleep 60")
"""


def test_a_program_that_is_killed_leaves_the_lock_and_the_operators_session(
    sshd: Sshd, opened: Open, tmp_path: Path
) -> None:
    master = opened(sshd)
    command = [sys.executable, "-c", HOLD, NAME, str(sshd.ssh_config), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        session = sshd.session()
        lock = Lock(session, PurePosixPath(tmp_path), me("another"))
        with pytest.raises(LockedError):
            lock.take()
        holder.kill()
    deadline = time.monotonic() + 10
    while True:
        try:
            lock.take()
            break
        except LockedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    lock.release()
    session.close()
    assert master.poll() is None


def test_an_operator_who_closes_it_ends_it_here(session: Session, tmp_path: Path) -> None:
    close = ["ssh", "-F", "/dev/null", "-S", str(tmp_path / "master"), "-O", "exit", "x"]
    ending = threading.Timer(0.5, subprocess.run, [close], {"capture_output": True})
    ending.start()
    with pytest.raises(RemoteError, match="ended before the command did"):
        session.run("sleep 60")
    ending.join()
    with pytest.raises(RemoteError, match="the SSH session has ended"):
        session.run("true")


def test_leaving_it_leaves_the_operators(session: Session, sshd: Sshd) -> None:
    session.close()
    other = sshd.session()
    assert other.run("echo there").stdout == "there\n"
    other.close()


def test_one_of_its_own_comes_first(sshd: Sshd, opened: Open, tmp_path: Path) -> None:
    opened(sshd)
    sshd.configure(f"ControlPath {tmp_path}/master")
    session = sshd.session()
    session.open()
    assert not isinstance(session.connection.transport, SharedSession)
    session.close()


def test_nothing_is_asked_where_it_is_there(
    sshd: Sshd, opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    master = opened(sshd)
    phrase = os.urandom(8).hex()
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", str(tmp_path / "locked")]
    subprocess.run(command, check=True)
    allowed = sshd.directory / "authorized_keys"
    before = allowed.read_text()
    allowed.write_text(before + (tmp_path / "locked.pub").read_text())
    sshd.ssh_config.write_text(
        sshd.ssh_config.read_text()
        .replace("IdentityFile none", f"IdentityFile {tmp_path}/locked")
        .replace("BatchMode yes", "BatchMode no")
    )
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)

    def answer(_: Asker, question: str) -> str:
        asked.append(question)
        return phrase

    monkeypatch.setattr(Asker, "secret", answer)
    try:
        session = sshd.session()
        assert session.run("echo there").stdout == "there\n"
        assert not asked
        session.close()
        # One that hangs is no help: then the operator is asked after all.
        monkeypatch.setattr(shared, "share", lambda *_, **__: None)
        monkeypatch.setattr("deploy_lib.ssh.connection.share", lambda *_, **__: None)
        session = sshd.session()
        assert session.run("echo there").stdout == "there\n"
        assert len(asked) == 1
        session.close()
    finally:
        allowed.write_text(before)
    assert master.poll() is None


def test_a_host_that_is_another_one_is_refused_in_spite_of_it(sshd: Sshd, opened: Open) -> None:
    opened(sshd)
    sshd.trust(f"[127.0.0.1]:{sshd.port} {sshd.public_key('other')}")
    with pytest.raises(UnreachableError, match="has changed") as caught:
        sshd.session().open()
    assert caught.value.stage == "host key"


@pytest.mark.parametrize("kind", ["silent", "closing", "nonsense", "another's"])
def test_what_is_no_master_is_passed_over(
    sshd: Sshd, opened: Open, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(sshd)
    path = tmp_path / "other"
    monkeypatch.setattr("deploy_lib.ssh.master.ANSWER_TIMEOUT", 0.3)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            made, _ = listener.accept()
            if kind == "nonsense":
                made.sendall(b"\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x09")
            if kind == "silent":
                time.sleep(1)
            made.close()

        if kind == "another's":
            if os.getuid() == 0:
                os.chown(path, 12345, 12345)
            else:
                monkeypatch.setattr("deploy_lib.ssh.master.os.getuid", lambda: 12345)
        else:
            threading.Thread(target=answer, daemon=True).start()
        sshd.ssh_config.write_text(sshd.ssh_config.read_text().replace("/master", "/other"))
        with pytest.raises(UnreachableError, match="there was no key to try"):
            sshd.session().open()


def test_a_master_whose_host_is_frozen_is_no_help(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    path = session.connection.target.shared
    assert path is not None
    server = int(session.run("grep PPid: /proc/$PPID/status").stdout.split()[1])
    os.kill(server, signal.SIGSTOP)
    try:
        assert shared.listens(path)
        assert shared.share(path, 0.5) is None
    finally:
        os.kill(server, signal.SIGCONT)


def test_ctrl_c_is_heard_while_its_host_opens_nothing(session: Session) -> None:
    server = int(session.run("grep PPid: /proc/$PPID/status").stdout.split()[1])
    session.stop = threading.Event()
    pressed = threading.Timer(0.5, session.stop.set)
    os.kill(server, signal.SIGSTOP)
    try:
        with pytest.raises(RemoteError, match="did not answer in time"):
            session.run("true", timeout=0.5)
        pressed.start()
        with pytest.raises(StoppedError):
            session.run("true")
        pressed.join()
    finally:
        os.kill(server, signal.SIGCONT)
    session.stop = None
    assert session.run("echo again").stdout == "again\n"


def test_a_refusal_has_the_masters_words(session: Session) -> None:
    transport = session.connection.transport
    with pytest.raises(ChannelException, match="Connect failed"):
        transport.open_channel("direct-tcpip", ("127.0.0.1", free_port()), ("127.0.0.1", 0), timeout=5)
