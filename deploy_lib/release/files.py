"""A release's files, each with the mark that it is compared by and recorded with.

A mark is what a host can say of a path, too: the SHA-256 of a file's content, with ":MODE" unless that is 644; "link:TARGET"; or
"directory" for one that is there to be mounted. Records of earlier versions have the SHA-256 alone.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping
from typing import ClassVar

from deploy_lib.values import Selective

PLAIN = 0o644
FOLDER = "directory"
"""The mark of a directory."""

_LINK = "link:"

_LINKS = 4
"""How many links in a row are followed."""


class Entry(Selective, frozen=True):
    """What lies at one path: a file, a symbolic link, or a directory that is made although it is empty.

    Attributes:
        content: of a file.
        mode: its permissions.
        target: where a link leads, as it is written in it; "" for what is no link.
        folder: it is a directory.
    """

    HIDDEN: ClassVar[tuple[str, ...]] = ("content",)

    content: bytes = b""
    mode: int = PLAIN
    target: str = ""
    folder: bool = False

    @property
    def mark(self) -> str:
        """What it is compared by."""
        if self.folder:
            return FOLDER
        return link_mark(self.target) if self.target else file_mark(digest(self.content), self.mode)


def digest(content: bytes) -> str:
    """The SHA-256 that a file's content is kept under."""
    return hashlib.sha256(content).hexdigest()


def file_mark(sha256: str, mode: int = PLAIN) -> str:
    """The mark of a file."""
    return sha256 if mode == PLAIN else f"{sha256}:{mode:o}"


def link_mark(target: str) -> str:
    """The mark of a link."""
    return _LINK + target


def entry(each: bytes | Entry) -> Entry:
    """The entry itself; content alone is that of a file which everybody may read."""
    return each if isinstance(each, Entry) else Entry(each)


def marks(files: Mapping[str, bytes | Entry]) -> dict[str, str]:
    """The mark of each file, by its path."""
    return {path: entry(each).mark for path, each in files.items()}


def followed(files: Mapping[str, str]) -> dict[str, str]:
    """The marks, with what is reached through links under the path by which it is reached."""
    found = dict(files)
    for _ in range(_LINKS):
        more: dict[str, str] = {}
        for path, mark in files.items():
            if target := target_of(mark):
                leads = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
                more |= {path: f"{mark} {found[leads]}"} if leads in found else {}
                more |= {
                    path + p.removeprefix(leads): m for p, m in found.items() if p.startswith(f"{leads}/")
                }
        found |= more
    return found


def reached(marks: Mapping[str, str], path: str) -> str:
    """The path of what lies at a path, once the links on the way are followed; the path itself without any."""
    for _ in range(_LINKS):
        steps = path.split("/")
        for count in range(1, len(steps) + 1):
            link = "/".join(steps[:count])
            if target := target_of(marks.get(link, "")):
                path = posixpath.normpath(posixpath.join(posixpath.dirname(link), target, *steps[count:]))
                break
        else:
            break
    return path


def content_of(mark: str) -> str:
    """The SHA-256 of a file's content; "" for what has none."""
    return "" if mark == FOLDER or mark.startswith(_LINK) else mark.partition(":")[0]


def mode_of(mark: str) -> str:
    """A file's permissions, in octal digits."""
    return mark.partition(":")[2] or f"{PLAIN:o}"


def closed(mark: str) -> bool:
    """Whether it is a file that is not for everybody to read."""
    return bool(content_of(mark)) and not int(mode_of(mark), 8) & 4


def target_of(mark: str) -> str:
    """Where a link leads; "" for what is no link."""
    return mark.removeprefix(_LINK) if mark.startswith(_LINK) else ""
