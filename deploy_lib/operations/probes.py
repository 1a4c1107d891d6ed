"""An HTTP probe through the session: the host needs no curl, and its ports need not be reachable from here."""

from __future__ import annotations

from collections.abc import Mapping

from fabric import Connection
from msgspec import Struct
from pydantic import ValidationError

from deploy_lib.address import without_user
from deploy_lib.config import Probe
from deploy_lib.errors import DeployError, UsageError
from deploy_lib.host.prove.probe import prove
from deploy_lib.operations.connections import session_on


class Answer(Struct, frozen=True):
    """A probe that succeeded.

    Attributes:
        seconds: until it succeeded.
    """

    url: str
    seconds: float


class ProbeError(DeployError):
    """A URL did not answer as expected in time."""


def http_probe(
    connection: Connection,
    url: str,
    *,
    status: int = 200,
    json: Mapping[str, str | int | bool] | None = None,
    timeout: float = 60,
) -> Answer:
    """Asks a URL, as the host itself would ask it, until the answer is as expected.

    Args:
        url: `http://host[:port]/...`; 127.0.0.1 is the host.
        json: dotted paths in the JSON answer, and the values expected there; numbers in a path index lists.
        timeout: seconds until it must have answered so.

    Raises:
        ProbeError: the last answer was not as expected.
        UsageError: this is no URL for a probe.
        RemoteError: the session ended.
    """
    session = session_on(connection)
    try:
        probe = Probe(
            name=url, service=url, url=url, status=status, json_values=dict(json or {}), timeout=timeout
        )
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"this cannot be a probe: {why} ({without_user(url)})") from None
    (finding,) = prove(session, [probe], lambda: ())
    if not finding.ok:
        raise ProbeError(finding.problem, node=session.node, step="probe")
    return Answer(url, finding.seconds)
