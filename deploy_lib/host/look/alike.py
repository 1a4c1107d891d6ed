"""Which containers that somebody else has started are as this checkout's files have them: Compose's own hash says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from deploy_lib.compose import command
from deploy_lib.compose.container import Container
from deploy_lib.compose.project import Project
from deploy_lib.host.files import borrow, pack
from deploy_lib.release.files import Entry
from deploy_lib.shell import IN_MEMORY
from deploy_lib.ssh.session import Session


class Alike(Struct, frozen=True):
    """What Compose says of the new files.

    Attributes:
        services: those of which every container has the very hash that it would be created with.
        inactive: those of a profile that is not active.
    """

    services: frozenset[str] = frozenset()
    inactive: frozenset[str] = frozenset()


def ask_alike(
    session: Session,
    project: Project,
    files: Mapping[str, Entry],
    env: Mapping[str, str],
    containers: Sequence[Container],
    *,
    lying: bool = False,
    borrowed: Sequence[str] = (),
) -> Alike:
    """Compares; where Compose does not read the files from elsewhere, no service counts as alike.

    Args:
        files: those that Compose reads.
        env: the secrets that it fills in, with their values: these are part of the hash.
        lying: what the project's files refer to lies in its place as it is to be.
        borrowed: what Compose reads on the host itself, by path below the project's directory.

    Raises:
        RemoteError: the session ended.
    """
    # Versions differ in how they hash what they have rendered themselves.
    more = f"{command.hashes_in_place(project)} | sed 's/^/= /'" if lying else ":"
    script = f"""\
{IN_MEMORY}
f={command.mirror(project)}
mkdir -p "$f" && tar -xf - -C "$f" || exit
{borrow(project.directory, borrowed)}
{command.moved_hashes(project)} | sed 's/^/= /'
{more}
{command.inactive_services(project)} 2>/dev/null"""
    said = session.run(
        script, env=env, stdin=pack(files), check=False, step="comparing with what runs here"
    ).stdout
    lines = [line.split() for line in said.splitlines()]
    hashes = {(x[1], x[2]) for x in lines if len(x) == 3 and x[0] == "="}
    active = {name for name, _ in hashes}
    every = {x[0] for x in lines if len(x) == 1}
    running = {c.service for c in containers}
    return Alike(
        frozenset(
            n for n in running if all((n, c.config_hash) in hashes for c in containers if c.service == n)
        ),
        frozenset(every - active) if active else frozenset(),
    )
