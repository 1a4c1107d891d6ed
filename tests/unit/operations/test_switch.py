import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from deploy_lib.operations import switch
from deploy_lib.operations.history import event
from deploy_lib.release import Release
from deploy_lib.topology import load

ROOT = Path(__file__).resolve().parents[3]
NODE = load(ROOT, "lab").nodes["core"]
RELEASE = Release("r1", "sha-0000001", None, {}, {})


def orders(staged: Path, **more: Any) -> switch.Switch:
    arguments = {
        "token": "t",
        "changed": (),
        "dropped": (),
        "reloads": (),
        "started": event("started", RELEASE),
    }
    return switch.Switch(staged=PurePosixPath(staged), **{**arguments, **more})  # type: ignore[arg-type]


def place(tmp_path: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    script = switch.place(PurePosixPath(tmp_path / "home"), orders(tmp_path / "staged", **more))
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for folder, text in (("home", "old"), ("staged", "new")):
        (tmp_path / folder / "sub").mkdir(parents=True)
        (tmp_path / folder / "a").write_text(text)
        (tmp_path / folder / "sub/it's b").write_text(text)
    return tmp_path / "home"


def test_changed_files_are_put_into_place_and_dropped_ones_removed(tmp_path: Path, home: Path) -> None:
    (home / "gone").write_text("x")
    done = place(tmp_path, changed=("sub/it's b", "a"), dropped=("gone",))
    assert done.returncode == 0, done.stderr
    assert (home / "a").read_text() == (home / "sub/it's b").read_text() == "new"
    assert sorted(p.name for p in home.rglob("*")) == ["a", "it's b", "sub"]
    assert (tmp_path / "staged/a").read_text() == "new"  # kept, for a rollback


def test_when_one_file_cannot_be_written_none_is_changed(tmp_path: Path, home: Path) -> None:
    done = place(tmp_path, changed=("a", "missing", "sub/it's b"))
    assert done.returncode != 0
    assert (home / "a").read_text() == (home / "sub/it's b").read_text() == "old"
    assert sorted(p.name for p in home.rglob("*")) == ["a", "it's b", "sub"]


def test_the_scripts_are_ones_that_sh_understands() -> None:
    whole = switch.launcher(
        NODE,
        "ktrdr-core",
        switch.script(NODE, "ktrdr-core", orders(Path("/s"), changed=("a",), reloads=NODE.stack.reloads)),
    )
    assert subprocess.run(["sh", "-n"], input=whole, text=True, capture_output=True).stderr == ""
