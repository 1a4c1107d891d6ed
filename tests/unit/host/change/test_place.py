import subprocess
from pathlib import Path, PurePosixPath

import pytest

from deploy_lib.host.change.place import Placement, place


def run(home: Path, placement: Placement, into: Path | None = None) -> subprocess.CompletedProcess[str]:
    script = place(PurePosixPath(home), placement, PurePosixPath(into) if into else None)
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "it's home"
    (home / ".deploy/objects").mkdir(parents=True)
    (home / ".deploy/objects/n").write_text("new")
    (home / "sub").mkdir()
    (home / "a").write_text("old")
    (home / "sub/it's b").write_text("old")
    return home


def files(home: Path) -> dict[str, str]:
    found = (p for p in home.rglob("*") if p.is_file() and ".deploy" not in p.parts)
    return {str(p.relative_to(home)): p.read_text() for p in found}


def test_changed_files_are_put_into_place_and_dropped_ones_removed(home: Path) -> None:
    (home / "gone").write_text("x")
    done = run(home, Placement({"sub/it's b": "n", "deep/er/c": "n"}, ["gone"]))
    assert done.returncode == 0, done.stderr
    assert files(home) == {"a": "old", "sub/it's b": "new", "deep/er/c": "new"}
    assert (home / "sub/it's b").stat().st_mode & 0o777 == 0o644


def test_when_one_file_cannot_be_written_none_is_changed(home: Path) -> None:
    before = files(home)
    assert run(home, Placement({"a": "n", "sub/it's b": "missing"}, ["a"])).returncode != 0
    assert files(home) == before


def test_files_can_go_elsewhere(home: Path, tmp_path: Path) -> None:
    assert run(home, Placement({"a": "n"}), tmp_path / "staged").returncode == 0
    assert (tmp_path / "staged/a").read_text() == "new"
    assert (home / "a").read_text() == "old"
