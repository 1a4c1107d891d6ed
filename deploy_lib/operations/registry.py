"""A login at a registry, removed afterwards on every path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fabric import Connection
from msgspec import Struct

from deploy_lib.errors import RemoteError
from deploy_lib.host.change.stage import PASSWORD, log_in
from deploy_lib.host.look.registry import Login
from deploy_lib.operations.connections import session_on
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.secrets.value import Secret
from deploy_lib.shell import IN_MEMORY, ScriptExit

LONGEST = 3600
"""Seconds after which the host ends a login whose holder is silent, such as a laptop that sleeps."""

TIMEOUT = 60.0


class RegistryLogin(Struct, frozen=True):
    """A login under way.

    Attributes:
        configuration: the directory in the host's memory that DOCKER_CONFIG names; it has this login, and no other.
    """

    registry: str
    username: str
    configuration: str


@contextmanager
def docker_login(
    connection: Connection, registry: str, username: str, password: Secret | str
) -> Iterator[RegistryLogin]:
    """Logs in at a registry, for a `with` block; pass the result to `compose_pull`.

    The credentials lie in a directory in the host's memory that lives as long as a channel of the session does: it is gone
    when the block ends, however it ends, and when the session or this process does. They get there on standard input.

    Args:
        registry: `host[:port]`, as image references begin.

    Raises:
        RemoteError: the registry refused the login or did not answer, or the host has no directory in memory.
    """
    session = session_on(connection)
    secret = password if isinstance(password, Secret) else Secret(password)
    REDACTOR.add([secret])
    login = Login(registry, username, secret)
    process = session.start(
        login_script(login), env={PASSWORD: secret.reveal()}, timeout=TIMEOUT, keep_stdin=True
    )
    with process:
        configuration = next(iter(process), "")
        if not configuration:
            code = process.wait()
            said = process.stderr.strip() or f"exit status {code}"
            refused = code == ScriptExit.LOGIN_FAILED
            raise RemoteError(
                said if refused else f"no login was tried: {said}",
                node=session.node,
                step="login",
                hint="does the registry answer, and are user and password still good?" if refused else None,
            )
        process.extend(LONGEST)
        try:
            yield RegistryLogin(registry, username, configuration)
        finally:
            process.close_stdin()
            process.extend(TIMEOUT)
            process.read()


def login_script(login: Login) -> str:
    """Logs in, prints the directory of the configuration, and keeps it until standard input ends."""
    return f'{IN_MEMORY}\n{log_in([login])}\necho "$t/login"\ntimeout {LONGEST} cat >/dev/null\n'
