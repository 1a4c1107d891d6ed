"""Shell functions that several scripts share, run for real."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy_lib import shell
from deploy_lib.compose import publisher
from deploy_lib.compose.container import containers_function
from deploy_lib.compose.project import Project
from tests import ROOT
from tests.unit import build


def run(script: str, folder: Path | None = None, **more: object) -> "subprocess.CompletedProcess[str]":
    path = f"{folder}:{os.environ['PATH']}" if folder else os.environ["PATH"]
    env = {**os.environ, "PATH": path}
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=env, **more)  # type: ignore[call-overload,no-any-return]


def there(path: Path, **more: object) -> tuple[int, str]:
    done = run(f'{shell.THERE}\nthere "{path}"', **more)
    return done.returncode, done.stderr


def test_absent_is_told_from_unknown(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    assert there(tmp_path / "file")[0] == 0
    assert there(tmp_path / "dangling")[0] == 0
    assert there(tmp_path / "none/below")[0] == 1
    assert there(tmp_path / "file/below")[0] == 1
    code, said = there(tmp_path / "loop/below")
    assert (code, "symbolic links" in said) == (2, True)
    assert there(tmp_path / ("x" * 300))[0] == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("No such file or directory (os error 2)", 1),
        ("Not a directory (os error 20)", 1),
        ("Permission denied (os error 13)", 2),
    ],
)
def test_absent_is_told_in_the_words_of_other_programs_too(tmp_path: Path, words: str, code: int) -> None:
    (tmp_path / "stat").write_text(f"#!/bin/sh\necho \"stat: cannot stat 'x': {words}\" >&2; exit 1\n")
    (tmp_path / "stat").chmod(0o755)
    assert run(f"{shell.THERE}\nthere /nowhere/x", tmp_path).returncode == code


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_what_may_not_be_looked_at_is_unknown(tmp_path: Path) -> None:
    # pytest lets nobody else into its folders.
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o005:
            folder.chmod(0o755)
    (tmp_path / "home").mkdir(mode=0o700)
    for name in ("home", "home/key", "home/none"):
        code, said = there(tmp_path / name, user=65534, cwd="/")
        assert code == (0 if name == "home" else 2)
        assert name == "home" or "Permission denied (as " in said


DOCKER = """#!/bin/sh
case "$1 $2" in
  "ps "*) printf '%s\\n' a gone b;;
  "inspect --format")
    shift 3
    for x; do
      case $x in gone) echo "$MESSAGE" >&2; bad=1;; *) printf 'own {"id":"%s"}\\nall {%s}\\n' "$x" "$x";; esac
    done
    [ -z "$bad" ];;
esac
"""


@pytest.mark.parametrize(
    ("message", "code", "said"),
    [
        ("Error: No such object: gone", 0, ""),
        ("error: no such object: gone", 0, ""),
        ("Error response from daemon: No such container: gone", 0, ""),
        ("Cannot connect to the Docker daemon", 1, "Cannot connect to the Docker daemon\n"),
        ("template: :1:2: No such object: x", 1, "template: :1:2: No such object: x\n"),
    ],
)
@pytest.mark.parametrize(
    ("functions", "called", "found"),
    [
        (containers_function, "containers", 'own {"id":"a"}\nall {a}\nown {"id":"b"}\nall {b}\n'),
        (publisher.functions, "containers", '{"id":"a"}\n{"id":"b"}\n'),
        (publisher.functions, "published", "{a}\n{b}\n"),
    ],
)
def test_a_container_that_went_away_between_the_list_and_the_look_is_left_out(
    tmp_path: Path,
    message: str,
    code: int,
    said: str,
    functions: Callable[[Project], str],
    called: str,
    found: str,
) -> None:
    (tmp_path / "docker").write_text(DOCKER.replace("$MESSAGE", message))
    (tmp_path / "docker").chmod(0o755)
    script = f"{functions(build.stack().project)}\n{called}"
    done = run(script, tmp_path)
    assert (done.returncode, done.stderr) == (code, said)
    assert code or done.stdout == found
    # A look that failed is not taken for one at no containers, or at fewer, by whoever asks next.
    assert run(f"{script} >/dev/null\n{called}", tmp_path).returncode == code


def test_no_list_is_no_empty_list(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    project = build.stack().project
    for script in (
        f"{containers_function(project)}\ncontainers",
        f"{publisher.functions(project)}\ncontainers",
        f"{publisher.functions(project)}\npublished",
    ):
        assert run(script, tmp_path).returncode
        assert run(f"{script}\n{script.splitlines()[-1]}", tmp_path).returncode


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ("", False),
        ("Error: No such object: 0123", True),
        ("Error response from daemon: No such container: 0123", True),
        ("error: no such image: x:1", True),
        ("Error: No such object: 1\nError response from daemon: No such image: x", True),
        ("Cannot connect to the Docker daemon", False),
        ("Error: No such object: 1\nCannot connect to the Docker daemon", False),
        ("Error response from daemon: No such network: x", False),
        ("my No such object: 1", False),
    ],
)
def test_only_what_no_longer_exists_is_gone(said: str, gone: bool) -> None:
    done = run(f"{shell.GONE}\ngone {shell.quote(said)}")
    assert (done.returncode == 0) is gone
    assert done.stderr == "" if gone else done.stderr


SILENT = """#!/bin/sh
echo "$1" >>"$FAKE/calls"
case $1 in compose) echo model;; create) cat;; exec) sleep 2; exit 3;; *) exec sleep 60;; esac
"""


def test_an_engine_that_takes_calls_and_never_answers_keeps_nothing_waiting(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text(SILENT)
    (tmp_path / "docker").chmod(0o755)
    patient = (
        f"FAKE={tmp_path}; export FAKE\n{shell.PATIENT.replace(f'set -- {shell.PATIENCE} ', 'set -- 1 ')}"
    )
    assert patient.count("set -- 1 ") == 1
    done = run(f"{patient}\ndocker ps -q; echo $?; docker ps; docker exec c; echo $?", tmp_path, timeout=20)
    assert done.stdout.split() == ["124", "3"]
    assert done.stderr == "Docker does not answer\n" * 2
    (tmp_path / "calls").unlink()
    script = f"silent={tmp_path}/silent\n{patient}\nids=$(docker ps -q) || docker inspect x; docker compose config; echo in | docker create"
    done = run(script, tmp_path, timeout=20)
    assert (done.stdout, done.stderr) == ("model\n", "Docker does not answer\n" * 3)
    assert (tmp_path / "calls").read_text().split() == ["ps", "compose"]
    done = run(f"{patient}\necho in | docker create", tmp_path, timeout=20)
    assert done.stdout == "in\n"


@pytest.mark.parametrize("status", [124, 137])
def test_a_command_that_is_killed_in_its_container_is_no_engine_that_is_silent(
    tmp_path: Path, status: int
) -> None:
    (tmp_path / "docker").write_text(f"#!/bin/sh\n[ $1 = ps ] || exit {status}\n")
    (tmp_path / "docker").chmod(0o755)
    script = f"silent={tmp_path}/silent\n{shell.PATIENT}\ndocker exec c; echo $?; docker ps; echo $?"
    done = run(script, tmp_path, timeout=20)
    assert (done.stdout.split(), done.stderr) == ([str(status), "0"], "")


SPECIAL = (
    "break",
    "continue",
    "eval",
    "exec",
    "exit",
    "export",
    "readonly",
    "return",
    "set",
    "shift",
    "source",
    "times",
)
"""Special built-in commands of POSIX, some of them, and bash's own: as `sh`, which it is on Fedora, it lets no function have these names."""


def test_no_function_has_the_name_of_a_special_command() -> None:
    taken = re.compile(rf"^ *({'|'.join(SPECIAL)}|trap|unset)\(\)", re.MULTILINE)
    found = {path.name: taken.findall(path.read_text()) for path in (ROOT / "deploy_lib").rglob("*.py")}
    assert {name: names for name, names in found.items() if names} == {}
