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


def test_busybox_and_snap_are_found_by_where_their_links_lead(tmp_path: Path) -> None:
    busybox = program(tmp_path / "other/busybox")
    (tmp_path / "tail").symlink_to(busybox)
    (tmp_path / "docker").symlink_to(program(tmp_path / "other/snap"))
    assert shape(tmp_path) == ["busybox:tail", "snap:docker"]


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
