"""The program git: what it says of the checkout that a folder is in, and why it says nothing."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from deploy_lib.errors import UsageError

_TIMEOUT = 60

_ELSEWHERE = {
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE"),
    *("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"),
}
"""Variables that lead git to another repository, such as the one whose hook has started this program, or give paths another
meaning, such as an editor's.
"""

_TRUST = re.compile(r"git config --global --add safe\.directory .+")


class Said(NamedTuple):
    """An answer of git.

    Attributes:
        status: 0, or 1 for a plain no.
        aside: its warnings.
    """

    status: int
    text: str
    aside: str


def ask(root: Path, *words: str, instead: str = "") -> Said:
    """What git says of the checkout that `root` is in.

    Args:
        instead: what an operator can do without an answer.

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
            env={**{k: v for k, v in os.environ.items() if k not in _ELSEWHERE}, "LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError:
        raise UsageError(
            "git is not installed, or not in PATH", hint=_either("install it", instead)
        ) from None
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UsageError(f"git cannot be run: {error}", hint=instead) from None
    if done.returncode not in (0, 1):
        what, hint = _explained(root, done.returncode, os.fsdecode(done.stderr).strip())
        raise UsageError(what, hint=_either(hint, instead))
    return Said(done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr))


def _explained(root: Path, status: int, said: str) -> tuple[str, str]:
    """Why git does not answer, and what to do about it."""
    if "safe.directory" in said:
        # It names the top of the checkout, which alone it would trust.
        command = _TRUST.search(said)
        return (
            f"git does not trust the checkout in {root}: it belongs to another user (dubious ownership)",
            f"if you do: {command[0] if command else 'see safe.directory in `git help config`'}",
        )
    if "not a git repository" in said:
        return f"{root} is not in a git checkout", ""
    line = (said or f"exit status {status}").splitlines()[0]
    return f"git cannot read the checkout in {root}: {line}", f"git -C {root} status"


def _either(*hints: str) -> str:
    return "; or ".join(filter(None, hints))
