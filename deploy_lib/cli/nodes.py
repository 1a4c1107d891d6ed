"""Which nodes a command means, and its sessions with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deploy_lib.config import Environment, Node
from deploy_lib.output.console import Console
from deploy_lib.request import Request
from deploy_lib.ssh.connection import StrictConnection, connect_to
from deploy_lib.ssh.session import Session

if TYPE_CHECKING:
    from deploy_lib.node.deployment import Deployment


def choose(
    environment: Environment, stack: str | None, names: list[str] | None, connection: StrictConnection | None
) -> list[Node]:
    """The nodes that are meant.

    Raises:
        UsageError: one is unknown, or does not run the stack.
    """
    if connection is None:
        return environment.select(names, stack)
    return environment.select([environment.node_at(host_of(connection.target.name)).name], stack)


def session_to(environment: Environment, node: Node, connection: StrictConnection | None = None) -> Session:
    """A session with a node, not yet open."""
    return Session(node.name, connection or connect_to(node.host, environment.ssh_config))


def host_of(destination: str) -> str:
    """The host in `[user@]host[:port]`."""
    host = destination.rpartition("@")[2]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


@contextmanager
def deployments_on(
    nodes: Sequence[Node],
    environment: Environment,
    request: Request,
    console: Console,
    connection: StrictConnection | None,
) -> Iterator[list[Deployment]]:
    """The nodes' deployments, whose sessions end with the block.

    Args:
        connection: leads to the one node that was chosen, and to no other.

    Raises:
        UsageError: a file, a name or an argument is wrong.
    """
    from deploy_lib.fleet.prepare import prepare

    deployments = prepare(
        environment,
        nodes,
        request,
        console,
        lambda node: session_to(environment, node, connection if node in nodes else None),
    )
    try:
        yield deployments
    finally:
        for deployment in deployments:
            deployment.close()
