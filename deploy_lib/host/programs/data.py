"""Programs that keep data: where their files lie in a container, which version has made them, and which versions read them.

A program's file has one class made from `Data`; `[[stacks.*.databases]]` names it by its `program` (`config/open_set.py`). Those of the
library are also known by the names of their images. docs/data.md says how to add one.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from deploy_lib.config import Database, Stack
from deploy_lib.config.parts import DATABASES
from deploy_lib.release.image import Image

Version = tuple[int, ...]
"""As far as it is known: (17,), (11, 4); empty where it is not."""


class Data(Database, ABC):
    """A program that keeps data.

    Attributes:
        IMAGES: matches the name of an image that has it, as in "timescale/timescaledb"; None: no image is known by its name.
        VARIABLES: of its containers' environment and its images': what `where` and `made_for` want to know. None of them is secret.
        OPTIONS: of its containers' command, likewise.
        FILES: below the data's directory, those whose beginning says which version has written them.
    """

    IMAGES: ClassVar[re.Pattern[str] | None] = None
    VARIABLES: ClassVar[tuple[str, ...]] = ()
    OPTIONS: ClassVar[tuple[str, ...]] = ()
    FILES: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def where(self, image: Image, environment: Mapping[str, str], command: Sequence[str]) -> str:
        """The directory of its data in a container.

        Args:
            environment: of the container, as far as it is known.
            command: likewise, what is run in it.
        """

    def made_by(self, files: Mapping[str, bytes]) -> Version:
        """The version that has written data.

        Args:
            files: by name, the first bytes of those of FILES that are there.
        """
        return ()

    def made_for(self, image: Image, environment: Mapping[str, str]) -> Version:
        """The version that an image has, as its variables say, or else its tag."""
        return ()

    def refuses(self, made: Version, image: Version, environment: Mapping[str, str]) -> str:
        """Why a version does not take data of another one as they are, and what the way is; "" where it takes them.

        Args:
            environment: of the container that is to get them.
        """
        return ""

    def changes(self, made: Version, image: Version) -> str:
        """What a version that takes data of another one makes of them, so that the one before does not read them any more; "" where
        it does not."""
        return ""

    @property
    def title(self) -> str:
        """Its name, for people."""
        return type(self).__name__


def keeper_of(stack: Stack, service: str, image: Image) -> Data | None:
    """The program that keeps data in a service: the one that deploy.toml names, or else the one that its image is called by."""
    for database in stack.databases:
        if database.service == service and isinstance(database, Data):
            return database
    name = image.repository.lower()
    for model in DATABASES.every() if name else ():
        if issubclass(model, Data) and model.IMAGES is not None and model.IMAGES.search(name):
            return model(program=model.model_fields["program"].default, service=service)
    return None


def option(command: Sequence[str], *names: str) -> str:
    """The value of a command's option, as `--dir /x`, `--dir=/x` or `-D/x`; "" without one."""
    for at, word in enumerate(command):
        for name in names:
            if word == name:
                return command[at + 1] if at + 1 < len(command) else ""
            if name.startswith("--") and word.startswith(f"{name}="):
                return word.removeprefix(f"{name}=")
            if not name.startswith("--") and word.startswith(f"{name}/"):
                return word.removeprefix(name)
    return ""


def version(text: str) -> Version:
    """The numbers that a version begins with: (11, 4) for "11.4-noble"."""
    found = re.match(r"v?(\d+)(?:\.(\d+))?(?![0-9])", text)
    return tuple(int(number) for number in found.groups() if number) if found else ()


def newer(made: Version, image: Version) -> bool:
    """Whether a version is newer than another one, as far as both are known."""
    length = min(len(made), len(image))
    return made[:length] < image[:length]


def shown(number: Version) -> str:
    """For people."""
    return ".".join(map(str, number))
