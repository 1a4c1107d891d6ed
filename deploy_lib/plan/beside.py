"""Which files go where when only some services are as the checkout has them; pure.

What only those mount is the checkout's, and lies where it did. What others mount, too, or Compose reads, stays as it is; the chosen
service gets a copy at a place of its own, as far as it only reads it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from deploy_lib import layout
from deploy_lib.compose.part import read_only
from deploy_lib.compose.service import Service
from deploy_lib.release.files import Entry, marks, target_of

Refuse = Callable[[str, Iterable[str]], object]
"""Raises an error that says what cannot be had, and with which other services it could."""


class Files:
    """A release's files, on the way from those of the release that runs.

    Attributes:
        marks: by path, what is to lie there.
        entries: those that have been put there.
    """

    def __init__(
        self,
        before: Mapping[str, str],
        checkout: Mapping[str, Entry],
        inputs: Collection[str],
        data: Collection[str],
        chosen: Iterable[str],
    ) -> None:
        """Begins with what lies there, without the copies of the chosen services.

        Args:
            before: of the release that runs.
            inputs: what Compose reads of it.
            data: paths that a stack fills itself.
        """
        self.before, self.checkout, self.inputs, self.data = before, checkout, inputs, data
        self.wanted = marks(checkout)
        self.entries: dict[str, Entry] = {}
        own = tuple(f"{layout.SERVICES}/{name}/" for name in chosen)
        self.marks = {path: mark for path, mark in before.items() if not path.startswith(own)}

    def put(self, files: Mapping[str, Entry]) -> None:
        """Puts files in their places."""
        self.entries |= files
        self.marks |= marks(files)

    def take(self, service: Service, others: Mapping[str, Service], refuse: Refuse) -> dict[str, str]:
        """Takes the checkout's files that a service mounts or reads.

        Args:
            others: the services that stay, by name.

        Returns:
            By the path that it mounts, where its own copy lies.
        """
        moved: dict[str, str] = {}
        for place in _sees(service):
            paths = [p for p in _reached([place], {**self.wanted, **self.before}) if self._differs(p)]
            users = [name for name, other in others.items() if _seen(paths, other, self.before)]
            if users or any(path in self.inputs for path in paths):
                if not self._can_be_copied(service, place):
                    who = " and ".join(users) or "Compose"
                    refuse(f"{place} was changed, and {who} would see that as well", users)
                moved[place] = own = f"{layout.SERVICES}/{service.name}/{place}"
                copied = {p: e for p, e in self.checkout.items() if _below(p, place)}
                self.put({own + path.removeprefix(place): each for path, each in copied.items()})
                continue
            for path in paths:
                self.marks.pop(path, None)
                self.put({path: self.checkout[path]} if path in self.checkout else {})
        return moved

    def _differs(self, path: str) -> bool:
        return self.before.get(path) != self.wanted.get(path)

    def _can_be_copied(self, service: Service, place: str) -> bool:
        """Whether a copy at another place does: the service only reads it, and it is all that lies there."""
        linked = any(target_of(mark) for path, mark in self.wanted.items() if _below(path, place))
        filled = any(_below(each, place) or _below(place, each) for each in self.data)
        by_mount = place not in service.reads and (place in self.wanted or read_only(service, place))
        return by_mount and not linked and not filled


def _sees(service: Service) -> list[str]:
    """What a service mounts or reads below the stack's directory."""
    mounted = [path for mount in service.mounts if (path := mount.shipped) is not None]
    return list(dict.fromkeys([*mounted, *service.reads]))


def _seen(paths: Iterable[str], service: Service, files: Mapping[str, str]) -> bool:
    reached = set(_reached(_sees(service), files))
    places = _sees(service)
    return any(path in reached or any(_below(path, place) for place in places) for path in paths)


def _reached(places: Iterable[str], files: Mapping[str, str]) -> Iterator[str]:
    """The paths below some places, and those that links there lead to."""
    left, found = list(places), set[str]()
    while left:
        place = left.pop()
        for path, mark in files.items():
            if path not in found and _below(path, place):
                found.add(path)
                yield path
                if target := target_of(mark):
                    left.append(posixpath.normpath(posixpath.join(posixpath.dirname(path), target)))


def _below(path: str, place: str) -> bool:
    return PurePosixPath(path).is_relative_to(place)
