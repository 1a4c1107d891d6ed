"""The files of the checkout that may be shipped: what git does not ignore, with its modes and links."""

from __future__ import annotations

import os
import posixpath
import shlex
import stat
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from deploy_lib.errors import UsageError
from deploy_lib.release.files import PLAIN, Entry
from deploy_lib.source import git_files
from deploy_lib.source.git_files import Listed

LARGEST = 32 * 1024 * 1024
"""Bytes of one file."""

EXECUTABLE = 0o755
_STAND_INS = (
    (
        b"version https://git-lfs.github.com/spec/v1\n",
        "is only the pointer to a file of Git LFS, which is not here",
        "git lfs pull --include {}",
    ),
    (b"\0GITCRYPT\0", "is still encrypted by git-crypt", "git-crypt unlock"),
)
"""How a file begins that git has in the place of the one that is meant."""

_HINT = "what a stack writes itself is named in its `data` in deploy.toml, or in .gitignore"


class Tree:
    """A checkout.

    Args:
        root: the folder of deploy.toml.
        like: a file whose permissions are those that this machine gives to any file.
    """

    def __init__(self, root: Path, like: str) -> None:
        self.root = root
        self._like = root / like
        self._listed: dict[str, Mapping[str, Listed]] = {}
        self._known: dict[str, Listed] = {}

    @cached_property
    def problem(self) -> str:
        """Why git knows nothing of what is here; "" when it does.

        Raises:
            UsageError: it does, and does not answer: what it ignores, such as a file of secrets, would be shipped.
        """
        try:
            # A copy of a project that lies in another one's ignored folder is none of that one's.
            return f"git ignores all of {self.root}" if git_files.ignores(self.root, ".") else ""
        except UsageError as error:
            if self._repository:
                raise UsageError(
                    f"git does not say which files it ignores: {error.what}", hint=error.hint
                ) from None
            return error.what

    @property
    def _repository(self) -> bool:
        """Whether there is a git repository here, whatever git says."""
        try:
            folders = [self.root, *self.root.absolute().parents]
        except OSError:  # the working directory is gone
            folders = [self.root]
        return any((folder / ".git").exists() for folder in folders)

    def has(self, path: str) -> bool:
        """Whether something is there, be it ignored."""
        return os.path.lexists(self.root / path)

    def ignored(self, path: str) -> bool:
        """Whether git ignores what lies at a path."""
        if self.problem:
            return False
        return path not in self._known and not self._files(path) and git_files.ignores(self.root, path)

    def is_tracked(self, path: str) -> bool:
        """Whether git has the file."""
        found = None if self.problem else self._known.get(path) or self._files(path).get(path)
        return found is not None and found.executable is not None

    def left_out(self, path: str) -> bool:
        """Whether git has something at a path that is not here, since the checkout is sparse."""
        return not self.problem and any(known.left_out for known in self._files(path).values())

    def refuse_left_out(self, path: str) -> NoReturn:
        """Refuses what `left_out` says that of.

        Raises:
            UsageError: with the command that brings it.
        """
        raise UsageError(
            f"{path} is in git and not here: this checkout is sparse",
            hint=f"git sparse-checkout add {shlex.quote(path)}",
        )

    def folder(self, path: str) -> bool:
        """Whether it is a directory, and no link to one."""
        return (self.root / path).is_dir() and not (self.root / path).is_symlink()

    def below(self, path: str, *, whole: bool = False) -> Iterator[str]:
        """The files and links at or below a path that are not ignored, from the checkout's root.

        Args:
            whole: be they ignored.

        Raises:
            UsageError: a directory cannot be looked into.
        """
        if not (self.problem or whole):
            for each, known in self._files(path).items():
                # What git still has may be gone, or be a directory by now.
                if known.left_out or (self._there(each) and (not self.folder(each) or self._closed(each))):
                    yield each
        elif not self.folder(path):
            yield path
        else:
            for folder, folders, names in os.walk(self.root / path, onerror=self._refuse):
                folders[:] = sorted(name for name in folders if name != ".git")
                links = [name for name in folders if (Path(folder) / name).is_symlink()]
                for name in sorted([*names, *links]):
                    yield (Path(folder) / name).relative_to(self.root).as_posix()

    def _closed(self, path: str) -> bool:
        """Whether a directory cannot be looked into."""
        return not os.access(self.root / path, os.R_OK | os.X_OK)

    def _there(self, path: str) -> bool:
        """Whether something is there; what cannot be looked at is not absent."""
        try:
            (self.root / path).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            self._refuse(error)
        return True

    def _refuse(self, error: OSError) -> NoReturn:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}", hint=_HINT) from None

    def content(self, path: str) -> bytes:
        """A file's content; a link is followed.

        Raises:
            UsageError: it cannot be read, is no file, lies elsewhere, or is too large.
        """
        place = self.root / path
        try:
            found = place.stat()
            if stat.S_ISDIR(found.st_mode):
                os.scandir(place).close()
            if not stat.S_ISREG(found.st_mode):
                raise UsageError(f"{path} is no file, and cannot be shipped", hint=_HINT)
            if found.st_size > LARGEST:
                raise UsageError(f"{path} has {found.st_size // 1024 // 1024} MiB: that is data", hint=_HINT)
            if self._linked(path) and not place.resolve().is_relative_to(self.root.resolve()):
                raise UsageError(f"{path} leads out of the folder of deploy.toml, and is not shipped")
            content = place.read_bytes()
        except OSError as error:
            if isinstance(error, FileNotFoundError) and self.left_out(path):
                self.refuse_left_out(path)
            raise UsageError(f"{path} cannot be read: {error.strerror}", hint=_HINT) from None
        for begins, what, hint in _STAND_INS:
            if content.startswith(begins):
                raise UsageError(f"{path} {what}", hint=hint.format(shlex.quote(path)))
        return content

    def entry(self, path: str) -> Entry:
        """A file with its mode; a link is followed.

        Raises:
            UsageError: as in `content`.
        """
        return Entry(self.content(path), self._mode(path))

    def link(self, path: str) -> str | None:
        """Where a link leads, as it is written; None for what is no link."""
        place = self.root / path
        return os.readlink(place) if place.is_symlink() else None  # noqa: PTH115 - byte for byte

    def _linked(self, path: str) -> bool:
        """Whether a link is on the way; without one, nothing has to be resolved, and no working directory is needed."""
        steps = path.split("/")
        return any((self.root / "/".join(steps[:count])).is_symlink() for count in range(1, len(steps) + 1))

    def _files(self, path: str) -> Mapping[str, Listed]:
        if path not in self._listed:
            self._listed[path] = git_files.listed(self.root, path)
            self._known |= self._listed[path]
        return self._listed[path]

    def _mode(self, path: str) -> int:
        """Git's mode; what is less readable than this machine makes files stays so."""
        if not self.problem and path not in self._known:
            self._files(path)
        known = self._known.get(path, Listed()).executable
        mode = stat.S_IMODE((self.root / path).stat().st_mode)
        usual = EXECUTABLE if (known if known is not None else mode & 0o100) else PLAIN
        hidden = (self._usual & ~mode) & 0o044
        return mode & EXECUTABLE if hidden else usual

    @cached_property
    def _usual(self) -> int:
        try:
            return stat.S_IMODE(self._like.stat().st_mode)
        except OSError:
            return PLAIN


def above(path: str) -> bool:
    """Whether a normalized path leads out of where it starts."""
    return path == ".." or path.startswith("../")


def joined(*parts: str) -> str:
    """A normalized path of these parts."""
    return posixpath.normpath(posixpath.join(*parts))
