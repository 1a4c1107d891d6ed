"""`history`: what happened on the hosts, from their own record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy_lib.cli.flags import EVENTS, PARALLEL
from deploy_lib.cli.invocation import Invocation, announce
from deploy_lib.cli.nodes import are_named, ask_each, choose, missing_any, outcome_of, sessions_with
from deploy_lib.cli.report import short_time
from deploy_lib.config import Node
from deploy_lib.errors import DeployError, ExitCode
from deploy_lib.host.change.history import read_history
from deploy_lib.output.console import Console
from deploy_lib.release.history import Event, interrupted
from deploy_lib.ssh.session import Session


def run(invocation: Invocation) -> None:
    """Shows each node's history, oldest first; it needs no secret. A node that cannot be reached does not hide the others.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with invocation.begin() as (environment, console, report):
        lines, limit = invocation.given[EVENTS], invocation.given[PARALLEL]
        chosen = choose(environment, invocation)
        announce(console, environment, chosen)
        sessions = sessions_with(environment, chosen, invocation.connection)

        def read(node: Node, session: Session) -> list[Event]:
            return read_history(session, node.directory, lines)

        past = ask_each(chosen, sessions, read, limit)
        for node in chosen:
            events = past[node.name]
            if isinstance(events, DeployError):
                console.error(events)
                report.nodes[node.name] = {"outcome": outcome_of(node, events), "error": str(events)}
                continue
            report.nodes[node.name] = {
                "outcome": "interrupted" if interrupted(events) else "done",
                "events": [for_document(event) for event in events[-lines:]],
                "error": None,
            }
            _show(console, node.name, events, lines)
        if missing_any(chosen, past, named=are_named(invocation)):
            report.exit = ExitCode.NOT_STARTED


def _show(console: Console, node: str, events: Sequence[Event], lines: int) -> None:
    if not events:
        console.result(f"{node}: nothing has happened yet")
    shown = events[-lines:]
    rows = [
        [
            short_time(event.at),
            _kind(event, events),
            event.release.title,
            event.command,
            f"{event.who}@{event.origin}",
            f"{event.seconds:.0f} s" if event.seconds else "",
        ]
        for event in shown
    ]
    columns = ["at (UTC)", "what", "tag", "command", "by", "took"]
    details = [event.detail.partition("\n")[0] for event in shown]
    console.table(node, columns, rows, flexible="by", notes=details)
    for event in shown:
        console.debug(node, f"{event.at} {event.kind}: release {event.release.id}")


def _kind(event: Event, events: Sequence[Event]) -> str:
    return "interrupted" if event is interrupted(events) else event.kind


def for_document(event: Event) -> dict[str, Any]:
    """An event for the document, without what only a host needs: a text beside a secret may be one that nobody has declared."""
    data = event.as_dict()
    data["release"].pop("places", None)
    return data
