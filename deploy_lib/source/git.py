"""The commits of this checkout, as git knows them; nothing is fetched."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from deploy_lib.errors import UsageError
from deploy_lib.source.git_program import explained, not_there

if TYPE_CHECKING:
    from git import Commit as GitCommit
    from git import Repo

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
    with _asking(root) as repo:
        commit = _head(root, repo)
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
    """How many commits a branch has, as last fetched, that a commit lacks; None when that is unknown."""
    try:
        with _asking(root) as repo:
            start, tip = _resolve(repo, commit or ""), _resolve(repo, follows)
            if start is None or tip is None or _is_shallow(repo):
                return None
            return sum(1 for _ in repo.iter_commits(f"{start}..{tip}"))
    except UsageError:
        return None


def resolve(root: Path, ref: str) -> str | None:
    """The full SHA of the commit that a ref names; None when there is no such commit.

    Raises:
        UsageError: git cannot tell.
    """
    with _asking(root) as repo:
        return _resolve(repo, ref)


def refs(root: Path) -> list[str]:
    """Names of branches and tags; empty where git does not answer."""
    try:
        with _asking(root) as repo:
            return [str(ref.name) for ref in repo.refs]
    except UsageError:
        return []


def is_shallow(root: Path) -> bool:
    """Whether this is a checkout that lacks the older part of its history."""
    try:
        with _asking(root) as repo:
            return _is_shallow(repo)
    except UsageError:
        return False


def head(root: Path) -> Commit:
    """The checkout's own commit.

    Raises:
        UsageError: there is no git checkout, or no commit in it.
    """
    with _asking(root) as repo:
        return _commit(_head(root, repo))


def candidates(root: Path, follows: str) -> list[Commit]:
    """The newest commits of a remote's branch, as last fetched, newest first.

    Raises:
        UsageError: there is no git checkout, or it has no such branch.
    """
    with _asking(root) as repo:
        if _resolve(repo, follows) is None:
            raise UsageError(
                f"this checkout has no {follows} to take the default tag from",
                hint=f"run `git fetch {follows.replace('/', ' ', 1)}`, or name one with --tag",
            )
        return [_commit(c) for c in repo.iter_commits(follows, max_count=CANDIDATES)]


def is_dirty(root: Path) -> bool:
    """Whether the checkout has uncommitted changes, untracked files included.

    Raises:
        UsageError: git cannot tell.
    """
    with _asking(root) as repo:
        return bool(repo.is_dirty(untracked_files=True))


@contextmanager
def _asking(root: Path) -> Iterator[Repo]:
    """The repository that `root` is in; whatever GitPython raises while it is asked becomes one clear error.

    Raises:
        UsageError: there is none, or git cannot tell.
    """
    # GitPython runs `git version` when it is imported, and raises when there is none.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from git import InvalidGitRepositoryError, Repo

    try:
        with Repo(root, search_parent_directories=True) as repo:
            yield repo
    except UsageError:
        raise
    except InvalidGitRepositoryError:
        raise not_there(root) from None
    except Exception as error:  # noqa: BLE001 - what GitPython lets through has no end: its own, OSError, ValueError
        raise explained(root, error) from None


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


def _head(root: Path, repo: Repo) -> GitCommit:
    try:
        return repo.head.commit
    except ValueError:
        _check_that_git_answers(repo)
        raise UsageError(f"the git checkout in {root} has no commit yet") from None


def _resolve(repo: Repo, ref: str) -> str | None:
    """The full SHA; None when there is no such commit."""
    from git import BadName, BadObject

    try:
        return str(repo.commit(ref).hexsha) if ref else None
    except (BadName, BadObject, ValueError, IndexError):
        _check_that_git_answers(repo)
        return None


def _check_that_git_answers(repo: Repo) -> None:
    """What git refuses to tell is not absent; GitPython says the same of both."""
    repo.git.rev_parse("--git-dir")
