"""This checkout, as git knows it; nothing is fetched."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_lib.errors import UsageError

if TYPE_CHECKING:
    from git import Repo

CANDIDATES = 20
"""How many of the newest commits of a branch are looked at for one that has an image."""


@dataclass(frozen=True)
class Commit:
    """A commit that may have an image."""

    sha: str
    subject: str
    age_seconds: int


@dataclass(frozen=True)
class Checkout:
    """What this machine's checkout is.

    Attributes:
        branch: the branch that is checked out; "" for a detached HEAD.
        dirty: it has changes that no commit has.
        shallow: it has not the whole history.
        tip: the newest commit of the branch that is followed, as last fetched; None without one.
        fetched_seconds: how long ago something was last fetched; None when nobody knows.
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
    repo = _open(root)
    try:
        commit = repo.head.commit
    except ValueError:
        raise UsageError(f"the git checkout in {root} has no commit yet") from None
    tip = _resolve(repo, follows or "")
    return Checkout(
        head=_commit(commit),
        branch="" if repo.head.is_detached else repo.active_branch.name,
        dirty=bool(repo.is_dirty(untracked_files=True)),
        shallow=_is_shallow(repo),
        tip=_commit(repo.commit(tip)) if tip else None,
        fetched_seconds=_since_fetch(repo),
        pushed=bool(repo.git.branch("--remotes", "--contains", commit.hexsha).strip()),
        on_branch=tip is not None and repo.is_ancestor(commit, repo.commit(tip)),
    )


def behind(root: Path, commit: str | None, follows: str) -> int | None:
    """How many commits a branch has, as last fetched, that a commit lacks; None when that cannot be told."""
    try:
        repo = _open(root)
    except UsageError:
        return None
    known, tip = _resolve(repo, commit or ""), _resolve(repo, follows)
    if known is None or tip is None or _is_shallow(repo):
        return None
    return sum(1 for _ in repo.iter_commits(f"{known}..{tip}"))


def resolve(root: Path, ref: str) -> str | None:
    """The full SHA of the commit that a ref names; None when this checkout knows none, or is no checkout."""
    try:
        repo = _open(root)
    except UsageError:
        return None
    return _resolve(repo, ref)


def refs(root: Path) -> list[str]:
    """Names of branches and tags; empty outside a checkout."""
    try:
        repo = _open(root)
    except UsageError:
        return []
    return [str(ref.name) for ref in repo.refs]


def is_shallow(root: Path) -> bool:
    """Whether this is a checkout that lacks the older part of its history."""
    try:
        return _is_shallow(_open(root))
    except UsageError:
        return False


def head(root: Path) -> Commit:
    """The checkout's own commit.

    Raises:
        UsageError: there is no git checkout, or no commit in it.
    """
    repo = _open(root)
    try:
        return _commit(repo.head.commit)
    except ValueError:
        raise UsageError(f"the git checkout in {root} has no commit yet") from None


def candidates(root: Path, follows: str) -> list[Commit]:
    """The newest commits of a remote's branch, as last fetched, newest first.

    Raises:
        UsageError: there is no git checkout, or it has no such branch.
    """
    repo = _open(root)
    try:
        return [_commit(c) for c in repo.iter_commits(follows, max_count=CANDIDATES)]
    except Exception as error:
        from git import GitCommandError

        if not isinstance(error, GitCommandError | ValueError):
            raise
        raise UsageError(
            f"this checkout has no {follows} to take the default tag from",
            mend=f"run `git fetch {follows.replace('/', ' ', 1)}`, or name one with --tag",
        ) from None


def is_dirty(root: Path) -> bool:
    """Whether the checkout has changes, untracked files included, that no commit has."""
    return bool(_open(root).is_dirty(untracked_files=True))


def _open(root: Path) -> Repo:
    # GitPython runs `git version` when it is imported, and raises when there is none.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from git import GitCommandNotFound, InvalidGitRepositoryError, Repo

    try:
        return Repo(root, search_parent_directories=True)
    except InvalidGitRepositoryError:
        raise UsageError(f"{root} is not in a git checkout", mend="name the version with --tag") from None
    except GitCommandNotFound:
        raise UsageError("git is not installed", mend="install it, or name the version with --tag") from None


def _is_shallow(repo: Repo) -> bool:
    return (Path(repo.common_dir) / "shallow").exists()


def _since_fetch(repo: Repo) -> int | None:
    try:
        return int(time.time() - (Path(repo.common_dir) / "FETCH_HEAD").stat().st_mtime)
    except OSError:
        return None


def _commit(commit: object) -> Commit:
    from git import Commit as GitCommit

    if not isinstance(commit, GitCommit):
        raise UsageError("that is not a commit")
    return Commit(commit.hexsha, str(commit.summary), int(time.time()) - commit.committed_date)


def _resolve(repo: Repo, ref: str) -> str | None:
    from git import BadName, BadObject

    try:
        return str(repo.commit(ref).hexsha) if ref else None
    except (BadName, BadObject, ValueError, IndexError):
        return None
