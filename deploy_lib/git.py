"""Which commit is meant, and which image tag belongs to it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_lib.errors import UsageError
from deploy_lib.release import FULL_SHA, TAG, Version, tag_of

if TYPE_CHECKING:
    from git import Repo

_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*(?:[~^][0-9]*)*\Z")
CANDIDATES = 20
"""How many of the newest commits of origin/main are looked at for one that has an image."""


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
        raise UsageError(
            f"{tag!r} is neither an image tag nor a commit of this checkout",
            mend="give sha- and 7 hexadecimal digits (sha-abc1234), a full SHA, a git ref, or latest",
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
        return [_commit(c) for c in repo.iter_commits("origin/main", max_count=CANDIDATES)]
    except Exception as error:
        from git import GitCommandError

        if not isinstance(error, GitCommandError | ValueError):
            raise
        raise UsageError(
            "this checkout has no origin/main to take the default tag from",
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


def _commit(commit: object) -> Commit:
    import time

    from git import Commit as GitCommit

    if not isinstance(commit, GitCommit):
        raise UsageError("that is not a commit")
    return Commit(commit.hexsha, str(commit.summary), int(time.time()) - commit.committed_date)


def _expand(root: Path, ref: str) -> str | None:
    try:
        repo = _open(root)
    except UsageError:
        return None
    from git import BadName, BadObject

    try:
        return str(repo.commit(ref).hexsha)
    except (BadName, BadObject, ValueError, IndexError):
        return None
