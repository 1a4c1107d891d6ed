"""Output that goes away, on real hosts: a deployment goes on, and its exit status is its outcome."""

import os
import signal
import subprocess
import time

import pytest

from .conftest import BACKEND, FIRST, ROOT, SECOND, Host, Run, environment


def shell(script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )


def runs(core: Host, tag: str) -> bool:
    return f":{tag}@" in core.sh(f"docker inspect -f '{{{{.Config.Image}}}}' {BACKEND}")


@pytest.mark.usefixtures("stack", "back_to_first")
def test_readers_that_leave_and_disks_that_are_full_change_no_deployment(core: Host) -> None:
    done = shell(f"invoke deploy-core --tag {SECOND} 2>&1 | head -n 2; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 0
    assert done.stdout.count("\n") == 2
    assert runs(core, SECOND)
    done = shell(f"invoke deploy-core --tag {FIRST} --json >/dev/full")
    assert done.returncode == 0, done.stderr
    assert "standard output is incomplete" in done.stderr
    assert runs(core, FIRST)
    done = shell(f"invoke deploy-core --tag {FIRST} --json | true; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 0, done.stderr
    assert shell("invoke status --node core >&- 2>&-").returncode == 0


@pytest.mark.usefixtures("stack")
def test_a_terminal_that_is_closed_takes_back_no_deployment_under_nohup(
    core: Host, back_to_first: None, deploy: Run
) -> None:
    process = subprocess.Popen(
        ["nohup", "invoke", "deploy-core", "--tag", SECOND],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    deadline = time.monotonic() + 120
    for line in process.stderr:
        assert time.monotonic() < deadline
        if " switch " in line:
            os.kill(process.pid, signal.SIGHUP)
            break
    process.stderr.read()
    assert process.wait(120) == 0
    assert runs(core, SECOND)
