"""The commits of this checkout, as git knows them; nothing is fetched."""

from __future__ import annotations

import os
import time
from pathlib import Path

from msgspec import Struct

from deploy_lib.errors import UsageError
from deploy_lib.source import git_program
from deploy_lib.source.git_program import Said

CANDIDATES = 20
"""How many of a branch's newest commits are tried, until one has an image."""


class Commit(Struct, frozen=True):
    """A commit that may have an image."""

    sha: str
    subject: str
    age_seconds: int


class Checkout(Struct, frozen=True):
    """What this machine's checkout is.

    Attributes:
        branch: the branch that is checked out; "" for a detached HEAD.
        dirty: it has uncommitted changes.
        shallow: it lacks older commits.
        tip: the newest commit of the branch that is followed, as last fetched; None without one.
        fetched_seconds: how long ago something was last fetched; None when that is unknown.
        pushed: a branch of a remote has HEAD's commit.
        on_branch: the branch that is followed has it.
    """

    head: Commit
    branch: str
    dirty: bool
    shallow: bool
    tip: Commit | None
    fetched_seconds: int | None
    pushed: bool
    on_branch: bool


def look(root: Path, follows: str | None) -> Checkout:
    """The checkout that `root` is in.

    Args:
        follows: the branch of a remote that is followed, as in "origin/main".

    Raises:
        UsageError: there is no git checkout, or no commit in it.
    """
    lines = _ask(root, "status", "--porcelain=v2", "--branch", "--untracked-files=normal").text.splitlines()
    said = dict(
        line.removeprefix("# branch.").split(" ", 1) for line in lines if line.startswith("# branch.")
    )
    commit = head(root)
    tip = resolve(root, follows or "")
    shallow, fetched = _shape(root)
    having = ("for-each-ref", "--count=1", "--contains", commit.sha, "refs/remotes")
    return Checkout(
        head=commit,
        branch="" if said.get("head") == "(detached)" else said.get("head", ""),
        dirty=any(not line.startswith("# ") for line in lines),
        shallow=shallow,
        tip=_commits(root, "--no-walk", tip)[0] if tip else None,
        fetched_seconds=_since(fetched),
        pushed=bool(_ask(root, *having).text.strip()),
        on_branch=tip is not None and _ask(root, "merge-base", "--is-ancestor", commit.sha, tip).status == 0,
    )


def behind(root: Path, commit: str | None, follows: str) -> int | None:
    """How many commits a branch has, as last fetched, that a commit lacks; None when that is unknown."""
    start, tip = known(root, commit or ""), known(root, follows)
    if start is None or tip is None or is_shallow(root):
        return None
    try:
        return int(_ask(root, "rev-list", "--count", f"{start}..{tip}").text)
    except UsageError:
        return None


def resolve(root: Path, ref: str) -> str | None:
    """The full SHA of the commit that a ref names; None when there is no such commit.

    Raises:
        UsageError: git cannot tell.
    """
    # None begins so: git would take it for an option.
    if not ref or ref.startswith("-"):
        return None
    said = _ask(root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    return None if said.status else said.text.strip()


def known(root: Path, ref: str) -> str | None:
    """The same, and None as well where git does not answer."""
    try:
        return resolve(root, ref)
    except UsageError:
        return None


def refs(root: Path) -> list[str]:
    """Names of branches and tags; empty where git does not answer."""
    kinds = ("refs/heads", "refs/remotes", "refs/tags")
    try:
        return _ask(root, "for-each-ref", "--format=%(refname:lstrip=2)", *kinds).text.splitlines()
    except UsageError:
        return []


def is_shallow(root: Path) -> bool:
    """Whether this is a checkout that lacks the older part of its history."""
    try:
        return _shape(root)[0]
    except UsageError:
        return False


def head(root: Path) -> Commit:
    """The checkout's own commit.

    Raises:
        UsageError: there is no git checkout, or no commit in it.
    """
    sha = resolve(root, "HEAD")
    if sha is None:
        raise UsageError(f"the git checkout in {root} has no commit yet")
    return _commits(root, "--no-walk", sha)[0]


def candidates(root: Path, follows: str) -> list[Commit]:
    """The newest commits of a remote's branch, as last fetched, newest first.

    Raises:
        UsageError: there is no git checkout, or it has no such branch.
    """
    tip = resolve(root, follows)
    if tip is None:
        raise UsageError(
            f"this checkout has no {follows} to take the default tag from",
            hint=f"run `git fetch {follows.replace('/', ' ', 1)}`, or name one with --tag",
        )
    return _commits(root, f"--max-count={CANDIDATES}", tip)


def is_dirty(root: Path) -> bool:
    """Whether the checkout has uncommitted changes, untracked files included.

    Raises:
        UsageError: git cannot tell.
    """
    return bool(_ask(root, "status", "--porcelain", "--untracked-files=normal").text.strip())


def _ask(root: Path, *words: str) -> Said:
    return git_program.ask(root, *words, instead="name the version: --tag sha-abc1234")


def _shape(root: Path) -> tuple[bool, Path]:
    """Whether the checkout is shallow, and the file that git writes whenever it fetches; each worktree has its own.

    Raises:
        UsageError: git cannot tell.
    """
    said = _ask(root, "rev-parse", "--is-shallow-repository", "--git-path", "FETCH_HEAD").text
    shallow, _, path = said.partition("\n")
    return shallow == "true", root / path.removesuffix("\n")


def _since(path: Path) -> int | None:
    """Seconds since a file was written; None without one."""
    try:
        return int(time.time() - path.stat().st_mtime)
    except OSError:
        return None


def _commits(root: Path, *which: str) -> list[Commit]:
    """Commits as `git log` lists them.

    Args:
        which: how many, and of what.

    Raises:
        UsageError: git cannot read them.
    """
    said = _ask(
        root, "log", "--no-show-signature", "--encoding=UTF-8", "--format=%H %ct %s", *which, "--"
    ).text
    now = int(time.time())
    found = [line.split(" ", 2) for line in said.split("\n") if line]
    return [Commit(sha, _readable(subject), now - int(made)) for sha, made, subject in found]


def _readable(subject: str) -> str:
    """A subject that can be printed: git gives bytes as they were committed."""
    return os.fsencode(subject).decode(errors="replace")
