"""Platforms: which images a host's engine runs, and which of several it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386"}

_ALSO = {"amd64": "386", "arm64": "arm"}
"""What an engine also runs by itself, where an image is for nothing that fits better."""


def normal(platform: str) -> str:
    """Operating system and architecture; a variant is left out, as in linux/arm64/v8: which one a host has, it does not say."""
    system, _, rest = platform.lower().partition("/")
    if not rest:
        system, rest = "linux", system
    architecture = rest.partition("/")[0]
    return f"{system}/{_ALIASES.get(architecture, architecture)}"


def taken(host: str, offered: Iterable[T], platform: Callable[[T], str]) -> T | None:
    """What a host's engine takes of an image for several platforms, None where it runs none of them."""
    own = normal(host)
    system, _, architecture = own.partition("/")
    known: dict[str, T] = {}
    for each in offered:
        known.setdefault(normal(platform(each)), each)
    return known.get(own, known.get(f"{system}/{_ALSO.get(architecture)}"))


def runs_on(host: str, platforms: Iterable[str]) -> bool:
    """Whether a host's engine runs an image that is for these platforms."""
    return taken(host, platforms, str) is not None
