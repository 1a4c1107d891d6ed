"""Answers: a host's answer becomes a value, or an error that says what cannot be understood.

An odd answer means unknown, and unknown must not be treated as absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from deploy_lib.errors import NotUnderstoodError

T = TypeVar("T")

_ODD = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What a parser raises when an answer is cut short, or a field has another type than it should."""


def understand(what: str, parse: Callable[[], T]) -> T:
    """What `parse` makes of an answer.

    Args:
        what: what the answer should be, for the error. The answer itself is no part of it: it may hold a key.

    Raises:
        NotUnderstoodError: it is something else.
    """
    try:
        return parse()
    except _ODD:
        raise NotUnderstoodError(f"{what} cannot be understood") from None


def moment(said: str) -> float:
    """A time in RFC 3339 as seconds since 1970; 0 where it is none."""
    try:
        return max(0.0, datetime.fromisoformat(said).timestamp())
    except (ValueError, OverflowError):
        return 0.0


def text(data: Mapping[str, Any], name: str) -> str:
    """A field that is a string.

    Raises:
        TypeError: it is something else.
    """
    value = data[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def number(data: Mapping[str, Any], name: str) -> int:
    """A field that is a whole number; raises as `text`."""
    value = data[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(name)
    return value


def texts(data: Any) -> dict[str, str]:
    """An object whose values are strings; raises as `text`."""
    return {name: text(data, name) for name in dict(data)}


class Parts:
    """What the parts of a script have said.

    Attributes:
        problems: by part, why it is not known; grows as parts are read that cannot be understood.
    """

    def __init__(self, said: Mapping[str, str], problems: Mapping[str, str] | None = None) -> None:
        self._said = said
        self.problems = dict(problems or {})

    def read(self, part: str, meaning: Callable[[str], T], unknown: T) -> T:
        """What a part means.

        Args:
            unknown: stands for it where the part has failed or cannot be understood; `problems` then says why.
        """
        if part not in self.problems:
            try:
                return understand("its answer", lambda: meaning(self._said[part]))
            except NotUnderstoodError as error:
                self.problems[part] = error.what
        return unknown
