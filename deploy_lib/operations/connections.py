"""The session of a Fabric connection: a strict one verifies host keys, a plain one is taken as Fabric has it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from fabric import Connection

from deploy_lib.errors import UsageError
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.secrets.value import Secret
from deploy_lib.ssh.connection import StrictConnection, connect_to
from deploy_lib.ssh.refusals import explain
from deploy_lib.ssh.session import Session
from deploy_lib.ssh.target import Target
from deploy_lib.ssh.transport import StrictChannel, patient

Values = Mapping[str, str | Secret]
"""Variables for a command; a `Secret` among them is never shown."""

_OWN = "_deploy_session"
"""Where a connection keeps its session: Fabric's connections to the same place are equal, and are not the same."""

_lock = threading.Lock()


def connect(destination: str, ssh_config: str | Path | None = None) -> StrictConnection:
    """A connection to `[user@]host[:port]`, as ssh_config understands it, that refuses an unknown or changed host key.

    Raises:
        UsageError: ssh_config cannot be read.
    """
    return connect_to(destination, Path(ssh_config) if ssh_config else None)


def session_on(connection: Connection) -> Session:
    """The session of a connection, the same one as long as that is open.

    A plain Fabric connection works as well, and accepts any host key, also a changed one.

    Raises:
        UsageError: Invoke shall only show what it runs, and these operations do not go through it.
    """
    if connection.config.run.dry:
        raise UsageError(
            "Invoke's own dry run (-R, --dry, run.dry) cannot show this operation", hint="leave it out"
        )
    with _lock:
        session: Session | None = vars(connection).get(_OWN)
        if session is None or (session.opened and not connection.is_connected):
            strict = connection if isinstance(connection, StrictConnection) else _Plain(connection)
            session = Session(connection.host, cast(StrictConnection, strict))
            object.__setattr__(connection, _OWN, session)
        return session


def revealed(values: Values) -> dict[str, str]:
    """The variables as a script gets them on its standard input; secrets among them are masked in errors from now on.

    Raises:
        UsageError: a value is no text.
    """
    for name, value in values.items():
        if not isinstance(value, str | Secret):
            raise UsageError(f"the value of {name} is no text, but of the type {type(value).__name__}")
    REDACTOR.add(value for value in values.values() if isinstance(value, Secret))
    return {name: v.reveal() if isinstance(v, Secret) else v for name, v in values.items()}


class _Plain:
    """Fabric's own connection, with what a session asks of a strict one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.target = Target(
            connection.host, connection.host, int(connection.port or 22), connection.user or ""
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def open(self) -> Any:
        """Connects, unless connected.

        Raises:
            UnreachableError: which says at which stage that failed.
        """
        try:
            return self._connection.open()
        except Exception as error:  # noqa: BLE001 - Paramiko lets nearly anything through
            raise explain(self.target, error) from None

    def create_session(self) -> StrictChannel:
        """A channel for a command; connects first, unless connected."""
        return patient(self._connection.create_session())

    def abandon(self) -> None:
        """Closes what a failed `open` leaves."""
        self._connection.close()
