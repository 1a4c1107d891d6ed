"""A stack's files: packed into one stream, compared by hash, read from a host."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from deploy_lib.answers import understand
from deploy_lib.errors import NotUnderstoodError
from deploy_lib.release.files import Entry, entry
from deploy_lib.shell import THERE, quote, words
from deploy_lib.ssh.session import Session


def pack(files: Mapping[str, bytes | Entry]) -> bytes:
    """One tar stream of the files, owned by root, the same for the same files; one without a mode is readable by everybody."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, each in sorted(files.items()):
            it = entry(each)
            info = tarfile.TarInfo(path)
            info.mode = it.mode
            if it.folder:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif it.target:
                info.type, info.linkname = tarfile.SYMTYPE, it.target
            else:
                info.size = len(it.content)
            archive.addfile(info, io.BytesIO(it.content))
    return stream.getvalue()


def borrow(directory: PurePosixPath, paths: Sequence[str]) -> str:
    """Shell text that adds to the files in `$f` those that Compose reads on the host itself.

    They are linked: what this user may not read, Compose cannot read either, and says so.
    """
    return f"""\
for x in {words(*paths)}; do
  y={quote(directory)}/$x
  [ ! -f "$y" ] || [ -e "$f/$x" ] || {{ mkdir -p "$(dirname "$f/$x")" && ln -s "$y" "$f/$x"; }}
done"""


def read_files(session: Session, directory: PurePosixPath, paths: Sequence[str]) -> dict[str, bytes]:
    """The content of a host's files, by path below a directory; those that are not there are left out.

    Raises:
        RemoteError: one cannot be read.
    """
    if not paths:
        return {}
    step = "reading files"
    answer = session.run(fetch_script(directory, paths), step=step).stdout
    try:
        return understand("the files", lambda: unpack(base64.b64decode(answer)))
    except NotUnderstoodError as error:
        error.node, error.step = session.node, step
        raise


def fetch_script(directory: PurePosixPath, paths: Sequence[str]) -> str:
    """A tar stream of those files that are there, in base64; it fails where their presence is unknown, or one cannot be read."""
    return f"""\
{THERE}
there {quote(directory)} || {{ [ $? = 1 ]; exit; }}
cd {quote(directory)} || exit
found() {{
  for x in {words(*paths)}; do
    there "$x" || {{ [ $? = 1 ] && continue; return 1; }}
    [ ! -d "$x" ] || continue
    [ ! -f "$x" ] || {{ [ -r "$x" ] && printf './%s\\n' "$x"; }} || {{ echo "$x: Permission denied" >&2; return 1; }}
  done
}}
found=$(found) || exit
printf '%s\\n' "$found" | sed '/^$/d' | tar -cf - -T - | base64
"""


def unpack(stream: bytes) -> dict[str, bytes]:
    """The files of a tar stream: the inverse of `pack`.

    Raises:
        ValueError: it is no tar stream.
    """
    if not stream:
        return {}
    try:
        with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
            return _members(archive)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ValueError(f"it is no tar stream: {type(error).__name__}") from None


def _members(archive: tarfile.TarFile) -> dict[str, bytes]:
    members = [member for member in archive.getmembers() if member.isfile()]
    # Each is asked for with `./`, so that no name is taken for an option of tar's.
    return {
        m.name.removeprefix("./"): file.read()
        for m in members
        if (file := archive.extractfile(m)) is not None
    }
