"""Running one command, and what that took."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 300.0
"""Seconds after which a command is ended, and counts as failed."""


@dataclass(frozen=True)
class Took:
    """What a command took: seconds of wall and CPU time (its children's too), MiB at most, and its exit status."""

    wall: float
    cpu: float
    peak: float
    status: int


def run(command: Sequence[str | Path], folder: Path, env: Mapping[str, str], log: Path) -> Took:
    """Runs a command to its end.

    Args:
        env: its whole environment.
        log: gets its output, at the end.
    """
    with log.open("ab") as out:
        out.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        out.flush()
        began = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        return _await(process, began)


def _await(process: subprocess.Popen[bytes], began: float) -> Took:
    """Waits by `wait4`, which alone says what this one child has used."""
    status = 0
    try:
        with _Limit(process):
            _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    return Took(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, process.returncode)


class _Limit:
    """Ends a command that takes too long."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        import threading

        self._timer = threading.Timer(TIMEOUT, process.kill)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
