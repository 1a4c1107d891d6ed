"""Files into a directory of a host: only those that differ are sent, and renamed into place one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NoReturn

from fabric import Connection
from msgspec import Struct

from deploy_lib.errors import UsageError
from deploy_lib.host.change.place import Placement, place
from deploy_lib.host.files import pack
from deploy_lib.operations.connections import session_on
from deploy_lib.release.files import digest
from deploy_lib.shell import IN_MEMORY, quote, words

TIMEOUT = 600.0


class Placed(Struct, frozen=True):
    """What `put_files` did.

    Attributes:
        changed: paths below the directory whose content is new.
        unchanged: those that already had their content, and were not touched.
    """

    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


def put_directory(connection: Connection, source: str | Path, directory: str | PurePosixPath) -> Placed:
    """Puts all files below a directory of this machine into one of the host; other files there stay. What a link to a file leads to
    is put in its place.

    Raises:
        UsageError: there is no such directory here, something in it cannot be read, or it is no file: a pipe, or a link to a
            directory or to nothing.
        RemoteError: the host's directory cannot be written.
    """
    source = Path(source)
    if not source.is_dir():
        raise UsageError(f"there is no directory {source}")
    try:
        files = {path.relative_to(source).as_posix(): path.read_bytes() for path in _below(source)}
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}") from None
    return put_files(connection, files, directory)


def _below(source: Path) -> Iterator[Path]:
    """The files below a directory.

    Raises:
        UsageError: something there is no file.
        OSError: a directory cannot be looked into.
    """

    def refuse(error: OSError) -> NoReturn:
        raise error

    for folder, folders, names in os.walk(source, onerror=refuse):
        folders.sort()
        linked = [name for name in folders if (Path(folder) / name).is_symlink()]
        for path in (Path(folder) / name for name in sorted([*names, *linked])):
            if not path.is_file():
                raise UsageError(
                    f"{path} is no file, and cannot be put", hint="leave it out, or put what it leads to"
                )
            yield path


def put_files(connection: Connection, files: Mapping[str, bytes], directory: str | PurePosixPath) -> Placed:
    """Puts files into a directory of the host, which is created if need be; files with the same content are not touched.

    All are written beside their places first and then renamed: a program that reads one meanwhile reads an old file or a new
    one, and never half of one.

    Args:
        files: content by path below the directory.

    Raises:
        UsageError: a path leads out of the directory, or a content is text and no bytes.
        RemoteError: it cannot be written.
    """
    for path, content in files.items():
        if isinstance(content, str):
            raise UsageError(
                f"the content of {path!r} is text, and no bytes", hint="encode it: TEXT.encode()"
            )
        parts = PurePosixPath(path).parts
        if not parts or PurePosixPath(path).is_absolute() or ".." in parts:
            raise UsageError(f"{path!r} is not a path below the directory")
    session, home = session_on(connection), PurePosixPath(directory)
    wanted = {path: digest(content) for path, content in files.items()}
    found = _read_digests(session.run(digests_script(home, sorted(wanted)), step="comparing files").stdout)
    changed = {path: mark for path, mark in wanted.items() if found.get(path) != mark}
    if changed:
        session.run(
            place_script(home, changed),
            stdin=pack({mark: files[path] for path, mark in changed.items()}),
            timeout=TIMEOUT,
            step="placing files",
        )
    return Placed(tuple(sorted(changed)), tuple(sorted(wanted.keys() - changed.keys())))


def digests_script(home: PurePosixPath, paths: list[str]) -> str:
    """Prints the SHA-256 of those of these files that are there."""
    return f"""\
cd {quote(home)} 2>/dev/null || exit 0
for x in {words(*paths)}; do [ ! -f "$x" ] || sha256sum -- "./$x" || exit; done
"""


def place_script(home: PurePosixPath, changed: Mapping[str, str]) -> str:
    """Puts the files of standard input, which are named after their content, into their places."""
    return f"""\
{IN_MEMORY}
tar -xf - --no-same-owner -C "$t" || exit
{place(home, Placement(changed), objects='"$t"')}
"""


def _read_digests(text: str) -> dict[str, str]:
    lines = [line.removeprefix("\\").partition("  ") for line in text.splitlines()]
    return {path.removeprefix("./"): digest for digest, _, path in lines}
