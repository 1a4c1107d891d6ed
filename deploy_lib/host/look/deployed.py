"""The stack that lies on a host already, as the host's own Compose renders it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from deploy_lib.compose import command
from deploy_lib.compose.model import read_model
from deploy_lib.compose.project import Project
from deploy_lib.compose.service import Service
from deploy_lib.errors import CommandError
from deploy_lib.secrets.placeholders import placeholders
from deploy_lib.shell import quote
from deploy_lib.ssh.session import Session


def ask_deployed(
    session: Session, project: Project, secrets: Iterable[str]
) -> tuple[Project, Mapping[str, Service] | None]:
    """The project, and its services by name; None where Compose does not read the files, as when one is gone.

    A project without an env file has the `.env` in its directory, where there is one: Compose reads that by itself.

    Args:
        secrets: the names that get a placeholder.

    Raises:
        RemoteError: the session ended.
        NotUnderstoodError: Compose answered with something else.
    """
    usual = project.directory / _USUAL
    script = f"[ ! -f {quote(usual)} ] || echo {quote(_MARK)}\n{command.deployed_command(project)}"
    try:
        said = session.run(script, env=placeholders(secrets), step="looking at what is deployed").stdout
    except CommandError:
        return project, None
    if said.startswith(_MARK):
        said = said.removeprefix(_MARK)
        project = project if project.env_files else replace(project, env_files=(_USUAL,))
    return project, read_model(said, str(project.directory))


_USUAL, _MARK = ".env", "=== there"
