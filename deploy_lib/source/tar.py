"""Where the files of a tar archive lie in it. Nothing is unpacked, and nothing that the archive says is trusted.

Written for this because `tarfile` reads as much of a header as the archive says it has, follows whatever links it has, and takes
an archive that was cut between two files for a whole one.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import BinaryIO

from msgspec import Struct

BLOCK = 512
MOST_FILES = 100_000
"""An image has a few for each layer."""

_MOST_TEXT = 64 * 1024
"""Bytes of a long name, or of a header's further fields."""

_LINKS = 8
"""Links that lead to one another, at most."""

_FILES, _HARD, _SYMBOLIC, _FOLDER = b"0\0007", b"1", b"2", b"5"
_FIELDS, _COMMON_FIELDS, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"


class BrokenTarError(ValueError):
    """It is no tar archive, or not a whole one; the text says what is wrong, for people."""


class Span(Struct, frozen=True):
    """Where a file's content lies.

    Attributes:
        start: bytes from the archive's beginning.
        size: bytes.
    """

    start: int
    size: int


class _Header(Struct, frozen=True):
    name: str
    link: str
    kind: bytes
    size: int


def index(file: BinaryIO, length: int) -> dict[str, Span]:
    """The archive's files by their paths; a link is listed as what it leads to.

    Args:
        file: read from its beginning; it can be sought in.
        length: bytes that it has.

    Raises:
        BrokenTarError: it is no tar archive, ends too early, or has what no archive of an image has.
    """
    files: dict[str, Span] = {}
    links: dict[str, str] = {}
    fields: dict[str, str] = {}
    seen: set[str] = set()
    place = 0
    while True:
        block = _block(file, place, length)
        if not any(block):
            break
        header = _header(block, place, fields)
        start, end = place + BLOCK, place + BLOCK + header.size
        if end > length:
            raise BrokenTarError(f"it ends after {length} bytes, in the middle of {_shown(header.name)}")
        place = start + -(-header.size // BLOCK) * BLOCK
        if header.kind in (_FIELDS, _COMMON_FIELDS, _LONG_NAME, _LONG_LINK):
            if header.size > _MOST_TEXT:
                raise BrokenTarError(f"a header at byte {start} has {header.size} bytes")
            file.seek(start)
            _remember(fields, header.kind, file.read(header.size))
            continue
        fields = {}
        name = _path(header.name)
        if name in seen and header.kind != _FOLDER:
            raise BrokenTarError(f"it has {_shown(name)} twice")
        seen.add(name)
        if len(seen) > MOST_FILES:
            raise BrokenTarError(f"it has more than {MOST_FILES} files")
        if header.kind in _FILES and not header.name.endswith("/"):
            files[name] = Span(start, header.size)
        elif header.kind == _SYMBOLIC:
            links[name] = _path(posixpath.join(posixpath.dirname(name), header.link))
        elif header.kind == _HARD:
            links[name] = _path(header.link)
        elif header.kind != _FOLDER and header.kind not in _FILES:
            raise BrokenTarError(f"{_shown(name)} is neither a file, a folder nor a link")
    return {**files, **{name: span for name in links if (span := _target(name, files, links)) is not None}}


def _block(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    block = file.read(BLOCK)
    if len(block) < BLOCK:
        raise BrokenTarError(
            "it is no tar archive"
            if place == 0
            else f"it ends after {length} bytes, without the end of an archive"
        )
    return block


def _header(block: bytes, place: int, fields: Mapping[str, str]) -> _Header:
    total = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    if _number(block[148:156]) != total:
        raise BrokenTarError(
            "it is no tar archive" if place == 0 else f"its header at byte {place} is damaged"
        )
    kind = block[156:157]
    name, link = _text(block[:100]), _text(block[157:257])
    # The old GNU format has other things there.
    if block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):
        name = f"{prefix}/{name}"
    size = _number(block[124:136])
    own = kind not in (_FIELDS, _COMMON_FIELDS, _LONG_NAME, _LONG_LINK)
    if own and "size" in fields:
        size = int(fields["size"]) if fields["size"].isdecimal() and len(fields["size"]) < 20 else None
    if size is None:
        raise BrokenTarError(f"its header at byte {place} has no size")
    if own:
        name, link = fields.get("path", name), fields.get("linkpath", link)
    # What has no content may have a size all the same: that of what a link leads to.
    return _Header(name, link, kind, 0 if kind in (_HARD, _SYMBOLIC, _FOLDER) else size)


def _number(field: bytes) -> int | None:
    """A number of a header: octal digits, or base 256 where they would not do; None for neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not digits:
        return 0
    return int(digits, 8) if set(digits) <= set(b"01234567") else None


def _remember(fields: dict[str, str], kind: bytes, content: bytes) -> None:
    """Takes what a header says of the next one."""
    if kind == _LONG_NAME:
        fields["path"] = _text(content)
    elif kind == _LONG_LINK:
        fields["linkpath"] = _text(content)
    elif kind == _FIELDS:
        while content:
            length, blank, _ = content.partition(b" ")
            if (
                not blank
                or not length.isdigit()
                or len(length) > 6
                or not len(length) + 1 < int(length) <= len(content)
            ):
                raise BrokenTarError("a header has fields that make no sense")
            key, _, value = content[len(length) + 1 : int(length) - 1].partition(b"=")
            if key.startswith(b"GNU.sparse"):
                raise BrokenTarError("it has a sparse file")
            if key in (b"path", b"linkpath", b"size"):
                fields[key.decode()] = value.decode(errors="replace")
            content = content[int(length) :]


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")


def _path(name: str) -> str:
    """A path in its one form; nothing that leads out of the archive."""
    path = posixpath.normpath(name)
    if path.startswith("/") or path.split("/")[0] == "..":
        raise BrokenTarError(f"{_shown(name)} leads out of it")
    return path


def _target(name: str, files: Mapping[str, Span], links: Mapping[str, str]) -> Span | None:
    for _ in range(_LINKS):
        name = links.get(name, name)
        if name in files:
            return files[name]
    return None


def _shown(name: str) -> str:
    return repr(name if len(name) < 200 else f"{name[:200]}...")
