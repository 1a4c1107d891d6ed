"""What runs of a stack now, and nothing else of its host."""

from __future__ import annotations

from deploy_lib.compose.container import Container, containers_function, read_container
from deploy_lib.compose.project import Project
from deploy_lib.ssh.session import Session

TIMEOUT = 20.0
"""Seconds until the host must have answered."""


def ask_containers(session: Session, project: Project) -> tuple[Container, ...]:
    """The project's containers.

    Raises:
        RemoteError: the host, or its engine, does not answer.
        NotUnderstoodError: it answers with something else.
    """
    said = session.run(
        f"{containers_function(project)}\ncontainers", timeout=TIMEOUT, step="looking again"
    ).stdout
    return tuple(c for line in said.splitlines() if line.strip() and (c := read_container(line)))
