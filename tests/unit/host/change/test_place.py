import subprocess
from pathlib import Path, PurePosixPath

import pytest

from deploy_lib.host.change.place import Placement, intact, place
from deploy_lib.host.files import digest

NEW = digest(b"new")


def run(home: Path, placement: Placement, into: Path | None = None) -> subprocess.CompletedProcess[str]:
    script = place(PurePosixPath(home), placement, PurePosixPath(into) if into else None)
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "it's home"
    (home / ".deploy/objects").mkdir(parents=True)
    (home / ".deploy/objects" / NEW).write_text("new")
    (home / "sub").mkdir()
    (home / "a").write_text("old")
    (home / "sub/it's b").write_text("old")
    return home


def files(home: Path) -> dict[str, str]:
    found = (p for p in home.rglob("*") if p.is_file() and ".deploy" not in p.parts)
    return {str(p.relative_to(home)): p.read_text() for p in found}


def test_changed_files_are_put_into_place_and_dropped_ones_removed(home: Path) -> None:
    (home / "gone").write_text("x")
    done = run(home, Placement({"sub/it's b": NEW, "deep/er/c": NEW}, ["gone"]))
    assert done.returncode == 0, done.stderr
    assert files(home) == {"a": "old", "sub/it's b": "new", "deep/er/c": "new"}
    assert (home / "sub/it's b").stat().st_mode & 0o777 == 0o644


def test_when_one_file_cannot_be_written_none_is_changed(home: Path) -> None:
    before = files(home)
    assert run(home, Placement({"a": NEW, "sub/it's b": digest(b"missing")}, ["a"])).returncode != 0
    assert files(home) == before


def test_a_kept_file_that_was_changed_is_put_nowhere_and_named_with_its_remedy(home: Path) -> None:
    before, other = files(home), digest(b"other")
    changed = home / ".deploy/objects" / other
    changed.write_text("edited")
    wanted = Placement({"a": NEW, "sub/it's b": other}, ["a"])
    done = run(home, wanted)
    assert (done.returncode, files(home)) == (1, before)
    assert "the content for sub/it's b is not that of the release" in done.stderr
    said = subprocess.run(
        ["sh", "-c", intact(PurePosixPath(home), [Placement({"a": NEW}), wanted])],
        capture_output=True,
        text=True,
    )
    what, _, hint = said.stdout.partition("\t")
    assert (said.returncode, what) == (1, f"files of the kept releases were changed: {changed}")
    assert hint.startswith(f"rm {changed};")
    # One that is absent is brought.
    changed.unlink()
    assert subprocess.run(["sh", "-c", intact(PurePosixPath(home), [wanted])]).returncode == 0


def test_files_can_go_elsewhere(home: Path, tmp_path: Path) -> None:
    assert run(home, Placement({"a": NEW}), tmp_path / "staged").returncode == 0
    assert (tmp_path / "staged/a").read_text() == "new"
    assert (home / "a").read_text() == "old"
