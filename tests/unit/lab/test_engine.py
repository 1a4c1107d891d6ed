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


def test_hosts_get_what_an_engine_needs_and_nothing_is_raised_that_cannot_be() -> None:
    words = hosts.privileges()
    assert words == ["--privileged"] or ("SYS_RESOURCE" in words and "ALL" in words)
