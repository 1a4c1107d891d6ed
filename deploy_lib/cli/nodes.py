"""Which nodes a command means, and its sessions with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from deploy_lib import address
from deploy_lib.cli.flags import NODE
from deploy_lib.cli.invocation import Invocation
from deploy_lib.config import Environment, Node
from deploy_lib.errors import DeployError, UnreachableError, UsageError, told
from deploy_lib.fleet.parallel import side_by_side
from deploy_lib.output.console import Console
from deploy_lib.request import Request
from deploy_lib.ssh.connection import StrictConnection, connect_to
from deploy_lib.ssh.session import Session

if TYPE_CHECKING:
    from deploy_lib.node.deployment import Deployment

T = TypeVar("T")

_RESOLVED_AT_ONCE = 8
"""Calls of `ssh -G` at the same time."""


def choose(environment: Environment, invocation: Invocation) -> list[Node]:
    """The nodes that are meant.

    Raises:
        UsageError: one is unknown, or does not run the stack.
    """
    connection, stack = invocation.connection, invocation.stack
    if connection is None:
        return environment.select(invocation.given[NODE], stack)
    here = environment.nodes_at(f"[{connection.target.name}]:{connection.target.port}")
    return environment.select(
        [node.name for node in here if stack in (None, node.stack_name)] or [here[0].name], stack
    )


def are_named(invocation: Invocation) -> bool:
    """Whether the operator has chosen each of the nodes, and does not just mean all of them."""
    names = invocation.given[NODE] or []
    return invocation.connection is not None or (bool(names) and "all" not in names)


def missing_any(nodes: Sequence[Node], found: Mapping[str, object], *, named: bool) -> bool:
    """Whether a node could not be looked at that should have been: one that is optional may be off, but not all may.

    Args:
        found: by node, what was found, or the error.
        named: the operator chose these nodes.
    """
    failed = [node for node in nodes if isinstance(found.get(node.name), DeployError)]
    off = [node for node in failed if not named and is_off(node, found.get(node.name))]
    return len(off) < len(failed) or len(off) == len(nodes) > 0


def is_off(node: Node, found: object) -> bool:
    """Whether a node is optional, and off."""
    return node.optional and isinstance(found, UnreachableError) and found.off


def outcome_of(node: Node, error: DeployError) -> str:
    """What the JSON document says of a node that could not be looked at."""
    unreachable = "skipped" if is_off(node, error) else "unreachable"
    return unreachable if isinstance(error, UnreachableError) else "failed"


def session_to(environment: Environment, node: Node, connection: StrictConnection | None = None) -> Session:
    """A session with a node, not yet open."""
    return Session(node.name, connection or connection_to(environment, node.host), become=node.become)


def connection_to(
    environment: Environment, destination: str, ssh_config: Path | None = None
) -> StrictConnection:
    """A connection, not yet open, to `[user@]host[:port]`.

    Args:
        ssh_config: read instead of the environment's.

    Raises:
        UsageError: there is no such ssh_config.
    """
    own = environment.ssh_config if ssh_config is None else None
    if own is not None and environment.made_by and not own.exists():
        raise UsageError(f"there is no ssh_config at {own}", hint=f"make it: {environment.made_by}")
    return connect_to(destination, ssh_config or own)


def sessions_with(
    environment: Environment, nodes: Sequence[Node], connection: StrictConnection | None
) -> dict[str, Session]:
    """By node, a session that is not yet open.

    Args:
        connection: leads to the one host of all these nodes; each has one of its own, since a session ends with it.
    """
    ways = [_way(environment, node, connection, first=node is nodes[0]) for node in nodes]
    # Each asks `ssh -G`, which waits for more than it computes.
    made = side_by_side(
        zip(nodes, ways, strict=True), lambda each: session_to(environment, *each), _RESOLVED_AT_ONCE
    )
    return {node.name: session for node, session in zip(nodes, made, strict=True)}


def _way(
    environment: Environment, node: Node, given: StrictConnection | None, *, first: bool
) -> StrictConnection | None:
    """A connection to one of the nodes of the host that `-H` names: as the user that it says, or else as the node's own."""
    if given is None:
        return None
    destination = address.completed(given.given, node.host) if given.given else given.destination
    if destination == given.destination:
        return given if first else given.twin()
    made = connection_to(environment, destination, given.ssh_config_file)
    made.add_keys(*given.client.further)
    return made


def ask_each(
    nodes: Sequence[Node],
    sessions: Mapping[str, Session],
    ask: Callable[[Node, Session], T],
    limit: int | None,
) -> dict[str, T | DeployError]:
    """By node, its answer or its error. Nodes are asked side by side, and each session ends with the answer.

    Args:
        limit: how many are asked at once; None: all.
    """

    def answer(node: Node) -> T | DeployError:
        session = sessions[node.name]
        try:
            with told(node.name):
                return ask(node, session)
        except DeployError as error:
            return error
        finally:
            session.close()

    answers = side_by_side(nodes, answer, limit)
    return {node.name: found for node, found in zip(nodes, answers, strict=True)}


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
        connection: leads to the host of the nodes that were chosen, and to no other.

    Raises:
        UsageError: a file, a name or an argument is wrong.
    """
    from deploy_lib.fleet.prepare import prepare
    from deploy_lib.source.offer import opened

    own = sessions_with(environment, nodes, connection)
    with opened(request.images, console.say) as offers:
        deployments = prepare(
            environment,
            nodes,
            request,
            console,
            # A node's second session is that of a scraper: see `prepare`.
            lambda node: own.pop(node.name, None) or session_to(environment, node),
            offers,
        )
        try:
            yield deployments
        finally:
            for deployment in deployments:
                deployment.close()
