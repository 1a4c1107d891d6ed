"""Places: where containers have the values of secrets, and in which order they can be read back from there; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict

Kind = Literal["file", "environment", "argument"]


class Place(Struct, frozen=True):
    """A text in a service's containers that is made of one secret or of several.

    Attributes:
        kind: "file": what lies at a path; "environment": the value of a variable, which `docker inspect` shows; "argument": a word
            of the command, likewise, of a project that somebody else has started.
        where: the path, the variable's name, or the word's number, from 0.
        parts: the text, taken apart: fixed texts, with the name of a secret between two. `("", "PASSWORD", "")` is a value by
            itself, `("db://app:", "PASSWORD", "@db")` one inside a URL.
    """

    service: str
    kind: Kind
    where: str
    parts: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The secrets in it."""
        return self.parts[1::2]

    @property
    def whole(self) -> bool:
        """Whether it is one secret's value and nothing else."""
        return len(self.parts) == 3 and not self.parts[0] and not self.parts[2]

    @property
    def shown(self) -> str:
        """For people: each value as a variable."""
        return "".join(part if i % 2 == 0 else f"${{{part}}}" for i, part in enumerate(self.parts))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Place:
        """The inverse of `as_dict`.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        service, kind, where, parts = (data[key] for key in ("service", "kind", "where", "parts"))
        if (
            kind not in ("file", "environment", "argument")
            or not isinstance(service, str)
            or not isinstance(where, str)
        ):
            raise ValueError("this is no place of a secret")
        if len(parts) % 2 == 0 or not all(isinstance(part, str) for part in parts):
            raise ValueError("this is no text with secrets in it")
        return Place(service, kind, where, tuple(parts))


class Reading(Struct, frozen=True):
    """How one secret is read back: from the first of these places that has it.

    Each place has no other secret that is not known by then.
    """

    name: str
    places: Sequence[Place]


def readings(places: Iterable[Place]) -> list[Reading]:
    """In which order secrets can be read back, those in front helping with those behind.

    A text with two unknown values could be taken apart in several ways, so such a secret is not among them. Places of one service
    come one after the other, and those of the one that has the most secrets first: so few containers are asked.
    """
    left = list(dict.fromkeys(places))
    has = Counter(place.service for place in left if place.whole and place.kind == "file")
    known, found = set[str](), list[Reading]()
    while True:
        ready: dict[str, list[Place]] = {}
        for place in left:
            unknown = [name for name in place.names if name not in known]
            if len(unknown) == 1:
                ready.setdefault(unknown[0], []).append(place)
        if not ready:
            return found
        some = [
            Reading(name, sorted(each, key=lambda p: (not p.whole, p.kind != "file", -has[p.service])))
            for name, each in ready.items()
        ]
        found += sorted(some, key=lambda reading: (reading.places[0].service, reading.name))
        known |= set(ready)


def unreadable(places: Iterable[Place]) -> dict[str, Place]:
    """The secrets that cannot be read back from any of these places, each with one that has it."""
    places = list(places)
    known = {reading.name for reading in readings(places)}
    return {name: place for place in places for name in place.names if name not in known}
