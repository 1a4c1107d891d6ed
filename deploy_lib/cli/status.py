"""`status`: what runs, and how it differs from what was recorded; no secret is needed for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import asdict

from deploy_lib.checks import check_host, require_passed
from deploy_lib.checks.local import age
from deploy_lib.cli.flags import PARALLEL
from deploy_lib.cli.invocation import Invocation, announce
from deploy_lib.cli.nodes import are_named, ask_each, choose, is_off, missing_any, outcome_of, sessions_with
from deploy_lib.cli.report import short_time
from deploy_lib.config import Environment, Node
from deploy_lib.errors import DeployError, ExitCode, UnreachableError, UsageError
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.gather import gather
from deploy_lib.host.look.newer import ask_newer
from deploy_lib.host.stack import HostStack
from deploy_lib.output.console import Console
from deploy_lib.plan.status import Row, Status, left_behind, status
from deploy_lib.release.image import Image
from deploy_lib.source.checkout import project_of, read_stack
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace

STATUS_NEEDS = ("tools", "permission", "Docker Engine", "facts")
"""The checks without which a host's state is unknown."""


def run(invocation: Invocation) -> None:
    """Shows what runs on the nodes, and how that differs from what was recorded.

    Raises:
        Exit: with status 12 when a host is not as recorded, otherwise 3 when one could not be reached.
    """
    with invocation.begin() as (environment, console, report):
        limit = invocation.given[PARALLEL]
        chosen = choose(environment, invocation)
        projects = {node.name: project_of(environment, node) for node in chosen}
        announce(console, environment, chosen)
        sessions = sessions_with(environment, chosen, invocation.connection)

        def ask(node: Node, session: Session) -> Status:
            stack = HostStack(node, projects[node.name])
            facts = gather(session, stack, {}, {})
            require_answers(node, facts)
            newer = ask_newer(session, stack, facts, _moving(environment, node, facts))
            notes = [*filter(None, [_behind(environment, facts)]), *_newer(node, facts, newer)]
            return status(facts, notes)

        found = ask_each(chosen, sessions, ask, limit)
        known = {name: one for name, one in found.items() if isinstance(one, Status)}
        for node in chosen:
            if missed := left_behind(environment, node, known, chosen):
                found[node.name] = replace(known[node.name], notes=(*known[node.name].notes, missed))
            report.nodes[node.name] = _node_of(node, found[node.name])
        _show_status(console, [(node, found[node.name]) for node in chosen])
        if any(isinstance(one, Status) and one.drift for one in found.values()):
            report.exit = ExitCode.DRIFT
        elif missing_any(chosen, found, named=are_named(invocation)):
            report.exit = ExitCode.NOT_STARTED


def require_answers(node: Node, facts: Facts) -> None:
    """Refuses to judge a host whose facts are incomplete.

    Raises:
        PreflightError: naming the missing facts.
    """
    require_passed(
        node, [check for check in check_host(node, facts, rendered=False) if check.name in STATUS_NEEDS]
    )


def _behind(environment: Environment, facts: Facts) -> str:
    """How many commits the running release is behind the branch that is followed; "" for none, or when that is unknown."""
    from deploy_lib.source import git

    release = facts.proven
    if release is None or environment.follows is None:
        return ""
    count = git.behind(environment.root, release.release.commit, environment.follows)
    return f"{count} {'commit' if count == 1 else 'commits'} behind {environment.follows}" if count else ""


def _moving(environment: Environment, node: Node, facts: Facts) -> list[Image]:
    """The images of the release whose tags may have moved: those that are not the project's own, nor pinned in its files."""
    if facts.proven is None:
        return []
    images = set(facts.proven.release.images.values())
    others = [i for i in images if i.digest and i.repository and not i.below(environment.image_registry)]
    try:
        files = read_stack(environment, node).files.values() if others else ()
    except UsageError:
        return []
    pinned = b"\n".join(entry.content for entry in files)
    return [image for image in others if image.digest.encode() not in pinned]


def _newer(node: Node, facts: Facts, newer: Mapping[Image, str]) -> Iterator[str]:
    recorded = facts.proven.release.images if facts.proven else {}
    for image, digest in sorted(newer.items()):
        users = sorted(service for service, each in recorded.items() if each == image)
        one = f" {users[0]}" if len(users) == 1 else ""
        yield (
            f"the registry has a newer {image.unpinned} ({digest[:19]}) than the one that runs; to take it: "
            f"{node.deploy_task} --refresh{one}"
        )


def as_dict(found: Status) -> dict[str, Any]:
    """This node's part of the JSON document."""
    recorded = found.release.release if found.release else None
    return {
        "outcome": found.outcome,
        "from": None,
        "to": recorded.title if recorded else None,
        "release": found.release
        and {
            "id": found.release.release.id,
            "tag": found.release.release.tag,
            "commit": found.release.release.commit,
            "patches": dict(found.release.release.patches),
            "who": found.release.who,
            "origin": found.release.origin,
            "at": found.release.at,
        },
        "services": {
            row.service: {k: v for k, v in asdict(row).items() if k != "service"} for row in found.rows
        },
        "drift": list(found.drift),
        "notes": list(found.notes),
        "error": None,
    }


def _node_of(node: Node, found: Status | DeployError) -> dict[str, Any]:
    if isinstance(found, Status):
        return as_dict(found)
    outcome = outcome_of(node, found)
    return {"outcome": outcome, "from": None, "to": None, "services": {}, "drift": [], "error": str(found)}


def _show_status(console: Console, found: Sequence[tuple[Node, Status | DeployError]]) -> None:
    services, releases = [], []
    for node, one in found:
        if isinstance(one, DeployError):
            state = "unreachable" if isinstance(one, UnreachableError) else "unknown"
            state = "off (optional)" if is_off(node, one) else state
            releases.append([node.name, node.stack_name, state, "", "", ""])
            continue
        event = one.release
        last = (
            [event.release.title, f"{event.who}@{event.origin}", short_time(event.at)] if event else [""] * 3
        )
        releases.append([node.name, node.stack_name, one.outcome, *last])
        services += [[node.name, *_cells(row)] for row in one.rows]
    columns = ["node", "service", "tag", "digest", "state", "up", "ports"]
    console.table("", columns, services, flexible="ports")
    columns = ["node", "stack", "the host is", "release", "by", "since"]
    console.table("", columns, releases, flexible="by")
    for node, one in found:
        if isinstance(one, DeployError) and is_off(node, one):
            console.result(f"{node.name}: (optional, and off: {one.what})")
            continue
        if isinstance(one, DeployError):
            console.error(one)
            continue
        for line in one.drift:
            console.result(f"{node.name}: {line}")
        for line in one.notes:
            console.result(f"{node.name}: ({line})")


def _cells(row: Row) -> list[str]:
    state = row.health if row.state == "running" and row.health else row.state
    restarts = f", {row.restarts} restarts" if row.restarts else ""
    return [
        row.service,
        row.tag or "-",
        row.digest.removeprefix("sha256:")[:12] or "-",
        f"{state}{restarts}",
        "-" if row.uptime is None else age(row.uptime),
        " ".join(str(port) for port in row.ports) or "-",
    ]
