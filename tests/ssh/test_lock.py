"""The lock over a session whose other side has stopped answering, and has not said so."""

import os
import signal
import threading
import time
from pathlib import Path, PurePosixPath

import pytest

from deploy_lib.errors import RemoteError
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
    server = int(session.run("echo $PPID").stdout)
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
    server = int(session.run("echo $PPID").stdout)
    session.stop.set()
    os.kill(server, signal.SIGSTOP)
    resume = threading.Timer(1, os.kill, (server, signal.SIGCONT))
    resume.start()
    lock.release()
    resume.join()
    session.close()
