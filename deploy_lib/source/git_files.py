"""The files of this checkout, as git knows them."""

from __future__ import annotations

import posixpath
import re
import shlex
from pathlib import Path

from deploy_lib.errors import UsageError
from deploy_lib.source import git_program

_STAGED = re.compile(r"(?P<mode>[0-7]{6}) [0-9a-f]+ [0-3]\t(?P<path>.*)", re.DOTALL)
_SUBMODULE = "160000"


def listed(root: Path, path: str) -> dict[str, bool | None]:
    """The files at or below a path that git does not ignore; by their path from `root`: whether git has them as executable.

    None for a file that git does not know yet. Those of submodules, and of other repositories inside, are among them.

    Args:
        path: from `root`; "." for all of it.

    Raises:
        UsageError: git does not answer, or a submodule has not been checked out.
    """
    options = ("-z", "--stage", "--cached", "--others", "--exclude-standard")
    if (inside := _inside(root, path)) and ignores(root, inside):
        return {}
    above, folder, name = _where(root, path)
    _, said = git_program.ask(folder, "ls-files", *options, "--", f":(literal){name}")
    found: dict[str, bool | None] = {}
    for each in filter(None, said.split("\0")):
        staged = _STAGED.fullmatch(each)
        each = posixpath.join(above, staged["path"] if staged else each)
        inner, submodule = each.rstrip("/"), staged is not None and staged["mode"] == _SUBMODULE
        if (submodule or each.endswith("/")) and (root / inner / ".git").exists():
            found |= {f"{inner}/{below}": mode for below, mode in listed(root / inner, ".").items()}
        elif submodule and (root / inner).is_dir():
            raise UsageError(
                f"{inner} is a submodule that is not checked out, so its files are not here",
                hint=f"git submodule update --init {shlex.quote(inner)}",
            )
        elif not each.endswith("/"):
            found[each] = staged["mode"] == "100755" if staged else None
    return found


def ignores(root: Path, path: str) -> bool:
    """Whether git ignores a path, which need not exist.

    Args:
        path: from `root`.

    Raises:
        UsageError: git does not answer.
    """
    _, folder, name = _where(root, path)
    status, _ = git_program.ask(folder, "check-ignore", "-q", "--", name)
    # What one repository ignores is no other one's, although that has it.
    return status == 0 or bool((inside := _inside(root, path)) and ignores(root, inside))


def _inside(root: Path, path: str) -> str:
    """The innermost repository below `root` that a path is in, by its path; "" for none."""
    above = posixpath.dirname(path)
    while above and not (root / above / ".git").exists():
        above = posixpath.dirname(above)
    return above


def _where(root: Path, path: str) -> tuple[str, Path, str]:
    """Where git is asked about a path, and by which name: in the folder that it lies in, which may be another repository's, or
    behind a link, about which git says nothing from elsewhere.

    Returns:
        That folder from `root`, the folder itself, and the path from there.
    """
    above = posixpath.dirname(path)
    while above and not (root / above).is_dir():
        above = posixpath.dirname(above)
    return above, root / above, path.removeprefix(above).lstrip("/")
