"""A path that a Compose file names, and the file that names it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from deploy_lib.compose.service import Service
from deploy_lib.errors import UsageError

Kind = Literal["input", "mount", "secret"]

OWNERS = ("services", "configs", "secrets", "volumes")
"""The parts of a Compose file whose entries refer to what only those need that have them."""

_REMOTE = re.compile(r"^(?:[a-z][a-z0-9+.-]*://|oci:|git@|github\.com/)", re.IGNORECASE)


class Reference(Struct, frozen=True):
    """A path that a Compose file names.

    Attributes:
        path: from the project directory; it may begin with "../".
        what: what names it, in a few words.
        where: the file and the line.
        kind: "input": Compose reads it itself; "mount": a container gets it; "secret": the same, and it is a secret.
        needed: a host that lacks it cannot run the service, or Docker would make a directory of that name. Compose reads an
            "input" that is not needed wherever there is one.
        owner: the entry that names it, such as ("services", "web"); nothing for what Compose reads whoever runs.
    """

    path: str
    what: str
    where: str
    kind: Kind = "mount"
    needed: bool = True
    owner: tuple[str, ...] = ()

    def used(self, services: Mapping[str, Service]) -> bool:
        """Whether one of the services that were rendered has it: those of a profile that is not active were not."""
        if not self.owner:
            return True
        what, name = self.owner
        return (
            name in services
            if what == "services"
            else any(name in s.shared.get(what, ()) for s in services.values())
        )

    def __str__(self) -> str:
        return f"{self.where}: {self.path}, {self.what}"


class Place(Struct, frozen=True):
    """A Compose file that is being read.

    Attributes:
        name: as an operator knows it.
        folder: what its paths start from, below the project directory.
        values: its variables.
    """

    name: str
    folder: str
    values: Mapping[str, str]

    @property
    def known(self) -> Mapping[str, str]:
        """Its variables, with `${PWD}`: the project directory, as its paths begin."""
        return {**self.values, "PWD": posixpath.relpath("/", f"/{self.folder}")}

    def where(self, value: object) -> str:
        """The file, and the line of a text in it."""
        line = getattr(value, "line", None)
        return f"{self.name} line {line}" if line else self.name

    def inner(self, path: str) -> str:
        """What an operator would call a file that this one includes."""
        return f"{path} (from {self.name.partition(' (')[0]})"

    def at(self, path: str, line: object) -> str | None:
        """A path from the project directory; None for the host's own.

        Args:
            line: the text that names it.

        Raises:
            UsageError: it is on another machine.
        """
        if _REMOTE.match(path):
            raise UsageError(
                f"{self.where(line)}: {path} is not a file: what is deployed must be in the checkout",
                hint="put a copy of it beside the Compose file",
            )
        if path.startswith(("/", "~")):
            return None
        return posixpath.normpath(posixpath.join(self.folder, path))
