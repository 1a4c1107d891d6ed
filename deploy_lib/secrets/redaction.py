"""Redaction by value: no secret is left in a text, however it was encoded, wrapped into lines or cut into chunks.

`Redactor.clean` is for a text that is there as a whole, `Redactor.stream` for one that comes in pieces. Both search
for the *forms* of a value: as it is, each of its lines, in base64 at all three alignments (so also inside a longer
encoded text such as `user:password`), and as URLs, JSON, Python and shells write it; `views` says how a text is read for that.
"""

from __future__ import annotations

import json
import re
import shlex
import threading
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from msgspec import Struct

from deploy_lib.secrets.value import MASK, Secret
from deploy_lib.secrets.views import BREAK, ENDS, View, views

MIN_LENGTH = 8
"""Shorter values are not searched for: they would turn ordinary words into stars."""

# A form that stands in a text has at least one whole group of four of that text, which makes most lines quick to pass.
_GRAM = 4
_GRAMS = re.compile("(?s)" + "." * _GRAM)
_QUICK = 8192

Span = tuple[int, int]


def forms(value: str) -> set[str]:
    """Every text that would show the value to whoever reads it; without line breaks."""
    stripped = value.strip()
    value = stripped if len(stripped) >= MIN_LENGTH else value
    found = {value, *value.splitlines(), shlex.quote(value)[1:-1] if "'" in value else value}
    found |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    found |= {repr(value)[1:-1], ascii(value)[1:-1]}
    data = value.encode(errors="surrogatepass")
    found.add(repr(data)[2:-1])
    urls = {quote(data, safe=""), quote(data), quote_plus(data)}
    found |= urls | {re.sub("%..", lambda m: m[0].lower(), url) for url in urls}
    base64 = set(_base64(data))
    found |= base64 | {text.replace("+", "-").replace("/", "_") for text in base64}
    plain = {BREAK.sub("", text).strip() for text in found}
    return {text for text in plain if len(text) >= MIN_LENGTH}


def _base64(data: bytes) -> Iterator[str]:
    """The characters that are the same whatever stands before and after the data; and all of it on its own."""
    yield b64encode(data).decode()
    for before in range(3):
        groups, rest = divmod(before + len(data), 3)
        yield b64encode(bytes(before) + data).decode()[(0, 2, 3)[before] : 4 * groups + rest]


class _Patterns(Struct, frozen=True):
    """All forms of all values, and what makes the search for them quick."""

    forms: tuple[str, ...] = ()
    grams: frozenset[str] = frozenset()
    heads: frozenset[str] = frozenset()

    @classmethod
    def of(cls, forms: set[str]) -> _Patterns:
        grams = {form[i : i + _GRAM] for form in forms for i in range(len(form) - _GRAM + 1)}
        heads = {form[:n] for form in forms for n in range(1, _GRAM)}
        return cls(tuple(sorted(forms)), frozenset(grams), frozenset(heads))

    def spans(self, text: str) -> list[Span]:
        """Where values stand, in order and without overlaps."""
        found = sorted(span for view in views(text) for span in self._search(view))
        merged: list[Span] = []
        for start, end in found:
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def begun(self, text: str) -> tuple[int, int]:
        """Where the first value begins of which the text has no end yet, and how many of its characters are there."""
        best = (len(text), 0)
        for view in views(text, so_far=True) if self.forms else ():
            if view.rest < len(text):
                # Half of a character's code may be the first of a value.
                best = min(best, (view.rest, 1))
            start = self._unfinished(view.text)
            if start < len(view.text):
                best = min(best, (view.original(start), len(view.text) - start))
        return best

    def _search(self, view: View) -> Iterator[Span]:
        text = view.text
        if len(text) < _QUICK and self.grams.isdisjoint(_GRAMS.findall(text)):
            return
        for form in self.forms:
            at = text.find(form)
            while at != -1:
                yield view.original(at), view.end(at + len(form) - 1)
                at = text.find(form, at + len(form))

    def _unfinished(self, text: str) -> int:
        best = len(text)
        for length in range(1, min(_GRAM, len(text) + 1)):
            if text[-length:] in self.heads:
                best = len(text) - length
        if text[-_GRAM:] in self.grams:
            for form in self.forms:
                at = text.find(form[:_GRAM], max(0, len(text) - len(form) + 1))
                while at != -1 and at < best:
                    if form.startswith(text[at:]):
                        best = at
                    at = text.find(form[:_GRAM], at + 1)
        return best


class Redactor:
    """Replaces secret values wherever they stand; safe to use from several threads."""

    def __init__(self) -> None:
        self._patterns = _Patterns()
        self._lock = threading.Lock()

    def add(self, secrets: Iterable[Secret]) -> None:
        """Masks these values from now on, unless they are shorter than `MIN_LENGTH` (line breaks do not count)."""
        values = [secret.reveal() for secret in secrets]
        found = {form for value in values if len(value) >= MIN_LENGTH for form in forms(value)}
        with self._lock:
            if not found <= set(self._patterns.forms):
                self._patterns = _Patterns.of(found | set(self._patterns.forms))

    def clean(self, text: str) -> str:
        """The text without any value."""
        return _mask(text, self._patterns.spans(text), 0, len(text))

    def clean_data(self, data: Any) -> Any:
        """The same for every string value, never for a key, in a structure made for JSON."""
        if isinstance(data, str):
            return self.clean(data)
        if isinstance(data, Mapping):
            return {key: self.clean_data(value) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.clean_data(item) for item in data]
        return data

    def stream(self) -> Stream:
        """For one text that comes in chunks."""
        return Stream(self)


class Stream:
    """One text in chunks: text that may be the beginning of a value is kept back until more has come.

    After the end of a line that takes four characters of a value: up to three are let through, since every other line
    ends like the beginning of something, and only the rest of such a value is masked then.
    """

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self._seen = self._held = ""

    def feed(self, chunk: str) -> str:
        """The text that can be shown after `chunk`."""
        patterns = self.redactor._patterns
        window = self._seen + self._held + chunk
        given = len(self._seen)
        spans = patterns.spans(window)
        begun, length = patterns.begun(window)
        line_ended = window.endswith(tuple(ENDS))
        end = begun if length and (length >= _GRAM or not line_ended) else len(window)
        # A whole value may still be the beginning of a longer one.
        end = max(given, min((start for start, stop in spans if start < end < stop), default=end))
        shown = _mask(window, spans, given, end)
        self._seen, self._held = window[min(begun, end) : end], window[end:]
        return shown

    def close(self) -> str:
        """What was kept back; nothing more will come."""
        window, given = self._seen + self._held, len(self._seen)
        self._seen = self._held = ""
        return _mask(window, self.redactor._patterns.spans(window), given, len(window))


def _mask(text: str, spans: list[Span], begin: int, end: int) -> str:
    """The part of the text from `begin` to `end`, with the mask instead of what the spans cover of it."""
    pieces = []
    for start, stop in spans:
        if stop > begin and start < end:
            pieces += [text[begin:start], MASK]
            begin = stop
    return "".join([*pieces, text[begin:end]])


REDACTOR = Redactor()
"""This process's own: what comes from a source of secrets is known to it before anybody can show it."""
