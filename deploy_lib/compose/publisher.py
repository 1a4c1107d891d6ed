"""All containers of a host, whoever made them, as others on the host meet them."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from deploy_lib import shell
from deploy_lib.answers import moment, text
from deploy_lib.compose import labels
from deploy_lib.compose.container import INSPECT
from deploy_lib.compose.port import Port
from deploy_lib.compose.project import Project
from deploy_lib.shell import quote


class Publisher(Struct, frozen=True):
    """A container, as others on its host meet it.

    Attributes:
        project: its Compose project, "" without one.
        ports: that it publishes, while it runs.
        host_network: its programs listen on the host's own ports, which Docker does not know.
        service, directory: in its Compose project, and where that lies.
        image: the reference that it was created from.
        volumes: that it may write to, while it runs.
        id: Docker's own, whole.
        started: when it was started, by its host's clock, in seconds since 1970; 0 where that is not known.
    """

    name: str
    project: str
    ports: frozenset[Port]
    host_network: bool = False
    service: str = ""
    directory: str = ""
    image: str = ""
    volumes: frozenset[str] = frozenset()
    id: str = ""
    started: float = 0.0


_FORMAT = (
    '{"id":{{json .ID}},"name":{{json .Name}},"started":{{json .State.StartedAt}},'
    + "".join(
        f'"{name}":{{{{json (index .Config.Labels "{label}")}}}},'
        for name, label in (
            ("project", labels.PROJECT),
            ("service", labels.SERVICE),
            ("directory", labels.DIRECTORY),
        )
    )
    + '"image":{{json .Config.Image}},'
    '"network":{{json .HostConfig.NetworkMode}},'
    '"ports":{{json .NetworkSettings.Ports}},'
    '"volumes":[""{{if .State.Running}}{{range .Mounts}}{{if and .RW .Name}},{{json .Name}}{{end}}{{end}}{{end}}]}'
)
"""Format for `docker inspect`: which ports a container publishes, to which volumes it may write while it runs, and the Compose project
that it belongs to with its service and directory, "" without one."""


def functions(project: Project) -> str:
    """Shell functions `published`, a line of JSON for each container of the host, and `containers`, as `containers_function` has it:
    both are answered from one look of Docker's at all of them.
    """
    own = f"{{{{if eq (index .Config.Labels {json.dumps(labels.PROJECT)}) {json.dumps(project.name)}}}}}"
    form = f"{own}own {INSPECT}{{{{println}}}}{{{{end}}}}all {_FORMAT}"
    return f"""\
{shell.INSPECT}
unset seen
look_at_all() {{
  [ -z "${{seen+x}}" ] || return 0
  ids=$(docker ps -aq --no-trunc) && seen=$(inspect {quote(form)} $ids) || {{ r=$?; unset seen; return "$r"; }}
}}
containers() {{
  look_at_all || return
  ids=$(printf '%s\\n' "$seen" | sed -n 's/^own {{"id":"\\([0-9a-f]*\\)".*/\\1/p')
  printf '%s\\n' "$seen" | sed -n 's/^own //p'
}}
published() {{ look_at_all && printf '%s\\n' "$seen" | sed -n 's/^all //p'; }}
"""


def read_publishers(said: str) -> tuple[Publisher, ...]:
    """The answer of `published`.

    Raises:
        ValueError, KeyError, TypeError: it is something else.
    """
    return tuple(_publisher(json.loads(line)) for line in said.splitlines() if line.strip())


def _publisher(data: Any) -> Publisher:
    ports = frozenset(
        Port(int(text(each, "HostPort")), inner.partition("/")[2], text(each, "HostIp"))
        for inner, several in (data["ports"] or {}).items()
        for each in several or ()
    )
    project, service, directory = (
        text(data, name) if data[name] else "" for name in ("project", "service", "directory")
    )
    host = data["network"] == "host"
    name, image = text(data, "name").removeprefix("/"), text(data, "image")
    volumes = frozenset(filter(None, map(str, data.get("volumes") or ())))
    return Publisher(
        name,
        project,
        ports,
        host,
        service,
        directory,
        image,
        volumes,
        text(data, "id"),
        moment(text(data, "started")),
    )
