"""Outlet: where text leaves the process; a reader that is slow or gone never stops a command."""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque

PIECE = 4096
"""Bytes of one write: what a pipe takes whole."""

PATIENCE = 0.1
"""Seconds that a line waits for a reader that has kept up so far, so that standard output and error stay in order."""

STALLED = 10.0
"""Seconds without a byte taken after which, at the end, the reader counts as gone."""

LIMIT = 16 * 1024 * 1024
"""Bytes that are kept for a reader who does not keep up."""


class Outlet:
    """A file descriptor that is written to until it fails; a failure is kept, and never raised.

    Attributes:
        patient: `write` waits for the reader, as any program does. Otherwise a thread does, and the command goes on.
        lost: why text is thrown away from now on; "" as long as it is not.
    """

    def __init__(self, fd: int) -> None:
        self.patient = True
        self.lost = ""
        self._fd = fd
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._stalled = False
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None
        self._file = _file_of(fd)

    def write(self, data: bytes) -> None:
        """Writes, or leaves it to the thread."""
        if self.patient:
            self.finish()
            self._put(data)
            return
        with self._changed:
            if self._bytes + len(data) > LIMIT:
                self.lost = self.lost or "its reader does not keep up"
            if self.lost or not data:
                return
            self._waiting.append(data)
            self._bytes += len(data)
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_all, name="outlet", daemon=True)
                self._writer.start()
            self._changed.notify_all()
            if not self._stalled:
                self._stalled = not self._changed.wait_for(self._idle, PATIENCE)

    def finish(self, since: float | None = None) -> None:
        """Waits until all is written, or the reader has taken nothing for STALLED seconds.

        Args:
            since: when the waiting began, on the monotonic clock; otherwise now. Several outlets that are finished one after
                the other have it in common, so that readers who have stopped are waited for once.
        """
        began = time.monotonic() if since is None else since
        with self._changed:
            while not self._idle():
                left = max(began, self._file.moved) + STALLED - time.monotonic()
                if left <= 0:
                    self.lost = "nobody reads it"
                else:
                    # What another outlet of the same file writes wakes nobody up here.
                    self._changed.wait_for(self._idle, left)

    def _idle(self) -> bool:
        return not self._bytes or bool(self.lost)

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                data = self._waiting.popleft()
            self._put(data)
            with self._changed:
                self._bytes -= len(data)
                self._stalled = self._stalled and bool(self._bytes)
                self._changed.notify_all()

    def _put(self, data: bytes) -> None:
        if self.lost:
            return
        with self._file.whole:
            self._put_pieces(memoryview(data))

    def _put_pieces(self, left: memoryview) -> None:
        while left and not self.lost:
            try:
                left = left[os.write(self._fd, left[:PIECE]) :]
            except BlockingIOError:  # somebody who shares it has made it so
                select.select([], [self._fd], [])
            except OSError as error:
                self.lost = error.strerror or str(error)
            self._file.moved = time.monotonic()
            with self._changed:
                self._changed.notify_all()


class _File:
    """What all descriptors of the same file share, as standard output and standard error do with `2>&1`.

    Attributes:
        whole: held while a text is written: a document must not have lines of progress in it.
        moved: when a piece was written last, on the monotonic clock: one that waits for its turn is not stalled.
    """

    def __init__(self) -> None:
        self.whole = threading.Lock()
        self.moved = time.monotonic()


_files: dict[tuple[int, int], _File] = {}


def _file_of(fd: int) -> _File:
    try:
        found = os.fstat(fd)
    except OSError:
        return _File()
    return _files.setdefault((found.st_dev, found.st_ino), _File())
