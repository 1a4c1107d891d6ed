"""A Docker Engine on this machine: found, or installed and started where that can be done."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy_lib.errors import PreflightError

PID_FILES: Mapping[str, Path] = {
    "dockerd": Path("/var/run/docker.pid"),
    "containerd": Path("/var/run/docker/containerd/containerd.pid"),
}
START_TIMEOUT = 60.0

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
"""Where programs are looked for: daemons, too."""

_CLIENT = ("docker-cli", "docker-buildx")
"""Packages of their own since Debian 13; before, the engine's package has what they have."""

INSTALL_DOCKER = (
    "start Docker, or install it: https://docs.docker.com/engine/install (on Debian and Ubuntu this command installs "
    "it by itself when run as root)"
)

Say = Callable[[str], None]


def ensure(directory: Path, say: Say) -> None:
    """Makes sure that an engine answers and that an image can be built.

    Args:
        directory: where the log of an engine that is started here goes.
        say: gets a line about everything that is installed or started.

    Raises:
        PreflightError: there is none, and none can be installed.
    """
    if not answers():
        _require_root("no Docker Engine answers", INSTALL_DOCKER)
        if shutil.which("dockerd", path=PATH) is None or shutil.which("docker") is None:
            packages(["docker.io"], say, optional=_CLIENT)
        start(directory, say)
    from . import docker as build

    try:
        build.docker()
    except PreflightError:
        _require_root("the docker command here cannot build an image", INSTALL_DOCKER)
        packages(["docker.io"], say, optional=_CLIENT)
        build.docker.cache_clear()
        build.docker()


def answers() -> bool:
    """Whether an engine is there."""
    program = shutil.which("docker") or "/usr/bin/docker"
    try:
        return subprocess.run([program, "info"], capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def programs(needed: Mapping[str, str], say: Say) -> None:
    """Makes sure that programs are there.

    Args:
        needed: by program, the Debian package that has it.

    Raises:
        PreflightError: one is missing and cannot be installed here.
    """
    missing = sorted(
        {package for program, package in needed.items() if shutil.which(program, path=PATH) is None}
    )
    if missing:
        _require_root(f"{', '.join(missing)} is not installed", f"install {', '.join(missing)}")
        packages(missing, say)


def packages(names: list[str], say: Say, optional: Sequence[str] = ()) -> None:
    """Installs Debian packages.

    Args:
        optional: more packages, where this machine's release has them.

    Raises:
        PreflightError: apt failed.
    """
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=env, capture_output=True)
    known = [
        name
        for name in optional
        if subprocess.run(["apt-cache", "show", name], capture_output=True).returncode == 0
    ]
    names = [*names, *known]
    say(f"installing {', '.join(names)} (apt-get)")
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *names]
    result = subprocess.run(command, env=env, capture_output=True, text=True)
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["it did not say why"])[-1]
        raise PreflightError(
            f"apt-get could not install {', '.join(names)}: {last}",
            mend="install them by hand, then run this again",
        )


def start(directory: Path, say: Say) -> None:
    """Starts dockerd, detached, unless it is just starting, and waits until it answers.

    Raises:
        PreflightError: it did not, within a minute.
    """
    for program, pid_file in PID_FILES.items():
        if pid_file.exists() and not is_running(program, pid_file):
            pid_file.unlink()  # its process was killed, and dockerd refuses to start over it
    log = directory / "dockerd.log"
    process: subprocess.Popen[bytes] | None = None
    if not PID_FILES["dockerd"].exists():
        say(f"starting dockerd (its log: {log})")
        # Not through the init script: that fails where a process may not raise its limits.
        with log.open("ab") as output:
            process = subprocess.Popen(
                [shutil.which("dockerd", path=PATH) or "dockerd"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    deadline = time.monotonic() + START_TIMEOUT
    while not answers():
        if (process is not None and process.poll() is not None) or time.monotonic() > deadline:
            if process is None:
                raise PreflightError("dockerd runs but does not answer", mend="restart it")
            last = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise PreflightError("dockerd did not start: " + " / ".join(last), mend=f"see {log}")
        time.sleep(0.3)


def is_running(program: str, pid_file: Path) -> bool:
    """Whether the process that a pid file names runs this program, and not something that got its number since."""
    try:
        pid = int(pid_file.read_text())
        name = Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]
    except (OSError, ValueError):
        return False
    return Path(os.fsdecode(name)).name == program


def _require_root(problem: str, mend: str) -> None:
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        raise PreflightError(problem, mend=mend)
