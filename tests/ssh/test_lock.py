"""The lock over a session whose other side has stopped answering, and has not said so."""

import os
import signal
import threading
import time
from pathlib import Path, PurePosixPath

import pytest

from deploy_lib.errors import LockedError, RemoteError
from deploy_lib.host.change import lock as locking
from deploy_lib.host.change.lock import Lock, me

from .conftest import Sshd


def test_a_peer_that_is_frozen_is_not_waited_for(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "HEARTBEAT", 0.2)
    monkeypatch.setattr(locking, "LAPSE", 2)
    session = sshd.session()
    lock = Lock(session, PurePosixPath(tmp_path), me("a test"))
    lock.take()
    server = int(session.run("grep PPid: /proc/$PPID/status").stdout.split()[1])
    began = time.monotonic()
    os.kill(server, signal.SIGSTOP)
    try:
        with pytest.raises(RemoteError):
            session.run("sleep 60; echo never", timeout=60)
        assert time.monotonic() - began < 30
    finally:
        os.kill(server, signal.SIGCONT)
        lock.release()
        session.close()


def test_a_peer_that_answers_is_waited_for(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "HEARTBEAT", 0.2)
    monkeypatch.setattr(locking, "LAPSE", 2)
    session = sshd.session()
    with Lock(session, PurePosixPath(tmp_path), me("a test")) as lock:
        lock.take()
        assert session.run("sleep 5; echo done").stdout == "done\n"
    session.close()


def test_ctrl_c_keeps_no_lock_from_being_given_back(sshd: Sshd, tmp_path: Path) -> None:
    session = sshd.session()
    session.stop = threading.Event()
    lock = Lock(session, PurePosixPath(tmp_path), me("a test"))
    lock.take()
    server = int(session.run("grep PPid: /proc/$PPID/status").stdout.split()[1])
    session.stop.set()
    os.kill(server, signal.SIGSTOP)
    resume = threading.Timer(1, os.kill, (server, signal.SIGCONT))
    resume.start()
    lock.release()
    resume.join()
    session.close()


def test_signs_of_life_keep_the_lock(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "HEARTBEAT", 0.2)
    monkeypatch.setattr(locking, "LAPSE", 1)
    session, other = sshd.session(), sshd.session()
    with Lock(session, PurePosixPath(tmp_path), me("the first")) as lock:
        lock.take()
        time.sleep(3)
        with pytest.raises(LockedError, match="for the first"):
            Lock(other, PurePosixPath(tmp_path), me("the second")).take()
    Lock(other, PurePosixPath(tmp_path), me("the second")).take()
    session.close()
    other.close()


def test_why_there_is_no_lock_is_said(sshd: Sshd, tmp_path: Path) -> None:
    session = sshd.session()
    (tmp_path / "file").touch()
    with pytest.raises(RemoteError, match="cannot be taken") as raised:
        Lock(session, PurePosixPath(tmp_path / "file"), me("a test")).take()
    assert "writable" in str(raised.value)
    state = tmp_path / ".deploy"
    state.mkdir()
    switch = session.start(f"exec flock {state}/switch.lock sleep 20", timeout=60)
    deadline = time.monotonic() + 10
    while session.run(f"flock -n {state}/switch.lock true", check=False).exit_code == 0:
        assert time.monotonic() < deadline
    heard: list[bool] = []
    with pytest.raises(LockedError, match="still running"):
        Lock(session, PurePosixPath(tmp_path), me("a test")).take(0, 1, lambda: heard.append(True))
    assert heard == [True]
    switch.close()
    session.close()
