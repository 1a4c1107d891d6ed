"""A release whose files the host has kept, as its own Compose renders it; nothing of it is in its place yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deploy_lib import layout
from deploy_lib.compose import command
from deploy_lib.compose.model import read_model
from deploy_lib.compose.project import Project
from deploy_lib.compose.service import Service
from deploy_lib.errors import CommandError
from deploy_lib.host.files import borrow
from deploy_lib.host.stack import HostStack
from deploy_lib.release.files import content_of, target_of
from deploy_lib.release.release import Release
from deploy_lib.secrets.placeholders import placeholders
from deploy_lib.shell import IN_MEMORY, quote, words
from deploy_lib.ssh.session import Session


def ask_kept(
    session: Session, stack: HostStack, release: Release, secrets: Iterable[str]
) -> Mapping[str, Service] | None:
    """Its services by name; None where Compose does not read its files.

    Args:
        secrets: the names that get a placeholder.

    Raises:
        RemoteError: the session ended.
        NotUnderstoodError: Compose answered with something else.
    """
    try:
        said = session.run(
            kept_script(stack, release), env=placeholders(secrets), step="looking at the release's files"
        ).stdout
    except CommandError:
        return None
    base, _, model = said.partition("\n")
    return read_model(model, base)


def kept_script(stack: HostStack, release: Release) -> str:
    """The rendering as it would be in place, after the stack's directory.

    What pins the images and marks the secrets is left out: no mount is in it.
    """
    project = stack.project_of(release)
    bare = Project(project.name, project.directory, _without(project.files), project.env_files)
    files = [(content_of(release.files.get(path, "")), path) for path in stack.inputs_of(release)]
    puts = [f"put {words(name, path)}" for name, path in files if name and path != layout.OVERRIDE]
    links = [f"lead {words(to, path)}" for path, mark in release.files.items() if (to := target_of(mark))]
    made = "\n".join([*puts, *links])
    return f"""\
{IN_MEMORY}
f={command.mirror(project)}
mkdir -p "$f" || exit
put() {{ mkdir -p "$(dirname "$f/$2")" && cp {quote(stack.directory / layout.OBJECTS)}/"$1" "$f/$2" || exit; }}
lead() {{ mkdir -p "$(dirname "$f/$2")" && ln -s -- "$1" "$f/$2" || exit; }}
{made}
{borrow(stack.directory, stack.borrowed)}
{command.render_command(bare)} >"$t/model" || exit
echo {quote(project.directory)}
{command.IN_PLACE} "$t/model"
"""


def _without(files: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(path for path in files if path != layout.OVERRIDE)
