"""Misspelt names: which known name the operator may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LIKE = 0.6
"""How alike two names must be for a suggestion, from 0 to 1."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, whatever its case; None when none is like it."""
    names = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(name.casefold(), names, n=1, cutoff=_LIKE)
    return names[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The question for an operator, as the hint of an error; None when no known name is like `name`."""
    found = nearest(name, known)
    return f"did you mean {found}?" if found else None
