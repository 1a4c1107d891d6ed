"""The deploy commands, whichever program they are given to."""

from __future__ import annotations

from pathlib import Path

from deploy_lib.cli.command import announce, command
from deploy_lib.request import Request, whole_number, word
from deploy_lib.ssh.connection import StrictConnection, connect_to
from deploy_lib.ssh.session import Session
from deploy_lib.topology import Environment, Node

NODE_HELP = {"node": "core, B, C or all; may be given more than once"}
HELP = {
    "tag": "sha-abc1234, a full SHA, a git ref, or latest; otherwise the environment's default",
    "service": "change this service only",
    "dry_run": "show what would change, and change nothing",
    "wait_lock": "seconds to wait for another deployment to end",
    "json": "one JSON document on standard output",
    "debug": "show what Compose says",
}
"""What the flags that `fab` and `invoke` share mean."""


def deploy_stack(
    root: Path,
    stack: str,
    *,
    nodes: list[str] | None = None,
    connection: StrictConnection | None = None,
    tag: str | None = None,
    service: str | None = None,
    wait_lock: str | None = None,
    dry_run: bool = False,
    as_json: bool = False,
    debug: bool = False,
) -> None:
    """Deploys a stack to its nodes, or to the one at the other end of `connection`.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    name = f"deploy-{stack}"
    with command(name, root, as_json=as_json, debug=debug) as (environment, console, report):
        request = Request(
            command=name,
            tag=word("--tag", tag),
            service=word("--service", service),
            dry_run=dry_run,
            wait_lock=whole_number("--wait-lock", wait_lock, 0),
        )
        chosen = choose(environment, stack, nodes, connection)
        announce(console, environment, chosen)

        from deploy_lib import fleet

        deployments = fleet.prepare(
            environment, chosen, request, console, lambda node: session_to(environment, node, connection)
        )
        try:
            report.exit = fleet.deploy(environment, deployments, request, console)
            for deployment in deployments:
                if deployment.error is not None:
                    console.error(deployment.error)
        except KeyboardInterrupt:
            for deployment in deployments:
                deployment.error = deployment.interrupted()
                if deployment.error is not None:
                    raise deployment.error from None
            raise
        finally:
            report.nodes = {d.node.name: d.as_dict() for d in deployments}
            report.release = next((found for d in deployments if (found := d.release_name)), None)
            for deployment in deployments:
                deployment.session.close()
        rows = [
            [d.node.name, service, c["state"], c["health"] or "-", fleet.short(c["image"])]
            for d in deployments
            for service, c in sorted(d.as_dict()["services"].items())
        ]
        if not dry_run:
            console.table("", ["node", "service", "state", "health", "image"], rows)


def choose(
    environment: Environment,
    stack: str | None,
    names: list[str] | None,
    connection: StrictConnection | None,
) -> list[Node]:
    """The nodes that are meant; without a stack, of any.

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
