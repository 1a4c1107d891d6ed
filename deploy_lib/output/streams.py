"""Everything that leaves the process as text goes through here: standard output, standard error, and the logs.

One mechanism for all: unforeseen errors, Invoke's and Fabric's `--debug` and `--echo`, the output of remote
commands that Invoke passes on, Paramiko's log, and the console. It shows no secret, and it never fails: output that goes
away, or that nobody reads, changes nothing else.
"""

from __future__ import annotations

import atexit
import codecs
import errno
import io
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

from deploy_lib.errors import DeployError, UnforeseenError
from deploy_lib.output.outlet import Outlet
from deploy_lib.secrets.redaction import REDACTOR, Redactor

_OUTLETS: dict[str, Outlet] = {}
"""Of this process's own standard output and standard error, by their names in `sys`."""

_installed: dict[str, CleanStream] = {}
"""The streams that `install` has put into their places, by the same names."""

_WERE_CLOSED: set[str] = set()
"""Which of the two were closed when this process began."""

_STDERR = 2

_ESCAPING = "deploy_lib.escaping"
"""The name of `_escape` among Python's ways to write what an encoding lacks."""


class CleanStream(io.TextIOBase):
    """A text stream that shows no secret and raises no error; it has no `buffer` that would go past it.

    Args:
        outlet: what is written to instead of the stream; its descriptor is the stream's.
    """

    def __init__(self, stream: TextIO, redactor: Redactor, outlet: Outlet | None = None) -> None:
        self._stream = stream
        self._outlet = outlet
        self._cleaner = redactor.stream()
        self._lost = ""
        self._lock = threading.RLock()

    @property
    def lost(self) -> str:
        """Why nothing that is written arrives any more; "" as long as it may."""
        return self._outlet.lost if self._outlet else self._lost

    def write(self, text: str) -> int:
        """Writes the text without any value; what may be the beginning of one waits for what comes next."""
        with self._lock:
            self._put(self._cleaner.feed(text))
        return len(text)

    def write_as_is(self, text: str) -> None:
        """Writes a text that was cleaned before, by its structure: JSON, whose keys stay."""
        with self._lock:
            self.release()
            self._put(text)

    def release(self) -> None:
        """Writes the text that was kept back."""
        with self._lock:
            self._put(self._cleaner.close())

    def flush(self) -> None:
        """Flushes the text that is certainly no part of a value."""
        if self._outlet is None:
            with self._lock:
                self._attempt(self._stream.flush)

    def isatty(self) -> bool:
        """Whether people read it."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The file descriptor, for a terminal's size and for child processes."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """Always."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's own."""
        return self._stream.encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        """How characters that the encoding lacks are written: escaped, never as an error."""
        given = self._stream.errors or "strict"
        return {"strict": "backslashreplace", "surrogateescape": _ESCAPING}.get(given, given)

    def _put(self, text: str) -> None:
        if not text:
            return
        if self._outlet is not None:
            self._outlet.write(text.encode(self.encoding, self.errors))
        else:
            self._attempt(lambda: self._stream.write(text))

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except (OSError, ValueError) as error:
            self._lost = self._lost or str(error)


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes that were no text come out as they were, and whatever else the encoding lacks is escaped; Python's own way has one of both."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    one = UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    try:
        return codecs.lookup_error("surrogateescape")(one)
    except UnicodeEncodeError:
        return codecs.lookup_error("backslashreplace")(one)


codecs.register_error(_ESCAPING, _escape)


def clean(stream: TextIO, redactor: Redactor) -> CleanStream:
    """The stream, made to show no secret; unless it is such a one already."""
    return stream if isinstance(stream, CleanStream) else CleanStream(stream, redactor)


def install() -> None:
    """Makes this process's standard streams and every log record clean, to its end; safe to call twice."""
    _open_closed()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, CleanStream):
            cleaned = CleanStream(stream, REDACTOR, _own_outlet(name, stream))
            setattr(sys, name, cleaned)
            _redirect_handlers(stream, cleaned)
            _installed[name] = cleaned
            if len(_installed) == 1:
                atexit.register(_release_all)
    if logging.getLogRecordFactory() is not _record:
        logging.setLogRecordFactory(_record)
    sys.excepthook = _unforeseen
    threading.excepthook = _unforeseen_in_thread
    sys.unraisablehook = _unraisable


def wait_for_readers(wait: bool) -> None:
    """Sets whether output waits for its reader: a command that changes hosts does not, one that only looks does."""
    for outlet in _OUTLETS.values():
        outlet.patient = wait


def details_wanted() -> bool:
    """Whether this process was started with `--debug`, Invoke's own or a command's."""
    return bool({"--debug", "-d"} & set(sys.argv)) or bool(os.environ.get("INVOKE_DEBUG"))


def _own_outlet(name: str, stream: TextIO) -> Outlet | None:
    """For the process's own stream; none for what somebody has put in its place."""
    if stream is not getattr(sys, f"__{name}__"):
        return None
    outlet = _OUTLETS[name] = Outlet(stream.fileno())
    if name in _WERE_CLOSED:
        outlet.lost = "it was closed"
    try:
        stream.flush()
    except OSError as error:
        outlet.lost = error.strerror or str(error)
    return outlet


def _open_closed() -> None:
    """Puts something in the place of standard streams that were closed when the process began.

    Otherwise the next file or connection gets their number, and with it the output.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(fd, True)
    os.close(fd)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = open(number, "r" if name == "stdin" else "w", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            if name != "stdin":
                setattr(sys, f"__{name}__", stream)
                _WERE_CLOSED.add(name)


def _redirect_handlers(stream: TextIO, cleaned: CleanStream) -> None:
    """Handlers of the log that were made before, such as Invoke's with `--debug`, hold the bare stream."""
    for handler in logging.root.handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
            handler.setStream(cleaned)


def _release_all() -> None:
    """Brings out what waits. Standard output first: whether it is whole is said on standard error."""
    since = time.monotonic()
    for name in ("stdout", "stderr"):
        if name in _installed:
            _release(_installed[name], name, since)


def _release(stream: CleanStream, name: str, since: float) -> None:
    stream.release()
    stream.flush()
    outlet = _OUTLETS.get(name)
    if outlet is None:
        return  # not the process's own, but somebody's who captures it
    outlet.finish(since)
    # The reader of a command that only looks may stop early, as in `... | head`.
    enough = outlet.patient and outlet.lost == os.strerror(errno.EPIPE)
    if name == "stdout" and outlet.lost and not enough:
        said = f"note: standard output is incomplete ({outlet.lost}); the exit status still is the command's"
        print(said, file=sys.stderr)  # noqa: T201


def _unforeseen(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The last resort for an error that no command has caught: one line, and the traceback with --debug."""
    if issubclass(kind, KeyboardInterrupt):
        print("error: interrupted", file=sys.stderr)  # noqa: T201
        return
    if details_wanted():
        traceback.print_exception(kind, error, trace)
    print(f"error: {error if isinstance(error, DeployError) else UnforeseenError(error)}", file=sys.stderr)  # noqa: T201


def _unforeseen_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        _unforeseen(args.exc_type, args.exc_value, args.exc_traceback)


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    """Errors while Python cleans up are shown with --debug only."""
    if details_wanted():
        sys.__unraisablehook__(args)


def _record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """A log record that holds no value any more, whichever handler it goes to: a file, or a stream older than ours."""
    record = logging.LogRecord(*args, **kwargs)
    try:
        record.msg, record.args = REDACTOR.clean(record.getMessage()), None
    except Exception:  # noqa: BLE001 - arguments that do not fit: logging itself says so when it writes the record
        return record
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = REDACTOR.clean(logging.Formatter().formatException(record.exc_info))
    return record
