"""A project's lab: its hosts are those of deploy.toml, and lab.toml has the rest."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy_lib.config import Environment, Stack
from deploy_lib.config import load as load_environment
from deploy_lib.config import read as read_file
from deploy_lib.config.environments import FILE as DEPLOY_FILE
from deploy_lib.errors import UsageError
from deploy_lib.names import did_you_mean

from . import compose
from .settings import FILE, File, NodeSpec, Shared, parse

DIRECTORY = ".lab"
"""Everything that a lab keeps on this machine, below the project's folder; ignored by git."""

_RESERVED = ("registry", "mirror", "shared")
"""Names of the lab's own containers and volumes."""


@dataclass(frozen=True)
class Volume:
    """A volume of a Compose project."""

    project: str
    name: str


@dataclass(frozen=True)
class Host:
    """A host of a lab.

    Attributes:
        node: the first node of deploy.toml that is on it; names its container.
        name: its host name.
        ports: published on this machine's loopback.
        volume: what has its data in the host's shared directory.
    """

    node: str
    name: str
    ports: tuple[int, ...]
    release: str
    shared: str | None = None
    volume: Volume | None = None


@dataclass(frozen=True)
class Project:
    """A project, as far as its lab needs to know it.

    Attributes:
        root: the folder of deploy.toml and lab.toml.
        hosts: by node; nodes of one host have the same one.
    """

    root: Path
    environment: Environment
    file: File
    hosts: Mapping[str, Host]

    @property
    def machines(self) -> list[Host]:
        """Each host once."""
        return list({host.name: host for host in self.hosts.values()}.values())

    @property
    def registry(self) -> tuple[str, int]:
        """The private registry's host name and port, as the hosts know them."""
        host, _, port = self.environment.registry_host.partition(":")
        return host, int(port or 443)

    @property
    def compose_files(self) -> list[Path]:
        """Those of the stacks that the lab's nodes run."""
        names = dict.fromkeys(path for node in self.environment.nodes.values() for path in node.stack.compose)
        return [self.root / name for name in names]

    @property
    def image_names(self) -> list[str]:
        """Every `image:` of these Compose files, as it stands there."""
        return list(dict.fromkeys(name for path in self.compose_files for name in compose.images(path)))


def read(root: Path) -> Project:
    """The project in this folder.

    Raises:
        UsageError: deploy.toml, lab.toml or a Compose file is wrong.
    """
    return _read(root.resolve(), root.resolve())


def record(project: Project) -> None:
    """Keeps what the lab is made from, so that it can be looked at while deploy.toml is being edited."""
    kept = _kept(project.root)
    kept.mkdir(exist_ok=True)
    for name in (DEPLOY_FILE, FILE):
        if (project.root / name).exists():
            shutil.copyfile(project.root / name, kept / name)
        else:
            (kept / name).unlink(missing_ok=True)


def recorded(root: Path) -> Project:
    """The project as its lab was last made from it.

    Raises:
        UsageError: as in `read`.
    """
    kept = _kept(root.resolve())
    return _read(kept, root.resolve()) if (kept / DEPLOY_FILE).exists() else read(root)


def _kept(root: Path) -> Path:
    return root / DIRECTORY / "project"


def _read(folder: Path, root: Path) -> Project:
    file = parse(_text(folder / FILE))
    if file.environment not in read_file(folder, beside=root).environments:
        raise UsageError(
            f"{DEPLOY_FILE} has no environment {file.environment!r} to make a lab of",
            hint=f"add [environments.{file.environment}], or name another in {FILE}: environment = ...",
        )
    environment = load_environment(folder, file.environment, beside=root).model_copy(update={"root": root})
    _require(environment, folder)
    _known("nodes", file.nodes, environment.nodes, f"node in environment {environment.name}")
    _known("secrets", file.secrets, {spec.field for spec in environment.secrets.values()}, "secret's field")
    for name in environment.nodes:
        if name.lower() in _RESERVED:
            raise UsageError(f"a node of a lab cannot be called {name}: the lab has a container of that name")
    return Project(root, environment, file, _hosts(root, environment, file))


def _known(table: str, named: Iterable[str], known: Collection[str], what: str) -> None:
    for name in named:
        if name not in known:
            raise UsageError(
                f"{FILE}: {table}.{name}: {DEPLOY_FILE} has no such {what}", hint=did_you_mean(name, known)
            )


def _require(environment: Environment, folder: Path) -> None:
    """Checks that a deployment to this environment finds the lab's hosts and secrets."""
    where = f"{DEPLOY_FILE}: environments.{environment.name}"
    if not environment.image_registry:
        raise UsageError(
            f"{where}: the lab has a registry of its own, and image_registry names none",
            hint='image_registry = "registry.internal:5443/NAME"; registry = { username = "lab", password = "SECRET" }',
        )
    if environment.ssh_config != folder / DIRECTORY / "ssh_config":
        raise UsageError(
            f"{where}.ssh_config does not lead to the lab", hint=f'ssh_config = "{DIRECTORY}/ssh_config"'
        )
    if getattr(environment.secret_source, "path", None) != f"{DIRECTORY}/secrets.json":
        raise UsageError(
            f"{where}.secrets: the lab makes its own secrets, and they would not be found",
            hint=f'secrets = {{ source = "file", path = "{DIRECTORY}/secrets.json" }}',
        )


def _hosts(root: Path, environment: Environment, file: File) -> dict[str, Host]:
    found: dict[str, Host] = {}
    by_name: dict[str, Host] = {}
    for name, node in environment.nodes.items():
        spec = file.nodes.get(name, NodeSpec())
        before = by_name.get(node.host)
        ports = spec.ports
        if ports is None:
            ports = tuple(port for path in node.stack.compose for port in compose.published(root / path))
        shared, volume = _shared(root, node.stack, spec.shared)
        by_name[node.host] = Host(
            before.node if before else name,
            node.host,
            tuple(dict.fromkeys((*(before.ports if before else ()), *ports))),
            spec.release or (before.release if before else file.release),
            shared or (before.shared if before else None),
            volume or (before.volume if before else None),
        )
        found[name] = by_name[node.host]
    return {name: by_name[host.name] for name, host in found.items()}


def _shared(root: Path, stack: Stack, shared: Shared | None) -> tuple[str | None, Volume | None]:
    if shared is None:
        return None, None
    if shared.volume is None:
        return shared.directory, None
    return shared.directory, Volume(compose.project_name(root / stack.compose[0]), shared.volume)


def _text(path: Path) -> str:
    """Its content; nothing when there is no such file, since all its keys have defaults."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
