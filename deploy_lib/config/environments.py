"""Environments: nodes, their registry, and where their secrets come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from deploy_lib import address
from deploy_lib.config.fields import EnvName, Model, Name, Paths, ProjectName
from deploy_lib.config.open_set import OpenSet
from deploy_lib.config.stacks import Apply, Stack, StackFiles
from deploy_lib.config.versions import Versions
from deploy_lib.errors import UsageError
from deploy_lib.names import did_you_mean

FILE = "deploy.toml"


class SecretSpec(Model):
    """A secret's place in its source, and the rule its value must keep.

    Attributes:
        field: the field of the vault item, or the key in another source.
        min_length: fewest characters that are accepted.
        redact: whether output is searched for the value.
        item, vault: where the field is, where a source has several of these and it is not in its own.
    """

    field: str = Field(min_length=1)
    item: str | None = Field(min_length=1, default=None)
    vault: str | None = Field(min_length=1, default=None)
    min_length: int = Field(ge=1, default=1)
    redact: bool = True

    @property
    def place(self) -> tuple[str | None, ...]:
        """What tells whether two secrets are one value under two names."""
        return self.vault, self.item, self.field


class RegistryLogin(Model):
    """Who logs in to the registry of `image_registry`; `password` names a secret."""

    username: str = Field(min_length=1)
    password: EnvName


class Registry(RegistryLogin):
    """A registry, and who logs in there.

    Attributes:
        host: `host[:port]` as image references begin; "docker.io" for Docker Hub.
    """

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+(:[0-9]+)?$")]


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


def _destination(text: str) -> str:
    address.parse(text)
    return text


class NodeSpec(Model):
    """One host and the stack it runs.

    Attributes:
        host: the name given to ssh, looked up in ssh_config: [user@]host[:port].
        stack: a key of [stacks].
        directory: where the stack's files live on the host.
        variables: further non-secret variables for the Compose file, for this node only.
        env_file: in the place of the stack's, for this node only.
        replicas: by kind, how many it runs at first, without a flag.
        project: the name of the Compose project there, where it is not the stack's.
    """

    host: Annotated[str, AfterValidator(_destination)]
    stack: str
    directory: Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]+$")]
    variables: dict[EnvName, str] = Field(default_factory=dict)
    env_file: Paths | None = None
    replicas: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    project: ProjectName | None = None


DefaultTag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/-]*$")]


class EnvironmentSpec(Model):
    """One set of nodes, its registry, and where its secrets come from.

    Attributes:
        image_registry: REGISTRY/OWNER of the project's own images; None for a project that has none. Then nothing but its
            files has a version.
        default_tag: what is deployed without --tag: REMOTE/BRANCH for its newest commit that has an image, HEAD for this
            checkout's commit, or an image tag.
        ssh_config: read instead of the operator's own.
        made_by: the command that makes the `ssh_config` and the secrets' file of an environment that lives on this
            machine; a message names it when one of them is missing.
        allow_dirty: images of a checkout with uncommitted changes may be pushed.
        stacks: by stack, the files that are others here.
        registry: the login at the registry of `image_registry`; None: the host's own, or none.
        registries: logins at further registries. Images of all others are pulled as the host itself would.
        secrets: None for stacks without any secret.
    """

    image_registry: (
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+$")] | None
    ) = None
    default_tag: DefaultTag = "HEAD"
    ssh_config: str | None = None
    made_by: str | None = None
    allow_dirty: bool = False
    registry: RegistryLogin | None = None
    registries: tuple[Registry, ...] = Field(default=(), strict=False)
    secrets: Annotated[SecretSource, BeforeValidator(SOURCES.read)] | None = None
    stacks: dict[Name, StackFiles] = Field(default_factory=dict)
    nodes: dict[Name, NodeSpec] = Field(min_length=1)

    @property
    def logins(self) -> dict[str, Registry]:
        """All logins by where they stand in the environment's table, that of its own registry first."""
        own = self.registry
        host = (self.image_registry or "").partition("/")[0]
        short = {} if own is None else {"registry": Registry(host=host, **own.model_dump())}
        return {**short, **{f"registries.{number}": each for number, each in enumerate(self.registries)}}

    @model_validator(mode="after")
    def _one_login_each(self) -> EnvironmentSpec:
        if self.registry is not None and self.image_registry is None:
            raise ValueError(
                "registry is the login at the registry of image_registry, which is missing; "
                "that of another one belongs into [[registries]], with its host"
            )
        seen: dict[str, str] = {}
        for where, each in self.logins.items():
            name = each.host.lower()
            other = seen.setdefault("docker.io" if name == "index.docker.io" else name, where)
            if other != where:
                raise ValueError(f"{where}.host: {each.host} has a login already, in {other}")
        return self


def _unknown(where: str, what: str, name: str, known: Iterable[str]) -> ValueError:
    names = sorted(known)
    question = did_you_mean(name, names)
    there = f"only {', '.join(names)}" if names else "and no other"
    return ValueError(f"{where}: there is no {what} {name!r}, {there}{f'; {question}' if question else ''}")


def _circle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """A circle of names: each needs the next, and the last the first; empty when there is none."""

    def follow(path: list[str]) -> list[str]:
        for name in needs[path[-1]]:
            if name in path:
                return [*path[path.index(name) :], name]
            if found := follow([*path, name]):
                return found
        return []

    return next((found for name in needs if (found := follow([name]))), [])


class File(Model):
    """The whole of deploy.toml.

    Attributes:
        default_environment: the one that is used when DEPLOY_ENV names none; a single one needs no such key.
        command: what an operator types before a task's name; messages that say what to run begin with it.
    """

    default_environment: Name | None = None
    command: str = Field(min_length=1, default="invoke")
    versions: Versions = Versions()
    secrets: dict[EnvName, SecretSpec] = Field(default_factory=dict)
    stacks: dict[Name, Stack]
    environments: dict[Name, EnvironmentSpec]

    def needed(self, stack: str) -> frozenset[str]:
        """The stacks that come before this one, those that they need included."""
        direct = self.stacks[stack].needs
        return frozenset(direct).union(*(self.needed(name) for name in direct))

    @model_validator(mode="after")
    def _names(self) -> File:
        if self.default_environment is not None and self.default_environment not in self.environments:
            raise _unknown("default_environment", "environment", self.default_environment, self.environments)
        typed: dict[str, str] = {}
        for stack in self.stacks:
            # deploy-all deploys all of them, and a task's name has dashes for underscores.
            other = typed.setdefault(stack.replace("_", "-"), stack)
            if stack == "all" or other != stack:
                raise ValueError(
                    f"stacks.{stack}: deploy-{stack.replace('_', '-')} already means something else"
                )
        for name, environment in self.environments.items():
            if "all" in environment.nodes:
                raise ValueError(f"environments.{name}.nodes.all: `--node all` already means every node")
            places: dict[tuple[str, str, str], str] = {}
            for node, spec in environment.nodes.items():
                at = address.parse(spec.host)
                for what in (spec.stack, spec.directory):
                    other = places.setdefault((at.host.lower(), at.port, what), node)
                    if other != node:
                        raise ValueError(
                            f"environments.{name}.nodes.{node}: {other} already has {what} on {spec.host}"
                        )
        return self

    @model_validator(mode="after")
    def _references(self) -> File:
        for stack_name, stack in self.stacks.items():
            if stack.scrape is not None and stack.scrape.stack not in self.stacks:
                raise _unknown(f"stacks.{stack_name}.scrape.stack", "stack", stack.scrape.stack, self.stacks)
            for needed in stack.needs:
                if needed not in self.stacks or needed == stack_name:
                    others = [name for name in self.stacks if name != stack_name]
                    raise _unknown(f"stacks.{stack_name}.needs", "other stack", needed, others)
        if circle := _circle({name: stack.needs for name, stack in self.stacks.items()}):
            raise ValueError(f"stacks.{circle[0]}.needs: {' needs '.join(circle)}, a circle")
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
            for name in stack.exposed:
                if name not in self.secrets:
                    raise _unknown(f"stacks.{stack_name}.exposed", "secret", name, self.secrets)
        for env_name, env in self.environments.items():
            where = f"environments.{env_name}"
            for place, login in env.logins.items():
                if login.password not in self.secrets:
                    raise ValueError(f"{where}.{place}.password names no secret: {login.password!r}")
            for stack_name in env.stacks:
                if stack_name not in self.stacks:
                    raise _unknown(f"{where}.stacks", "stack", stack_name, self.stacks)
            for node_name, node in env.nodes.items():
                if node.stack not in self.stacks:
                    raise _unknown(f"{where}.nodes.{node_name}.stack", "stack", node.stack, self.stacks)
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
    """A node with all that a deployment needs to know of it.

    Attributes:
        needs: the stacks that come before its own, those that they need included.
        command: what a task is typed with; see `File`.
        project: the name of its Compose project, as deploy.toml gives it; None: the Compose file has it.
    """

    name: str
    host: str
    directory: PurePosixPath
    stack_name: str
    stack: Stack
    variables: Mapping[str, str]
    replicas: Mapping[str, int]
    needs: frozenset[str] = frozenset()
    command: str = "invoke"
    project: str | None = None

    def task(self, words: str) -> str:
        """A task as an operator types it, for messages."""
        return f"{self.command} {words}"

    @property
    def deploy_task(self) -> str:
        """The one that deploys its stack."""
        return self.task(f"deploy-{self.stack_name.replace('_', '-')}")


class Environment(Model):
    """The environment that DEPLOY_ENV picked.

    Attributes:
        root: the folder that holds deploy.toml; its paths are relative to it.
        image_registry: "" for a project without images of its own.
        registries: all logins, that of `image_registry` first.

    See `EnvironmentSpec` and `File` for the others.
    """

    name: str
    root: Path
    image_registry: str
    registries: tuple[Registry, ...] = ()
    default_tag: str
    versions: Versions
    ssh_config: Path | None
    made_by: str | None = None
    allow_dirty: bool = False
    secret_source: SecretSource | None
    secrets: Mapping[str, SecretSpec]
    nodes: Mapping[str, Node]

    @property
    def registry_host(self) -> str:
        """`host[:port]` of the registry of `image_registry`; "" without one."""
        return self.image_registry.partition("/")[0]

    @property
    def registry(self) -> Registry:
        """The login at the registry of `image_registry`, for those who push images.

        Raises:
            UsageError: the environment has none.
        """
        found = next((each for each in self.registries if each.host == self.registry_host), None)
        if found is None:
            lacks = "registry" if self.image_registry else "image_registry"
            raise UsageError(
                f"{FILE}: environments.{self.name}.{lacks} is missing, so no image can be pushed"
            )
        return found

    @property
    def follows(self) -> str | None:
        """The REMOTE/BRANCH whose newest commit is deployed by default; None where that is something else."""
        return self.default_tag if "/" in self.default_tag else None

    @property
    def fixed_tag(self) -> str | None:
        """The image tag that is deployed by default; None where it is a commit's."""
        return None if self.default_tag == "HEAD" or "/" in self.default_tag else self.default_tag

    @property
    def apply(self) -> dict[str, Apply]:
        """By secret, what changing it takes, whichever stack the step belongs to, and whichever name the same field has there."""
        steps = [step for node in self.nodes.values() for step in node.stack.apply]
        return {name: step for step in steps for name in self.names_of(step.secret)}

    def names_of(self, secret: str) -> list[str]:
        """The names of the secrets that come from the same field as this one, itself among them."""
        place = self.secrets[secret].place
        return [name for name, spec in self.secrets.items() if spec.place == place]

    def nodes_at(self, host: str) -> list[Node]:
        """The nodes whose host is `host` ([user@]host[:port]): one for each stack that it runs.

        Raises:
            UsageError: no node of this environment has it, or several hosts differ by their ports alone.
        """
        try:
            wanted = address.parse(host)
        except ValueError as error:
            raise UsageError(str(error)) from None
        found = [node for node in self.nodes.values() if address.parse(node.host).is_at(wanted)]
        if len({address.parse(node.host).port for node in found}) > 1 and not wanted.port:
            hosts = dict.fromkeys(node.host for node in found)
            raise UsageError(
                f"{host!r} means several hosts: {', '.join(hosts)}", hint="name the port as well"
            )
        if not found:
            known = list(dict.fromkeys(node.host for node in self.nodes.values()))
            raise UsageError(
                f"{FILE} knows no host {wanted.host!r} in environment {self.name}; it knows {', '.join(known)}",
                hint=did_you_mean(wanted.host, known),
            )
        return found

    def select(self, names: list[str] | None, stack: str | None = None) -> list[Node]:
        """The nodes called `names` ("all" or nothing: every node), or those of them that run `stack`.

        Raises:
            UsageError: an unknown name, a node that does not run `stack`, or no node that does.
        """
        nodes = [n for n in self.nodes.values() if stack in (None, n.stack_name)]
        if not nodes:
            others = list(dict.fromkeys(n.stack_name for n in self.nodes.values()))
            raise UsageError(
                f"no node of environment {self.name} runs the stack {stack}; its nodes run {', '.join(others)}",
                hint=did_you_mean(stack or "", others),
            )
        if not names or "all" in names:
            return nodes
        for name in names:
            if name not in self.nodes:
                raise UsageError(
                    f"there is no node {name!r}; there are {', '.join(self.nodes)}",
                    hint=did_you_mean(name, self.nodes),
                )
            if self.nodes[name] not in nodes:
                raise UsageError(f"node {name} runs the stack {self.nodes[name].stack_name}, not {stack}")
        return [n for n in nodes if n.name in names]
