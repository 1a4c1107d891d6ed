"""Console: progress and errors on standard error, results on standard output, and no secret on either."""

from __future__ import annotations

import json
import sys
import threading
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO
from urllib.parse import quote

from deploy_lib.secrets.value import MASK, Secret

MIN_LENGTH = 8
"""Shorter values are not searched for: they would turn ordinary words into stars."""


class Redactor:
    """Replaces secret values wherever they stand in text."""

    def __init__(self) -> None:
        self._values: list[str] = []

    def add(self, secrets: Iterable[Secret]) -> None:
        """From now on these values are masked, as they are and in base64 and URL encoding."""
        found = set(self._values)
        for secret in secrets:
            value = secret.reveal()
            if len(value) >= MIN_LENGTH:
                found |= {value, b64encode(value.encode()).decode(), quote(value, safe="")}
                found |= {json.dumps(value)[1:-1]}
        # Longest first: a value that holds another one must not be left in part.
        self._values = sorted(found, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """The text without any value."""
        for value in self._values:
            text = text.replace(value, MASK)
        return text

    def clean_data(self, data: Any) -> Any:
        """The same for every string value, never for a key, in a structure made for JSON."""
        if isinstance(data, str):
            return self.clean(data)
        if isinstance(data, Mapping):
            return {key: self.clean_data(value) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.clean_data(item) for item in data]
        return data


class Console:
    """Where a command speaks to people and to scripts; safe to use from several threads."""

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
        self.redactor = Redactor()
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._lock = threading.Lock()

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
        """What went wrong, and its mend."""
        self._write(self._err, f"error: {error}")

    def document(self, data: Mapping[str, Any]) -> None:
        """The one JSON document of a command; shown with --json only."""
        if self.as_json:
            self._write(self._out, json.dumps(self.redactor.clean_data(data), ensure_ascii=False))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table for people; left out with --json."""
        if self.as_json or not rows:
            return
        from rich.console import Console as RichConsole
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(self.redactor.clean(cell)) for cell in row))
        with self._lock:
            # A pipe has no width: nothing is to be folded there.
            width = None if self._out.isatty() else 200
            RichConsole(file=self._out, highlight=False, width=width).print(table)

    def result(self, text: str) -> None:
        """A line that is the command's result; left out with --json."""
        if not self.as_json:
            self._write(self._out, text)

    def _write(self, stream: TextIO, text: str) -> None:
        with self._lock:
            stream.write(self.redactor.clean(text) + "\n")
            stream.flush()
