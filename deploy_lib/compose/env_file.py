"""Env files (`.env`), read as Compose reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deploy_lib.compose.interpolation import filled

_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.-]*)[ \t]*[=:][ \t]*
        (?: '(?P<single>[^']*)' | "(?P<double>(?:\\.|[^"\\])*)" | (?P<plain>[^\n]*?) )
        [ \t]*(?:[ \t]\#[^\n]*)?\r?$""",
    re.VERBOSE | re.ASCII | re.MULTILINE,
)


def read_env_file(content: bytes, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Names and values of an env file; variables in a value are filled in as far as they are known.

    Args:
        known: values that count before those of the file.
    """
    found: dict[str, str] = {}
    for match in _LINE.finditer(content.decode("utf-8-sig", errors="replace")):
        if match["single"] is not None:
            found[match["name"]] = match["single"]
            continue
        text = match["plain"] if match["double"] is None else match["double"].replace('\\"', '"')
        if match["plain"] is not None and text.startswith("#"):
            text = ""
        value = filled(text, {**found, **(known or {})})
        found[match["name"]] = text if value is None else value
    return found
