"""What the owner of a lock adds to a host's history."""

from pathlib import Path, PurePosixPath

import pytest

from deploy_lib.errors import RemoteError
from deploy_lib.operations import history
from deploy_lib.release import Release
from deploy_lib.ssh.session import Session

RELEASE = Release("r1", "sha-0000001", None, {"web": "x@sha256:1"}, {"a": "1"})


def test_it_comes_after_what_is_there_and_stays_a_line(session: Session, tmp_path: Path) -> None:
    home = PurePosixPath(tmp_path)
    aborted = history.event("aborted", RELEASE, detail='it\'s "$HOME" `id`\n  in two lines \\ é')
    with pytest.raises(RemoteError):
        history.write(session, home, aborted)
    (tmp_path / ".deploy").mkdir()
    (tmp_path / ".deploy/history.jsonl").write_text('{"kind":"pro')
    history.write(session, home, aborted)
    history.write(session, home, history.event("started", RELEASE))
    found = history.read(session, home, 10)
    assert [e.kind for e in found] == ["aborted", "started"]
    assert found[0] == aborted
