"""What a host says of the files that this program may have put there."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from deploy_lib.answers import understand
from deploy_lib.errors import NotUnderstoodError
from deploy_lib.host.look.directory import functions, read_marks
from deploy_lib.shell import THERE, TRUST
from deploy_lib.values import replace
from tests.unit import build


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def asked(home: Path, *paths: str, data: tuple[str, ...] = (), of: str = "files") -> str:
    stack = replace(build.stack(str(home), data=data), paths=paths)
    script = f"{TRUST}{THERE}{functions(stack)}\n{of}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "shop"
    (home / "conf").mkdir(parents=True)
    (home / "compose.yml").write_text("c")
    (home / "conf/a b").write_text("a")
    return home


def test_files_have_their_content_and_mode_links_their_target_and_directories_whether_they_are_empty(
    home: Path,
) -> None:
    (home / "run.sh").write_text("r")
    (home / "run.sh").chmod(0o755)
    (home / "latest").symlink_to("./conf/../conf")
    (home / "cache").mkdir()
    found, occupied = read_marks(asked(home, "run.sh", "latest", "cache", "conf", "gone", "gone/too"))
    assert found == {
        **{"compose.yml": sha("c"), "conf/a b": sha("a"), "run.sh": f"{sha('r')}:755"},
        **{"latest": "link:./conf/../conf", "cache": "directory", "conf": "directory"},
    }
    assert occupied == {"conf"}


def test_what_releases_have_put_there_counts_and_nothing_beside_it(home: Path) -> None:
    (home / ".deploy").mkdir()
    (home / ".deploy/paths").write_text("extra/mine\ncompose.yml\n")
    (home / "extra").mkdir()
    (home / "extra/mine").write_text("m")
    (home / "extra/theirs").write_text("t")
    (home / "conf/data").mkdir()
    (home / "conf/data/row").write_text("1")
    assert set(read_marks(asked(home, data=("conf/data",)))[0]) == {"compose.yml", "conf/a b", "extra/mine"}
    for path in ("conf/.gitkeep", "extra/.keep"):
        (home / path).touch()
    (home / ".deploy/paths").write_text("extra/mine\nextra/.keep\nconf/data/row\n")
    found = set(read_marks(asked(home, data=("conf/data",)))[0])
    assert found == {"compose.yml", "conf/a b", "extra/mine"}
    # A directory that is shipped whole is looked through.
    assert "conf/data/row" in read_marks(asked(home))[0]


def test_a_directory_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert read_marks(asked(tmp_path / "none", "a")) == ({}, frozenset())


def test_only_this_program_s_files_and_the_way_to_them_are_looked_at_for_strangers(home: Path) -> None:
    (home / "data").mkdir(mode=0o777)
    (home / "data").chmod(0o777)
    (home / "data/row").touch()
    assert asked(home, "data", of="loose") == ""
    (home / "conf").chmod(0o775)
    assert asked(home, of="loose") == f"{home}/conf can be changed by others\tchmod go-w {home}/conf\n"
    if os.geteuid() == 0:
        (home / "conf").chmod(0o755)
        os.chown(home / "conf/a b", 12345, -1)
        assert asked(home, of="loose") == ""
        os.chown(home / "conf/a b", 0, -1)
        os.chown(home / "conf", 12345, -1)
        assert asked(home, of="loose").endswith(
            "where a container has made it its own, name it in `data` of deploy.toml\n"
        )
        os.chown(home / "conf", 0, -1)
        os.chown(home / "conf/a b", 12345, -1)
        assert f"{home}/conf/a b belongs to another user\tas root: chown" in asked(
            home, "conf/a b", of="loose"
        )


@pytest.mark.parametrize("line", ["mode x ./a", "link ./a", "zz  ./a", "occupied a", "?"])
def test_any_other_answer_is_refused(line: str) -> None:
    with pytest.raises(NotUnderstoodError):
        understand("the files", lambda: read_marks(line))
