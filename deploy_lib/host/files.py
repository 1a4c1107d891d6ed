"""A stack's files: packed into one stream, compared by hash, read from a host."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from deploy_lib.shell import quote, words
from deploy_lib.ssh.session import Session


def digest(content: bytes) -> str:
    """The SHA-256 that a file's content is compared by."""
    return hashlib.sha256(content).hexdigest()


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """The SHA-256 of every file."""
    return {path: digest(content) for path, content in files.items()}


def pack(files: Mapping[str, bytes]) -> bytes:
    """One tar stream of the files, readable by everybody and owned by root, the same for the same content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in sorted(files.items()):
            info = tarfile.TarInfo(path)
            info.size = len(content)
            info.mode = 0o644
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def read_files(session: Session, directory: PurePosixPath, paths: Sequence[str]) -> dict[str, bytes]:
    """The content of a host's files, by path below a directory; those that are not there are left out.

    Raises:
        RemoteError: one cannot be read.
    """
    if not paths:
        return {}
    script = f"""\
cd {quote(directory)} 2>/dev/null || exit 0
for x in {words(*paths)}; do [ ! -f "$x" ] || printf '%s\\n' "$x"; done | tar -cf - -T - | base64
"""
    return unpack(base64.b64decode(session.run(script, step="reading files").stdout))


def unpack(stream: bytes) -> dict[str, bytes]:
    """The files of a tar stream: the inverse of `pack`."""
    if not stream:
        return {}
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        return {m.name: file.read() for m in members if (file := archive.extractfile(m)) is not None}
