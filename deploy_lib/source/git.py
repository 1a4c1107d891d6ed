"""Which commit is meant, and which image tag belongs to it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_lib.errors import UsageError
from deploy_lib.release.release import FULL_SHA, TAG, Version, tag_of

if TYPE_CHECKING:
    from git import Commit as GitCommit
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
    with _asking(root) as repo:
        commit = _head(root, repo)
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
    """How many commits origin/main has, as last fetched, that a commit lacks; None when that cannot be told."""
    try:
        with _asking(root) as repo:
            known, remote = _resolve(repo, commit or ""), _resolve(repo, REMOTE)
            if known is None or remote is None or _is_shallow(repo):
                return None
            return sum(1 for _ in repo.iter_commits(f"{known}..{remote}"))
    except UsageError:
        return None


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
        return Version(tag, _known(root, tag.removeprefix("sha-")))
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
    with _asking(root) as repo:
        return _commit(_head(root, repo))


def candidates(root: Path) -> list[Commit]:
    """The newest commits of origin/main, as last fetched, newest first.

    Raises:
        UsageError: there is no git checkout, or it has no origin/main.
    """
    with _asking(root) as repo:
        if _resolve(repo, REMOTE) is None:
            raise UsageError(
                f"this checkout has no {REMOTE} to take the default tag from",
                mend="run `git fetch origin main`, or name one with --tag",
            )
        return [_commit(c) for c in repo.iter_commits(REMOTE, max_count=CANDIDATES)]


def is_dirty(root: Path) -> bool:
    """Whether the checkout has changes, untracked files included, that no commit has.

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
        raise UsageError(f"{root} is not in a git checkout", mend=_NAME_IT) from None
    except Exception as error:  # noqa: BLE001 - what GitPython lets through has no end: its own, OSError, ValueError
        raise _explained(root, error) from None


def _explained(root: Path, error: Exception) -> UsageError:
    """Why git does not answer, in git's own words: GitPython's do not tell, such as "broken pipe"."""
    try:
        asked = ["git", "-C", str(root), "status", "--porcelain"]
        said = subprocess.run(
            asked, capture_output=True, text=True, errors="replace", timeout=60
        ).stderr.strip()
    except FileNotFoundError:
        return UsageError("git is not installed, or not in PATH", mend=f"install it; or {_NAME_IT}")
    except (OSError, subprocess.SubprocessError) as problem:
        return UsageError(f"git cannot be run: {problem}", mend=_NAME_IT)
    if "safe.directory" in said:
        path = shlex.quote(str(root.resolve()))
        return UsageError(
            f"git does not trust the checkout in {root}: it belongs to another user (dubious ownership)",
            mend=f"if you do: git config --global --add safe.directory {path}; or {_NAME_IT}",
        )
    line = (said or " ".join(str(error).split()) or type(error).__name__).splitlines()[0]
    return UsageError(
        f"git cannot tell about the checkout in {root}: {line}", mend=f"git -C {root} status; or {_NAME_IT}"
    )


_NAME_IT = "name the version: --tag sha-abc1234"
_UNSHALLOW = "fetch its whole history (git fetch --unshallow)"


def _is_shallow(repo: Repo) -> bool:
    return (Path(repo.common_dir) / "shallow").exists()


def _shallow_checkout(root: Path) -> bool:
    try:
        with _asking(root) as repo:
            return _is_shallow(repo)
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


def _known(root: Path, digits: str) -> str | None:
    """The full SHA of what may be no commit of this checkout, and needs none."""
    try:
        return _expand(root, digits)
    except UsageError:
        return None


def _expand(root: Path, ref: str) -> str | None:
    with _asking(root) as repo:
        return _resolve(repo, ref)


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
