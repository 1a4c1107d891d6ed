"""Logs of a project's containers."""

from __future__ import annotations

from collections.abc import Sequence

from fabric import Connection

from deploy_lib.compose.project import Project
from deploy_lib.errors import DeployError
from deploy_lib.host.look.logs import Line, logs_script, stream
from deploy_lib.operations.connections import session_on


def read_logs(
    connection: Connection, project: Project, services: Sequence[str] = (), *, tail: int = 100
) -> list[Line]:
    """The last lines of each container, oldest first.

    Args:
        services: only these; none: all.
        tail: how many lines of each container.

    Raises:
        DeployError: the host does not answer.
    """
    session = session_on(connection)
    script = logs_script(project, services, tail, follow=False)
    lines: list[Line] = []
    for _, item in stream({session.node: session}, {session.node: script}, follow=False):
        if isinstance(item, DeployError):
            raise item
        if isinstance(item, Line):
            lines.append(item)
    return sorted(lines, key=lambda line: line.at)
