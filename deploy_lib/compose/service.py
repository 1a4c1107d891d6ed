"""A service of a stack as the host's own Compose renders it, with its mounts and what is made for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from msgspec import Struct, field

from deploy_lib.compose.joins import foreign, joined, linked
from deploy_lib.compose.limits import Limit
from deploy_lib.compose.port import Port
from deploy_lib.release.image import Image
from deploy_lib.secrets.places import Place
from deploy_lib.values import Selective

Ends = Literal["", "may", "must"]


class Mount(Struct, frozen=True):
    """Something that is mounted into a container.

    Attributes:
        kind: such as "bind", "volume" or "tmpfs".
        source: of a bind mount, a path of the host, relative where it is below the stack's directory; of a volume, its key in
            the Compose file, "" for an anonymous one.
        volume: the volume's name on the host; "" for anything else, and for an anonymous one.
        writable: the service may change what it has.
        inner: of a volume, the directory in it that is mounted, "" for all of it.
    """

    kind: str
    source: str
    target: str
    volume: str = ""
    writable: bool = True
    inner: str = ""

    @property
    def shipped(self) -> str | None:
        """The path below the stack's directory that is mounted; None for anything else."""
        return self.source if self.kind == "bind" and not self.source.startswith("/") else None


class Made(Selective, frozen=True):
    """A network or a volume that Compose makes for a service.

    Attributes:
        kind: "network" or "volume".
        name: on the host.
        key: in the Compose file.
        spec: what the file says of it; a device below the stack's directory is relative to that.
    """

    HIDDEN: ClassVar[tuple[str, ...]] = ("spec",)
    IGNORED: ClassVar[tuple[str, ...]] = ("spec",)

    kind: str
    name: str
    key: str
    spec: Mapping[str, Any] = field(default_factory=dict)

    @property
    def driver(self) -> str:
        """What makes it; "" for Docker's own."""
        return str(self.spec.get("driver") or "")

    @property
    def addressed(self) -> bool:
        """Whether the file says which addresses a network has."""
        return bool((self.spec.get("ipam") or {}).get("config"))

    @property
    def device(self) -> str:
        """What a volume leads to; "" for a place of Docker's own."""
        return str((self.spec.get("driver_opts") or {}).get("device") or "")


class Service(Selective, frozen=True):
    """A service as the host's own Compose renders it.

    Attributes:
        image: the reference, its variables filled in; empty for a service that is only built.
        replicas: how many containers it is to have.
        ports: published ports of the host.
        secrets: where its containers have secret values.
        refused: secrets in places where a value must not stand, such as its command: the key, and the line for people.
        sources: by the key of a Compose secret that it gets, the secret's name.
        foreign: the keys of Compose secrets that come from a file or from outside, which this program does not deliver.
        mounts: bind mounts, configs that are files, and volumes.
        reads: what it gets in other ways of what lies below the stack's directory: the device of a volume, a seccomp profile.
        contents: by its path in the container, the SHA-256 of a config whose content stands in the Compose file.
        unseen: by the key of a config that it gets, the variable that has its content, which no rendering shows.
        ends: "must": it has done its work when it has ended with status 0: another service waits for that, or its restart policy
            is "no" in so many words; "may": ending so is fine, and so is running (`on-failure`); "": it runs.
        builds: the file says how to build it.
        external: networks and volumes that somebody else makes: what each is, and its name on the host.
        host_network: its ports are the host's own, and none are published.
        limits: what the file says of it and Compose does not do.
        made: the networks and volumes that Compose makes for it.
        spec: its part of the rendering; other rooms ask what it says.
        shared: by kind ("networks", "volumes", "configs", "secrets", "models"), the definitions that it refers to, by their keys.
        base: the stack's directory.
    """

    HIDDEN: ClassVar[tuple[str, ...]] = ("spec", "shared", "base")
    IGNORED: ClassVar[tuple[str, ...]] = ("spec", "shared", "base")

    name: str
    image: Image
    replicas: int = 1
    ports: tuple[Port, ...] = ()
    secrets: tuple[Place, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    reads: tuple[str, ...] = ()
    contents: Mapping[str, str] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)
    ends: Ends = ""
    builds: bool = False
    external: tuple[tuple[str, str], ...] = ()
    host_network: bool = False
    limits: tuple[Limit, ...] = ()
    made: tuple[Made, ...] = ()
    spec: Mapping[str, Any] = field(default_factory=dict)
    shared: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    base: str = ""

    @property
    def secret_names(self) -> tuple[str, ...]:
        """The secrets that it gets."""
        return tuple(sorted({name for place in self.secrets for name in place.names}))

    @property
    def unset(self) -> tuple[str, ...]:
        """The variables of its environment that are named without a value, and have none from anywhere else."""
        found = self.spec.get("environment") or {}
        return tuple(name for name, value in found.items() if value is None)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its environment that have a value."""
        found = self.spec.get("environment") or {}
        return {name: str(value) for name, value in found.items() if value is not None}

    @property
    def command(self) -> tuple[str, ...]:
        """Its command, word by word; empty where that is the image's own."""
        command = self.spec.get("command") or ()
        return (command,) if isinstance(command, str) else tuple(map(str, command))

    @property
    def container_name(self) -> str:
        """The fixed name of its container, "" without one."""
        return str(self.spec.get("container_name") or "")

    @property
    def profiles(self) -> tuple[str, ...]:
        """Those that it belongs to; none: it is always active."""
        return tuple(self.spec.get("profiles") or ())

    @property
    def log_driver(self) -> str:
        """What takes its log, "" for the engine's usual one."""
        return str((self.spec.get("logging") or {}).get("driver") or "")

    @property
    def joins(self) -> tuple[str, ...]:
        """The services whose containers its own are part of."""
        return joined(self.spec)

    @property
    def joins_others(self) -> tuple[str, ...]:
        """The same for containers that the file names by their own names."""
        return foreign(self.spec)

    @property
    def calls(self) -> tuple[str, ...]:
        """Containers of others that it calls by a name of its own."""
        return linked(self.spec)

    @property
    def needs(self) -> tuple[str, ...]:
        """The services that it depends on."""
        return tuple(self.spec.get("depends_on") or ())

    @property
    def network_mode(self) -> str:
        """Whose network it has, such as "host" or "service:db"; "" where it has networks of its own."""
        return str(self.spec.get("network_mode") or "")

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that it is in, by their names in the file."""
        return tuple(self.spec.get("networks") or ("default",))

    @property
    def addresses(self) -> list[str]:
        """The addresses that one container alone can have, such as "ipv4_address in the network front"."""
        keys = ("ipv4_address", "ipv6_address", "mac_address")
        networks = (self.spec.get("networks") or {}).items()
        found = [
            f"{key} in the network {name}" for name, own in networks for key in keys if (own or {}).get(key)
        ]
        return [*found, *(["mac_address"] if self.spec.get("mac_address") else [])]

    @property
    def must_exist(self) -> list[str]:
        """The paths that it mounts and Docker does not make."""
        mounts = [mount for mount in self.spec.get("volumes") or () if mount["type"] == "bind"]
        return [
            str(m.get("source") or "") for m in mounts if not (m.get("bind") or {}).get("create_host_path")
        ]

    @property
    def seccomp(self) -> list[str]:
        """The paths of its seccomp profiles; other words may be among them."""
        options = (str(each).replace("=", ":", 1) for each in self.spec.get("security_opt") or ())
        return [path for each in options if (path := each.partition("seccomp:")[2])]

    @property
    def text(self) -> str:
        """All that the file says of its containers, to be searched; nothing of how its image is built."""
        spec = {key: value for key, value in self.spec.items() if key not in ("build", "develop")}
        return json.dumps((spec, dict(self.shared)))

    @property
    def exposed(self) -> dict[str, list[Place]]:
        """By secret, the variables of its containers that show the value to who may ask Docker."""
        found: dict[str, list[Place]] = {}
        for place in self.secrets:
            for name in place.names if place.kind == "environment" else ():
                found.setdefault(name, []).append(place)
        return found
