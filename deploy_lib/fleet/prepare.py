"""Which nodes take part in a command, with all that this checkout knows of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from deploy_lib import address
from deploy_lib.config import Environment, Node
from deploy_lib.errors import UsageError
from deploy_lib.host.change.targets import Scraper
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.site import Site
from deploy_lib.output.console import Console
from deploy_lib.plan import replicas
from deploy_lib.plan.decision import Job
from deploy_lib.release.release import new_id
from deploy_lib.request import Request
from deploy_lib.source.checkout import Local, read_stack
from deploy_lib.source.offer import Offer
from deploy_lib.ssh.session import Session

Connect = Callable[[Node], Session]


def prepare(
    environment: Environment,
    nodes: Sequence[Node],
    request: Request,
    console: Console,
    connect: Connect,
    offers: Sequence[Offer] = (),
) -> list[Deployment]:
    """The nodes' deployments, with all that this checkout knows; no host has been asked yet.

    Args:
        offers: the operator's own images, open.

    Raises:
        UsageError: a file, a name or an argument is wrong.
    """
    release_id, stop = new_id(), threading.Event()
    replicas.check(nodes, request.replicas, request.services)
    if request.services and request.refresh and request.refresh not in request.services:
        raise UsageError(
            f"--refresh {request.refresh}: --service leaves {request.refresh} as it is",
            hint=f"add --service {request.refresh}, or leave --refresh out",
        )
    stacks: dict[str, Local] = {n.name: read_stack(environment, n) for n in nodes}
    _require_own_projects(environment, stacks)
    scrapers = _scrapers(environment, nodes, connect)
    deployments = [
        Deployment(
            Site(
                job=Job(environment, node, stacks[node.name], request, release_id),
                session=connect(node),
                console=console,
                scraper=scrapers.get(node.name),
                offers=offers,
            )
        )
        for node in sorted(nodes, key=lambda n: n.name)
    ]
    for deployment in deployments:
        deployment.session.stop = stop
        for service in request.services:
            deployment.local.check_service(service)
    return deployments


def _require_own_projects(environment: Environment, stacks: Mapping[str, Local]) -> None:
    """Refuses two nodes of one host that are the same Compose project: each would remove the other's containers.

    Args:
        stacks: of the nodes that take part; the environment may have others on their hosts.
    """
    for name, local in stacks.items():
        at = address.parse(environment.nodes[name].host).place
        for other in environment.nodes.values():
            if other.name == name or address.parse(other.host).place != at:
                continue
            if local.project == _project(environment, other, stacks):
                raise UsageError(
                    f"the nodes {name} and {other.name} are the Compose project {local.project} on one host, and each would "
                    "remove the other's containers",
                    hint='give one of them another: project = "..." in its table of deploy.toml',
                )


def _project(environment: Environment, node: Node, stacks: Mapping[str, Local]) -> str | None:
    """The name of a node's Compose project; None for one that takes no part and whose files are broken."""
    try:
        return (stacks.get(node.name) or read_stack(environment, node)).project
    except UsageError:
        return None


def _scrapers(environment: Environment, nodes: Sequence[Node], connect: Connect) -> dict[str, Scraper]:
    """By node, who scrapes its containers.

    The session with that host is one of its own, not its deployment's: it is needed when that one is stopped or gone.
    """
    sessions: dict[str, Session] = {}
    found: dict[str, Scraper] = {}
    for node in nodes:
        scrape = node.stack.scrape
        if scrape is not None:
            (host,) = environment.select(None, scrape.stack)
            if host.name not in sessions:
                sessions[host.name] = connect(host)
            found[node.name] = Scraper(sessions[host.name], host, scrape)
    return found
