"""What a container has its data on: volumes and directories of the host, as Docker says it, and as a Compose file wants it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from deploy_lib.answers import text
from deploy_lib.compose.service import Mount, Service

_NAMELESS = re.compile(r"[0-9a-f]{64}")
"""How Docker calls a volume that has no name."""


@dataclass(frozen=True)
class Held:
    """Something that is mounted in a container.

    Attributes:
        kind: such as "volume", "bind" or "tmpfs".
        source: a volume's name on the host, "" for an anonymous one that is still to be made; of a bind mount, the host's path.
        target: the path in the container.
        writable: the container may change it; what is only read there is somebody else's.
    """

    kind: str
    source: str
    target: str
    writable: bool = True

    @property
    def anonymous(self) -> bool:
        """It is a volume that only its container knows."""
        return self.kind == "volume" and (not self.source or bool(_NAMELESS.fullmatch(self.source)))

    def covers(self, path: str) -> bool:
        """Whether a path of the container lies in it."""
        return PurePosixPath(path).is_relative_to(self.target)

    def place_of(self, path: str) -> str:
        """Where a path of the container lies in it, from its top."""
        return str(PurePosixPath(path).relative_to(self.target))


def read_held(data: Mapping[str, Any]) -> Held:
    """One of the mounts of `docker inspect`."""
    kind = text(data, "Type")
    source = text(data, "Name") if kind == "volume" else str(data.get("Source") or "")
    return Held(kind, source, text(data, "Destination"), data["RW"] is True)


def wanted(service: Service, services: Mapping[str, Service], directory: PurePosixPath) -> tuple[Held, ...]:
    """What a service's containers are to have mounted.

    Args:
        directory: the stack's, on the host.
    """
    return tuple(dict.fromkeys(_wanted(service, services, directory, {service.name})))


def _wanted(
    service: Service, services: Mapping[str, Service], directory: PurePosixPath, seen: set[str]
) -> Iterator[Held]:
    yield from (_held(mount, directory) for mount in service.mounts)
    memory = service.spec.get("tmpfs") or ()
    for each in [memory] if isinstance(memory, str) else memory:
        yield Held("tmpfs", "", posixpath.normpath(str(each).partition(":")[0]))
    for each in service.spec.get("volumes_from") or ():
        name, _, mode = str(each).partition(":")
        if name in services and name not in seen:
            for held in _wanted(services[name], services, directory, {*seen, name}):
                yield Held(held.kind, held.source, held.target, held.writable and mode != "ro")


def _held(mount: Mount, directory: PurePosixPath) -> Held:
    source = mount.volume if mount.kind == "volume" else mount.source
    if mount.kind == "bind":
        source = posixpath.normpath(directory / source)
    return Held(mount.kind, source, posixpath.normpath(mount.target), mount.writable)


def at(mounts: tuple[Held, ...], path: str) -> Held | None:
    """The mount in which a path of a container lies; the innermost counts."""
    found = [held for held in mounts if held.covers(path)]
    return max(found, key=lambda held: len(PurePosixPath(held.target).parts), default=None)
