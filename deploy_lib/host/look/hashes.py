"""What Compose would recreate: its own hash of each service's configuration, for files that are not in place yet."""

from __future__ import annotations

from collections.abc import Mapping

from deploy_lib.answers import understand
from deploy_lib.compose.command import hash_command
from deploy_lib.errors import NotUnderstoodError
from deploy_lib.host.files import pack
from deploy_lib.host.stack import HostStack
from deploy_lib.shell import IN_MEMORY
from deploy_lib.ssh.session import Session


def ask_hashes(
    session: Session, stack: HostStack, files: Mapping[str, bytes], env: Mapping[str, str]
) -> dict[str, str]:
    """By service, the hash that its containers would carry; the files lie in memory meanwhile.

    Args:
        files: the content of the project's `inputs`.
        env: values of secrets that stand in the environment of containers, which counts; any value for the others.

    Raises:
        RemoteError: the host's Compose does not read them.
    """
    result = session.run(hashes_script(stack), env=env, stdin=pack(files), step="looking closer")
    try:
        return understand("Compose's hashes", lambda: read_hashes(result.stdout))
    except NotUnderstoodError as error:
        error.node, error.step = session.node, "looking closer"
        raise


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


def hashes_script(stack: HostStack) -> str:
    """The files come on standard input. The hashes do not depend on what a Compose secret is."""
    return f"""\
{IN_MEMORY}
tar -xf - -C "$t" || exit
{hash_command(stack.project)}
"""
