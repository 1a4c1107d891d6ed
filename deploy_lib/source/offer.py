"""What an operator gives as `--image NAME=REF`: an image of this machine's own engine, or a file; opened as one archive."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import BinaryIO, cast

from msgspec import Struct

from deploy_lib.errors import UsageError
from deploy_lib.source.archive import Archive, BrokenArchiveError

_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".gz", ".zst")
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_CHUNK = 1024 * 1024
_LEFT = 256 * 1024 * 1024
"""Bytes of the disk for temporary files that unpacking leaves free."""

_PAUSE = 0.05
"""Seconds between two looks at whether Docker has saved an image."""

Say = Callable[[str], None]


class Offer(Struct, frozen=True):
    """An image that the operator has, for some services.

    Attributes:
        name: a service, or the name of an image that services use.
        reference: as it was typed.
        opening: the archive, which may still be being unpacked; open as long as the command runs.
    """

    name: str
    reference: str
    opening: Future[Archive]

    @property
    def archive(self) -> Archive:
        """The archive, when it is unpacked.

        Raises:
            UsageError: it is not one whole image.
        """
        return self.opening.result()

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

    What takes a while goes on beside the block, until somebody asks for it.

    Args:
        images: by name, what `--image` has; the same reference may be there for several names.
        say: gets a line about what takes a while.

    Raises:
        UsageError: there is no such file or image, or it is not one whole image.
    """
    with ExitStack() as stack:
        sources: dict[str, tuple[_Source, BinaryIO]] = {}
        for name, reference in images:
            if reference not in sources:
                source = _source(f"--image {name}={reference}", reference, say)
                sources[reference] = source, stack.enter_context(source.place)
        threads, ended = stack.enter_context(ThreadPoolExecutor(len(images) or 1)), Event()
        # Nobody waits for what nobody needs any more.
        stack.callback(ended.set)
        opening: dict[str, Future[Archive]] = {}
        for reference, (source, plain) in sources.items():
            if source.fill is None:
                opening[reference] = Future()
                opening[reference].set_result(_read(source, plain))
            else:
                opening[reference] = threads.submit(_filled, source, plain, ended)
        yield [Offer(name, reference, opening[reference]) for name, reference in images]


def is_file(reference: str) -> bool:
    """Whether a reference means a file: it looks like one, or there is one of that name."""
    looks = reference.startswith(("./", "../", "/", "~")) or reference.endswith(_SUFFIXES)
    return looks or Path(reference).is_file()


class _Source(Struct, frozen=True):
    """Where an archive comes from.

    Attributes:
        problem: how an error begins.
        place: the file that has it, or gets it.
        fill: unpacks or saves it there, until the event is set; None where it is there already. Raises UsageError.
        hint: what to do about one that is not whole.
    """

    problem: str
    place: BinaryIO
    hint: str
    fill: Callable[[BinaryIO, Event], None] | None = None


def _filled(source: _Source, plain: BinaryIO, ended: Event) -> Archive:
    if source.fill is not None:
        source.fill(plain, ended)
        plain.flush()
    return _read(source, plain)


def _read(source: _Source, plain: BinaryIO) -> Archive:
    try:
        return Archive(plain)
    except BrokenArchiveError as broken:
        raise UsageError(f"{source.problem}: {broken}", hint=source.hint) from None


def _source(problem: str, reference: str, say: Say) -> _Source:
    if is_file(reference):
        try:
            path = Path(reference).expanduser()
        except RuntimeError:  # the home of a user that there is not
            path = Path(reference)
        return _file(problem, path, say)
    return _of_engine(problem, reference, say)


def _file(problem: str, path: Path, say: Say) -> _Source:
    try:
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{problem}: there is no file {path}") from None
    except OSError as error:
        raise UsageError(f"{problem}: {path} cannot be read: {error.strerror}") from None
    # A pipe, such as that of `<(...)`, cannot be wound back.
    begins = file.peek(4)[:4]
    hint = f"write it anew: docker save IMAGE -o {path.name.partition('.tar')[0]}.tar"
    if begins.startswith(_GZIP):
        packed = cast(BinaryIO, gzip.GzipFile(fileobj=file))
    elif begins == _ZSTD:
        packed = _zstd(file)
    elif file.seekable():
        return _Source(problem, file, hint)
    else:
        packed = file
    say(f"reading {path}" if packed is file else f"unpacking {path.name}")

    def fill(plain: BinaryIO, ended: Event) -> None:
        with file, packed:
            _unpack(problem, path.name, packed, plain, ended)

    return _Source(problem, _temporary(), hint, fill)


def _temporary() -> BinaryIO:
    """A file that has no name, and is gone when it is closed."""
    return cast(BinaryIO, tempfile.TemporaryFile())


def _zstd(file: BinaryIO) -> BinaryIO:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        # The same module, for Python below 3.14.
        from backports import zstd
    return cast(BinaryIO, zstd.ZstdFile(file))


def _unpack(problem: str, name: str, packed: BinaryIO, plain: BinaryIO, ended: Event) -> None:
    again = "write or copy it anew"
    try:
        while not ended.is_set() and (block := packed.read(_CHUNK)):
            _require_room(problem, name)
            plain.write(block)
    except EOFError:
        raise UsageError(f"{problem}: it is cut short", hint=again) from None
    except (OSError, zlib.error, ValueError) as error:
        raise UsageError(f"{problem}: {name} cannot be unpacked: {error}", hint=again) from None
    except Exception as error:
        # Of a library that only packed files need, and whose error has a name of its own.
        if type(error).__name__ != "ZstdError":
            raise
        raise UsageError(f"{problem}: {name} cannot be unpacked: {error}", hint=again) from None


def _of_engine(problem: str, reference: str, say: Say) -> _Source:
    """An image of this machine's engine, as the engine writes it."""
    docker = shutil.which("docker")
    if docker is None:
        raise UsageError(
            f"{problem}: there is no Docker on this machine that could have it",
            hint="give a file instead: docker save IMAGE -o FILE.tar, where the image is",
        )
    asked = [docker, "image", "inspect", "--format", "{{.Id}}", "--", reference]
    found = subprocess.run(asked, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if found.returncode:
        said = found.stderr.strip().splitlines()
        raise UsageError(
            f"{problem}: {said[-1] if said else 'docker does not have it'}",
            hint="docker image ls shows which there are; a file is named with its path, or ends with .tar",
        )
    # By its id: `docker save` of a name without a tag would take all of its tags.
    image = found.stdout.strip()
    say(f"saving {reference}")

    def fill(plain: BinaryIO, ended: Event) -> None:
        with (
            _temporary() as said_there,
            subprocess.Popen(
                [docker, "save", image], stdout=plain, stderr=said_there, stdin=subprocess.DEVNULL
            ) as saving,
        ):
            while saving.poll() is None:
                if ended.wait(_PAUSE):
                    saving.kill()
            said_there.seek(0)
            said = " ".join(said_there.read().decode(errors="replace").split())
        if saving.returncode:
            raise UsageError(f"{problem}: docker save failed: {said}", hint=_where_temporary())

    return _Source(
        problem, _temporary(), "save it into a file, and look at that: docker save -o FILE.tar", fill
    )


def _require_room(problem: str, name: str) -> None:
    free = None
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(tempfile.gettempdir()).free
    if free is not None and free < _LEFT:
        raise UsageError(f"{problem}: there is no room to unpack {name}", hint=_where_temporary())


def _where_temporary() -> str:
    return f"temporary files lie in {tempfile.gettempdir()}: free some space there, or set TMPDIR"
