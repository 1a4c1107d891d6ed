"""Looking closer at data: the script against a made-up engine, and what its answer means."""

import io
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from deploy_lib.host.look import data
from deploy_lib.host.look.data import Found, Question, data_script, read_found

DOCKER = r"""#!/bin/sh
# A made-up engine: what it has lies in $FAKE.
case $1 in
  diff) cat "$FAKE/diff";;
  cp)
    x=$(printf %s "$2" | tr '/:' '__').tar
    [ ! -e "$FAKE/refuses" ] || { echo "Error response from daemon: permission denied" >&2; exit 1; }
    [ -e "$FAKE/$x" ] || { echo "Error: Could not find the file in container" >&2; exit 1; }
    cat "$FAKE/$x";;
  inspect)
    case $3 in *Mounts*) cat "$FAKE/mounts" 2>/dev/null; exit 0;; *Env*) x=env;; *) x=command;; esac
    [ -e "$FAKE/env.$4" ] && { [ ! -e "$FAKE/$x.$4" ] || cat "$FAKE/$x.$4"; };;
  image) [ -e "$FAKE/volumes.$5" ] && cat "$FAKE/volumes.$5";;
  volume) [ -d "$FAKE/volume/$5" ] && echo "$FAKE/volume/$5";;
  ps) echo "$5" > "$FAKE/filter"; cat "$FAKE/ps";;
  *) exit 9;;
esac
"""


SHELLS = [("sh",), ("bash",), *([("busybox", "sh")] if shutil.which("busybox") else [])]


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").write_text(DOCKER)
    (tmp_path / "bin" / "docker").chmod(stat.S_IRWXU)
    return tmp_path


def ask(engine: Path, question: Question, shell: tuple[str, ...] = ("sh",)) -> Found:
    env = {**os.environ, "PATH": f"{engine}/bin:{os.environ['PATH']}", "FAKE": str(engine)}
    done = subprocess.run(
        [*shell, "-c", data_script(question)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return read_found(done.stdout)


def archive(path: Path, files: dict[str, bytes], folders: tuple[str, ...] = ()) -> None:
    with tarfile.open(path, "w") as tar:
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize("shell", SHELLS)
def test_a_layer_is_what_changed_without_what_the_image_has_and_what_is_mounted(
    engine: Path, shell: tuple[str, ...]
) -> None:
    archive(engine / "c1__data_a b.tar", {"a b": b"x" * 70})
    archive(engine / "c1__data_c.tar", {"c": b"x" * 30})
    archive(engine / "c1__top.tar", {"top": b"x"})
    # A directory of which only the mode has changed, and one that only a mount has made.
    archive(engine / "c1__usr_lib.tar", {"lib/big": b"x" * 9000}, ("lib",))
    archive(engine / "c1__rows.tar", {"rows": b"x" * 9000})
    (engine / "mounts").write_text("/rows\n\n")
    (engine / "diff").write_text(
        "C /data\nA /data/a b\nA /data/c\nA /data-gone\nA /top\nD /usr/gone\nC /usr\nC /usr/lib\nA /rows\n"
    )
    assert ask(engine, Question(layers=("c1",)), shell).layers == {"c1": {"/data": 100, "/": 1}}


def test_a_layer_is_never_exported(engine: Path) -> None:
    """Docker 26.1 keeps what was exported for ever, with the secrets in it."""
    assert "docker export" not in data_script(Question(layers=("c1",))).replace("`docker export`", "")


def test_a_layer_that_could_not_be_looked_at_to_its_end_says_so(
    engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_PARTS", 1)
    archive(engine / "c1__x_1.tar", {"1": b"x"})
    archive(engine / "c1__x_2.tar", {"2": b"x"})
    (engine / "diff").write_text("C /x\nA /x/1\nA /x/2\n")
    assert ask(engine, Question(layers=("c1",))).layers == {"c1": {"?": 0, "/x": 1}}


@pytest.mark.parametrize("shell", SHELLS)
def test_what_was_added_is_asked_for_as_a_whole_where_nothing_is_mounted_in_it(
    engine: Path, shell: tuple[str, ...]
) -> None:
    archive(engine / "c1__srv_new.tar", {"new/a": b"x" * 5, "new/b/c d": b"x" * 7}, ("new", "new/b"))
    archive(engine / "c1__opt_mixed_own.tar", {"own": b"x" * 9})
    archive(engine / "c1__opt_mixed_rows.tar", {"rows/huge": b"x" * 9000}, ("rows",))
    (engine / "mounts").write_text("/opt/mixed/rows\n\n")
    (engine / "diff").write_text(
        "C /srv\nA /srv/new\nA /srv/new/a\nA /srv/new/b\nA /srv/new/b/c d\n"
        "C /opt\nA /opt/mixed\nA /opt/mixed/own\nA /opt/mixed/rows\n"
    )
    found = ask(engine, Question(layers=("c1",)), shell).layers
    assert found == {"c1": {"/srv/new": 5, "/srv/new/b": 7, "/opt/mixed": 9}}


def test_a_file_of_a_layer_that_docker_does_not_give_is_unknown_and_not_absent(engine: Path) -> None:
    (engine / "diff").write_text("A /x/1\n")
    assert ask(engine, Question(layers=("c1",))).layers == {"c1": {}}
    (engine / "refuses").touch()
    assert ask(engine, Question(layers=("c1",))).layers == {"c1": {"?": 0}}


def test_a_mount_holds_something_where_any_file_lies(engine: Path) -> None:
    archive(engine / "c1__full.tar", {"full/x": b""}, ("full",))
    archive(engine / "c1__empty.tar", {}, ("empty", "empty/lost+found"))
    question = Question(held=(("c1", "/full"), ("c1", "/empty"), ("c1", "/absent")))
    assert ask(engine, question).held == {
        ("c1", "/full"): True,
        ("c1", "/empty"): False,
        ("c1", "/absent"): False,
    }


def test_the_first_bytes_of_a_file_are_read_and_none_of_one_that_is_not_there(engine: Path) -> None:
    archive(engine / "c1__d_PG_VERSION.tar", {"PG_VERSION": b"15\n" + b"x" * 1000})
    found = ask(engine, Question(files=(("c1", "/d/PG_VERSION"), ("c1", "/d/other")))).files
    assert list(found) == [("c1", "/d/PG_VERSION")]
    assert found["c1", "/d/PG_VERSION"] == b"15\n" + b"x" * 61


def test_of_an_environment_only_what_was_asked_for_leaves_the_host(engine: Path) -> None:
    (engine / "env.c1").write_text("PGDATA=/x y\nPASSWORD=geheim\nPG_MAJOR=17\n")
    question = Question(variables=(("c1", ("PGDATA", "PG_MAJOR", "PATH")), ("gone", ("PGDATA",))))
    assert ask(engine, question).variables == {"c1": {"PGDATA": "/x y", "PG_MAJOR": "17"}}


def test_of_a_command_only_the_options_that_were_asked_for_leave_the_host(engine: Path) -> None:
    (engine / "env.c1").write_text("")
    (engine / "command.c1").write_text("postgres\n-D\n/x y\n-c\npassword=geheim\n--dir=/z\n-E/e\n")
    question = Question(variables=(("c1", ("-D", "--dir", "-E", "-F")),))
    assert ask(engine, question).variables == {"c1": {"-D": "/x y", "--dir": "/z", "-E": "/e"}}


def test_an_image_says_where_it_has_volumes_and_one_that_is_not_there_says_nothing(engine: Path) -> None:
    (engine / "volumes.one").write_text("/data\n/other\n\n")
    (engine / "volumes.two").write_text("\n")
    assert ask(engine, Question(volumes=("one", "two", "three"))).volumes == {
        "one": {"/data", "/other"},
        "two": set(),
    }


def test_a_path_of_the_host_is_missing_empty_full_or_a_file(engine: Path) -> None:
    (engine / "empty").mkdir()
    (engine / "full" / "x").mkdir(parents=True)
    (engine / "file").write_text("")
    paths = tuple(str(engine / name) for name in ("missing", "empty", "full", "file"))
    assert list(ask(engine, Question(sources=paths)).sources.values()) == ["missing", "empty", "full", "file"]


def test_a_volume_without_a_container_is_read_where_one_may(engine: Path) -> None:
    (engine / "volume" / "v" / "17").mkdir(parents=True)
    (engine / "volume" / "v" / "17" / "PG_VERSION").write_text("17\n")
    question = Question(stored=(("v", "17/PG_VERSION"), ("v", "PG_VERSION"), ("gone", "x")))
    assert ask(engine, question).stored == {("v", "17/PG_VERSION"): b"17\n"}


def test_projects_in_a_directory_have_the_volumes_of_all_their_containers(engine: Path) -> None:
    (engine / "ps").write_text("one one_a,/srv/x\none one_b\ntwo \n")
    found = ask(engine, Question(directory=PurePosixPath("/opt/shop")))
    assert found.projects == {"one": {"one_a", "/srv/x", "one_b"}, "two": set()}
    assert (engine / "filter").read_text().endswith("working_dir=/opt/shop\n")


def test_what_was_asked_is_not_asked_again() -> None:
    first = Question(layers=("a",), held=(("a", "/x"),), directory=PurePosixPath("/d"))
    more = Question(layers=("a", "b"), held=(("a", "/x"),), directory=PurePosixPath("/d"))
    assert more.without(first) == Question(layers=("b",))
    assert not first.without(more)


def test_two_answers_are_one() -> None:
    one, two = Found(sources={"/a": "full"}), Found(sources={"/b": "empty"}, layers={"c": {}})
    assert one.also(two) == Found(sources={"/a": "full", "/b": "empty"}, layers={"c": {}})


@pytest.mark.parametrize(
    "said", ["", "held YQ== YQ== =eWVz\n", "held YQ== nothing\nend\n", "held YQ==\nend\n"]
)
def test_an_answer_that_was_cut_short_is_none(said: str) -> None:
    with pytest.raises(ValueError, match=r"cut short|Incorrect|nothing|unpack|YQ==|base64|padding"):
        read_found(said)


def test_a_file_that_docker_cannot_read_may_be_there(engine: Path) -> None:
    question = Question(files=(("c1", "/x/PG_VERSION"),))
    assert ask(engine, question).files == {}
    (engine / "refuses").touch()
    assert list(ask(engine, question).files) == [("c1", "/x/PG_VERSION")]


def test_bash_as_sh_runs_it(engine: Path, tmp_path: Path) -> None:
    """As on Fedora and its kin."""
    found = ask(engine, Question(sources=(str(tmp_path / "none"),)), ("bash", "--posix"))
    assert found.sources == {str(tmp_path / "none"): "missing"}
