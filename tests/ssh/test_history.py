"""What the owner of a lock adds to a host's history."""

from pathlib import Path, PurePosixPath

import pytest

from deploy_lib.errors import RemoteError
from deploy_lib.host.change.history import event, read_command, read_history, write_event
from deploy_lib.host.change.lock import Lock, me
from deploy_lib.host.change.recorded import is_recorded
from deploy_lib.release.history import interrupted, parse_events
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.shell import THERE
from deploy_lib.ssh.connection import StrictConnection
from deploy_lib.ssh.session import Session
from tests.unit.build import stack

from .conftest import Sshd

RELEASE = Release("r1", "sha-0000001", None, {"web": Image("x", digest="sha256:1")}, {"a": "1"})


def test_it_comes_after_what_is_there_and_stays_a_line(session: Session, tmp_path: Path) -> None:
    home = PurePosixPath(tmp_path)
    aborted = event("aborted", RELEASE, detail='it\'s "$HOME" `id`\n  in two lines \\ é')
    with Lock(session, home, me("a test")) as lock:
        lock.take()
        (tmp_path / ".deploy/history.jsonl").write_text('{"kind":"pro')
        write_event(session, stack(str(home)), lock.owner.token, aborted)
        write_event(session, stack(str(home)), lock.owner.token, event("started", RELEASE))
    found = read_history(session, home, 10)
    assert [e.kind for e in found] == ["aborted", "started"]
    assert found[0] == aborted


def test_one_whose_lock_has_lapsed_writes_nothing(session: Session, tmp_path: Path) -> None:
    home = PurePosixPath(tmp_path)
    with Lock(session, home, me("a test")) as lock:
        lock.take()
        with pytest.raises(RemoteError, match="lapsed"):
            write_event(session, stack(str(home)), "another token", event("aborted", RELEASE))
    with pytest.raises(RemoteError, match="lapsed"):
        write_event(session, stack(str(home)), lock.owner.token, event("aborted", RELEASE))
    assert read_history(session, home, 10) == []


def test_an_interrupted_switch_is_read_however_much_was_aborted_since(
    session: Session, tmp_path: Path
) -> None:
    (tmp_path / ".deploy").mkdir()
    events = [event("started", RELEASE), *(event("aborted", RELEASE),) * 5]
    (tmp_path / ".deploy/history.jsonl").write_text("".join(f"{e.line()}\n" for e in events))
    found = read_history(session, PurePosixPath(tmp_path), 1)
    assert [e.kind for e in found] == ["started", "aborted"]
    assert interrupted(found) is found[0]


def test_what_a_power_cut_leaves_hides_nothing(session: Session, tmp_path: Path) -> None:
    home, path = PurePosixPath(tmp_path), tmp_path / ".deploy/history.jsonl"
    before = event("proven", RELEASE)
    with Lock(session, home, me("a test")) as lock:
        lock.take()
        path.write_bytes(f'{before.line()}\n{{"kind":"pro'.encode() + b"\xff\x00" * 3 + b"\0" * 500)
        write_event(session, stack(str(home)), lock.owner.token, event("started", RELEASE))
    assert [e.kind for e in read_history(session, home, 10)] == ["proven", "started"]
    script = f"{THERE}history() {{ {read_command(home, 10, 10, 5)}}}\nhistory"
    assert [e.kind for e in parse_events(session.run(script).stdout)] == ["proven", "started"]


def test_a_history_that_cannot_be_read_is_not_an_empty_one(session: Session, tmp_path: Path) -> None:
    (tmp_path / ".deploy/history.jsonl").mkdir(parents=True)
    script = f"{THERE}history() {{ {read_command(PurePosixPath(tmp_path), 10, 10, 5)}}}\nhistory"
    with pytest.raises(RemoteError):
        session.run(script)
    with pytest.raises(RemoteError, match="Is a directory") as caught:
        read_history(session, PurePosixPath(tmp_path), 10)
    assert "-> fix what the host reports" in str(caught.value)


def test_a_directory_that_cannot_be_looked_into_is_not_one_without_a_history(
    session: Session, tmp_path: Path
) -> None:
    """Whoever deploys may be no root; a loop of links stands for what stat refuses, also to root."""
    (tmp_path / ".deploy").symlink_to(tmp_path / ".deploy")
    with pytest.raises(RemoteError, match="symbolic links"):
        read_history(session, PurePosixPath(tmp_path), 10)
    assert read_history(session, PurePosixPath(tmp_path / "none"), 10) == []


def test_a_torn_last_line_does_not_count_as_an_event(session: Session, tmp_path: Path) -> None:
    (tmp_path / ".deploy").mkdir()
    proven = event("proven", RELEASE)
    (tmp_path / ".deploy/history.jsonl").write_text(f'{proven.line()}\n{{"kind":"pro')
    assert read_history(session, PurePosixPath(tmp_path), 1) == [proven]


def test_what_was_recorded_is_asked_over_one_more_connection_once_the_session_has_ended(
    session: Session, tmp_path: Path
) -> None:
    happened = event("proven", RELEASE)
    (tmp_path / ".deploy").mkdir()
    session.open()
    session.connection.transport.close()
    assert is_recorded(session, PurePosixPath(tmp_path), [happened], answers=True) is False
    (tmp_path / ".deploy/history.jsonl").write_text(f"{happened.line()}\n")
    assert is_recorded(session, PurePosixPath(tmp_path), [happened], answers=True)


def test_for_one_more_connection_nothing_is_asked_nor_for_its_jump_hosts(sshd: Sshd) -> None:
    sshd.configure("ProxyJump 127.0.0.1:9")
    twin = sshd.session().twin().connection
    assert isinstance(twin.gateway, StrictConnection)
    assert (twin.batch, twin.gateway.batch) == (True, True)
    assert not sshd.session().connection.batch
