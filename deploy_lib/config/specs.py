"""A node and an environment as deploy.toml has them, with their registries and where their secrets come from."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from deploy_lib import address
from deploy_lib.config.fields import Directory, EnvName, Model, Name, Paths, ProjectName
from deploy_lib.config.open_set import OpenSet
from deploy_lib.config.stacks import StackFiles


class SecretSpec(Model):
    """A secret's place in its source, and the rule its value must keep.

    Attributes:
        field: the field of the vault item, or the key in another source; without it, the secret's own name.
        min_length: fewest characters that are accepted.
        redact: whether output is searched for the value.
        item, vault: where the field is, where a source has several of these and it is not in its own.
    """

    field: str = Field(min_length=1)
    item: str | None = Field(min_length=1, default=None)
    vault: str | None = Field(min_length=1, default=None)
    min_length: int = Field(ge=1, default=1)
    redact: bool = True


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

    def place(self, spec: SecretSpec) -> object:
        """What tells whether two secrets are one value under two names."""
        return spec.vault, spec.item, spec.field


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
        become: all scripts run there as root, by sudo without a password.
        optional: commands for several nodes leave it out, with a warning, while it is off.
    """

    host: Annotated[str, AfterValidator(_destination)]
    stack: str
    directory: Directory
    variables: dict[EnvName, str] = Field(default_factory=dict)
    env_file: Paths | None = None
    replicas: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    project: ProjectName | None = None
    become: bool = False
    optional: bool = False


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
