"""The files of a stack, as this checkout has them."""

from __future__ import annotations

from pathlib import Path

from deploy_lib.config import Stack
from deploy_lib.errors import UsageError


def collect(root: Path, stack: Stack) -> dict[str, bytes]:
    """The files of a stack, by their path below the stack's directory on the host.

    Raises:
        UsageError: one is missing or cannot be read.
    """
    files = {Path(name).name: _read(root / name) for name in (stack.compose, stack.env_file)}
    for directory in stack.directories:
        base = root / directory
        if not base.is_dir():
            raise UsageError(f"there is no directory {directory}", hint="see `directories` in deploy.toml")
        for path in sorted(base.rglob("*")):
            if path.is_file():
                files[path.relative_to(base.parent).as_posix()] = _read(path)
    return files


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
