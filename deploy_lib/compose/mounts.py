"""What a container has its data on: volumes and directories of the host, as Docker says it, and as a Compose file wants it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct

from deploy_lib.answers import text
from deploy_lib.compose.service import Mount, Service
from deploy_lib.values import replace

_NAMELESS = re.compile(r"[0-9a-f]{64}")
"""How Docker calls a volume that has no name."""


class Held(Struct, frozen=True):
    """Something that is mounted in a container.

    Attributes:
        kind: such as "volume", "bind" or "tmpfs".
        source: a volume's name on the host, "" for an anonymous one that is still to be made; of a bind mount, the host's path.
        target: the path in the container.
        writable: the container may change it; what is only read there is somebody else's.
        inner: of a volume, the directory in it that is mounted, "" for all of it.
    """

    kind: str
    source: str
    target: str
    writable: bool = True
    inner: str = ""

    @property
    def anonymous(self) -> bool:
        """It is a volume that only its container knows."""
        return self.kind == "volume" and (not self.source or bool(_NAMELESS.fullmatch(self.source)))

    def covers(self, path: str) -> bool:
        """Whether a path of the container lies in it."""
        return PurePosixPath(path).is_relative_to(self.target)

    def place_of(self, path: str) -> str:
        """Where a path of the container lies in it, from the top of the volume or the directory."""
        return str(self.inner / PurePosixPath(path).relative_to(self.target))


def read_held(data: Mapping[str, Any], asked: Sequence[Mapping[str, Any]] = ()) -> Held:
    """One of the mounts of `docker inspect`.

    Args:
        asked: what the container was created with, as far as Docker keeps that; a part of a volume shows there alone.
    """
    kind = text(data, "Type")
    source = text(data, "Name") if kind == "volume" else str(data.get("Source") or "")
    target = text(data, "Destination")
    options = [each.get("VolumeOptions") or {} for each in asked if each.get("Target") == target]
    inner = next((str(each.get("Subpath") or "") for each in options), "")
    return Held(kind, source, target, data["RW"] is True, _inner(inner))


def _inner(path: str) -> str:
    return posixpath.normpath(path) if path.strip("./") else ""


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
                yield replace(held, writable=held.writable and mode != "ro")


def _held(mount: Mount, directory: PurePosixPath) -> Held:
    source = mount.volume if mount.kind == "volume" else mount.source
    if mount.kind == "bind":
        source = posixpath.normpath(directory / source)
    return Held(mount.kind, source, posixpath.normpath(mount.target), mount.writable, _inner(mount.inner))


def at(mounts: tuple[Held, ...], path: str) -> Held | None:
    """The mount in which a path of a container lies; the innermost counts."""
    found = [held for held in mounts if held.covers(path)]
    return max(found, key=lambda held: len(PurePosixPath(held.target).parts), default=None)
