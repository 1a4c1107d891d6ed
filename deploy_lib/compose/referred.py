"""What the Compose files that were read so far refer to: each path under the key of what would replace it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deploy_lib.compose.interpolation import filled
from deploy_lib.compose.reading import Replaced
from deploy_lib.compose.reference import OWNERS, Kind, Place, Reference
from deploy_lib.errors import UsageError

Read = Callable[[str], bytes | None]
"""Gives the content of a file by its path below the project directory; None where the checkout has none."""


class Referred:
    """What was found so far.

    Attributes:
        read: see `Read`.
        unknown: what is named with a variable that has no value here, in words.
        definitions: by key, each value of the configs, secrets and volumes, and the file that says it.
    """

    def __init__(self, read: Read) -> None:
        self.read = read
        self.unknown: list[str] = []
        self.definitions: dict[tuple[str, ...], tuple[Place, Any]] = {}
        self._kept: dict[tuple[str, ...], Reference] = {}

    @property
    def references(self) -> list[Reference]:
        """What is not replaced."""
        return list(dict.fromkeys(self._kept.values()))

    def refer(
        self,
        key: tuple[str, ...],
        place: Place,
        text: Any,
        what: str,
        kind: Kind,
        needed: bool = True,
        *,
        line: Any = None,
    ) -> None:
        """Keeps what a text names; it is nothing for the host's own path, and for what cannot be known.

        Args:
            key: what replaces it has the same.
            line: the text of the line that names it, where that is another one.

        Raises:
            UsageError: it is on another machine.
        """
        if (path := self.path(place, text, what, line=line)) is not None:
            self.keep(key, place, path, what, kind, needed, line=line or text)

    def keep(
        self,
        key: tuple[str, ...],
        place: Place,
        path: str,
        what: str,
        kind: Kind,
        needed: bool = True,
        *,
        line: Any,
    ) -> None:
        """Keeps a path; see `refer`."""
        owner = key[:2] if key[0] in OWNERS else ()
        self._kept[key] = Reference(path, what, place.where(line), kind, needed, owner)

    def required(self, place: Place, path: str, what: str, *, line: Any) -> bytes:
        """The content of a file without which Compose cannot read the others.

        Raises:
            UsageError: the checkout has none, or it lies above the project directory.
        """
        content = self.read(path)
        if content is None and path.startswith("../"):
            raise UsageError(
                f"{place.where(line)}: {path}, {what}, lies above the project directory, and is not shipped",
                hint="put it beside or below the first Compose file; or name it there, and ship it with `files` in deploy.toml",
            )
        if content is None:
            raise UsageError(
                f"{place.where(line)}: {path}, {what}, is not in the checkout, or git ignores it"
            )
        self.keep((what, path), place, path, what, "input", line=line)
        return content

    def path(self, place: Place, text: Any, what: str, *, line: Any = None) -> str | None:
        """A path below the project directory; None for the host's own, and for what cannot be known.

        Raises:
            UsageError: it is on another machine.
        """
        if not isinstance(text, str) or not text:
            return None
        path = filled(text, place.known)
        if path is None:
            self.leave_unknown(place, text, what, line=line)
            return None
        return place.at(path, line or text)

    def leave_unknown(self, place: Place, text: Any, what: str, *, line: Any = None) -> None:
        """A text has a variable without a value here: what it names is not shipped."""
        self.unknown.append(f"{place.where(line or text)}: {text}, {what}")

    def define(self, place: Place, key: tuple[str, ...], value: Any) -> None:
        """Adds what a file says to what earlier ones have said, unless it replaces that."""
        if isinstance(value, Replaced):
            self.forget(*key)
            value = value.value
        if isinstance(value, dict):
            for name, each in value.items():
                self.define(place, (*key, str(name)), each)
        elif value is not None:
            self.definitions[key] = place, value

    def replacing(self, service: str, key: str, value: Any) -> Any:
        """The value itself; one that replaces those of earlier files makes them forgotten."""
        if not isinstance(value, Replaced):
            return value
        self.forget("services", service, key)
        return value.value

    def forget(self, *begin: str) -> None:
        """Forgets what has a key that begins so."""
        self._kept = {key: found for key, found in self._kept.items() if key[: len(begin)] != begin}
        self.definitions = {k: said for k, said in self.definitions.items() if k[: len(begin)] != begin}

    def drop(self, key: tuple[str, ...]) -> None:
        """Forgets what has this very key."""
        self._kept.pop(key, None)
