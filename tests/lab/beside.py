"""Tests side by side: each process of a run has a checkout of its own, and so a lab of its own.

The first process has the checkout itself, the others have copies of it. They stay, as the labs do: the next run finds them,
and `invoke lab.down` removes them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from lab.layout import copies

WORKER = "PYTEST_XDIST_WORKER"
"""The environment variable that says that there are several processes."""

LEFT_OUT = {"deploy_lib", "tests", "docs", "bench"}
"""Of the checkout: what is imported from there, and what no command reads. Hidden folders are left out, too."""

_held: list[int] = []
"""Locks, open until the process ends, however it ends."""


def own(checkout: Path) -> Path:
    """The checkout that is this process's alone; made anew, but for its lab, where it is a copy."""
    if WORKER not in os.environ:
        return checkout
    folder = copies(checkout)
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    # By a lock and not by the process's number: one that comes in the place of a crashed one gets its lab.
    number = next(n for n in count() if _lock(folder / f"{n}.lock", wait=False))
    if number == 0:
        return checkout
    return _copied(checkout, folder / str(number))


@contextmanager
def in_turn(checkout: Path) -> Iterator[None]:
    """One process after another: what makes images and chooses ports looks at what the others have."""
    if WORKER not in os.environ:
        yield
        return
    _lock(copies(checkout) / "turn.lock", wait=True)
    try:
        yield
    finally:
        os.close(_held.pop())


def _lock(path: Path, *, wait: bool) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    _held.append(descriptor)
    return True


def _copied(checkout: Path, copy: Path) -> Path:
    copy.mkdir(exist_ok=True)
    for old in copy.iterdir():
        if old.name == ".lab":
            continue
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
    for path in checkout.iterdir():
        if path.is_file():
            shutil.copy(path, copy / path.name)
        elif path.is_dir() and not path.name.startswith(".") and path.name not in LEFT_OUT:
            shutil.copytree(path, copy / path.name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy
