"""`history`: what happened on the hosts, as they have written it down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deploy_lib.cli.command import announce, command
from deploy_lib.cli.deploy import HELP
from deploy_lib.cli.nodes import choose, session_to
from deploy_lib.config import Environment, Node
from deploy_lib.errors import DeployError, ExitCode, UnreachableError, told
from deploy_lib.fleet.parallel import side_by_side
from deploy_lib.host.change.history import read_history
from deploy_lib.output.console import Console
from deploy_lib.release.history import Event, interrupted
from deploy_lib.request import whole_number
from deploy_lib.ssh.connection import StrictConnection

TAIL = 20

HISTORY_HELP = {
    "tail": f"how many events of each node; otherwise {TAIL}",
    "json": HELP["json"],
    "debug": "show details",
}


def tell_history(
    root: Path,
    *,
    nodes: list[str] | None = None,
    connection: StrictConnection | None = None,
    tail: str = "",
    parallel: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Shows each node's history, oldest first; it needs no secret. A node that cannot be reached does not hide the others.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with command("history", root, as_json=json, debug=debug) as (environment, console, report):
        lines = whole_number("--tail", tail, TAIL, range(1, 100_001))
        limit = whole_number("--parallel", parallel, 0, range(1, 101))
        chosen = choose(environment, None, nodes, connection)
        announce(console, environment, chosen)
        past = _read(environment, chosen, connection, lines, limit or None)
        for node in chosen:
            events = past[node.name]
            if isinstance(events, DeployError):
                console.error(events)
                report.exit = ExitCode.NOT_STARTED
                outcome = "unreachable" if isinstance(events, UnreachableError) else "failed"
                report.nodes[node.name] = {"outcome": outcome, "error": str(events)}
                continue
            report.nodes[node.name] = {
                "outcome": "interrupted" if interrupted(events) else "done",
                "events": [event.as_dict() for event in events[-lines:]],
                "error": None,
            }
            _show(console, node.name, events, lines)


def _read(
    environment: Environment,
    nodes: Sequence[Node],
    connection: StrictConnection | None,
    lines: int,
    limit: int | None,
) -> dict[str, list[Event] | DeployError]:
    """By node, its newest events, or why it does not tell."""
    found: dict[str, list[Event] | DeployError] = {}

    def read(node: Node) -> None:
        session = session_to(environment, node, connection)
        try:
            with told(node.name):
                found[node.name] = read_history(session, node.directory, lines)
        except DeployError as error:
            found[node.name] = error
        finally:
            session.close()

    side_by_side(nodes, read, limit)
    return found


def _show(console: Console, node: str, events: Sequence[Event], lines: int) -> None:
    if not events:
        console.result(f"{node}: nothing has happened yet")
    rows = [
        [
            event.at,
            _kind(event, events),
            event.release.tag,
            event.release.id,
            event.command,
            f"{event.who}@{event.origin}",
            f"{event.seconds:.0f} s" if event.seconds else "",
            event.detail.partition("\n")[0],
        ]
        for event in events[-lines:]
    ]
    columns = ["at", "what", "tag", "release", "command", "by", "took", "detail"]
    console.table(node, columns, rows)


def _kind(event: Event, events: Sequence[Event]) -> str:
    return "interrupted" if event is interrupted(events) else event.kind
