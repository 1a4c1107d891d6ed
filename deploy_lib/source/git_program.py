"""Git itself, asked without GitPython: to import that takes ten times as long as an answer, and every deployment would wait."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from deploy_lib.errors import UsageError

_NAME_IT = "name the version: --tag sha-abc1234"
_TIMEOUT = 60


def known(root: Path, ref: str) -> str | None:
    """The full SHA of the commit that a text names; None when there is no such commit, and where git does not answer."""
    try:
        done = _run(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return None if done.returncode else os.fsdecode(done.stdout).strip()


def ask(root: Path, *words: str) -> tuple[int, str]:
    """What git prints about the checkout that `root` is in, and its exit status: 0, or 1 for a plain no.

    Raises:
        UsageError: there is no checkout, or git does not answer.
    """
    try:
        done = _run(root, *words)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise explained(root, error) from None
    if done.returncode not in (0, 1):
        raise explained(root, RuntimeError(os.fsdecode(done.stderr).strip()))
    return done.returncode, os.fsdecode(done.stdout)


def explained(root: Path, error: Exception) -> UsageError:
    """Why git does not answer, in git's own words: GitPython's, such as "broken pipe", hide the cause."""
    try:
        said = os.fsdecode(_run(root, "status", "--porcelain").stderr).strip()
    except FileNotFoundError:
        return UsageError("git is not installed, or not in PATH", hint=f"install it; or {_NAME_IT}")
    except (OSError, ValueError, subprocess.SubprocessError) as problem:
        return UsageError(f"git cannot be run: {problem}", hint=_NAME_IT)
    if "safe.directory" in said:
        path = shlex.quote(str(root.resolve()))
        return UsageError(
            f"git does not trust the checkout in {root}: it belongs to another user (dubious ownership)",
            hint=f"if you do: git config --global --add safe.directory {path}; or {_NAME_IT}",
        )
    if "not a git repository" in said:
        return not_there(root)
    line = (said or " ".join(str(error).split()) or type(error).__name__).splitlines()[0]
    return UsageError(
        f"git cannot read the checkout in {root}: {line}", hint=f"git -C {root} status; or {_NAME_IT}"
    )


def not_there(root: Path) -> UsageError:
    """That there is no checkout."""
    return UsageError(f"{root} is not in a git checkout", hint=_NAME_IT)


def _run(root: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["git", "-C", str(root), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_TIMEOUT,
        # Its words are looked at.
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
