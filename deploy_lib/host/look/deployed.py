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
    return _rendered(session, command.deployed_command(project), project, placeholders(secrets))


def ask_started(
    session: Session, project: Project, secrets: Iterable[str], given: Mapping[str, str]
) -> Mapping[str, Service] | None:
    """The same of a project that somebody else has started, with the services of all profiles.

    Args:
        given: values of variables that are no secrets.

    Raises:
        RemoteError: the session ended.
        NotUnderstoodError: Compose answered with something else.
    """
    return _rendered(session, command.by_hand_render(project), project, {**given, **placeholders(secrets)})


def _rendered(
    session: Session, script: str, project: Project, env: Mapping[str, str]
) -> Mapping[str, Service] | None:
    try:
        said = session.run(script, env=env, step="looking at what is deployed").stdout
    except CommandError:
        return None
    return read_model(said, str(project.directory))
