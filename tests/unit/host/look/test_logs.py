import os
import subprocess
import time
from pathlib import Path

import pytest

from deploy_lib.host.look import logs
from deploy_lib.host.look.logs import Line
from tests.unit import build

AT = "2026-01-02T03:04:05.000000006Z"

DOCKER = f"""\
#!/bin/sh
case $1 in
ps) [ ! -e "$0.none" ] || exit 0; printf '%s\\n' 'c3 db 9' 'c2 web 12' 'c1 web 7' ;;
logs) for last; do :; done
  echo "$*" >> "$0.calls"
  printf '%s\\n' "{AT} it's \\\\n $last"; printf '{AT}  indented, no end' >&2
  case $* in *--follow*) exec sleep 987 ;; esac ;;
esac
"""


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    path = tmp_path / "docker"
    path.write_text(DOCKER)
    path.chmod(0o755)
    return path


def start(docker: Path, *services: str, follow: bool = False) -> subprocess.Popen[str]:
    env = {**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}"}
    script = logs.logs_script(build.stack().project, services, 7, follow=follow)
    return subprocess.Popen(
        ["sh", "-c", script],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def group(process: subprocess.Popen[str]) -> list[str]:
    return subprocess.run(
        ["ps", "-o", "args=", "-g", str(process.pid)], capture_output=True, text=True
    ).stdout.splitlines()


def test_every_container_of_the_stack_says_its_last_lines(docker: Path) -> None:
    said = start(docker).communicate(timeout=10)[0]
    found = [logs.read_line(line) for line in said.splitlines()]
    assert [each.service for each in found if isinstance(each, logs.Known)] == ["db", "web", "web"]
    lines = [each for each in found if isinstance(each, Line)]
    assert [line.service for line in lines] == ["db", "db", "web", "web", "web-2", "web-2"]
    assert lines[2:4] == [Line("web", AT, "it's \\n c1"), Line("web", AT, " indented, no end")]
    assert "--tail 7" in Path(f"{docker}.calls").read_text()


def test_one_service_alone(docker: Path) -> None:
    said = start(docker, "db").communicate(timeout=10)[0]
    found = [logs.read_line(line) for line in said.splitlines()]
    assert {each.service for each in found if isinstance(each, Line)} == {"db"}


def test_no_containers_is_no_line(docker: Path) -> None:
    Path(f"{docker}.none").touch()
    process = start(docker)
    assert (process.communicate(timeout=10)[0], process.returncode) == ("", 0)


def test_following_ends_with_its_channel_although_nothing_is_said(docker: Path) -> None:
    process = start(docker, follow=True)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline()
    deadline = time.monotonic() + 10
    while sum("sleep 987" in line for line in group(process)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.stdin.write(".")
    process.stdin.flush()
    time.sleep(0.2)
    assert process.poll() is None
    process.stdin.close()
    process.wait(timeout=10)
    assert not [line for line in group(process) if "sleep 987" in line]


def test_docker_s_own_words_are_shown_too() -> None:
    assert logs.read_line("web 1 Error response from daemon") == Line("web", "", "Error response from daemon")
