import os
import posixpath
import shlex
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from deploy_lib.compose.command import (
    IN_PLACE,
    VERSION,
    compose_command,
    deployed_hashes_command,
    hash_command,
    mirror,
    moved_hashes,
    refusal,
    remove_left_behind,
    render_command,
    shown,
    up_command,
)
from deploy_lib.compose.project import Project
from deploy_lib.shell import words

PROJECT = Project("shop-1", PurePosixPath("/opt/my shop"), ("compose.yml", "release.yml"), ("a.env", "b.env"))


def test_the_command_names_its_project_and_all_its_files_in_their_order() -> None:
    # `${PWD}` in a file is the project's directory, wherever a script happens to be.
    place, value, orphans, *words = shlex.split(compose_command(PROJECT, "up", "-d"))
    assert (place, value) == ("env", "PWD=/opt/my shop")
    # An env file may have it: `up` takes no `--remove-orphans` then, and going back is an `up`, too.
    assert orphans == "COMPOSE_IGNORE_ORPHANS=false"
    assert words[:6] == ["docker", "compose", "-p", "shop-1", "--project-directory", "/opt/my shop"]
    assert words[6:10] == ["-f", "/opt/my shop/compose.yml", "-f", "/opt/my shop/release.yml"]
    assert words[10:] == [
        *("--env-file", "/opt/my shop/a.env", "--env-file", "/opt/my shop/b.env"),
        *("up", "-d"),
    ]


def test_what_files_include_is_looked_for_beside_them_wherever_they_lie() -> None:
    for text in (hash_command(PROJECT), render_command(PROJECT)):
        assert f"--project-directory {mirror(PROJECT)} -f {mirror(PROJECT)}/compose.yml" in text


@pytest.mark.parametrize("up", range(10))
def test_what_is_rendered_in_memory_is_what_it_will_be_in_its_place(up: int) -> None:
    def shell(script: str) -> str:
        script = f"t=/run/deploy.1.x\n{script}"
        return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.strip()

    above = "/".join([".."] * up)
    for path in (above, f"{above}/data"):
        # As Compose does it: the text counts, and not what lies there.
        meant, rendered = (
            posixpath.normpath(f"{shell(f'echo {place}')}/{path}")
            for place in (words(PROJECT.directory), mirror(PROJECT))
        )
        # A number of levels above the root is the root on a host.
        assert shell(f"echo '\"{rendered}\"' | {IN_PLACE}") == f'"{meant}"'


def test_what_compose_has_rendered_may_depend_on_what_it_left_out() -> None:
    for text in (hash_command(PROJECT), deployed_hashes_command(PROJECT), moved_hashes(PROJECT)):
        assert "-f - " in text
        assert text.endswith(" config --hash '*' --no-consistency")


def test_people_see_the_call_alone() -> None:
    assert shown(up_command(PROJECT)).startswith("docker compose -p shop-1 ")
    assert shown(VERSION) == VERSION


def test_what_compose_refuses_is_told_without_its_warnings_and_without_places_that_are_gone() -> None:
    def lying(path: str) -> str:
        return f"/run/x.1{shlex.split(mirror(PROJECT))[0].removeprefix('$t')}/{path}"

    warning = f'time="2026-11-29T15:31:42Z" level=warning msg="{lying("a.yml")}: the attribute `version` is obsolete"'
    home = PROJECT.directory
    assert (
        refusal(f"{warning}\nvalidating {lying('files/a.yml')}: services.web", home)
        == "validating files/a.yml: services.web"
    )
    assert refusal(warning, home) == warning
    assert refusal("", home) == ""


def test_only_what_was_left_half_way_is_removed(tmp_path: Path) -> None:
    half = f"{'0f' * 6}_shop-1-web-1"
    listed = (
        *(f"i1 created {half}", f"i2 exited {half}", "i3 created shop-1-web-1", "i4 running shop-1-web-2"),
        *("i5 created nothexdigits_shop-1-web-1", "i6 exited shop-1-once", "i7 running shop-1-once-more"),
    )
    docker = f"""#!/bin/sh
case $1 in
  ps) printf '%s\\n' {words(*listed)};;
  *) echo "$@" >> {tmp_path}/calls;;
esac
"""
    (tmp_path / "docker").write_text(docker)
    (tmp_path / "docker").chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", remove_left_behind(PROJECT, "shop-1-once")], env=env, check=True)
    assert (tmp_path / "calls").read_text() == "rm i1\nrm -f i6\n"
