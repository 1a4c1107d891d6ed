"""Placeholders: what stands for a secret's value while a Compose file is rendered, so that the rendering tells where it goes."""

from __future__ import annotations

import re
from collections.abc import Iterable

_FOUND = re.compile(r"deploy-secret\.([A-Za-z_][A-Za-z0-9_]*)\.value")


def placeholder(name: str) -> str:
    """What stands for a secret; no part of it needs quoting, in a URL or anywhere else."""
    return f"deploy-secret.{name}.value"


def placeholders(names: Iterable[str]) -> dict[str, str]:
    """An environment in which each secret has its placeholder."""
    return {name: placeholder(name) for name in names}


def take_apart(text: str) -> tuple[str, ...]:
    """Fixed texts, with the name of a secret between two: see `Place.parts`. A text without secrets is one part."""
    return tuple(_FOUND.split(text))


def shown(text: str) -> str:
    """The text for people: each placeholder as the variable that it stands for."""
    return _FOUND.sub(r"${\1}", text)


def as_variables(text: str) -> str:
    """The text for Compose: each placeholder as a variable that must have a value."""
    return _FOUND.sub(r"${\1:?}", text)
