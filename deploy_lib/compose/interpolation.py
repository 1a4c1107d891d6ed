"""Variables in a Compose file's texts, as far as they are known before any host is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping

DEEPEST = 16
"""How deep defaults may lie in each other."""

_WORD = r"[^{}]*+"
for _ in range(DEEPEST):
    _WORD = rf"(?:[^{{}}]++|\{{{_WORD}\}})*+"

VARIABLE = re.compile(
    rf"""
    \$(?:
        (?P<escaped>\$)                                                # a dollar sign that stands for itself
        | \{{(?P<name>[A-Za-z_]\w*)
            (?:(?P<kind>:?[-?+])(?P<word>{_WORD}))?\}}                   # ${{NAME}}, ${{NAME:-word}}, ${{NAME:?word}}
        | (?P<bare>[A-Za-z_]\w*)                                       # $NAME
    )
    """,
    re.VERBOSE | re.ASCII,
)
"""One variable in a text, as Compose writes it; what is read of one and what is filled in both follow from it."""


def filled(text: str, values: Mapping[str, str], *, unknown: str | None = None) -> str | None:
    """A text with its variables filled in; None where one is not known and has no default.

    Args:
        unknown: stands for such a variable, where the others are wanted all the same.
    """
    lacks = False

    def value(match: re.Match[str]) -> str:
        nonlocal lacks
        if match["escaped"]:
            return "$"
        name, kind, word = match["name"] or match["bare"], match["kind"] or "", match["word"] or ""
        found = values.get(name)
        set_ = found is not None and not (kind.startswith(":") and not found)
        if kind.endswith("+"):
            inner = filled(word, values, unknown=unknown) if set_ else ""
        elif set_:
            inner = found
        else:
            inner = filled(word, values, unknown=unknown) if kind.endswith("-") else unknown
        lacks = lacks or inner is None
        return inner or ""

    result = VARIABLE.sub(value, text)
    return None if lacks else result
