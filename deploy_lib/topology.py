"""What is deployed where: deploy.toml, read once into frozen typed models."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from deploy_lib.errors import UsageError

FILE = "deploy.toml"
DEFAULT_ENVIRONMENT = "homelab"

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*$")]
Seconds = Annotated[float, Field(gt=0, le=3600)]
VersionNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$")]
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise ValueError("this must be a path inside the folder of deploy.toml")
    return path


RelativePath = Annotated[str, AfterValidator(_inside)]


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SecretSpec(_Model):
    """A secret's place in its source, and the rule its value must keep.

    Attributes:
        field: the field of the vault item, or the key in another source.
        min_length: fewest characters that are accepted.
        redact: whether output is searched for the value.
    """

    field: str = Field(min_length=1)
    min_length: int = Field(ge=1, default=1)
    redact: bool = True


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"this is no regular expression: {error}") from None
    return text


class Probe(_Model):
    """What proves a service: an HTTP answer, a line of its log, or its container's state; or every container: a list.

    Attributes:
        service: the service that is proven; none for a probe of every container.
        url: asked through the session, as the host itself would ask it.
        status: the HTTP status expected.
        json_values: dotted paths in the JSON answer, and the values expected there.
        log: a regular expression that a line of the service's log matches, since its container started.
        state: what Docker says of its container, such as "running"; "exited" means with status 0.
        entry: the answer has a list, and in it an entry like this for each container; see `operations/roster.py`.
        entries: dotted path of that list; "" when it is the answer itself.
        timeout: seconds until it must have succeeded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    name: str
    service: str = ""
    url: str | None = Field(pattern=r"^http://[^/\s]+/\S*$", default=None)
    status: int = 200
    json_values: dict[str, str | int | bool] = Field(alias="json", default_factory=dict)
    log: Annotated[str, AfterValidator(_regex)] | None = None
    state: Literal["running", "exited", "paused"] | None = None
    entry: dict[str, Annotated[tuple[str, ...], Field(strict=False), BeforeValidator(_several)]] = Field(
        default_factory=dict
    )
    entries: str = ""
    timeout: Seconds = 60

    @model_validator(mode="after")
    def _one_kind(self) -> Probe:
        if sum(kind is not None for kind in (self.url, self.log, self.state)) != 1:
            raise ValueError("give exactly one of url, log and state")
        if bool(self.service) == bool(self.entry) or (self.entry and self.url is None):
            raise ValueError("give either service, or url and entry for a probe of every container")
        return self


class OneOff(_Model):
    """A command of a new image, run once before the switch, such as a database migration.

    Attributes:
        service: the service whose image, network and secrets it gets; it runs only when that image changes.
        timeout: seconds that it may take.
    """

    service: str
    command: tuple[str, ...] = Field(min_length=1, strict=False)
    timeout: Seconds = 300


class Reload(_Model):
    """How a service takes up changed files while its container stays.

    Attributes:
        check: a command in the container that fails when the changed files are wrong; without it a service that keeps its
            old configuration would pass for one that took the new one.
    """

    path: RelativePath
    service: str
    check: tuple[str, ...] = Field(default=(), strict=False)
    signal: Annotated[str, StringConstraints(pattern=r"^SIG[A-Z0-9]+$")] | None = None
    restart: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Reload:
        if (self.signal is None) != self.restart:
            raise ValueError("give either signal or restart = true")
        return self


class PostgresRole(_Model):
    """PostgreSQL keeps a role's password in its data; `ALTER ROLE` changes it there.

    Attributes:
        secret: the password.
        role: the secret that names the role; a superuser, as the one is that the image makes.
        service: the server's.
        timeout: seconds until it must take the new password.
    """

    kind: Literal["postgres-role"]
    secret: EnvName
    role: EnvName
    service: str
    timeout: Seconds = 60


class GrafanaAdmin(_Model):
    """Grafana keeps its admin's password in its data; its own command line changes it there.

    Attributes:
        secret: the password.
        service: Grafana's.
        user: the admin's login.
        port: where it speaks HTTP in its container.
        timeout: seconds until it must take the new password.
    """

    kind: Literal["grafana-admin"]
    secret: EnvName
    service: str
    user: str = "admin"
    port: int = 3000
    timeout: Seconds = 60


class Immutable(_Model):
    """A service built its data on this value, and nothing can change it there."""

    kind: Literal["immutable"]
    secret: EnvName
    service: str


Apply = Annotated[PostgresRole | GrafanaAdmin | Immutable, Field(discriminator="kind")]
"""What a changed secret takes besides new containers."""


class Scrape(_Model):
    """Where a stack's containers become targets of Prometheus.

    Attributes:
        stack: the stack that Prometheus belongs to.
        directory: below that stack's directory, where it looks for target files.
        address: of a container, with the placeholders of a probe's `entry`.
    """

    stack: str
    directory: RelativePath
    address: str


class Requires(_Model):
    """The least that a host must offer.

    Attributes:
        engine: version of Docker Engine.
        compose: version of the Compose plugin.
        docker_mib: free MiB where Docker keeps images.
        directory_mib: free MiB where the stack's files lie.
        memory_mib: MiB of memory that programs could still get.
    """

    engine: VersionNumber = "25.0"
    compose: VersionNumber = "2.20"
    docker_mib: int = Field(ge=0, default=2048)
    directory_mib: int = Field(ge=0, default=64)
    memory_mib: int = Field(ge=0, default=256)


class Stack(_Model):
    """A Compose project and what proves it.

    Attributes:
        needs: stacks that are deployed before this one, when one command deploys both.
        switch_timeout: seconds that `docker compose up -d` may take.
        healthy_timeout: seconds until every service must be healthy after it.
        requires: the least that its hosts must offer.
        shared_storage: where they have mounted what a stack that it needs serves; None for a stack without.
        keep_releases: how many releases stay on the host for a rollback.
        replicas: by kind, the services that are its replicas, in the order in which they come.
        scrape: who scrapes its containers; none when they are no targets.
        delivery: how secret values reach containers: "compose" puts them into the containers themselves, "memory" into
            files in the host's memory.
        apply: for secrets that a service of this stack reads only once.
    """

    compose: RelativePath
    env_file: RelativePath
    directories: tuple[RelativePath, ...] = Field(default=(), strict=False)
    needs: tuple[Name, ...] = Field(default=(), strict=False)
    switch_timeout: Seconds = 300
    healthy_timeout: Seconds = 180
    requires: Requires = Requires()
    shared_storage: Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]*[A-Za-z0-9._-]$")] | None = (
        None
    )
    probes: tuple[Probe, ...] = Field(default=(), strict=False)
    reloads: tuple[Reload, ...] = Field(default=(), strict=False)
    before_switch: tuple[OneOff, ...] = Field(default=(), strict=False)
    keep_releases: int = Field(ge=2, le=50, default=5)
    replicas: dict[Kind, Annotated[tuple[str, ...], Field(strict=False)]] = Field(default_factory=dict)
    scrape: Scrape | None = None
    delivery: Literal["compose", "memory"] = "compose"
    apply: tuple[Apply, ...] = Field(default=(), strict=False)


class RegistryLogin(_Model):
    """Who logs in to the private registry; `password` names a secret."""

    username: str = Field(min_length=1)
    password: EnvName


class OnePasswordSource(_Model):
    """Secrets from a 1Password item."""

    source: Literal["1password"]
    vault: str
    item: str
    account: str | None = None


class FileSource(_Model):
    """Secrets from a JSON file that only its owner may read; meant for the lab."""

    source: Literal["file"]
    path: RelativePath


class ProcessEnvironmentSource(_Model):
    """Secrets from this process's own environment; meant for CI."""

    source: Literal["environment"]


SecretSource = Annotated[
    OnePasswordSource | FileSource | ProcessEnvironmentSource, Field(discriminator="source")
]


class NodeSpec(_Model):
    """One host and the stack it runs.

    Attributes:
        host: the name given to ssh, looked up in ssh_config.
        stack: a key of [stacks].
        directory: where the stack's files live on the host.
        variables: further non-secret variables for the Compose file, for this node only.
        replicas: by kind, how many it runs when nobody says otherwise.
    """

    host: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:-]*$")
    stack: str
    directory: Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]+$")]
    variables: dict[EnvName, str] = Field(default_factory=dict)
    replicas: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)


class EnvironmentSpec(_Model):
    """One set of nodes, its registry, and where its secrets come from."""

    image_registry: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+$")]
    default_tag: Literal["origin/main", "HEAD"]
    ssh_config: str | None = None
    registry: RegistryLogin
    secrets: SecretSource
    nodes: dict[Name, NodeSpec] = Field(min_length=1)


class File(_Model):
    """The whole of deploy.toml."""

    secrets: dict[EnvName, SecretSpec]
    stacks: dict[Name, Stack]
    environments: dict[Name, EnvironmentSpec]

    @model_validator(mode="after")
    def _references(self) -> File:
        for stack_name, stack in self.stacks.items():
            if stack.scrape is not None and stack.scrape.stack not in self.stacks:
                raise ValueError(
                    f"stacks.{stack_name}.scrape.stack: there is no stack {stack.scrape.stack!r}"
                )
            for needed in stack.needs:
                if needed not in self.stacks or needed == stack_name or self.stacks[needed].needs:
                    raise ValueError(
                        f"stacks.{stack_name}.needs: {needed!r} is no other stack that needs none itself"
                    )
        applied: dict[str, str] = {}
        for stack_name, stack in self.stacks.items():
            for step in stack.apply:
                for name in (step.secret, *((step.role,) if isinstance(step, PostgresRole) else ())):
                    if name not in self.secrets:
                        raise ValueError(f"stacks.{stack_name}.apply names no secret: {name!r}")
                if step.secret in applied:
                    raise ValueError(
                        f"stacks.{stack_name}.apply: {step.secret} has a step already, in {applied[step.secret]}"
                    )
                applied[step.secret] = stack_name
        for env_name, env in self.environments.items():
            where = f"environments.{env_name}"
            if env.registry.password not in self.secrets:
                raise ValueError(f"{where}.registry.password names no secret: {env.registry.password!r}")
            for node_name, node in env.nodes.items():
                if node.stack not in self.stacks:
                    raise ValueError(
                        f"{where}.nodes.{node_name}.stack: there is no stack {node.stack!r}, "
                        f"only {', '.join(sorted(self.stacks))}"
                    )
                scrape = self.stacks[node.stack].scrape
                if scrape and [n.stack for n in env.nodes.values()].count(scrape.stack) != 1:
                    raise ValueError(
                        f"{where}: the stack {scrape.stack}, which scrapes {node_name}, must be on one node"
                    )
                for kind, count in node.replicas.items():
                    places = len(self.stacks[node.stack].replicas.get(kind, ()))
                    if count > places:
                        raise ValueError(
                            f"{where}.nodes.{node_name}.replicas.{kind}: the stack {node.stack} "
                            f"has {places} services of that kind, not {count}"
                        )
        return self


class Node(_Model):
    """A node with all that a deployment needs to know of it."""

    name: str
    host: str
    directory: PurePosixPath
    stack_name: str
    stack: Stack
    variables: Mapping[str, str]
    replicas: Mapping[str, int]


class Environment(_Model):
    """The environment that DEPLOY_ENV picked.

    Attributes:
        root: the folder that holds deploy.toml; its paths are relative to it.
        registry_host: the registry's `host[:port]`, from `image_registry`.
    """

    name: str
    root: Path
    image_registry: str
    registry: RegistryLogin
    default_tag: Literal["origin/main", "HEAD"]
    ssh_config: Path | None
    secret_source: SecretSource
    secrets: Mapping[str, SecretSpec]
    nodes: Mapping[str, Node]

    @property
    def registry_host(self) -> str:
        """The registry's `host[:port]`."""
        return self.image_registry.partition("/")[0]

    @property
    def apply(self) -> dict[str, Apply]:
        """By secret, what changing it takes, whichever stack the step belongs to."""
        return {step.secret: step for node in self.nodes.values() for step in node.stack.apply}

    def node_at(self, host: str) -> Node:
        """The node whose host is `host`.

        Raises:
            UsageError: no node of this environment has it.
        """
        for node in self.nodes.values():
            if node.host.lower() == host.lower():
                return node
        known = ", ".join(node.host for node in self.nodes.values())
        raise UsageError(f"{FILE} knows no host {host!r} in environment {self.name}; it knows {known}")

    def select(self, names: list[str] | None, stack: str | None = None) -> list[Node]:
        """The nodes called `names` ("all" or nothing: every node), or those of them that run `stack`.

        Raises:
            UsageError: an unknown name, or a node that does not run `stack`.
        """
        nodes = [n for n in self.nodes.values() if stack in (None, n.stack_name)]
        if not names or "all" in names:
            return nodes
        for name in names:
            if name not in self.nodes:
                raise UsageError(f"there is no node {name!r}; there are {', '.join(self.nodes)}")
            if self.nodes[name] not in nodes:
                raise UsageError(f"node {name} runs the stack {self.nodes[name].stack_name}, not {stack}")
        return [n for n in nodes if n.name in names]


def load(root: Path, environment: str | None = None) -> Environment:
    """Reads deploy.toml in `root` and picks an environment.

    Args:
        root: the folder of deploy.toml.
        environment: its name; otherwise DEPLOY_ENV's, otherwise `homelab`.

    Raises:
        UsageError: with the file and the path of the key that is wrong.
    """
    file = parse(_read(root / FILE))
    name = environment or os.environ.get("DEPLOY_ENV") or DEFAULT_ENVIRONMENT
    if name not in file.environments:
        raise UsageError(
            f"{FILE}: there is no environment {name!r} (from DEPLOY_ENV); "
            f"there are {', '.join(sorted(file.environments))}"
        )
    spec = file.environments[name]
    return Environment(
        name=name,
        root=root,
        image_registry=spec.image_registry,
        registry=spec.registry,
        default_tag=spec.default_tag,
        ssh_config=root / spec.ssh_config if spec.ssh_config else None,
        secret_source=spec.secrets,
        secrets=file.secrets,
        nodes={
            node_name: Node(
                name=node_name,
                host=node.host,
                directory=PurePosixPath(node.directory),
                stack_name=node.stack,
                stack=file.stacks[node.stack],
                variables=node.variables,
                replicas=node.replicas,
            )
            for node_name, node in spec.nodes.items()
        },
    )


def parse(text: str) -> File:
    """The typed content of deploy.toml.

    Raises:
        UsageError: naming the first wrong key, and how many more there are.
    """
    try:
        return File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{FILE} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise UsageError(_explain(error)) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"there is no {FILE} in {path.parent}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


_DISCRIMINATORS = ("1password", "file", "environment", "postgres-role", "grafana-admin", "immutable")


def _explain(error: ValidationError) -> str:
    first, *others = error.errors(include_url=False, include_context=False)
    # A discriminator's own tag is part of pydantic's path, but not of the file's.
    path = ".".join(str(part) for part in first["loc"] if part not in _DISCRIMINATORS)
    reason = {
        "extra_forbidden": "unknown key",
        "missing": "this key is missing",
    }.get(first["type"], first["msg"].removeprefix("Value error, "))
    given = first["input"]
    shown = (
        f" (it is {given!r})"
        if isinstance(given, str | int | float | bool) and first["type"] != "missing"
        else ""
    )
    more = f"; and {len(others)} more" if others else ""
    return f"{FILE}: {path + ': ' if path else ''}{reason}{shown}{more}"
