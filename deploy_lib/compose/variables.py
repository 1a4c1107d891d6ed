"""The variables of a Compose file: which ones it reads, and which it cannot do without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from deploy_lib.compose.interpolation import VARIABLE
from deploy_lib.compose.reading import load_yaml
from deploy_lib.errors import UsageError


class Variables(Struct, frozen=True):
    """What a Compose file reads from its environment and its env files.

    Attributes:
        read: every variable, in the order of the file.
        required: those that it insists on, as in `${NAME:?}`.
        secrets: the environment names that its secrets come from, but for those that only the building of an image gets.
    """

    read: tuple[str, ...]
    required: frozenset[str]
    secrets: tuple[str, ...]

    @property
    def needed(self) -> list[str]:
        """What must be set, and not empty, before Compose is called: the required ones, and every secret."""
        return [*(name for name in self.read if name in self.required), *self.secrets]


def variable_of(service: str) -> str:
    """The variable that says how many containers a replica has, 0 or 1."""
    return service.upper().replace("-", "_")


def variables(content: bytes, path: str) -> Variables:
    """Reads a Compose file; comments, and dollar signs that are escaped (`$$`), do not count.

    Raises:
        UsageError: it is not YAML.
    """
    text = content.decode(errors="replace")
    data = load_yaml(text, path)
    if data is None:
        return Variables((), frozenset(), ())
    if not isinstance(data, dict) or not isinstance(data.get("secrets") or {}, dict):
        raise UsageError(f"{path} is not a Compose file")
    try:
        found = [reference for value in _strings(data) for reference in _references(value)]
    except RecursionError:
        raise UsageError(f"{path} has a part that contains itself") from None
    # Anchors put parts of the file elsewhere; the order is the one that a reader sees.
    names = sorted({name for name, _ in found}, key=lambda name: text.find(f"${{{name}"))
    services = data.get("services")
    specs = (
        [spec for spec in services.values() if isinstance(spec, dict)] if isinstance(services, dict) else []
    )
    only_built = {key for spec in specs for key in _given(spec.get("build"))}
    only_built -= {key for spec in specs for key in _given(spec)}
    sources = [spec for key, spec in (data.get("secrets") or {}).items() if key not in only_built]
    return Variables(
        read=tuple(names),
        required=frozenset(name for name, kind in found if kind == "?"),
        secrets=tuple(
            dict.fromkeys(s["environment"] for s in sources if isinstance(s, dict) and "environment" in s)
        ),
    )


def _given(spec: Any) -> Iterator[str]:
    """The keys of the secrets that a service gets, or the building of its image."""
    given = spec.get("secrets") if isinstance(spec, dict) else None
    for each in given if isinstance(given, list) else ():
        yield str(each.get("source") if isinstance(each, dict) else each)


def _strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from _strings(value)
    elif isinstance(data, list):
        for value in data:
            yield from _strings(value)


def _references(text: str) -> Iterator[tuple[str, str]]:
    for match in VARIABLE.finditer(text):
        name, kind = match["name"] or match["bare"], (match["kind"] or "").removeprefix(":")
        if name:
            yield name, kind
            if kind in ("-", "+"):
                yield from _references(match["word"])
