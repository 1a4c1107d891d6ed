"""The scripts that make, verify and remove backups, run for real with a `docker` that runs the commands of containers here."""

import gzip
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy_lib.host.change import backup, prune
from deploy_lib.host.look.backups import list_script
from deploy_lib.release.backup import read_listed
from deploy_lib.shell import ScriptExit
from deploy_lib.values import replace
from tests.unit.host.change.keeper import Keeper


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Keeper]:
    host = Keeper(tmp_path)
    yield host
    host.holder.kill()


def test_a_backup_is_a_file_of_its_own_with_what_is_known_of_it(host: Keeper) -> None:
    made = host.made()
    path = host.directory / f"{made.id}.data"
    assert gzip.decompress(path.read_bytes()) == b"whole: one"
    assert (made.size, made.sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    assert (made.release, made.service, made.image, made.why) == ("r1", "db", "h/db:1", "it's a test")
    assert host.left() == [f"{made.id}.data", f"{made.id}.json"]
    assert {oct(p.stat().st_mode & 0o777) for p in host.directory.iterdir()} == {"0o600"}
    assert oct(host.directory.stat().st_mode & 0o777) == "0o700"
    assert host.kinds() == ["backup"]
    (listed,) = read_listed(host.run(list_script(host.stack)).stdout)
    assert listed == made


def test_what_is_compressed_already_is_kept_as_it_is(host: Keeper) -> None:
    host.given(compress=False)
    assert (host.directory / f"{host.made().id}.data").read_text() == "whole: one"


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"command": ("sh", "-c", "echo whole; echo no such table >&2; exit 3")},
            "exit status 3\nno such table",
        ),
        ({"command": ("no-such-program",)}, "the backup of rows failed: exit status 127"),
        ({"command": ("true",)}, "the backup of rows is empty"),
        ({"command": ("echo", "a half")}, "the check of rows refuses the backup: exit status 1"),
        ({"command": ("sleep", "30"), "timeout": 1}, "it did not end in 1 s"),
    ],
)
def test_what_fails_leaves_nothing_and_says_why(
    host: Keeper, change: dict[str, object], said: str, compress: bool
) -> None:
    host.given(**change, compress=compress)
    done = host.make()
    assert done.returncode == ScriptExit.NO_BACKUP
    assert said in done.stderr
    assert (host.left(), host.kinds()) == ([], [])


def test_a_command_that_is_given_up_is_ended_in_its_container_too(host: Keeper) -> None:
    pid = host.folder / "pid"
    host.given(command=("sh", "-c", f"sleep 30 & echo $! > {pid}; wait"), timeout=1)
    assert host.make().returncode == ScriptExit.NO_BACKUP
    state = Path(f"/proc/{pid.read_text().strip()}/stat")
    assert not state.exists() or re.search(r"\) Z ", state.read_text())


def test_a_full_disk_is_said(host: Keeper) -> None:
    host.tool(
        "df",
        "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available Capacity Mounted on'\necho 'x 10 10 0 100% /'\n",
    )
    host.given(command=("sh", "-c", "exit 1"))
    assert "there is no room left on the disk of" in host.make().stderr


def test_a_compressor_that_fails_is_a_failure(host: Keeper) -> None:
    host.tool("gzip", "#!/bin/sh\ncat >/dev/null; echo 'gzip: No space left on device' >&2; exit 1\n")
    done = host.make()
    assert done.returncode == ScriptExit.NO_BACKUP
    assert "No space left on device" in done.stderr
    assert host.left() == []


def test_a_service_that_does_not_run_has_no_backup(host: Keeper) -> None:
    (host.folder / "down").touch()
    done = host.make()
    assert (done.returncode, host.left()) == (ScriptExit.NO_BACKUP, [])
    assert "db does not run" in done.stderr


def test_of_several_each_that_was_made_counts(host: Keeper) -> None:
    first, second = host.order(), host.order()
    host.given(command=("false",))
    done = host.make(first, host.order(), second)
    assert done.returncode == ScriptExit.NO_BACKUP
    assert host.left() == [f"{first.file.id}.data", f"{first.file.id}.json"]


def test_what_a_killed_script_has_left_is_removed(host: Keeper) -> None:
    before = host.made()
    for name in ("20260101T000000Z-rows-0000.data", "20260101T000000Z-rows-0001.data.new", "x.json.new"):
        (host.directory / name).touch()
    made = host.made()
    assert host.left() == sorted(f"{file.id}.{kind}" for file in (before, made) for kind in ("data", "json"))


def test_nothing_is_made_by_who_does_not_hold_the_lock(host: Keeper) -> None:
    assert host.make(token="another").returncode == ScriptExit.LAPSED
    assert host.left() == []


def test_no_container_may_reach_the_backups(host: Keeper) -> None:
    host.made()
    (host.directory / "x").mkdir()
    link = host.folder / "link"
    link.symlink_to(host.home)
    harmless = [
        f"true {host.home}/conf",
        f"true {host.home}/.deploy-not",
        "true /var/lib/docker/volumes/x/_data",
    ]
    reaching = [
        *(
            f"true {host.home}",
            f"false {host.home}/.deploy",
            f"false {host.directory}/x",
            f"false {link}",
            "true /",
        ),
        f"true {host.directory}",
    ]

    def write(name: str, lines: list[str]) -> None:
        text = "".join(f"{line.replace(' ', ' /web1 ', 1)}\n\n" for line in lines)
        (host.folder / name).write_text(text)

    # To read the whole host, as what watches it does, is to read all of it anyway.
    write("mounts", [*harmless, "false /"])
    write("devices", harmless)
    assert host.make().returncode == 0
    write("mounts", [*harmless, *reaching])
    done = host.make()
    assert done.returncode == ScriptExit.EXPOSED
    named = [line.partition(" has ")[2].split()[0] for line in done.stderr.splitlines()]
    assert named == [line.split()[1] for line in reaching]
    write("mounts", [])
    write("devices", reaching[:1])
    assert host.make().returncode == ScriptExit.EXPOSED


def test_a_directory_of_somebody_else_is_no_place_for_backups(host: Keeper) -> None:
    host.directory.parent.mkdir(exist_ok=True)
    (host.folder / "elsewhere").mkdir()
    theirs = host.folder / "elsewhere/notes.new"
    theirs.touch()
    host.directory.symlink_to(host.folder / "elsewhere")
    done = host.make()
    assert done.returncode == ScriptExit.NOT_OURS
    assert list((host.folder / "elsewhere").iterdir()) == [theirs]


def test_a_backup_is_verified_to_its_last_byte(host: Keeper) -> None:
    made = host.made()
    script = backup.verify_script(host.stack, host.entry, made)
    assert host.run(script).returncode == 0
    path = host.directory / f"{made.id}.data"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    done = host.run(script)
    assert done.returncode == ScriptExit.NO_BACKUP
    assert "is not as it was when it was made" in done.stderr
    (listed,) = read_listed(host.run(list_script(host.stack)).stdout)
    assert listed.whole
    path.unlink()
    (listed,) = read_listed(host.run(list_script(host.stack)).stdout)
    assert not listed.whole


def test_the_newest_stay_and_those_that_a_rollback_needs(host: Keeper) -> None:
    names = [f"2026010{day}T000000Z-rows-000{day}" for day in range(1, 6)]
    for name in names:
        order = host.order(name)
        host.made(replace(order, file=replace(order.file, release=f"r{name[-1]}", id=name)))
    other = host.directory / "20250101T000000Z-other-rows-0001.json"
    other.write_text("{}")
    script = prune.pruned_after(host.stack, ["r2"])
    done = host.run(script)
    assert done.stdout.splitlines() == [f"removed backup {names[0]}", f"removed backup {names[2]}"]
    kept = [names[1], names[3], names[4]]
    assert host.left() == sorted(
        [other.name, *(f"{name}.{kind}" for name in kept for kind in ("data", "json"))]
    )
    assert host.run(script).stdout == ""


def test_one_that_was_just_made_stays_although_a_slow_clock_has_named_it(host: Keeper) -> None:
    names = [f"2026010{day}T000000Z-rows-000{day}" for day in range(1, 5)]
    host.made(*(host.order(name) for name in names[1:]))
    done = host.make(host.order(names[0]), prune=prune.pruned_after(host.stack, []))
    assert done.returncode == 0
    assert done.stdout.splitlines()[1:] == [f"removed backup {names[1]}"]
    assert {name.partition(".")[0] for name in host.left()} == {names[0], *names[2:]}
