"""Console: progress and errors on standard error, results on standard output, and no secret on either."""

from __future__ import annotations

import json
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from deploy_lib.errors import SeveralErrors
from deploy_lib.output.streams import CleanStream, clean
from deploy_lib.output.table import lay_out, terminal_width
from deploy_lib.secrets.redaction import REDACTOR


class Console:
    """A command's output, for people and for scripts; safe to use from several threads."""

    def __init__(
        self,
        *,
        as_json: bool = False,
        debug: bool = False,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self.as_json = as_json
        self.debug_enabled = debug
        self.redactor = REDACTOR
        self._out = clean(out or sys.stdout, REDACTOR)
        self._err = clean(err or sys.stderr, REDACTOR)
        self._lock = threading.Lock()

    @property
    def reader_gone(self) -> bool:
        """Whether the command's result reaches nobody any more, because its reader is gone."""
        return bool(self._out.lost)

    def say(self, text: str) -> None:
        """A line about the command as a whole."""
        self._write(self._err, text)

    def step(self, node: str, step: str, text: str) -> None:
        """A line about what is being done on a node."""
        self._write(self._err, f"{node:<6} {step:<9} {text}")

    def debug(self, node: str, text: str) -> None:
        """A detail, shown with --debug only."""
        if self.debug_enabled:
            self._write(self._err, f"{node:<6} ·         {text}")

    def error(self, error: BaseException) -> None:
        """Shows an error and its hint; with --debug also the traceback of an unforeseen one."""
        for each in error.errors if isinstance(error, SeveralErrors) else [error]:
            if self.debug_enabled and each.__cause__ is not None:
                self._write(self._err, "".join(traceback.format_exception(each.__cause__)).rstrip())
            self._write(self._err, f"error: {each}")

    def document(self, data: Mapping[str, Any]) -> None:
        """The one JSON document of a command; shown with --json only."""
        if self.as_json:
            text = json.dumps(self.redactor.clean_data(data), ensure_ascii=False)
            with self._lock:
                self._out.write_as_is(text + "\n")
                self._out.flush()

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        flexible: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """A table for people, see `table.lay_out`; left out with --json."""
        if self.as_json or not rows:
            return
        # All text is redacted before it is wrapped: a value that a column has cut is not found again.
        clean_rows = [[self.redactor.clean(cell) for cell in row] for row in rows]
        clean_notes = [self.redactor.clean(note) for note in notes]
        lines = lay_out(columns, clean_rows, terminal_width(), flexible=flexible, notes=clean_notes)
        self._write(self._out, "\n".join([*([title] if title else []), *lines]))

    def result(self, text: str) -> None:
        """A line that is the command's result; left out with --json."""
        if not self.as_json:
            self._write(self._out, text)

    def _write(self, stream: CleanStream, text: str) -> None:
        with self._lock:
            stream.write(text + "\n")
            stream.flush()
