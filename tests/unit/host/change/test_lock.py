"""The lock's script, run for real."""

import json
import os
import subprocess
import time
from pathlib import Path, PurePosixPath

import pytest
from msgspec.structs import asdict

from deploy_lib.host.change import lock as locking
from deploy_lib.host.change.lock import lock_script, me, owned
from deploy_lib.shell import ScriptExit


def begin(home: Path, what: str) -> subprocess.Popen[str]:
    script = lock_script(PurePosixPath(home), me(what), 0, 5)
    return subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_every_sign_of_life_is_answered_and_without_one_more_the_lock_is_free(tmp_path: Path) -> None:
    holder = begin(tmp_path, "first")
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "locked\n"
    for _ in range(2):
        holder.stdin.write(".")
        holder.stdin.flush()
        assert holder.stdout.readline() == ".\n"
    holder.stdin.close()
    assert holder.wait(10) == 0
    again = begin(tmp_path, "second")
    assert again.communicate("")[0] == "locked\n"


def test_who_comes_second_hears_of_the_holder_although_an_earlier_one_left_its_note(tmp_path: Path) -> None:
    state = tmp_path / ".deploy"
    state.mkdir()
    # Its number is another process's by now.
    (state / "lock.owner").write_text(f"{json.dumps(asdict(me('long ago')))}\n{os.getpid()}\n")
    # It has the lock, and has not come to say so yet.
    held = f"exec 9>>{state / 'lock'}; flock 9; exec sleep 30"
    holder = subprocess.Popen(["sh", "-c", held])
    try:
        deadline = time.monotonic() + 10
        while subprocess.run(["flock", "-n", str(state / "lock"), "true"]).returncode == 0:
            assert time.monotonic() < deadline
        second = begin(tmp_path, "second")
        time.sleep(0.3)
        note = state / "note"
        note.write_text(f"{json.dumps(asdict(me('the holder')))}\n{holder.pid}\n")
        note.rename(state / "lock.owner")
        said, _ = second.communicate(timeout=10)
    finally:
        holder.kill()
        holder.wait()
    assert json.loads(said.splitlines()[0])["what"] == "the holder"
    assert second.returncode == ScriptExit.HELD


def test_what_a_switch_that_was_cut_short_has_left_is_swept(tmp_path: Path) -> None:
    verdict = tmp_path / ".deploy/verdict"
    verdict.parent.mkdir()
    verdict.touch()
    assert begin(tmp_path, "next").communicate("")[0] == "locked\n"
    assert not verdict.exists()


def test_a_note_of_a_process_that_is_gone_owns_nothing(tmp_path: Path) -> None:
    holder = begin(tmp_path, "first")
    assert holder.stdout is not None
    holder.stdout.readline()
    token = json.loads((tmp_path / ".deploy/lock.owner").read_text().splitlines()[0])["token"]
    condition = ["sh", "-c", owned(PurePosixPath(tmp_path), token)]
    assert subprocess.run(condition).returncode == 0
    holder.kill()
    holder.wait()
    assert subprocess.run(condition).returncode != 0
    # Its number is another program's by now, even one that has a file open where the holder had the lock.
    note = tmp_path / ".deploy/lock.owner"
    stranger = subprocess.Popen(["sh", "-c", f"exec 9<{note}; echo; exec sleep 30"], stdout=subprocess.PIPE)
    try:
        assert stranger.stdout is not None
        stranger.stdout.readline()
        note.write_text(note.read_text().replace(f"\n{holder.pid}\n", f"\n{stranger.pid}\n"))
        assert str(stranger.pid) in note.read_text()
        assert subprocess.run(condition).returncode != 0
    finally:
        stranger.kill()
        stranger.wait()


def test_a_holder_that_is_silent_loses_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "LAPSE", 1)
    holder = begin(tmp_path, "asleep")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    # Its channel is open, and nothing comes.
    assert holder.wait(10) == 0
    assert not (tmp_path / ".deploy/lock.owner").exists()
    assert begin(tmp_path, "next").communicate("")[0] == "locked\n"


def test_a_directory_that_cannot_be_made_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file/below", tmp_path / "file"):
        said, _ = (holder := begin(home, "nowhere")).communicate("")
        assert "locked" not in said
        assert holder.returncode == 1


def test_what_the_lock_makes_lets_nobody_else_in(tmp_path: Path) -> None:
    begin(tmp_path, "first").communicate("")
    assert (tmp_path / ".deploy").stat().st_mode & 0o077 == 0
    assert (tmp_path / ".deploy/lock").stat().st_mode & 0o077 == 0


def switching(home: Path, seconds: float) -> subprocess.Popen[bytes]:
    """A switch whose session has ended."""
    (home / ".deploy").mkdir(exist_ok=True)
    lock = home / ".deploy/switch.lock"
    process = subprocess.Popen(["flock", str(lock), "sleep", str(seconds)])
    deadline = time.monotonic() + 10
    while subprocess.run(["flock", "-n", str(lock), "true"]).returncode == 0:
        assert time.monotonic() < deadline
    return process


def test_a_switch_that_was_left_to_itself_is_waited_for(tmp_path: Path) -> None:
    switch = switching(tmp_path, 1)
    assert begin(tmp_path, "next").communicate("", timeout=20)[0] == "switching\nlocked\n"
    assert switch.wait(10) == 0


def test_who_waits_for_a_switch_and_is_gone_holds_no_lock(tmp_path: Path) -> None:
    switch = switching(tmp_path, 60)
    try:
        waiting = begin(tmp_path, "gone")
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "switching\n"
        waiting.stdout.close()
        waiting.wait(20)
        assert subprocess.run(["flock", "-n", str(tmp_path / ".deploy/lock"), "true"]).returncode == 0
    finally:
        subprocess.run(["pkill", "-P", str(switch.pid)])
        switch.wait(10)


@pytest.mark.parametrize(("lets", "first"), [(":", ""), ('[ "$*" != "-n 9" ] || exit 0', "switching\n")])
def test_a_file_system_that_cannot_lock_is_not_told_as_somebody_else(
    tmp_path: Path, lets: str, first: str
) -> None:
    # It may say so at once, or not before it has to wait for a switch.
    (tmp_path / "flock").write_text(f"#!/bin/sh\n{lets}\necho 'flock: 9: No locks available' >&2; exit 71\n")
    (tmp_path / "flock").chmod(0o755)
    script = lock_script(PurePosixPath(tmp_path), me("next"), 0, 1)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", script], input="", capture_output=True, text=True, timeout=20, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (1, first, done.stderr)
    assert "No locks available" in done.stderr


def test_a_switch_that_does_not_end_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    switch = switching(tmp_path, 60)
    try:
        script = lock_script(PurePosixPath(tmp_path), me("next"), 0, 1)
        done = subprocess.run(["sh", "-c", script], input="", capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stdout) == (ScriptExit.BUSY, "switching\n")
    finally:
        # flock passes its lock on to what it runs.
        subprocess.run(["pkill", "-P", str(switch.pid)])
        switch.wait(10)
