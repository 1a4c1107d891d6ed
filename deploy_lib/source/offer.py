"""What an operator gives as `--image NAME=REF`: an image of this machine's own engine, or a file; opened as one archive."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from deploy_lib.errors import UsageError
from deploy_lib.source.archive import Archive, BrokenArchiveError

_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".gz", ".zst")
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_CHUNK = 1024 * 1024
_LEFT = 256 * 1024 * 1024
"""Bytes of the disk for temporary files that unpacking leaves free."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Offer:
    """An image that the operator has, for some services.

    Attributes:
        name: a service, or the name of an image that services use.
        reference: as it was typed.
        archive: open as long as the command runs.
    """

    name: str
    reference: str
    archive: Archive

    @property
    def shown(self) -> str:
        """For people, and for records: the file's name, or the reference."""
        return Path(self.reference).name if is_file(self.reference) else self.reference

    @property
    def typed(self) -> str:
        """As it was typed."""
        return f"--image {self.name}={self.reference}"


@contextmanager
def opened(images: Sequence[tuple[str, str]], say: Say) -> Iterator[list[Offer]]:
    """What was given, open for the time of the block; each file is read and unpacked once, however many hosts get it.

    Args:
        images: by name, what `--image` has; the same reference may be there for several names.
        say: gets a line about what takes a while.

    Raises:
        UsageError: there is no such file or image, or it is not one whole image.
    """
    with ExitStack() as stack:
        archives: dict[str, Archive] = {}
        for name, reference in images:
            if reference not in archives:
                problem = f"--image {name}={reference}"
                archives[reference] = stack.enter_context(_archive(problem, reference, say))
        yield [Offer(name, reference, archives[reference]) for name, reference in images]


def is_file(reference: str) -> bool:
    """Whether a reference means a file: it looks like one, or there is one of that name."""
    looks = reference.startswith(("./", "../", "/", "~")) or reference.endswith(_SUFFIXES)
    return looks or Path(reference).is_file()


@contextmanager
def _archive(problem: str, reference: str, say: Say) -> Iterator[Archive]:
    file = (
        _file(problem, Path(reference).expanduser(), say)
        if is_file(reference)
        else _saved(problem, reference, say)
    )
    with file as opened_file:
        try:
            archive = Archive(opened_file)
        except BrokenArchiveError as broken:
            raise UsageError(f"{problem}: {broken}", hint=_save_again(reference)) from None
        yield archive


def _save_again(reference: str) -> str:
    return f"write it anew: docker save IMAGE -o {reference.partition('.tar')[0]}.tar"


@contextmanager
def _file(problem: str, path: Path, say: Say) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            begins = file.read(4)
            file.seek(0)
            if begins.startswith(_GZIP):
                say(f"unpacking {path.name}")
                with _unpacked(problem, lambda: cast(BinaryIO, gzip.GzipFile(fileobj=file)), path) as plain:
                    yield plain
            elif begins == _ZSTD:
                say(f"unpacking {path.name}")
                with _unpacked(problem, lambda: _zstd(file), path) as plain:
                    yield plain
            else:
                yield file
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{problem}: there is no file {path}") from None
    except (IsADirectoryError, PermissionError) as error:
        raise UsageError(f"{problem}: {path} cannot be read: {error.strerror}") from None


def _zstd(file: BinaryIO) -> BinaryIO:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        # The same module, for Python below 3.14.
        from backports import zstd
    return cast(BinaryIO, zstd.ZstdFile(file))


@contextmanager
def _unpacked(problem: str, open_packed: Callable[[], BinaryIO], path: Path) -> Iterator[BinaryIO]:
    """A packed file as a plain one that has no name, and is gone when it is closed."""
    with tempfile.TemporaryFile() as plain:
        try:
            with open_packed() as packed:
                while block := packed.read(_CHUNK):
                    _require_room(problem, path.name)
                    plain.write(block)
        except EOFError:
            raise UsageError(f"{problem}: it is cut short", hint="write or copy it anew") from None
        except (OSError, zlib.error, ValueError) as error:
            raise _unusable(problem, path.name, error) from None
        except Exception as error:
            # Of a library that only packed files need, and whose error has a name of its own.
            if type(error).__name__ != "ZstdError":
                raise
            raise _unusable(problem, path.name, error) from None
        plain.flush()
        yield plain


@contextmanager
def _saved(problem: str, reference: str, say: Say) -> Iterator[BinaryIO]:
    """An image of this machine's engine, as the engine writes it."""
    docker = shutil.which("docker")
    if docker is None:
        raise UsageError(
            f"{problem}: there is no Docker on this machine that could have it",
            hint="give a file instead: docker save IMAGE -o FILE.tar, where the image is",
        )
    found = _ask(docker, "image", "inspect", "--format", "{{.Id}}", "--", reference)
    image = found.stdout.strip()
    if found.returncode:
        said = found.stderr.strip().splitlines()
        hint = "docker image ls shows which there are; a file is named with its path or its .tar"
        raise UsageError(f"{problem}: {said[-1] if said else 'docker does not have it'}", hint=hint)
    say(f"saving {reference}")
    with tempfile.TemporaryFile() as plain:
        with subprocess.Popen(
            [docker, "save", image], stdout=plain, stderr=subprocess.PIPE, text=True
        ) as saving:
            _, said_text = saving.communicate()
        if saving.returncode:
            raise UsageError(
                f"{problem}: docker save failed: {' '.join(said_text.split())}", hint=_where_temporary()
            )
        plain.seek(0)
        yield plain


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def _require_room(problem: str, name: str) -> None:
    with contextlib.suppress(OSError):
        if shutil.disk_usage(tempfile.gettempdir()).free < _LEFT:
            raise UsageError(f"{problem}: there is no room to unpack {name}", hint=_where_temporary())


def _where_temporary() -> str:
    return f"temporary files lie in {tempfile.gettempdir()}: free some space there, or set TMPDIR"


def _unusable(problem: str, name: str, error: Exception) -> UsageError:
    return UsageError(f"{problem}: {name} cannot be unpacked: {error}", hint="write or copy it anew")
