"""Which commit is meant, and which image tag belongs to it."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_lib.errors import UsageError
from deploy_lib.release.release import FULL_SHA, TAG, Version, tag_of

if TYPE_CHECKING:
    from git import Repo

_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*(?:[~^][0-9]*)*\Z")
CANDIDATES = 20
"""How many of the newest commits of origin/main are looked at for one that has an image."""


REMOTE = "origin/main"


@dataclass(frozen=True)
class Commit:
    """A commit that may have an image."""

    sha: str
    subject: str
    age_seconds: int

    @property
    def version(self) -> Version:
        """Its image tag."""
        return Version(tag_of(self.sha), self.sha)


@dataclass(frozen=True)
class Checkout:
    """What this machine's checkout is.

    Attributes:
        branch: the branch that is checked out; "" for a detached HEAD.
        dirty: it has changes that no commit has.
        shallow: it has not the whole history.
        main: the newest commit of origin/main, as last fetched; None without one.
        fetched_seconds: how long ago something was last fetched; None when nobody knows.
        pushed: a branch of a remote has HEAD's commit.
        on_main: origin/main has it.
    """

    head: Commit
    branch: str
    dirty: bool
    shallow: bool
    main: Commit | None
    fetched_seconds: int | None
    pushed: bool
    on_main: bool


def look(root: Path) -> Checkout:
    """The checkout that `root` is in; nothing is fetched.

    Raises:
        UsageError: there is no git checkout, or no commit in it.
    """
    repo = _open(root)
    try:
        commit = repo.head.commit
    except ValueError:
        raise UsageError(f"the git checkout in {root} has no commit yet") from None
    remote = _resolve(repo, REMOTE)
    return Checkout(
        head=_commit(commit),
        branch="" if repo.head.is_detached else repo.active_branch.name,
        dirty=bool(repo.is_dirty(untracked_files=True)),
        shallow=_is_shallow(repo),
        main=_commit(repo.commit(remote)) if remote else None,
        fetched_seconds=_since_fetch(repo),
        pushed=bool(repo.git.branch("--remotes", "--contains", commit.hexsha).strip()),
        on_main=remote is not None and repo.is_ancestor(commit, repo.commit(remote)),
    )


def behind(root: Path, commit: str | None) -> int | None:
    """How many commits origin/main has, as last fetched, that a commit has not; None when that cannot be told."""
    try:
        repo = _open(root)
    except UsageError:
        return None
    known, remote = _resolve(repo, commit or ""), _resolve(repo, REMOTE)
    if known is None or remote is None or _is_shallow(repo):
        return None
    return sum(1 for _ in repo.iter_commits(f"{known}..{remote}"))


def version_of(root: Path, tag: str) -> Version:
    """The version that an operator means by `--tag`.

    Args:
        root: a folder of the git checkout.
        tag: `sha-abc1234`, a full SHA, `latest`, or a git ref.

    Raises:
        UsageError: none of these.
    """
    if tag == "latest":
        return Version(tag)
    if TAG.match(tag):
        return Version(tag, _expand(root, tag.removeprefix("sha-")))
    if FULL_SHA.match(tag):
        return Version(tag_of(tag), tag)
    if tag.startswith("sha-") or not _REF.match(tag):
        raise UsageError(
            f"{tag!r} is not a tag",
            mend="give sha- and 7 hexadecimal digits (sha-abc1234), a full SHA, a git ref, or latest",
        )
    sha = _expand(root, tag)
    if sha is None:
        shallow = _shallow_checkout(root)
        raise UsageError(
            f"{tag!r} is neither an image tag nor a commit of this {'shallow ' if shallow else ''}checkout",
            mend=f"{_UNSHALLOW}, or " * shallow
            + "give sha- and 7 hexadecimal digits (sha-abc1234), a full SHA, a git ref, or latest",
        )
    return Version(tag_of(sha), sha)


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


def candidates(root: Path) -> list[Commit]:
    """The newest commits of origin/main, as last fetched, newest first.

    Raises:
        UsageError: there is no git checkout, or it has no origin/main.
    """
    repo = _open(root)
    try:
        return [_commit(c) for c in repo.iter_commits(REMOTE, max_count=CANDIDATES)]
    except Exception as error:
        from git import GitCommandError

        if not isinstance(error, GitCommandError | ValueError):
            raise
        raise UsageError(
            f"this checkout has no {REMOTE} to take the default tag from",
            mend="run `git fetch origin main`, or name one with --tag",
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


_UNSHALLOW = "fetch its whole history (git fetch --unshallow)"


def _is_shallow(repo: Repo) -> bool:
    return (Path(repo.common_dir) / "shallow").exists()


def _shallow_checkout(root: Path) -> bool:
    try:
        return _is_shallow(_open(root))
    except UsageError:
        return False


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


def _expand(root: Path, ref: str) -> str | None:
    try:
        repo = _open(root)
    except UsageError:
        return None
    return _resolve(repo, ref)


def _resolve(repo: Repo, ref: str) -> str | None:
    from git import BadName, BadObject

    try:
        return str(repo.commit(ref).hexsha) if ref else None
    except (BadName, BadObject, ValueError, IndexError):
        return None
