"""Names, ports and files of a lab: all of them follow from the checkout's path, or are chosen once and kept."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy_lib.errors import UsageError

DOMAIN = "ktrdr.internal"
REGISTRY = f"registry.{DOMAIN}:5443"
MIRROR = f"mirror.{DOMAIN}:5000"
USERNAME = "lab"

NODES: Mapping[str, str] = {
    "core": "ktrdr-core.internal",
    "B": "ktrdr-workers-b.internal",
    "C": "ktrdr-workers-c.internal",
}
"""Hosts by the name of their node; they carry the homelab's names."""

PORTS: Mapping[str, tuple[int, ...]] = {
    "core": (8000, 9090, 3000, 16686),
    "B": (5003, 5004, 5005, 5006, 5007, 5008),
    "C": (5003, 5004, 5005, 5006, 5007, 5008),
}
"""Ports of each host that are published on this machine's loopback, for people to look at."""


@dataclass(frozen=True)
class Lab:
    """One checkout's lab.

    Attributes:
        directory: the ignored folder that holds all its files.
        prefix: what the names of its containers, volumes and network begin with.
        ports: loopback ports by what they lead to: "core:22", "core:8000", "registry", "mirror".
    """

    directory: Path
    prefix: str
    ports: Mapping[str, int]

    @property
    def network(self) -> str:
        """The Docker network that hosts and registries share."""
        return self.prefix

    @property
    def ssh_config(self) -> Path:
        """For `ssh -F`."""
        return self.directory / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        """The hosts' keys, read from the hosts themselves and not over the network."""
        return self.directory / "known_hosts"

    @property
    def secrets(self) -> Path:
        """The lab's random secrets, mode 0600."""
        return self.directory / "secrets.json"

    @property
    def registry(self) -> str:
        """The private registry, as this machine reaches it."""
        return f"127.0.0.1:{self.ports['registry']}"

    @property
    def mirror(self) -> str:
        """The mirror, as this machine reaches it."""
        return f"127.0.0.1:{self.ports['mirror']}"

    def container(self, name: str) -> str:
        """The container of a host, or of "registry" or "mirror"."""
        return f"{self.prefix}-{name.lower()}"

    def url(self, node: str, port: int) -> str:
        """Where a host's published port is on this machine."""
        return f"http://127.0.0.1:{self.ports[f'{node}:{port}']}"


def prefix_of(root: Path) -> str:
    """Two checkouts on one machine get two prefixes."""
    return f"ktrdr-lab-{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:8]}"


def port_keys() -> list[str]:
    """Everything that gets a loopback port."""
    hosts = [f"{node}:{port}" for node in NODES for port in (22, *PORTS[node])]
    return [*hosts, "registry", "mirror"]


def load(root: Path) -> Lab:
    """The lab of this checkout, as it was last set up.

    Raises:
        UsageError: it never was.
    """
    directory = root.resolve() / ".lab"
    try:
        ports = json.loads((directory / "ports.json").read_text())
    except (FileNotFoundError, ValueError):
        raise UsageError("there is no lab in this checkout", mend="start one: invoke lab.up") from None
    return Lab(directory, prefix_of(root), ports)


def create(root: Path) -> Lab:
    """The lab of this checkout; its ports are chosen when they are not yet."""
    directory = root.resolve() / ".lab"
    directory.mkdir(mode=0o700, exist_ok=True)
    directory.chmod(0o700)
    path = directory / "ports.json"
    try:
        ports = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        ports = {}
    missing = [key for key in port_keys() if key not in ports]
    ports |= dict(zip(missing, free_ports(len(missing), ports.values()), strict=True))
    path.write_text(json.dumps(ports, indent=1) + "\n")
    return Lab(directory, prefix_of(root), ports)


def free_ports(count: int, taken: Iterable[int]) -> list[int]:
    """Loopback ports that nothing listens on now."""
    used = set(taken)
    found: list[int] = []
    held: list[socket.socket] = []
    try:
        while len(found) < count:
            probe = socket.socket()
            held.append(probe)  # kept open until the end, so that no port is found twice
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            if port not in used:
                found.append(port)
    finally:
        for probe in held:
            probe.close()
    return found
