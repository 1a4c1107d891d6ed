"""A command on a host, with secret values as its environment."""

from __future__ import annotations

from fabric import Connection

from deploy_lib.operations.connections import Values, revealed, session_on
from deploy_lib.ssh.session import Result


def run_with_secrets(
    connection: Connection, command: str, env: Values, *, timeout: float = 60, check: bool = True
) -> Result:
    """Runs a command whose environment has these values; no process list, file or log shows them.

    Args:
        command: POSIX shell text; its standard input is empty.
        timeout: seconds to wait for it. On the host it goes on after that: use the program `timeout` to end it there.
        check: raise when its exit status is not 0.

    Raises:
        CommandError: the exit status, with the last lines of its standard error.
        RemoteError: it took too long, or the session ended.
        UsageError: a name or a value that no environment can hold.
    """
    return session_on(connection).run(
        command, env=revealed(env), timeout=timeout, check=check, step="command"
    )
