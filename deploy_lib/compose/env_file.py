"""Env files (`.env`), read as Compose reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deploy_lib.compose.interpolation import filled

_SPACE = r"[\t\v\f\r \x85\xa0]*+"
_STATEMENT = re.compile(
    rf"""\s*+(?:\#[^\n]*+\s*+)*+
        (?:export(?![^\s\n]){_SPACE})?(?P<name>[\w.\-\[\]]++){_SPACE}
        (?: (?:\n|\Z) | [=:]{_SPACE}
            (?: '(?P<single>(?:\\.|[^'\\])*+)' | "(?P<double>(?:\\.|[^"\\])*+)" | (?P<plain>[^\n]*+) ) )""",
    re.VERBOSE | re.DOTALL,
)
"""A name, and its value if it has one; what follows a value in quotes is a statement of its own."""

_ESCAPE = re.compile(r"\\(?:0(?P<octal>[0-9]{0,3})|(?P<letter>.))", re.DOTALL)
_LETTERS = {
    **{"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"},
    **{"\\": "\\", '"': '"', "$": "$$"},
}


def read_env_file(content: bytes, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Names and values of an env file; a variable in a value that has none is an empty text.

    Args:
        known: values that count before those of the file.
    """
    found: dict[str, str] = {}
    for match in _STATEMENT.finditer(content.decode("utf-8-sig", errors="replace")):
        if match["single"] is not None:
            found[match["name"]] = match["single"].replace("\\'", "'")
            continue
        text = match["plain"]
        if match["double"] is not None:
            text = _ESCAPE.sub(_unescaped, match["double"])
        elif text is None:
            continue
        else:
            text = text.partition(" #")[0].rstrip()
        found[match["name"]] = filled(text, {**found, **(known or {})}, unknown="") or ""
    return found


def _unescaped(match: re.Match[str]) -> str:
    octal = match["octal"]
    if octal is None:
        return _LETTERS.get(match["letter"], match[0])
    return chr(int(octal, 8)) if re.fullmatch("[0-3][0-7]{2}", octal) else f"\\{octal}"
