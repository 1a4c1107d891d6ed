"""Everything that leaves the process as text goes through here: standard output, standard error, and the logs.

One mechanism for all: Python's own traceback of an error that nobody foresaw, Invoke's and Fabric's `--debug` and
`--echo`, the output of remote commands that Invoke passes on, Paramiko's log, and the console.
"""

from __future__ import annotations

import atexit
import io
import logging
import sys
import threading
from typing import Any, TextIO

from deploy_lib.secrets.redaction import REDACTOR, Redactor


class CleanStream(io.TextIOBase):
    """A text stream that shows no secret; it has no `buffer` that would go past it."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream = stream
        self._cleaner = redactor.stream()
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        """Writes the text without any value; what may be the beginning of one waits for what comes next."""
        with self._lock:
            self._stream.write(self._cleaner.feed(text))
        return len(text)

    def write_as_is(self, text: str) -> None:
        """Writes a text that was cleaned before, by its structure: JSON, whose keys stay."""
        with self._lock:
            self.release()
            self._stream.write(text)

    def release(self) -> None:
        """Writes what was kept back."""
        with self._lock:
            self._stream.write(self._cleaner.close())

    def flush(self) -> None:
        """Flushes what is known to be no part of a value."""
        with self._lock:
            self._stream.flush()

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
    def errors(self) -> str | None:  # type: ignore[override]
        """How the stream writes what its encoding has not."""
        return self._stream.errors


def clean(stream: TextIO, redactor: Redactor) -> CleanStream:
    """The stream, made to show no secret; unless it is such a one already."""
    return stream if isinstance(stream, CleanStream) else CleanStream(stream, redactor)


def install() -> None:
    """Makes this process's standard streams and every log record clean, to its end; safe to call twice."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, CleanStream):
            cleaned = clean(stream, REDACTOR)
            setattr(sys, name, cleaned)
            atexit.register(_release, cleaned)
    if logging.getLogRecordFactory() is not _record:
        logging.setLogRecordFactory(_record)


def _release(stream: CleanStream) -> None:
    try:
        stream.release()
        stream.flush()
    except (OSError, ValueError):
        pass  # whoever read it is gone


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
