import os
import subprocess
from pathlib import Path

import pytest

from deploy_lib.host.look.shape import SHAPE


def shape(folder: Path) -> list[str]:
    done = subprocess.run(
        ["sh", "-c", f"{SHAPE}\nshape"],
        env={"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert not done.stderr
    return done.stdout.split()


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_usual_host_has_nothing_peculiar(tmp_path: Path) -> None:
    program(tmp_path / "docker", "\x7fELF podman")
    assert shape(tmp_path) == []


@pytest.mark.parametrize("text", ['#!/bin/sh\nexec /usr/bin/podman "$@"\n'])
def test_podmans_imitation_is_found(tmp_path: Path, text: str) -> None:
    program(tmp_path / "docker", text)
    assert shape(tmp_path) == ["podman:docker"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("find", 'case "$*" in *-ls*) exit 1;; esac'),
        ("tail", 'case "$*" in *--pid*) exit 1;; esac'),
        ("timeout", "exit 143"),
        ("flock", 'case "$*" in *-w*) exit 1;; esac'),
    ],
)
@pytest.mark.parametrize(("says", "kind"), [("BusyBox v1.37.0", "busybox"), ("toybox 0.8.11", "lacks")])
def test_programs_that_lack_what_scripts_need_are_found_by_trying_them(
    tmp_path: Path, name: str, text: str, says: str, kind: str
) -> None:
    program(tmp_path / "docker", "\x7fELF")
    program(tmp_path / name, f"#!/bin/sh\n[ \"$1\" != --help ] || {{ echo '{says}' >&2; exit 1; }}\n{text}\n")
    assert shape(tmp_path) == [f"{kind}:{name}"]


def test_snaps_docker_is_found_by_where_its_link_leads(tmp_path: Path) -> None:
    (tmp_path / "docker").symlink_to(program(tmp_path / "other/snap"))
    assert shape(tmp_path) == ["snap:docker"]


@pytest.mark.parametrize(("sudo", "found"), [("", []), ("0", []), ("1000", ["logind:KillUserProcesses"])])
def test_what_sudo_has_started_is_still_killed_with_the_session_of_who_has_logged_in(
    tmp_path: Path, sudo: str, found: list[str]
) -> None:
    program(tmp_path / "docker", "\x7fELF")
    program(tmp_path / "busctl", "#!/bin/sh\necho b true\n")
    program(tmp_path / "id", '#!/bin/sh\n[ "$1" = -u ] && echo 0 || echo root\n')
    (tmp_path / "seats").mkdir()
    done = subprocess.run(
        ["sh", "-c", f"{SHAPE.replace('/run/systemd/seats', str(tmp_path / 'seats'))}\nshape"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **({"SUDO_UID": sudo} if sudo else {})},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == found
