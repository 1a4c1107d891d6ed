"""Names, ports and files of a lab: all of them follow from the project's path, or are chosen once and kept."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import secrets
import socket
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deploy_lib.errors import UsageError

from .project import DIRECTORY, Host, Project, read, record, recorded

MIRROR = "mirror.ktrdr.internal:5000"
"""Where hosts find public images; the image that they are made of has this name in it."""

LISTENING = range(20000, 32768)
"""Where loopback ports are chosen from."""


@dataclass(frozen=True)
class Lab:
    """One project's lab.

    Attributes:
        directory: the ignored folder that holds all its files.
        prefix: what the names of its containers, volumes and network begin with.
        ports: loopback ports by what they lead to: "core:22", "core:8000", "registry", "mirror".
        project: what it is made for.
    """

    directory: Path
    prefix: str
    ports: Mapping[str, int]
    project: Project

    @property
    def identity(self) -> str:
        """Random, and as old as the folder: a new folder at the same path is another lab."""
        return (self.directory / "identity").read_text().strip()

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

    @property
    def machines(self) -> list[Host]:
        """Its hosts, each once."""
        return self.project.machines

    def host(self, node: str) -> Host:
        """The host that a node is on."""
        return self.project.hosts[node]

    def container(self, name: str) -> str:
        """The container of a node's host, or of "registry" or "mirror"."""
        host = self.project.hosts.get(name)
        return f"{self.prefix}-{(host.node if host else name).lower()}"

    def port(self, node: str, port: int) -> int:
        """The loopback port that leads to a port of a node's host."""
        return self.ports[f"{self.host(node).node}:{port}"]

    def url(self, node: str, port: int) -> str:
        """Where a host's published port is on this machine."""
        return f"http://127.0.0.1:{self.port(node, port)}"


def prefix_of(root: Path) -> str:
    """Two checkouts on one machine get two prefixes."""
    return f"ktrdr-lab-{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:8]}"


def port_keys(project: Project) -> list[str]:
    """Everything that gets a loopback port."""
    hosts = [f"{host.node}:{port}" for host in project.machines for port in (22, *host.ports)]
    return [*hosts, "registry", "mirror"]


def load(root: Path) -> Lab:
    """The lab of this project, as it was last set up.

    Raises:
        UsageError: it never was.
    """
    directory = root.resolve() / DIRECTORY
    try:
        ports = json.loads((directory / "ports.json").read_text())
    except (FileNotFoundError, ValueError):
        raise UsageError(f"there is no lab in {root}", hint="start one: invoke lab.up") from None
    return Lab(directory, prefix_of(root), ports, recorded(root))


def copies(root: Path) -> Path:
    """Where copies of a checkout lie whose labs tests use side by side, each a folder of this one."""
    return root.resolve() / DIRECTORY / "copies"


def copies_of(root: Path) -> list[Path]:
    """The copies that there are."""
    return sorted(path.parent for path in copies(root).glob(f"*/{DIRECTORY}"))


def create(root: Path, say: Callable[[str], None]) -> Lab:
    """The lab of this project; its ports are chosen when they are not yet.

    Args:
        say: gets a line when deploy.toml cannot be read, so that the lab stays as it was last set up.

    Raises:
        UsageError: deploy.toml or lab.toml is wrong, and there is no lab yet.
    """
    directory = root.resolve() / DIRECTORY
    directory.mkdir(mode=0o700, exist_ok=True)
    directory.chmod(0o700)
    path = directory / "ports.json"
    try:
        ports = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        ports = {}
    project = _project(root, say, known=bool(ports))
    missing = [key for key in port_keys(project) if key not in ports]
    if missing:
        taken = {*ports.values(), *_ports_beside(root)}
        ports |= dict(zip(missing, free_ports(len(missing), taken), strict=True))
        path.write_text(json.dumps(ports, indent=1) + "\n")
    identity = directory / "identity"
    if not identity.exists():
        identity.write_text(secrets.token_hex(8) + "\n")
    return Lab(directory, prefix_of(root), ports, project)


def _project(root: Path, say: Callable[[str], None], *, known: bool) -> Project:
    try:
        project = read(root)
    except UsageError as error:
        if not known:
            raise
        project = recorded(root)
        say(f"{error.what}; the lab stays as it was last set up")
        return project
    record(project)
    return project


def _ports_beside(root: Path) -> Iterator[int]:
    """Ports of the labs that tests use beside this one: those that are stopped do not listen."""
    folder = root.resolve().parent
    checkout = folder.parent.parent if folder.parts[-2:] == (DIRECTORY, "copies") else root
    for path in (checkout / DIRECTORY / "ports.json", *copies(checkout).glob(f"*/{DIRECTORY}/ports.json")):
        with suppress(FileNotFoundError, ValueError):
            yield from json.loads(path.read_text()).values()


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Lets one command at a time change this project's lab; another one waits."""
    directory = root.resolve() / DIRECTORY
    directory.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def free_ports(count: int, taken: Container[int]) -> list[int]:
    """Loopback ports that nothing listens on now.

    They lie below the range from which systems give ports to outgoing connections: one of those could hold a
    lab's port just when the lab is started again.
    """
    found: list[int] = []
    for port in random.sample(LISTENING, len(LISTENING)):
        if len(found) == count:
            break
        if port not in taken and is_free(port):
            found.append(port)
    return found


def is_free(port: int) -> bool:
    """Whether a loopback port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
