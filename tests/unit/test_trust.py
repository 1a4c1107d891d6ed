"""Who else could change what lies at a path, asked of a real shell; and what scripts make in memory."""

import os
import re
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from deploy_lib import shell
from deploy_lib.host.change import lock, targets
from deploy_lib.host.change.launch import launcher
from deploy_lib.host.change.signs import BEGUN
from deploy_lib.layout import MEMORY
from deploy_lib.shell import ScriptExit

OTHER = 12345


def run(script: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, env={**os.environ, **env})


def said(script: str) -> str:
    done = run(shell.TRUST + script)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def hint(text: str) -> None:
    """Does what a line says."""
    for line in text.splitlines():
        subprocess.run(["sh", "-c", line.partition("\t")[2]], check=True)


def another_user_s(path: Path) -> Path:
    """A directory of another user; only root can make one."""
    if os.geteuid():
        return Path("/usr")
    os.chown(path, OTHER, -1)
    return path


def a_socket(path: Path) -> None:
    socket.socket(socket.AF_UNIX).bind(str(path))


def a_link(path: Path) -> None:
    target = path.parent / "target"
    target.mkdir()
    path.symlink_to(target)


PLANTS: dict[str, Callable[[Path], object]] = {
    "file": Path.touch,
    "link": a_link,
    "dangling link": lambda path: path.symlink_to(path.parent / "nowhere"),
    "pipe": lambda path: os.mkfifo(path),
    "socket": a_socket,
}


@pytest.fixture
def mine() -> Iterator[Path]:
    """A directory in memory that is wholly this user's."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o555])
def test_a_directory_that_nobody_else_can_write_is_one_s_own(mine: Path, mode: int) -> None:
    mine.chmod(mode)
    assert said(f"own {mine}; way {mine}") == ""


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o1777, 0o2770])
def test_one_that_others_can_write_is_not_until_it_is_mended(mine: Path, mode: int) -> None:
    mine.chmod(mode)
    text = said(f"own {mine}")
    assert f"{mine} can be changed by others" in text
    hint(text)
    assert said(f"own {mine}") == ""


@pytest.mark.parametrize("plant", PLANTS)
def test_nothing_but_a_directory_is_one(mine: Path, plant: str) -> None:
    path = mine / "x"
    PLANTS[plant](path)
    text = said(f"own {path}")
    assert f"{path}, which " in text
    hint(text)
    assert not os.path.lexists(path)


def test_another_user_s_is_not(mine: Path) -> None:
    path = another_user_s(mine)
    assert re.match(rf"{path} belongs to \S+, and not to \S+, who deploys\tas root: ", said(f"own {path}"))


def test_what_leads_there_counts(mine: Path) -> None:
    place = mine / "a/b"
    place.mkdir(parents=True)
    mine.chmod(0o777)
    assert said(f"way {place}").startswith(f"{mine} can be changed by others")
    # Nobody takes away there what is another's, and what there is was just found to be this user's.
    mine.chmod(0o1777)
    assert said(f"way {place}; way {place}/not/there/yet") == ""


@pytest.mark.parametrize("target", ["loose/b", "{mine}/loose/b"])
def test_a_link_is_looked_at_and_where_it_leads(mine: Path, target: str) -> None:
    (mine / "loose/b").mkdir(parents=True)
    (mine / "loose").chmod(0o777)
    (mine / "link").symlink_to(target.format(mine=mine))
    assert f"{mine}/loose can be changed by others" in said(f"way {mine}/link")
    (mine / "loose").chmod(0o755)
    assert said(f"way {mine}/link") == ""


# --- the stack's directory ----------------------------------------------------------------------------------


def strangers(home: Path) -> str:
    return said(f"{shell.strangers(PurePosixPath(home))}strangers")


@pytest.mark.parametrize("loose", [".", ".deploy", ".."])
def test_a_stack_s_directory_that_others_can_write_is_found_and_mended(mine: Path, loose: str) -> None:
    home = mine / "stack"
    (home / ".deploy").mkdir(parents=True, mode=0o700)
    assert strangers(home) == ""
    (home / loose).chmod(0o777)
    text = strangers(home)
    assert f"{(home / loose).resolve()} can be changed by others" in text
    hint(text)
    assert strangers(home) == ""


@pytest.mark.parametrize("plant", PLANTS)
def test_a_state_directory_that_is_none_is_found(mine: Path, plant: str) -> None:
    PLANTS[plant](mine / ".deploy")
    assert f"{mine}/.deploy, which" in strangers(mine)


def test_two_users_are_told_how_to_share_a_stack(mine: Path) -> None:
    home = another_user_s(mine)
    text = strangers(home)
    assert re.search(rf"\tlog in as \S+ \(User in ssh_config\), or as root: chown -R \S+ {home}\n", text)


def take(home: Path, delivery: Path | None = None) -> subprocess.CompletedProcess[str]:
    place = PurePosixPath(delivery) if delivery else None
    return run(f"umask 0\n{lock.lock_script(PurePosixPath(home), lock.me('a test'), 0, 1, place)}")


def test_the_lock_is_not_taken_where_others_could_take_it_away(mine: Path) -> None:
    mine.chmod(0o777)
    done = take(mine)
    assert done.returncode == ScriptExit.NOT_OURS
    assert f"{mine} can be changed by others (drwxrwxrwx)\tchmod go-w {mine}" in done.stdout
    assert list(mine.iterdir()) == []


def test_what_the_lock_makes_is_nobody_else_s_whatever_the_umask(mine: Path) -> None:
    assert "locked" in take(mine / "stack").stdout
    assert stat.S_IMODE((mine / "stack").stat().st_mode) == 0o755
    assert stat.S_IMODE((mine / "stack/.deploy").stat().st_mode) == 0o700


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("name", ["ktrdr-secrets", "ktrdr-secrets/p"])
def test_where_secrets_are_to_lie_is_made_before_one_is_sent(mine: Path, name: str, plant: str) -> None:
    place = mine / "memory/ktrdr-secrets/p"
    (mine / "memory" / name).parent.mkdir(parents=True, mode=0o700)
    PLANTS[plant](mine / "memory" / name)
    done = take(mine / "stack", place)
    assert done.returncode == ScriptExit.NOT_OURS
    assert f"{mine / 'memory' / name}, which" in done.stdout
    assert "locked" not in done.stdout
    (mine / "memory" / name).unlink()
    assert "locked" in take(mine / "stack", place).stdout
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_targets_are_not_written_where_others_could_lead_them_elsewhere(mine: Path) -> None:
    victim = mine / "victim"
    victim.write_text("kept")
    (mine / "stack/targets").mkdir(parents=True)
    (mine / "stack/targets/.B.json.new").symlink_to(victim)
    (mine / "stack/targets").chmod(0o777)
    done = run(targets.targets_script(PurePosixPath(mine / "stack/targets/B.json")))
    assert done.returncode == ScriptExit.NOT_OURS
    assert "targets can be changed by others" in done.stderr
    assert victim.read_text() == "kept"


# --- memory -------------------------------------------------------------------------------------------------


def at(script: str, memory: Path) -> str:
    """A script that knows of no other memory than this."""
    assert " ".join(MEMORY) in script
    return script.replace(" ".join(MEMORY), str(memory))


@pytest.mark.parametrize(
    ("mode", "good"), [(0o700, True), (0o1777, True), (0o755, True), (0o777, False), (0o770, False)]
)
def test_memory_in_which_others_can_rename_is_none(mine: Path, mode: int, good: bool) -> None:
    mine.chmod(mode)
    assert run(f'{at(shell.FIND_MEMORY, mine)}echo "$m"').stdout.strip() == (str(mine) if good else "")


def test_scratch_is_this_script_s_alone_and_gone_with_it(mine: Path) -> None:
    shown = run(f"{at(shell.IN_MEMORY, mine)}stat -c '%a %F' \"$t\"; echo $t; echo $TMPDIR").stdout
    about, place, temporary = shown.splitlines()
    assert about == "700 directory"
    assert place == temporary
    assert list(mine.iterdir()) == []


def test_only_what_killed_scripts_of_this_user_have_left_is_swept(mine: Path) -> None:
    victim = mine / "victim"
    victim.mkdir()
    (victim / "file").touch()
    (mine / "ktrdr-deploy.99999999.dead").mkdir()
    (mine / "ktrdr-deploy.99999999.link").symlink_to(victim)
    (mine / f"ktrdr-deploy.{os.getpid()}.lives").mkdir()
    if not os.geteuid():
        (mine / "ktrdr-deploy.99999999.other").mkdir()
        another_user_s(mine / "ktrdr-deploy.99999999.other")
    kept = {path.name for path in mine.iterdir()} - {"ktrdr-deploy.99999999.dead"}
    assert run(at(shell.IN_MEMORY, mine)).returncode == 0
    assert {path.name for path in mine.iterdir()} == kept
    assert (victim / "file").exists()


def test_a_process_number_that_is_taken_again_keeps_nothing_from_being_swept(mine: Path) -> None:
    """The login of a staging script that was killed would stay for as long as some daemon runs."""
    left = mine / f"ktrdr-deploy.{os.getpid()}.dead"
    left.mkdir()
    (left / "config.json").touch()
    script = at(shell.IN_MEMORY, mine)
    with subprocess.Popen(
        ["sh", "-c", f'{script}touch "$t/used"; echo "$t"; read -r x'],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        used = Path(other.stdout.readline().strip())
        assert run(script).returncode == 0
        assert [*mine.iterdir()] == [used]
        other.communicate("\n")
    assert [*mine.iterdir()] == []


def test_a_script_that_begins_while_another_sweeps_keeps_its_scratch(mine: Path, tmp_path: Path) -> None:
    """Each further host of a command can be the same machine, and its scripts begin at the same moment."""
    script = at(shell.IN_MEMORY, mine)
    begins = f'{script}: >"$t/used"; echo "$t"; read -r x'
    opens = begins.replace(f"exec {shell.SCRATCH_FD}<", f"read -r x && exec {shell.SCRATCH_FD}<")
    assert opens != begins
    with subprocess.Popen(
        ["sh", "-c", opens], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        deadline = time.monotonic() + 20
        while not list(mine.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.01)
        # The sweep asks what is in it: that is when the other opens it, and puts something there.
        (tmp_path / "ls").write_text(
            f"#!/bin/sh\n[ -e {tmp_path}/told ] || {{ touch {tmp_path}/told; echo >/proc/{other.pid}/fd/0; }}\n"
            f'until [ -n "$(/bin/ls {mine}/*/)" ]; do sleep 0.01; done\nexec /bin/ls "$@"\n'
        )
        (tmp_path / "ls").chmod(0o755)
        done = run(script, PATH=f"{tmp_path}:{os.environ['PATH']}")
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / "told").exists()
        assert len([*mine.glob("*/used")]) == 1
        other.communicate("\n")
    assert [*mine.iterdir()] == []


def test_without_room_a_script_stops_and_says_why(mine: Path, tmp_path: Path) -> None:
    (tmp_path / "mktemp").write_text("#!/bin/sh\necho 'No space left on device' >&2; exit 1\n")
    (tmp_path / "mktemp").chmod(0o755)
    done = run(f"{at(shell.IN_MEMORY, mine)}echo went on", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stdout) == (ScriptExit.NO_MEMORY, "")
    assert "No space left" in done.stderr


# --- the switch's launcher ------------------------------------------------------------------------------------


def launch(memory: Path, detached: str, **env: str) -> list[str]:
    return run(at(launcher("p", detached), memory), **env).stdout.splitlines()


@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_launched_is_what_was_sent(mine: Path, plant: str) -> None:
    for name in ("ktrdr-deploy-p.sh", "ktrdr-deploy-p.log", "ktrdr-deploy-p", "ktrdr-deploy-p.x"):
        (mine / name).mkdir()
        (mine / name).rmdir()
        PLANTS["file" if plant == "link" else plant](mine / name)
    before = {path.name for path in mine.iterdir()}
    said = launch(mine, f'echo "{BEGUN}"; echo "this one, $SECRET"', SECRET="value")
    assert said[:2] == [BEGUN, "this one, value"]
    assert said[-1] == "=== end 0"
    (place,) = (path for path in mine.iterdir() if path.name not in before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert (place / "log").read_text() == f"{BEGUN}\nthis one, value\n"


def test_what_is_launched_lies_where_nobody_else_can_put_anything(mine: Path) -> None:
    mine.chmod(0o1777)
    said = launch(
        mine,
        f'echo "{BEGUN}"; stat -c "%a %u" "${{0%/*}}" "$(dirname "$(readlink /proc/$$/fd/1)")"; echo "$0"',
    )
    assert said[1:3] == [f"700 {os.geteuid()}"] * 2
    assert not re.fullmatch(rf"{mine}/[^/]*", said[3])


@pytest.mark.skipif(
    os.geteuid() != 0, reason="becomes two other users; tests/lab/test_hostile.py has the whole of it"
)
def test_a_stranger_s_script_under_a_known_name_is_not_run_by_a_user_who_is_not_root(mine: Path) -> None:
    mine.chmod(0o1777)
    for kind in ("sh", "log"):
        planted = mine / f"ktrdr-deploy-p.{kind}"
        planted.write_text('echo "stolen: $SECRET"\n')
        os.chown(planted, OTHER, -1)
    done = subprocess.run(
        ["sh", "-c", at(launcher("p", f'echo "{BEGUN}"; echo "mine: $SECRET"'), mine)],
        capture_output=True, text=True, user=OTHER + 1, extra_groups=[], cwd="/", env={**os.environ, "SECRET": "value"},
    )  # fmt: skip
    assert "mine: value" in done.stdout
    assert "stolen" not in done.stdout + done.stderr
    assert (mine / "ktrdr-deploy-p.log").read_text() == 'echo "stolen: $SECRET"\n'


@pytest.mark.parametrize(("broken", "why"), [("mktemp", "no room"), ("cat", "does not fit")])
def test_a_switch_that_cannot_be_written_down_is_not_begun(
    mine: Path, tmp_path: Path, broken: str, why: str
) -> None:
    (tmp_path / broken).write_text("#!/bin/sh\necho 'no room' >&2; exit 1\n")
    (tmp_path / broken).chmod(0o755)
    said = launch(mine, "echo began", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert why in said[-2]
    assert said[-1] == f"=== end {ScriptExit.NO_PLACE}"
    assert "began" not in said
    assert list(mine.iterdir()) == []


def test_without_memory_a_switch_is_not_begun(mine: Path) -> None:
    mine.chmod(0o777)
    assert launch(mine, "echo began")[-1] == f"=== end {ScriptExit.NO_MEMORY}"


def test_links_that_lead_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    done = subprocess.run(
        ["sh", "-c", f"{shell.TRUST}way {tmp_path}/a/x"], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0
