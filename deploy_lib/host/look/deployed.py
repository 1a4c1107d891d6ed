"""The stack that lies on a host already, as the host's own Compose renders it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deploy_lib.compose import command
from deploy_lib.compose.model import read_model
from deploy_lib.compose.project import Project
from deploy_lib.compose.service import Service
from deploy_lib.errors import CommandError
from deploy_lib.secrets.placeholders import placeholders
from deploy_lib.ssh.session import Session


def ask_deployed(session: Session, project: Project, secrets: Iterable[str]) -> Mapping[str, Service] | None:
    """Its services by name; None where Compose does not read the files, as when one is gone.

    Args:
        secrets: the names that get a placeholder.

    Raises:
        RemoteError: the session ended.
        NotUnderstoodError: Compose answered with something else.
    """
    try:
        said = session.run(
            command.deployed_command(project), env=placeholders(secrets), step="looking at what is deployed"
        ).stdout
    except CommandError:
        return None
    return read_model(said, str(project.directory))
