"""Whether a host has recorded something is asked of the host, over whichever session answers."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import cast

import pytest

from deploy_lib.errors import CommandError, RemoteError
from deploy_lib.host.change.history import event
from deploy_lib.host.change.recorded import is_recorded, recorded_script
from deploy_lib.release.release import Release
from deploy_lib.shell import ScriptExit
from deploy_lib.ssh.session import Session

SHELLS = [["sh"], ["bash"], *([["busybox", "sh"]] if shutil.which("busybox") else [])]
PROVEN = event("proven", Release("r2", "a.b*[c]\\ $(x) '", None, {}, {}))
LIKE_IT = event("proven", Release("r2", "aXb*[c]\\ $(x) '", None, {}, {}))


class Host:
    """A directory that stands for a host's."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / ".deploy").mkdir()
        self.lock = (home / ".deploy/switch.lock").open("w")

    def hold(self) -> None:
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def let_go(self) -> None:
        fcntl.flock(self.lock, fcntl.LOCK_UN)

    def record(self, line: str) -> None:
        with (self.home / ".deploy/history.jsonl").open("a") as history:
            history.write(line + "\n")

    def ask(self, shell: list[str], wait: int = 0) -> "subprocess.Popen[bytes]":
        script = recorded_script(PurePosixPath(self.home), [PROVEN], wait)
        return subprocess.Popen([*shell, "-c", script])


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.lock.close()


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_what_the_history_has_is_recorded_whether_or_not_the_switch_has_ended(
    host: Host, shell: list[str]
) -> None:
    host.record(LIKE_IT.line())
    host.record(PROVEN.line() + " ")
    assert host.ask(shell).wait(20) == ScriptExit.ENDED
    host.hold()
    assert host.ask(shell).wait(20) == ScriptExit.BUSY
    host.record(PROVEN.line())
    host.record("\0\0 what a power cut has left")
    verdict = host.home / ".deploy/verdict"
    verdict.write_text("it may still be taken away again\n")
    assert host.ask(shell).wait(20) == ScriptExit.BUSY
    verdict.unlink()
    assert host.ask(shell).wait(20) == 0
    host.let_go()
    assert host.ask(shell).wait(20) == 0


@pytest.mark.parametrize("ends", ["recorded", "not recorded"])
def test_a_switch_that_may_still_record_it_is_waited_for(host: Host, ends: str) -> None:
    host.hold()
    asked = host.ask(["sh"], wait=20)
    with pytest.raises(subprocess.TimeoutExpired):
        asked.wait(0.5)
    if ends == "recorded":
        host.record(PROVEN.line())
    else:
        host.let_go()
    assert asked.wait(20) == (0 if ends == "recorded" else ScriptExit.ENDED)


def test_where_there_is_no_history_nothing_is_recorded(host: Host) -> None:
    assert host.ask(["sh"]).wait(20) == ScriptExit.ENDED


def status(code: int) -> CommandError:
    error = CommandError("refused")
    error.code = code
    return error


GONE = RemoteError("the session ended")


class Sessions:
    """Sessions that end an answer in this way: with an error, or without one."""

    def __init__(self, first: RemoteError | None, second: RemoteError | None = None) -> None:
        self.ends, self.asked, self.closed = [first, second], list[int](), 0
        self.number = 0

    def require_alive(self) -> None:
        pass

    def run(self, *_: object, **__: object) -> None:
        self.asked.append(self.number)
        if (error := self.ends[self.number]) is not None:
            raise error

    def twin(self) -> "Sessions":
        self.number = 1
        return self

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("sessions", "answers", "found", "asked"),
    [
        (Sessions(None), True, True, [0]),
        (Sessions(status(ScriptExit.ENDED)), True, False, [0]),
        (Sessions(status(ScriptExit.BUSY)), True, None, [0]),
        (Sessions(GONE, None), True, True, [0, 1]),
        (Sessions(GONE, status(ScriptExit.ENDED)), False, False, [1]),
        (Sessions(GONE, GONE), True, None, [0, 1]),
    ],
)
def test_a_session_that_has_ended_is_followed_by_one_more(
    sessions: Sessions, answers: bool, found: bool | None, asked: list[int]
) -> None:
    home = PurePosixPath(os.sep)
    assert is_recorded(cast(Session, sessions), home, [PROVEN], answers=answers) is found
    assert sessions.asked == asked
    assert sessions.closed == asked.count(1)
