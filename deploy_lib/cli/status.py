"""`status`: what runs, and how it differs from what was recorded; no secret is needed for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy_lib.checks import check_host, require_passed
from deploy_lib.checks.local import age
from deploy_lib.cli.command import announce, command
from deploy_lib.cli.deploy import HELP
from deploy_lib.cli.nodes import choose, session_to
from deploy_lib.config import Node
from deploy_lib.errors import DeployError, ExitCode, UnreachableError, told
from deploy_lib.fleet.parallel import side_by_side
from deploy_lib.host.look.facts import Facts, gather
from deploy_lib.host.stack import HostStack
from deploy_lib.output.console import Console
from deploy_lib.plan.status import Row, Status, status
from deploy_lib.request import whole_number
from deploy_lib.source.checkout import stack_file
from deploy_lib.ssh.connection import StrictConnection

STATUS_NEEDS = ("tools", "permission", "Docker Engine", "facts")
"""The checks without which a host's state cannot be told."""

STATUS_HELP = {"json": HELP["json"], "debug": "show details"}


def show_status(
    root: Path,
    *,
    nodes: list[str] | None = None,
    connection: StrictConnection | None = None,
    parallel: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Shows what runs on the nodes, and how that differs from what was recorded.

    Raises:
        Exit: with status 12 when a host is not as recorded, otherwise 3 when one could not be reached.
    """
    with command("status", root, as_json=json, debug=debug) as (environment, console, report):
        limit = whole_number("--parallel", parallel, 0, range(1, 101))
        chosen = choose(environment, None, nodes, connection)
        projects = {node.name: stack_file(environment, node).project for node in chosen}
        announce(console, environment, chosen)
        sessions = {node.name: session_to(environment, node, connection) for node in chosen}
        found: dict[str, Status | DeployError] = {}

        def ask(node: Node) -> None:
            session = sessions[node.name]
            try:
                with told(node.name):
                    facts = gather(session, HostStack(node, projects[node.name]), {}, {})
                    require_answers(node, facts)
                    found[node.name] = status(facts, _behind(root, facts))
            except DeployError as error:
                found[node.name] = error
            finally:
                session.close()

        side_by_side(chosen, ask, limit or None)
        for node in chosen:
            report.nodes[node.name] = _as_dict(found[node.name])
        _show_status(console, [(node, found[node.name]) for node in chosen])
        if any(isinstance(one, Status) and one.drift for one in found.values()):
            report.exit = ExitCode.DRIFT
        elif any(isinstance(one, DeployError) for one in found.values()):
            report.exit = ExitCode.NOT_STARTED


def require_answers(node: Node, facts: Facts) -> None:
    """Refuses to judge a host that could not say all that it was asked.

    Raises:
        PreflightError: naming what it could not.
    """
    require_passed(
        node, [check for check in check_host(node, facts, rendered=False) if check.name in STATUS_NEEDS]
    )


def _behind(root: Path, facts: Facts) -> int | None:
    from deploy_lib.source import git

    release = facts.proven
    return git.behind(root, release.release.commit) if release else None


def _as_dict(found: Status | DeployError) -> dict[str, Any]:
    if isinstance(found, Status):
        return found.as_dict()
    outcome = "unreachable" if isinstance(found, UnreachableError) else "failed"
    return {"outcome": outcome, "from": None, "to": None, "services": {}, "drift": [], "error": str(found)}


def _show_status(console: Console, found: Sequence[tuple[Node, Status | DeployError]]) -> None:
    services, releases = [], []
    for node, one in found:
        if isinstance(one, DeployError):
            state = "unreachable" if isinstance(one, UnreachableError) else "unknown"
            releases.append([node.name, node.stack_name, state, "", "", ""])
            continue
        event = one.release
        last = [event.release.tag, f"{event.who} on {event.origin}", event.at] if event else ["", "", ""]
        releases.append([node.name, node.stack_name, one.outcome, *last])
        services += [[node.name, node.stack_name, *_cells(row)] for row in one.rows]
    columns = ["service", "tag", "digest", "state", "health", "uptime", "restarts", "ports"]
    console.table("", ["node", "stack", *columns], services)
    console.table("", ["node", "stack", "the host is", "release", "by", "at"], releases)
    for node, one in found:
        if isinstance(one, DeployError):
            console.error(one)
            continue
        for line in one.drift:
            console.result(f"{node.name}: {line}")
        for line in one.notes:
            console.result(f"{node.name}: ({line})")


def _cells(row: Row) -> list[str]:
    uptime = "-" if row.uptime is None else age(row.uptime)
    digest = row.digest.removeprefix("sha256:")[:12] or "-"
    ports = " ".join(str(port) for port in row.ports) or "-"
    return [
        row.service,
        row.tag or "-",
        digest,
        row.state,
        row.health or "-",
        uptime,
        str(row.restarts),
        ports,
    ]
