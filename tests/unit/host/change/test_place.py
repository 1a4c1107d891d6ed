import os
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from deploy_lib.compose.project import Project
from deploy_lib.config import Reload
from deploy_lib.host.change.place import Placement, intact, note, place, remember, tell
from deploy_lib.release.files import FOLDER, digest, file_mark, link_mark

NEW, OTHER = digest(b"new"), digest(b"other")


def run(home: Path, placement: Placement) -> subprocess.CompletedProcess[str]:
    script = place(PurePosixPath(home), placement)
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True)


def put(home: Path, files: dict[str, str], *dropped: str) -> None:
    done = run(home, Placement(files, dropped))
    assert done.returncode == 0, done.stderr


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "it's home"
    (home / ".deploy/objects").mkdir(parents=True)
    (home / ".deploy/objects" / NEW).write_text("new")
    (home / ".deploy/objects" / OTHER).write_text("other")
    (home / "sub").mkdir()
    (home / "a").write_text("old")
    (home / "sub/it's b").write_text("old")
    return home


def files(home: Path) -> dict[str, str]:
    found = (p for p in home.rglob("*") if p.is_file() and ".deploy" not in p.parts)
    return {str(p.relative_to(home)): p.read_text() for p in found}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_changed_files_are_put_into_place_and_dropped_ones_removed(home: Path) -> None:
    (home / "gone").write_text("x")
    put(home, {"sub/it's b": NEW, "deep/er/c": NEW}, "gone")
    assert files(home) == {"a": "old", "sub/it's b": "new", "deep/er/c": "new"}
    assert mode(home / "sub/it's b") == 0o644


def test_no_name_is_taken_for_an_option(home: Path) -> None:
    put(home, {"-d": NEW, "-dash/-f": file_mark(NEW, 0o755), "-l": link_mark("-d"), "--": FOLDER})
    assert files(home).items() >= {"-d": "new", "-dash/-f": "new", "-l": "new"}.items()
    assert mode(home / "-dash/-f") == 0o755
    put(home, {"-d": OTHER}, "-dash/-f", "-l", "--")
    assert files(home) == {"a": "old", "sub/it's b": "old", "-d": "other"}


def test_when_one_file_cannot_be_written_none_is_changed(home: Path) -> None:
    before = files(home)
    assert run(home, Placement({"a": NEW, "sub/it's b": digest(b"missing")}, ["a"])).returncode != 0
    assert files(home) == before


def test_a_file_has_its_mode_whatever_the_umask_and_the_one_before_it(home: Path) -> None:
    put(home, {"run.sh": file_mark(NEW, 0o755), "key": file_mark(NEW, 0o600), "a": file_mark(NEW, 0o755)})
    assert [mode(home / name) for name in ("run.sh", "key", "a")] == [0o755, 0o600, 0o755]
    put(home, {"a": NEW, "key": NEW})
    assert [mode(home / name) for name in ("a", "key")] == [0o644, 0o644]


def test_a_link_is_a_link_and_gives_way_to_a_file_and_back(home: Path) -> None:
    put(home, {"latest": link_mark("sub/it's b"), "sub/dangling": link_mark("../nowhere")})
    assert str((home / "latest").readlink()) == "sub/it's b"
    put(home, {"latest": link_mark("sub")})
    # A file in the place of a link to a directory does not go into that directory.
    put(home, {"latest": NEW})
    assert not (home / "latest").is_symlink()
    assert files(home) == {"a": "old", "sub/it's b": "old", "latest": "new"}
    put(home, {"latest": link_mark("a")})
    assert (home / "latest").read_text() == "old"


def test_an_empty_directory_in_a_file_s_place_goes_and_one_with_content_stays(home: Path) -> None:
    (home / "empty").mkdir()
    put(home, {"empty": NEW})
    assert (home / "empty").read_text() == "new"
    done = run(home, Placement({"sub": NEW}))
    assert done.returncode != 0
    assert files(home)["sub/it's b"] == "old"


def test_a_file_becomes_a_directory_of_files_and_a_directory_a_file(home: Path) -> None:
    put(home, {"a/inner/x": NEW, "a/inner/y": OTHER}, "a")
    assert files(home) == {"a/inner/x": "new", "a/inner/y": "other", "sub/it's b": "old"}
    put(home, {"a": NEW, "sub": NEW}, "a/inner/x", "a/inner/y", "sub/it's b")
    assert files(home) == {"a": "new", "sub": "new"}
    put(home, {"a": FOLDER, "sub": link_mark("a")})
    assert (home / "a").is_dir()
    put(home, {"sub/x": NEW}, "sub")
    assert files(home) == {"sub/x": "new"}


def test_an_empty_directory_is_made_and_goes_only_when_it_is_empty(home: Path) -> None:
    put(home, {"cache": FOLDER, "data/deep": FOLDER})
    (home / "data/deep/row").write_text("1")
    put(home, {}, "cache", "data/deep")
    assert not (home / "cache").exists()
    assert (home / "data/deep/row").exists()


def test_what_an_earlier_script_left_is_not_written_through(home: Path) -> None:
    (home / "a.deploy-new").symlink_to(home / "sub/it's b")
    put(home, {"a": NEW})
    assert files(home) == {"a": "new", "sub/it's b": "old"}


def test_what_lies_in_its_place_already_needs_no_room(home: Path) -> None:
    """So a host goes back although nothing can be written: here, because there is nothing to be written."""
    wanted = {"a": NEW, "run.sh": file_mark(OTHER, 0o755), "latest": link_mark("nowhere"), "cache": FOLDER}
    put(home, wanted)
    (home / "a.deploy-new").write_text("of an earlier script")
    for name in (NEW, OTHER):
        (home / ".deploy/objects" / name).unlink()
    there = {path.name: path.lstat().st_ino for path in home.iterdir()}
    put(home, wanted)
    del there["a.deploy-new"]
    assert {path.name: path.lstat().st_ino for path in home.iterdir()} == there
    # With another mode, content or target it is not what is wanted.
    for path, mark in (("a", file_mark(NEW, 0o600)), ("run.sh", file_mark(NEW, 0o755))):
        assert run(home, Placement({path: mark})).returncode == 1
    put(home, {"latest": link_mark("a")})
    assert (home / "latest").read_text() == "new"


def synced(home: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> Path:
    """Makes `sync` note what lies where and what it was given, and end so."""
    tools = home.parent / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "sync").write_text(
        f"""#!/bin/sh\n{{ cat a; printf ' %s' "$@"; echo; }} >> {tools}/said\nexit {status}\n"""
    )
    (tools / "sync").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return tools / "said"


def test_names_last_only_after_their_contents(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = synced(home, monkeypatch, 0)
    put(home, {"a": NEW, "-d": NEW, "latest": link_mark("nowhere")})
    assert said.read_text() == "old -- -d.deploy-new a.deploy-new\n"
    subprocess.run(["sh", "-c", note(PurePosixPath(home), ["a"])], cwd=home, check=True)
    assert said.read_text().splitlines()[1:] == [f"new {home}/.deploy/paths.new"]


def test_what_does_not_come_to_the_disk_changes_nothing_but_on_the_way_back(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced(home, monkeypatch, 1)
    before = files(home)
    assert run(home, Placement({"a": NEW})).returncode == 1
    assert files(home) == before
    back = place(PurePosixPath(home), Placement({"a": NEW}), last_resort=True)
    assert subprocess.run(["sh", "-c", back]).returncode == 0
    assert files(home) == {**before, "a": "new"}


def test_the_paths_are_noted_a_line_each(home: Path) -> None:
    subprocess.run(["sh", "-c", note(PurePosixPath(home), ["b c", "a"])], check=True)
    assert (home / ".deploy/paths").read_text() == "a\nb c\n"


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


# --- reloads ----------------------------------------------------------------------------------------------


PROJECT = Project("shop-1", PurePosixPath("/opt/shop"), ("c.yml",))
RELOAD = Reload(path="conf/", service="web", signal="SIGHUP")
ENGINE = """#!/bin/sh
echo "$*" >> "$FAKE/calls"
case $1 in
  ps) cat "$FAKE/running";;
  exec) case " $* " in *" $(cat "$FAKE/trouble") "*) cp "$FAKE/then" "$FAKE/running"; echo "No such container" >&2; exit 1;; esac;;
esac
"""


@pytest.mark.parametrize(
    ("trouble", "then", "code"),
    [
        ("none", ["a" * 64, "b" * 64], 0),
        ("a" * 64, ["b" * 64], 0),
        ("a" * 64, ["a" * 64, "b" * 64], 1),
    ],
    ids=["all is well", "it goes away while it is told", "it stays and does not take it"],
)
def test_who_is_gone_by_now_needs_no_reload_and_who_stays_and_fails_is_a_failure(
    tmp_path: Path, trouble: str, then: list[str], code: int
) -> None:
    engine = tmp_path / "docker"
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    (tmp_path / "trouble").write_text(trouble)
    (tmp_path / "running").write_text(f"{'a' * 64}\n{'b' * 64}\n")
    (tmp_path / "then").write_text("".join(f"{each}\n" for each in then))
    script = f"f() {{\n{remember(PROJECT, [RELOAD])}\n}}\ng() {{\n{tell(PROJECT, [RELOAD])}\n}}\nf && g"
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "FAKE": str(tmp_path)}
    done = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    told = [call for call in (tmp_path / "calls").read_text().splitlines() if call.startswith("exec ")]
    assert len(told) == (1 if code else 2)


def test_each_reload_knows_its_own_containers_however_alike_their_services_are_called(tmp_path: Path) -> None:
    reloads = [
        Reload(path="a/", service="web-1", signal="SIGHUP"),
        Reload(path="b/", service="web_1", restart=True),
    ]
    engine = """docker() {
  case $1-$* in ps-*service=web-1*) echo one;; ps-*) echo two;; *) echo "$2" >>told;; esac
}"""
    script = f"{engine}\nf() {{\n{remember(PROJECT, reloads)}\n{tell(PROJECT, reloads)}\n}}\nf"
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True)
    assert (tmp_path / "told").read_text() == "one\ntwo\n"


def test_an_engine_under_load_may_refuse_once_to_say_who_runs(tmp_path: Path) -> None:
    engine = (
        "docker() { case $1 in ps) mkdir once 2>/dev/null && return 1; echo one;; *) echo $2 >>told;; esac; }"
    )
    script = f"{engine}\nbefore_0=one\nf() {{\n{tell(PROJECT, [RELOAD])}\n}}\nf"
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True)
    assert (tmp_path / "told").read_text() == "one\n"
