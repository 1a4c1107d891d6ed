"""Stacks: a Compose project, what proves it, and what it asks for."""

from __future__ import annotations

import re
import signal
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

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
    several,
)
from deploy_lib.config.open_set import OpenSet
from deploy_lib.config.rolling import Rolling, once, read_rolling


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"this is not a regular expression: {error}") from None
    return text


def _signal(text: str) -> str:
    if text not in signal.Signals.__members__:
        raise ValueError("this is not the name of a signal, such as SIGHUP")
    return text


STARTED = re.compile(r"\{started(?::([A-Za-z0-9][\w.-]*))?\}")
"""In a probe's URL: the moment at which the newest container was started, of a service or of all."""


class Probe(Model):
    """What proves a service: an HTTP answer, a line of its log, or its container's state; or every container: a list.

    Attributes:
        service: the service that is proven; none for a probe of every container.
        url: asked through the session, as the host itself would ask it. `{started:SERVICE}` in it is the moment at which the
            newest container of a service was started, in seconds since 1970 by its host's clock (`{started}`: of the whole stack),
            for answers that are not to be from before.
        status: the HTTP status expected.
        json_values: dotted paths in the JSON answer, and the values expected there.
        log: a regular expression that a line of the service's log matches, since its container started.
        state: what Docker says of its container, such as "running"; "exited" means with status 0.
        entry: the answer has a list, and in it an entry like this for each container; see `host/prove/roster.py`.
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
    entry: dict[str, Annotated[tuple[str, ...], Field(strict=False), BeforeValidator(several)]] = Field(
        default_factory=dict
    )
    entries: str = ""
    timeout: Seconds = 60

    @property
    def services(self) -> list[str]:
        """The services that it names."""
        named = STARTED.findall(self.url or "")
        return [name for name in (self.service, *named) if name]

    @model_validator(mode="after")
    def _one_kind(self) -> Probe:
        if sum(kind is not None for kind in (self.url, self.log, self.state)) != 1:
            raise ValueError("give exactly one of url, log and state")
        if bool(self.service) == bool(self.entry) or (self.entry and self.url is None):
            raise ValueError("give either service, or url and entry for a probe of every container")
        return self


class OneOff(Model):
    """A command of a new image, run once before the switch, such as a database migration.

    Attributes:
        service: the service whose image, network and secrets it gets; it runs only when that image changes.
        timeout: seconds that it may take.
    """

    service: str
    command: tuple[str, ...] = Field(min_length=1, strict=False)
    timeout: Seconds = 300


class Backup(Model):
    """How a service's data are copied into a file around a deployment, and put back; any program's commands will do.

    Attributes:
        name: part of the ids of its files.
        service: the running service that the commands are run in, each in its container, with that container's environment.
        command: prints the data.
        check: reads what was printed on its standard input, and fails where that is not whole.
        restore: reads it on its standard input, and makes it the service's data.
        stop: services that stand still while that is done; None for those that depend on `service`.
        compress: the file is compressed on the host; false for a command whose output is.
        keep: how many files stay on the host.
        timeout: seconds that each of the commands may take.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,19}$")]
    service: str
    command: Annotated[tuple[str, ...], Field(strict=False)] = Field(min_length=1)
    check: Annotated[tuple[str, ...], Field(strict=False)] = Field(min_length=1)
    restore: Annotated[tuple[str, ...], Field(strict=False)] = Field(min_length=1)
    stop: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    compress: bool = True
    keep: int = Field(ge=1, le=1000, default=5)
    timeout: Seconds = 600

    @model_validator(mode="after")
    def _runs(self) -> Backup:
        if self.service in (self.stop or ()):
            raise ValueError(
                f"{self.service} has to run while its data are put back, so it cannot be in stop"
            )
        return self


def _once(backups: tuple[Backup, ...]) -> tuple[Backup, ...]:
    names = [backup.name for backup in backups]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two of them have the name {twice!r}")
    return backups


class Reload(Model):
    """How a service takes up changed files while its container stays.

    Attributes:
        check: a command in the container that fails when the changed files are wrong. Without it, a service that keeps its
            old configuration looks like one that took the new one.
        watched: the program notices changed files by itself.
    """

    path: RelativePath
    service: str
    check: tuple[str, ...] = Field(default=(), strict=False)
    signal: Annotated[str, AfterValidator(_signal)] | None = None
    restart: bool = False
    watched: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Reload:
        if [self.signal is not None, self.restart, self.watched].count(True) != 1:
            raise ValueError("give either signal, restart = true or watched = true")
        if self.watched and self.check:
            raise ValueError("check needs signal or restart = true")
        return self


class Apply(Model):
    """What a changed secret takes besides new containers; each kind is a file of its own, with its own further keys.

    Attributes:
        kind: which; see `host/programs/__init__.py`.
        secret: the one that is changed.
        service: whose program keeps it.
    """

    kind: str
    secret: EnvName
    service: str

    def uses(self) -> tuple[str, ...]:
        """The other secrets that it names."""
        return ()


PROGRAMS = OpenSet(key="kind", what="program", package="deploy_lib.host.programs", base=Apply)


class Database(Model):
    """A service that keeps a program's data; each program is a file of its own, which knows where they lie and who can read them.

    Attributes:
        program: which; see `host/programs/data.py`.
        service: whose containers have them.
        directory: where they lie in its container, when not where the program says.
    """

    program: str
    service: str
    directory: Annotated[str, StringConstraints(pattern=r"^/.*[^/]$")] | None = None


DATABASES = OpenSet(key="program", what="database", package="deploy_lib.host.programs", base=Database)


class Scrape(Model):
    """Where a stack's containers become targets of Prometheus.

    Attributes:
        stack: the stack that Prometheus belongs to.
        directory: below that stack's directory, where it looks for target files.
        address: of a container, with the placeholders of a probe's `entry`.
        services: those that are scraped beside the replicas, and stand in no register.
    """

    stack: str
    directory: RelativePath
    address: str
    services: tuple[str, ...] = Field(strict=False, default=())


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
        rolling: services that are replaced without losing a request; see docs/rolling.md.
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
    backups: Annotated[tuple[Backup, ...], Field(strict=False), AfterValidator(_once)] = ()
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
        tuple[Annotated[Rolling, BeforeValidator(read_rolling)], ...],
        Field(strict=False),
        AfterValidator(once),
    ] = ()
    accept_loss: tuple[str, ...] = Field(default=(), strict=False)

    @property
    def compose_shown(self) -> str:
        """Its Compose files, for people."""
        return ", ".join(self.compose)

    def with_files(self, other: StackFiles) -> Stack:
        """The stack with other files; `files` adds to those that it has."""
        given = {name: value for name, value in other if value is not None}
        return self.model_copy(update={**given, "files": {**self.files, **other.files}})
