"""The program git: what it says of the checkout that a folder is in, and why it says nothing."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from deploy_lib.errors import UsageError

_NAME_IT = "name the version: --tag sha-abc1234"
_TIMEOUT = 60


def ask(root: Path, *words: str) -> tuple[int, str]:
    """What git prints about the checkout that `root` is in, and its exit status: 0, or 1 for a plain no.

    Raises:
        UsageError: there is no checkout, or git does not answer.
    """
    try:
        done = subprocess.run(
            # Nothing is written: the checkout may be in use, or somebody else's.
            ["git", "--no-optional-locks", "-C", str(root), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            # Its words are looked at.
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError:
        raise UsageError("git is not installed, or not in PATH", hint=f"install it; or {_NAME_IT}") from None
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UsageError(f"git cannot be run: {error}", hint=_NAME_IT) from None
    if done.returncode not in (0, 1):
        raise _explained(root, done.returncode, os.fsdecode(done.stderr).strip())
    return done.returncode, os.fsdecode(done.stdout)


def _explained(root: Path, status: int, said: str) -> UsageError:
    if "safe.directory" in said:
        path = shlex.quote(str(root.resolve()))
        return UsageError(
            f"git does not trust the checkout in {root}: it belongs to another user (dubious ownership)",
            hint=f"if you do: git config --global --add safe.directory {path}; or {_NAME_IT}",
        )
    if "not a git repository" in said:
        return UsageError(f"{root} is not in a git checkout", hint=_NAME_IT)
    line = (said or f"exit status {status}").splitlines()[0]
    return UsageError(
        f"git cannot read the checkout in {root}: {line}", hint=f"git -C {root} status; or {_NAME_IT}"
    )
