"""What a stack's tables of their own say: one-off commands, backups, reloads, programs that keep secrets or data, who scrapes it."""

from __future__ import annotations

import signal
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from deploy_lib.config.fields import EnvName, Model, RelativePath, Seconds
from deploy_lib.config.open_set import OpenSet


def _signal(text: str) -> str:
    if text not in signal.Signals.__members__:
        raise ValueError("this is not the name of a signal, such as SIGHUP")
    return text


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


def once_each(backups: tuple[Backup, ...]) -> tuple[Backup, ...]:
    """The backups, when each has a name of its own.

    Raises:
        ValueError: two have the same.
    """
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
