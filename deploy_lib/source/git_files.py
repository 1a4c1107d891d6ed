"""The files of this checkout, as git knows them."""

from __future__ import annotations

import os
import posixpath
import re
import shlex
from pathlib import Path

from msgspec import Struct

from deploy_lib.errors import UsageError
from deploy_lib.source import git_program

_LINE = re.compile(
    r"(?P<tag>.) (?:(?P<mode>[0-7]{6}) [0-9a-f]+ [0-3]\t)?(?P<path>.*)",
    re.DOTALL,
)
_OTHER, _LEFT_OUT = "?", "S"
_SUBMODULE = "160000"
_CLOSED = re.compile(r"^warning: could not open directory '(?P<path>.+)/': ", re.MULTILINE)


class Listed(Struct, frozen=True):
    """A file that git does not ignore.

    Attributes:
        executable: git has it so; None for a file that git does not know yet.
        left_out: git has it, and a sparse checkout does not.
    """

    executable: bool | None = None
    left_out: bool = False


def listed(root: Path, path: str) -> dict[str, Listed]:
    """The files at or below a path that git does not ignore, by their path from `root`.

    Those of submodules, and of other repositories inside, are among them, and so are directories that cannot be looked into.

    Args:
        path: from `root`; "." for all of it.

    Raises:
        UsageError: git does not answer, or a submodule has not been checked out.
    """
    if ((inside := _inside(root, path)) and ignores(root, inside)) or _behind_ignored_link(root, path):
        return {}
    above, folder, name = _where(root, path)
    options = ("-z", "-t", "--stage", "--cached", "--others", "--exclude-standard")
    said = git_program.ask(folder, "ls-files", *options, "--", f":(literal){name}")
    found = {posixpath.join(above, each): Listed() for each in _closed(folder, said.aside)}
    for line in filter(None, map(_LINE.fullmatch, said.text.split("\0"))):
        each, submodule = posixpath.join(above, line["path"]), line["mode"] == _SUBMODULE
        inner = each.rstrip("/")
        if (submodule or each.endswith("/")) and (root / inner / ".git").exists():
            found |= {f"{inner}/{below}": known for below, known in listed(root / inner, ".").items()}
        elif submodule and (root / inner).is_dir():
            raise UsageError(
                f"{inner} is a submodule that is not checked out, so its files are not here",
                hint=f"git submodule update --init {shlex.quote(inner)}",
            )
        elif not each.endswith("/"):
            executable = None if line["tag"] == _OTHER else line["mode"] == "100755"
            found[each] = Listed(executable, left_out=line["tag"] == _LEFT_OUT)
    return found


def _closed(folder: Path, aside: str) -> list[str]:
    """The directories that git could not look into, by their paths from a folder; of one that is ignored it says nothing."""
    if not (found := [each["path"] for each in _CLOSED.finditer(aside)]):
        return []
    # It names them from the top of the checkout.
    begins = git_program.ask(folder, "rev-parse", "--show-prefix").text.removesuffix("\n")
    return [os.path.relpath(each, begins or ".") for each in found]


def ignores(root: Path, path: str) -> bool:
    """Whether git ignores a path, which need not exist.

    Args:
        path: from `root`.

    Raises:
        UsageError: git does not answer.
    """
    if _behind_ignored_link(root, path):
        return True
    _, folder, name = _where(root, path)
    if git_program.ask(folder, "check-ignore", "-q", "--", name).status == 0:
        return True
    # What one repository ignores is no other one's, although that has it.
    return bool((inside := _inside(root, path)) and ignores(root, inside))


def _behind_ignored_link(root: Path, path: str) -> bool:
    """Whether a path leads by a link that git ignores: what lies behind it may be in no checkout at all.

    Raises:
        UsageError: git does not answer.
    """
    above = ""
    for step in posixpath.dirname(path).split("/"):
        above = posixpath.join(above, step)
        if (root / above).is_symlink() and ignores(root, above):
            return True
    return False


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
