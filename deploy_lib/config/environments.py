"""Environments: nodes, their registry, and where their secrets come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from deploy_lib.config.fields import EnvName, Model, Name
from deploy_lib.config.open_set import OpenSet
from deploy_lib.config.stacks import Apply, Stack
from deploy_lib.errors import UsageError

FILE = "deploy.toml"


class SecretSpec(Model):
    """A secret's place in its source, and the rule its value must keep.

    Attributes:
        field: the field of the vault item, or the key in another source.
        min_length: fewest characters that are accepted.
        redact: whether output is searched for the value.
    """

    field: str = Field(min_length=1)
    min_length: int = Field(ge=1, default=1)
    redact: bool = True


class RegistryLogin(Model):
    """Who logs in to the private registry; `password` names a secret."""

    username: str = Field(min_length=1)
    password: EnvName


class SecretSource(Model):
    """Where secrets come from; each source is a file of its own, with its own further keys.

    Attributes:
        source: which; see `secrets/sources/__init__.py`.
    """

    source: str


SOURCES = OpenSet(
    key="source",
    what="secret source",
    package="deploy_lib.secrets.sources",
    base=SecretSource,
    modules={"1password": "onepassword"},
)


class NodeSpec(Model):
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


class EnvironmentSpec(Model):
    """One set of nodes, its registry, and where its secrets come from."""

    image_registry: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+$")]
    default_tag: Literal["origin/main", "HEAD"]
    ssh_config: str | None = None
    registry: RegistryLogin
    secrets: Annotated[SecretSource, BeforeValidator(SOURCES.read)]
    nodes: dict[Name, NodeSpec] = Field(min_length=1)


class File(Model):
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
                for name in (step.secret, *step.uses()):
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


class Node(Model):
    """A node with all that a deployment needs to know of it."""

    name: str
    host: str
    directory: PurePosixPath
    stack_name: str
    stack: Stack
    variables: Mapping[str, str]
    replicas: Mapping[str, int]


class Environment(Model):
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
