"""The files of this checkout, as git knows them."""

from __future__ import annotations

import re
from pathlib import Path

from deploy_lib.source import git_program

_STAGED = re.compile(r"(?P<mode>[0-7]{6}) [0-9a-f]+ [0-3]\t(?P<path>.*)", re.DOTALL)
_SUBMODULE = "160000"


def listed(root: Path, path: str) -> dict[str, bool | None]:
    """The files at or below a path that git does not ignore; by their path from `root`: whether git has them as executable.

    None for a file that git does not know yet. Those of submodules, and of other repositories inside, are among them.

    Args:
        path: from `root`; "." for all of it.

    Raises:
        UsageError: git does not answer.
    """
    options = ("-z", "--stage", "--cached", "--others", "--exclude-standard")
    _, said = git_program.ask(root, "ls-files", *options, "--", f":(literal){path}")
    found: dict[str, bool | None] = {}
    for each in said.split("\0"):
        staged = _STAGED.fullmatch(each)
        name = staged["path"] if staged else each
        if each.endswith("/") or (staged and staged["mode"] == _SUBMODULE):
            inner = name.rstrip("/")
            if (root / inner / ".git").exists():
                found |= {f"{inner}/{below}": mode for below, mode in listed(root / inner, ".").items()}
        elif name:
            found[name] = staged["mode"] == "100755" if staged else None
    return found


def ignores(root: Path, path: str) -> bool:
    """Whether git ignores a path, which need not exist.

    Args:
        path: from `root`.

    Raises:
        UsageError: git does not answer.
    """
    status, _ = git_program.ask(root, "check-ignore", "-q", "--", path)
    return status == 0
