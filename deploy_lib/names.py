"""Names that are nearly right: what an operator may have meant; one answer for all of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LIKE = 0.6
"""How alike two names are that may be meant for one another, from 0 to 1."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, whatever its case; None when none is like it."""
    names = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(name.casefold(), names, n=1, cutoff=_LIKE)
    return names[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The question for an operator, as the hint of an error; None when no known name is like `name`."""
    found = nearest(name, known)
    return f"did you mean {found}?" if found else None
