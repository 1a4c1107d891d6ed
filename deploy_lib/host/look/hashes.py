"""What Compose would recreate: its own hash of each service's configuration, for files that are not in place yet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from deploy_lib import layout
from deploy_lib.compose.compose import hash_command
from deploy_lib.config import Node
from deploy_lib.errors import NotUnderstoodError
from deploy_lib.host.answers import understand
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
    try:
        return understand("Compose's hashes", lambda: parse(result.stdout))
    except NotUnderstoodError as error:
        error.node, error.step = session.node, "looking closer"
        raise


def parse(text: str) -> dict[str, str]:
    """What `script` prints.

    Raises:
        ValueError: it is something else.
    """
    found = {}
    for line in text.splitlines():
        if line.strip():
            service, digest = line.split()
            found[service] = digest
    return found


def script(node: Node, project: str) -> str:
    """The files come on standard input; no secret is needed, for the hashes do not depend on their values."""
    return f"""\
{IN_MEMORY}
tar -xf - -C "$t" || exit
{hash_command(node.stack, project, node.directory)}
"""
