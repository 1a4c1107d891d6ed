import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy_lib.errors import PreflightError
from lab import engine, hosts


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    program = shutil.which("sleep")
    assert program
    process = subprocess.Popen([program, "60"])
    while not Path(
        f"/proc/{process.pid}/cmdline"
    ).read_bytes():  # a process has none while it is just starting
        time.sleep(0.01)
    yield process
    process.kill()
    process.wait()


def test_a_pid_file_counts_when_its_process_runs_that_program(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    file = tmp_path / "pid"
    file.write_text(f"{sleeper.pid}\n")
    assert engine.is_running("sleep", file)
    assert not engine.is_running("dockerd", file)
    sleeper.kill()
    sleeper.wait()
    assert not engine.is_running("sleep", file)


@pytest.mark.parametrize("content", ["", "not a number", "-1", "99999999"])
def test_a_pid_file_of_nobody_does_not_count(tmp_path: Path, content: str) -> None:
    file = tmp_path / "pid"
    file.write_text(content)
    assert not engine.is_running("dockerd", file)


def test_who_may_not_install_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(engine, "answers", lambda: False)
    with pytest.raises(PreflightError, match=r"no Docker Engine answers\n  -> start Docker, or install it"):
        engine.ensure(Path(), lambda _: None)


EVERYTHING = 0x1FFFFFFFFFF
WITHOUT_SYS_RESOURCE = EVERYTHING & ~(1 << hosts.CAP_SYS_RESOURCE)


@pytest.mark.parametrize(
    ("bounds", "engine_major"), [(None, 28), (EVERYTHING, 20), (EVERYTHING, 28), (WITHOUT_SYS_RESOURCE, 26)]
)
def test_hosts_are_privileged_where_that_works(bounds: int | None, engine_major: int) -> None:
    assert hosts.privileges(bounds, engine_major) == ["--privileged"]


def test_an_old_engine_gives_what_the_machine_has() -> None:
    words = hosts.privileges(WITHOUT_SYS_RESOURCE, 20)
    assert "--privileged" not in words
    assert words[:4] == ["--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"]
