"""Logs of a project's containers."""

from __future__ import annotations

from collections.abc import Sequence

from fabric import Connection

from deploy_lib.compose.project import Project
from deploy_lib.errors import DeployError, UsageError
from deploy_lib.host.look.logs import Line, logs_script, stream
from deploy_lib.names import did_you_mean
from deploy_lib.operations.connections import session_on


def read_logs(
    connection: Connection, project: Project, services: Sequence[str] = (), *, tail: int = 100
) -> list[Line]:
    """The last lines of each container, oldest first.

    Args:
        services: only these; none: all.
        tail: how many lines of each container.

    Raises:
        UsageError: one of the services has no container there.
        DeployError: the host does not answer.
    """
    if isinstance(services, str):
        raise UsageError(f"services is the text {services!r}", hint=f"a list of one: [{services!r}]")
    session = session_on(connection)
    script = logs_script(project, services, tail, follow=False)
    lines: list[Line] = []
    known: set[str] = set()
    for _, item in stream({session.node: session}, {session.node: script}, follow=False):
        if isinstance(item, DeployError):
            raise item
        if isinstance(item, Line):
            lines.append(item)
        else:
            known.add(item.service)
    if missing := [service for service in services if service not in known]:
        raise UsageError(
            f"{project.name} has no container of a service {missing[0]!r}; it has of {', '.join(sorted(known)) or 'none'}",
            node=session.node,
            hint=did_you_mean(missing[0], known),
        )
    return sorted(lines, key=lambda line: line.at)
