"""What Compose would recreate: its own hash of each service's configuration, for files that are not in place yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deploy_lib.answers import understand
from deploy_lib.compose.command import hash_command, mirror
from deploy_lib.compose.project import Project
from deploy_lib.errors import NotUnderstoodError
from deploy_lib.host.files import borrow, pack
from deploy_lib.shell import IN_MEMORY, quote
from deploy_lib.ssh.session import Session


def ask_hashes(
    session: Session,
    projects: Sequence[tuple[Project, Mapping[str, bytes]]],
    env: Mapping[str, str],
    borrowed: Sequence[str] = (),
) -> list[dict[str, str]]:
    """For each of several projects, a hash by service; where two differ, Compose would recreate the service's containers.

    The files lie in memory meanwhile, one project's after the other's in the same place, and hashes count only beside each other:
    what a project includes must lie beside its files, and a hash depends on the directory.

    Args:
        projects: each with the content of the files that Compose reads.
        env: any value for each secret.
        borrowed: what Compose reads on the host itself, by path below the project's directory.

    Raises:
        RemoteError: the host's Compose does not read them.
    """
    files = {
        f"{number}/{path}": content
        for number, (_, each) in enumerate(projects)
        for path, content in each.items()
    }
    script = hashes_script([project for project, _ in projects], borrowed)
    result = session.run(script, env=env, stdin=pack(files), step="looking closer")
    try:
        return understand(
            "Compose's hashes", lambda: [read_hashes(part) for part in result.stdout.split(_NEXT)][1:]
        )
    except NotUnderstoodError as error:
        error.node, error.step = session.node, "looking closer"
        raise


_NEXT = "=== next\n"


def read_hashes(text: str) -> dict[str, str]:
    """What `hashes_script` prints.

    Raises:
        ValueError: it is something else.
    """
    found = {}
    for line in text.splitlines():
        if line.strip():
            service, digest = line.split()
            found[service] = digest
    return found


def hashes_script(projects: Sequence[Project], borrowed: Sequence[str] = ()) -> str:
    """The files come on standard input, and something for each secret in the environment."""
    each = "\n".join(
        f'printf %s {quote(_NEXT)}; f={mirror(project)}; mkdir -p "${{f%/*}}" && mv "$t/{number}" "$f" && '
        f'{{\n{borrow(project.directory, borrowed)}\n{hash_command(project)}\n}} || exit; rm -rf "$t/files"'
        for number, project in enumerate(projects)
    )
    return f"""\
{IN_MEMORY}
tar -xf - -C "$t" || exit
{each}
"""
