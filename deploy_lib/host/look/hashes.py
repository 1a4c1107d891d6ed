"""What Compose would recreate: its own hash of each service's configuration, for files that are not in place yet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from deploy_lib import layout
from deploy_lib.compose.compose import hash_command
from deploy_lib.config import Node
from deploy_lib.host.files import pack
from deploy_lib.shell import IN_MEMORY
from deploy_lib.ssh.session import Session


def inputs(node: Node) -> list[str]:
    """The files that the hashes follow from, by path below the stack's directory."""
    stack = node.stack
    own = [PurePosixPath(path).name for path in (stack.compose, stack.env_file)]
    return [*own, layout.OVERRIDE, layout.VARIABLES]


def ask(session: Session, node: Node, project: str, files: Mapping[str, bytes]) -> dict[str, str]:
    """By service, the hash that its containers would carry; the files lie in memory meanwhile.

    Args:
        files: the content of `inputs`.

    Raises:
        RemoteError: the host's Compose does not read them.
    """
    result = session.run(script(node, project), stdin=pack(files), step="looking closer")
    return dict(line.split() for line in result.stdout.splitlines() if len(line.split()) == 2)


def script(node: Node, project: str) -> str:
    """The files come on standard input; no secret is needed, for the hashes do not depend on their values."""
    return f"""\
{IN_MEMORY}
tar -xf - -C "$t" || exit
{hash_command(node.stack, project, node.directory)}
"""
