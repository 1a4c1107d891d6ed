"""A project's containers, as `docker inspect` describes them."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, ClassVar

from msgspec import field

from deploy_lib import layout, shell
from deploy_lib.answers import moment, number, text, texts, understand
from deploy_lib.compose import labels
from deploy_lib.compose.joins import held_by, lives_in
from deploy_lib.compose.mounts import Held, read_held
from deploy_lib.compose.project import Project
from deploy_lib.release.image import Image
from deploy_lib.shell import quote
from deploy_lib.values import Selective


class Container(Selective, frozen=True):
    """A container of the project, as `docker inspect` describes it.

    Attributes:
        image: the reference it was created from.
        state: such as "running", "exited", "restarting".
        health: "healthy", "unhealthy", "starting", or None without a health check.
        started: RFC 3339.
        ports: of the host, that lead to it.
        mounts: what is mounted in it, but for what lies in memory.
        joined: the ids of the containers that it is part of.
        lives_in: those of them whose network, processes or memory it has, and loses when they are started again.
        memory: where it has that.
    """

    HIDDEN: ClassVar[tuple[str, ...]] = ("labels",)

    id: str
    name: str
    service: str
    image: Image
    image_id: str
    state: str
    health: str | None
    exit_code: int
    restarts: int
    started: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    mounts: tuple[Held, ...] = ()
    joined: tuple[str, ...] = ()
    lives_in: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()

    @property
    def config_hash(self) -> str:
        """Compose's own hash of the configuration that it was created with."""
        return self.labels.get(labels.CONFIG_HASH, "")

    @property
    def number(self) -> str:
        """Compose's number of it among its service's containers, from "1" on; a rolling switch gives the next one each time."""
        return self.labels.get(labels.NUMBER, "1")

    @property
    def project(self) -> Project | None:
        """What it was made from: its project's directory and files; None where Compose has not said that."""
        found = [self.labels.get(name, "") for name in (labels.DIRECTORY, labels.FILES, labels.ENV_FILES)]
        directory, files, env_files = found
        if not directory or not files:
            return None
        name, home = self.labels.get(labels.PROJECT, ""), PurePosixPath(directory)
        return Project(name, home, tuple(_below(home, files)), tuple(_below(home, env_files)))

    @property
    def needs(self) -> tuple[str, ...]:
        """The services that its own depends on (`depends_on`)."""
        listed = self.labels.get(labels.DEPENDS_ON, "").split(",")
        return tuple(name for each in listed if (name := each.partition(":")[0].strip()))

    @property
    def secrets(self) -> str:
        """The fingerprints of the secret values that it got, "" without any."""
        return self.labels.get(layout.SECRETS_LABEL, "")

    @property
    def mounted(self) -> str:
        """The fingerprint of the files and configs that it mounts, "" without any."""
        return self.labels.get(layout.MOUNTED_LABEL, "")

    @property
    def delivery(self) -> str:
        """The directory of its secret files, "" where Compose put the values into it."""
        return self.labels.get(layout.DELIVERY_LABEL, "")

    @property
    def done(self) -> bool:
        """It has ended, with status 0."""
        return self.state == "exited" and not self.exit_code

    @property
    def started_at(self) -> float:
        """When it was started, by its host's clock, in seconds since 1970; 0 where that is not known."""
        return moment(self.started)

    @property
    def healthy(self) -> bool:
        """Running, and healthy where there is a check."""
        return self.state == "running" and self.health in (None, "healthy")


# By the names of Docker's own types: with one that only its JSON has (.Id), it falls back to that JSON, in which a container
# without a health check has no .State.Health to ask for.
_FIELDS = {
    "id": ".ID",
    "name": ".Name",
    "image": ".Config.Image",
    "image_id": ".Image",
    "state": ".State.Status",
    "exit_code": ".State.ExitCode",
    "restarts": ".RestartCount",
    "started": ".State.StartedAt",
    "labels": ".Config.Labels",
    "ports": ".HostConfig.PortBindings",
    "mounts": ".Mounts",
    "network_mode": ".HostConfig.NetworkMode",
    "ipc": ".HostConfig.IpcMode",
    "pid": ".HostConfig.PidMode",
    "volumes_from": ".HostConfig.VolumesFrom",
    "asked": ".HostConfig.Mounts",
    "memory": ".HostConfig.Tmpfs",
}
INSPECT = (
    "{"
    + ",".join(f'"{name}":{{{{json {path}}}}}' for name, path in _FIELDS.items())
    + ',"health":{{if .State.Health}}{{json .State.Health.Status}}{{else}}null{{end}}}'
)
"""Format for `docker inspect`: one JSON object a line, without the container's environment."""


def _below(home: PurePosixPath, listed: str) -> Iterator[str]:
    """Paths of a label, those in the project's directory by their place there."""
    for each in filter(None, listed.split(",")):
        path = PurePosixPath(each)
        yield str(path.relative_to(home)) if path.is_relative_to(home) else each


def containers_function(project: Project) -> str:
    """Shell function `containers`: one line of JSON for each container of the project, stopped ones too.

    One that goes away meanwhile is left out; when the engine does not answer it fails, and prints none.
    """
    return f"""\
{shell.INSPECT}
containers() {{ ids=$(docker ps -aq --no-trunc {project.filters}) && inspect {quote(INSPECT)} $ids; }}
"""


PORTS = '{{range .HostConfig.PortBindings}}{{range .}}{{if and .HostPort (ne .HostPort "0")}}{{println .HostPort}}{{end}}{{end}}{{end}}'
"""Format for `docker inspect`: the ports of the host that a container has to have, one a line."""

ADDRESSES = (
    "{{range $n, $e := .NetworkSettings.Networks}}{{println $n $e.IPAddress $e.GlobalIPv6Address}}{{end}}"
)
"""Format for `docker inspect`: its networks, one a line, with the addresses that it has there."""

STARTED = "{{.State.Status}} {{.State.StartedAt}}"
"""Format for `docker inspect`: its state, and when it was started, with a Z at the end."""

LIVES_IN = "{{.HostConfig.NetworkMode}} {{.HostConfig.PidMode}} {{.HostConfig.IpcMode}}"
"""Format for `docker inspect`: whose network, processes and memory it has, such as `container:ID`."""

WELL = "{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{.RestartCount}} {{.State.ExitCode}}"
"""Format for `docker inspect`: how a container is."""


def happening(project: Project) -> str:
    """The call that prints a line for each thing that happens to a container of the project, from `$t` on (seconds since 1970)."""
    kinds = " ".join(f"--filter event={kind}" for kind in ("start", "die", "destroy", "health_status"))
    return f'docker events --since "$t" {project.filters} {kinds} --format .'


def read_container(line: str) -> Container | None:
    """A line of `containers`; None for a one-off container, which is no part of the running stack.

    Raises:
        NotUnderstoodError: it is something else.
    """
    return understand("what Docker says of a container", lambda: _container(json.loads(line)))


def _container(data: Any) -> Container | None:
    found = texts(data["labels"] or {})
    if found.get(labels.ONE_OFF) == "True":
        return None
    bindings = [binding for several in (data["ports"] or {}).values() for binding in several or []]
    ports = sorted({int(text(b, "HostPort")) for b in bindings if text(b, "HostPort").isdecimal()})
    return Container(
        id=text(data, "id"),
        name=text(data, "name").removeprefix("/"),
        service=found.get(labels.SERVICE, ""),
        image=Image.parse(text(data, "image")),
        image_id=text(data, "image_id"),
        state=text(data, "state"),
        health=None if data["health"] is None else text(data, "health"),
        exit_code=number(data, "exit_code"),
        restarts=number(data, "restarts"),
        started=text(data, "started"),
        labels=found,
        ports=tuple(ports),
        mounts=tuple(read_held(each, data.get("asked") or ()) for each in data.get("mounts") or ()),
        memory=tuple(sorted(_in_memory(data))),
        joined=held_by(data),
        lives_in=lives_in(data),
    )


def _in_memory(data: Any) -> Iterator[str]:
    yield from map(posixpath.normpath, data.get("memory") or ())
    yield from (
        posixpath.normpath(text(each, "Target"))
        for each in data.get("asked") or ()
        if each.get("Type") == "tmpfs"
    )
