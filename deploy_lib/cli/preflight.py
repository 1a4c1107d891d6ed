"""`preflight`: every check of a deployment, and nothing but the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_lib.checks.check import Check, failed
from deploy_lib.cli.command import announce, command
from deploy_lib.cli.deploy import HELP
from deploy_lib.cli.nodes import choose, deployments_on
from deploy_lib.errors import PreflightError
from deploy_lib.output.console import Console
from deploy_lib.request import Request, whole_number, word
from deploy_lib.ssh.connection import StrictConnection

if TYPE_CHECKING:
    from deploy_lib.fleet.survey import NodeSurvey

PREFLIGHT_HELP = {"tag": HELP["tag"], "json": HELP["json"], "debug": "show what each check proves"}

MARKS = {"ok": "ok", "failed": "FAILED", "warning": "warning", "deferred": "deferred"}


def preflight(
    root: Path,
    *,
    nodes: list[str] | None = None,
    connection: StrictConnection | None = None,
    tag: str = "",
    parallel: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Checks all that a deployment would check, on all nodes side by side; nothing is changed.

    Raises:
        Exit: with status 3 when a check failed.
    """
    with command("preflight", root, as_json=json, debug=debug) as (environment, console, report):
        limit = whole_number("--parallel", parallel, 0, range(1, 101))
        request = Request("preflight", tag=word("--tag", tag), parallel=limit or None)
        chosen = choose(environment, None, nodes, connection)
        announce(console, environment, chosen)

        from deploy_lib.fleet.survey import failures, survey

        with deployments_on(chosen, environment, request, console, connection) as deployments:
            found = survey(environment, deployments, request)
        report.release = found.version.tag if found.version else None
        report.nodes = {name: _as_dict(node) for name, node in found.nodes.items()}
        report.more = {"checks": [check.as_dict() for check in found.here]}
        _show(console, found.columns)
        if found.version and not found.failed:
            console.result(f"a deployment would take {found.version.tag}")
        if found.failed:
            raise PreflightError(failures(found))


def _as_dict(found: NodeSurvey) -> dict[str, Any]:
    bad = failed(found.checks)
    return {
        "outcome": "failed" if bad else "ready",
        "began": found.began,
        "ended": found.ended,
        "checks": [check.as_dict() for check in found.checks],
        "error": "; ".join(f"{check.name}: {check.problem}" for check in bad) or None,
    }


def _show(console: Console, columns: Mapping[str, Sequence[Check]]) -> None:
    by_name = {where: {check.name: check for check in checks} for where, checks in columns.items()}
    names = dict.fromkeys(check.name for checks in columns.values() for check in checks)
    rows = []
    for name in names:
        cells = [by_name[where].get(name) for where in columns]
        rows.append([name, *(f"{MARKS[c.result]} {c.found}".strip() if c else "" for c in cells)])
    console.table("", ["check", *columns], rows)
    for where, checks in columns.items():
        for check in checks:
            console.debug(where, f"{check.name}: {check.proves}: {check.result}")
            if check.result in ("warning", "deferred"):
                console.say(f"{where}: {check.result}: {check.name}: {check.problem}\n    -> {check.mend}")
