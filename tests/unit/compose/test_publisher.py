import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy_lib.compose import labels, publisher
from deploy_lib.compose.port import Port
from deploy_lib.compose.publisher import Publisher, read_publishers
from tests.simulated.templates import render
from tests.unit import build

PROJECT = build.stack().project
DESCRIBED: dict[str, Any] = {
    "ID": "a1",
    "Name": "/web-1",
    "Image": "sha256:1",
    "RestartCount": 0,
    "State": {
        "Status": "running",
        "Running": True,
        "StartedAt": "1970-01-01T00:01:40Z",
        "ExitCode": 0,
        "Health": None,
    },
    "Config": {
        "Image": "h/web:1",
        "Labels": {labels.PROJECT: PROJECT.name, labels.SERVICE: "web", labels.DIRECTORY: "/srv/p"},
    },
    "HostConfig": {
        **dict.fromkeys(("PortBindings", "VolumesFrom", "Mounts", "Tmpfs")),
        **{"NetworkMode": "p_default", "IpcMode": "private", "PidMode": ""},
    },
    "NetworkSettings": {
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8000"}], "9/udp": None},
    },
    "Mounts": [{"Name": "rows", "RW": True}, {"Name": "", "RW": True}, {"Name": "read", "RW": False}],
}
STRANGER = {
    **DESCRIBED,
    **{"ID": "b2", "Name": "/x", "Config": {"Image": "x", "Labels": None}, "Mounts": []},
    "HostConfig": {**DESCRIBED["HostConfig"], "NetworkMode": "host"},
    "NetworkSettings": {"Ports": {}},
}


def run(docker: str, called: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Calls the functions with a program in the place of Docker's; what it is called for is in the file `calls`."""
    path = folder / "docker"
    path.write_text(f"""#!/bin/sh\nprintf '%s\\n' "$1" >>{folder}/calls\n{docker}\n""")
    path.chmod(0o755)
    script = f"PATH={folder}:$PATH\n{publisher.functions(PROJECT)}\n{called}"
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True)


def test_all_containers_and_the_project_s_come_from_one_look(tmp_path: Path) -> None:
    asked = """case $1 in ps) echo a1 b2;; inspect) printf %s "$3" >"$0.format"; echo; esac"""
    run(asked, "published", tmp_path)
    form = (tmp_path / "docker.format").read_text()
    said = "\n".join(render(form, each) for each in (DESCRIBED, STRANGER))
    answer = f"""case $1 in ps) echo a1 b2;; inspect) printf '%s\\n' {shlex.quote(said)};; esac"""
    (tmp_path / "calls").unlink()
    done = run(answer, 'containers; echo "$ids"; published', tmp_path)
    own, ids, *rest = done.stdout.splitlines()
    assert (own.startswith('{"id":"a1",'), ids) == (True, "a1")
    assert read_publishers("\n".join(rest)) == (
        Publisher(
            "web-1",
            PROJECT.name,
            frozenset({Port(8000, "tcp", "0.0.0.0")}),
            **{"service": "web", "directory": "/srv/p", "image": "h/web:1", "id": "a1", "started": 100.0},
            volumes=frozenset({"rows"}),
        ),
        Publisher("x", "", frozenset(), host_network=True, image="x", id="b2", started=100.0),
    )
    assert (tmp_path / "calls").read_text().split() == ["ps", "inspect"]


def test_a_host_without_containers_is_asked_once(tmp_path: Path) -> None:
    done = run("", "containers && published", tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "")
    assert (tmp_path / "calls").read_text().split() == ["ps"]


@pytest.mark.parametrize("said", ["odd", '{"id":"a1"}', '{"ports":[]}', "[]"])
def test_what_is_no_answer_is_none(said: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_publishers(said)
