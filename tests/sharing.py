"""Who does which tests when several processes share them; read from the tests themselves, so that new ones need no entry.

Tests that need no lab go to a process tier by tier, together and in their order. Those of the lab are cut into pieces of a
module, which keep its order, too: the longest first, so that all processes end at about the same time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

SECONDS = {
    "trail": 30.0,
    "planted": 1.0,
    "fleet": 28.0,
    "bench": 22.0,
    "vault": 20.0,
    "dev": 15.0,
    "back_to_first": 13.0,
    "deploy": 5.0,
}
"""What a test takes, about, by the dearest of its fixtures, where it is not marked with what it takes itself."""

OTHERWISE = 3.0
BRING_UP = 1800.0
"""What the first test of a piece may take: it may wait until another process has made all images, and bring a lab up."""

NO_LAB = "no-lab"
"""What the names of the pieces begin with whose tests need none."""

PIECE = 120.0
"""Seconds after which a module is cut, where its tests share no fixture of the module."""


@dataclass(frozen=True)
class Needs:
    """What is known of a test before it runs.

    Attributes:
        lab: it needs one.
        joined: it shares a fixture with others of its module, which had better not be set up twice.
    """

    module: str
    lab: bool
    joined: bool
    seconds: float

    @property
    def tier(self) -> str:
        """The folder of `tests` that it is in."""
        return (*self.module.split("/"), "")[1]


def look(item: pytest.Item) -> Needs:
    """Reads a test's needs off its fixtures."""
    found = getattr(item, "_fixtureinfo", None)
    scopes = {name: made[-1].scope for name, made in found.name2fixturedefs.items()} if found else {}
    return Needs(
        module=item.nodeid.partition("::")[0],
        lab=scopes.get("lab") == "session",
        joined=not {"module", "class", "package"}.isdisjoint(scopes.values()),
        seconds=float(marked.args[0])
        if (marked := item.get_closest_marker("takes"))
        else max((SECONDS[name] for name in scopes.keys() & SECONDS.keys()), default=OTHERWISE),
    )


def pieces(tests: Sequence[Needs]) -> list[tuple[str, list[int]]]:
    """Which tests stay together, by their places in the list, and the name of each piece; the order in which they are begun.

    The first process begins with the longest piece, and so makes the images and brings a lab up while the others do the tests
    that need none.
    """
    quick: dict[str, list[int]] = {}
    for place, test in enumerate(tests):
        if not test.lab:
            quick.setdefault(f"{NO_LAB} {test.tier}", []).append(place)
    cut = [*_cut(tests)]
    cut.sort(key=lambda piece: -sum(tests[place].seconds for place in piece[1]))
    return [*cut[:1], *sorted(quick.items(), key=lambda piece: -len(piece[1])), *cut[1:]]


def agree(items: Sequence[pytest.Item], folder: Path, worker: str) -> list[pytest.Item]:
    """The tests in the order in which their pieces are begun; the pieces are written down for who gives them out.

    All processes write the same.
    """
    made = pieces([look(item) for item in items])
    for name, places in made:
        if not name.startswith(NO_LAB):
            items[places[0]].add_marker(pytest.mark.timeout(BRING_UP))
    names = {items[place].nodeid: name for name, places in made for place in places}
    new = folder / worker
    new.write_text(json.dumps(names))
    new.replace(folder / "pieces")
    return [items[place] for _, places in made for place in places]


def agreed(folder: Path) -> dict[str, str]:
    """The name of each test's piece."""
    found: dict[str, str] = json.loads((folder / "pieces").read_text())
    return found


def _cut(tests: Sequence[Needs]) -> Iterator[tuple[str, list[int]]]:
    modules: dict[str, list[int]] = {}
    for place, test in enumerate(tests):
        if test.lab:
            modules.setdefault(test.module, []).append(place)
    for module, places in modules.items():
        # Those that share a fixture are one piece, wherever they stand in their module.
        joined = [place for place in places if tests[place].joined]
        if joined:
            yield module, joined
        for number, piece in enumerate(_parts(tests, [place for place in places if place not in joined]), 1):
            yield f"{module}-{number}", piece


def _parts(tests: Sequence[Needs], places: Iterable[int]) -> Iterator[list[int]]:
    part: list[int] = []
    seconds = 0.0
    for place in places:
        if part and seconds + tests[place].seconds > PIECE:
            yield part
            part, seconds = [], 0.0
        part.append(place)
        seconds += tests[place].seconds
    if part:
        yield part
