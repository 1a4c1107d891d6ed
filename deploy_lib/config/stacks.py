"""Stacks: a Compose project, what proves it, and what it asks for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from deploy_lib.config.fields import (
    EnvName,
    Kind,
    Model,
    Name,
    Paths,
    ProjectName,
    RelativePath,
    Seconds,
    VersionNumber,
)
from deploy_lib.config.parts import (
    DATABASES,
    PROGRAMS,
    Apply,
    Backup,
    Database,
    OneOff,
    Reload,
    Scrape,
    once_each,
)
from deploy_lib.config.probe import Probe
from deploy_lib.config.rolling import InTurn, Rolling, once, read_rolling


class Requires(Model):
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


class StackFiles(Model):
    """Files of a stack that are others in one environment; see `Stack`. What is not given stays."""

    compose: Annotated[Paths, Field(min_length=1)] | None = None
    env_file: Paths | None = None
    directories: Annotated[tuple[RelativePath, ...], Field(strict=False)] | None = None
    files: dict[RelativePath, RelativePath] = Field(default_factory=dict)
    data: Annotated[tuple[RelativePath, ...], Field(strict=False)] | None = None


class Stack(Model):
    """A Compose project and what proves it.

    Attributes:
        compose: its Compose files, in their order; the folder of the first one is the project directory.
        env_file: with non-secret variables, later ones count before earlier ones; None: `.env` beside the first Compose file, as
            far as there is one.
        directories: shipped whole, under their own name.
        files: by path on the host, a file or directory of the checkout that is shipped there.
        data: paths on the host that the stack itself fills; nothing is shipped there.
        needs: stacks that are deployed before this one, when one command deploys both; those may need others.
        switch_timeout: seconds that `docker compose up -d` may take.
        healthy_timeout: seconds until every service must be healthy after it.
        requires: the least that its hosts must offer.
        shared_storage: where they have mounted what a stack that it needs serves; None for a stack without.
        backups: of its services' data; made before a change that may touch them.
        keep_releases: how many releases stay on the host for a rollback.
        replicas: by kind, the services that are its replicas, in the order in which they come.
        scrape: who scrapes its containers; none when they are no targets.
        delivery: how secret values reach containers: "compose" puts them into the containers themselves, "memory" into
            files in the host's memory.
        apply: for secrets that a service of this stack reads only once.
        project: the name of its Compose project, where its Compose file has no `name:`.
        exposed: secrets that may stand in the environment of its containers, where `docker inspect` shows them.
        unproven: services whose health check can say nothing, such as one that they inherit from their image; they must run.
        databases: services whose image does not say by its name which program keeps data there.
        rolling: services that are replaced without losing a request, and kinds of which one is replaced after the other; see
            docs/rolling.md.
        accept_loss: services whose data a deployment may lose; see docs/data.md.
    """

    compose: Annotated[Paths, Field(min_length=1)]
    env_file: Paths | None = None
    directories: tuple[RelativePath, ...] = Field(default=(), strict=False)
    files: dict[RelativePath, RelativePath] = Field(default_factory=dict)
    data: tuple[RelativePath, ...] = Field(default=(), strict=False)
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
    backups: Annotated[tuple[Backup, ...], Field(strict=False), AfterValidator(once_each)] = ()
    keep_releases: int = Field(ge=2, le=50, default=5)
    replicas: dict[Kind, Annotated[tuple[str, ...], Field(strict=False)]] = Field(default_factory=dict)
    scrape: Scrape | None = None
    delivery: Literal["compose", "memory"] = "compose"
    apply: tuple[Annotated[Apply, BeforeValidator(PROGRAMS.read)], ...] = Field(default=(), strict=False)
    project: ProjectName | None = None
    exposed: tuple[EnvName, ...] = Field(default=(), strict=False)
    unproven: tuple[str, ...] = Field(default=(), strict=False)
    databases: tuple[Annotated[Database, BeforeValidator(DATABASES.read)], ...] = Field(
        default=(), strict=False
    )
    rolling: Annotated[
        tuple[Annotated[Rolling | InTurn, BeforeValidator(read_rolling)], ...],
        Field(strict=False),
        AfterValidator(once),
    ] = ()
    accept_loss: tuple[str, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _has_its_kinds(self) -> Stack:
        for table in self.in_turn:
            if table.kind not in self.replicas:
                known = ", ".join(self.replicas) or "none"
                raise ValueError(
                    f"rolling: there are no replicas of a kind {table.kind!r}; there are {known}"
                )
        return self

    @property
    def rolled(self) -> tuple[Rolling, ...]:
        """The services that are replaced without losing a request."""
        return tuple(table for table in self.rolling if isinstance(table, Rolling))

    @property
    def in_turn(self) -> tuple[InTurn, ...]:
        """The kinds of which one is replaced after the other."""
        return tuple(table for table in self.rolling if isinstance(table, InTurn))

    @property
    def compose_shown(self) -> str:
        """Its Compose files, for people."""
        return ", ".join(self.compose)

    def with_files(self, other: StackFiles) -> Stack:
        """The stack with other files; `files` adds to those that it has."""
        given = {name: value for name, value in other if value is not None}
        return self.model_copy(update={**given, "files": {**self.files, **other.files}})
