"""A Compose project on a host: its name, where it lies, and the files that Compose reads."""

from __future__ import annotations

from pathlib import PurePosixPath

from msgspec import Struct

from deploy_lib.compose import labels


class Project(Struct, frozen=True):
    """A Compose project on a host.

    Attributes:
        name: its containers, networks and volumes bear it.
        directory: where its files lie, and what relative paths in them start from.
        files: its Compose files, by name below that; each adds to those before it.
        env_files: the files with its variables, likewise; one may be there twice.
        profiles: those that are active, beside what the files say.
        scale: by service, how many containers it is to have, whatever the files say.
        keeps_orphans: containers of services that the files lack stay.
    """

    name: str
    directory: PurePosixPath
    files: tuple[str, ...]
    env_files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    scale: tuple[tuple[str, int], ...] = ()
    keeps_orphans: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        """All files that Compose reads."""
        return tuple(dict.fromkeys((*self.files, *self.env_files)))

    @property
    def filters(self) -> str:
        """Options of `docker ps` that find its containers."""
        return labels.of_project(self.name)
