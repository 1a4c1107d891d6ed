"""`preflight`: every check of a deployment, and nothing but the checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deploy_lib.checks.check import Check, Result, failed
from deploy_lib.cli.invocation import Invocation, announce
from deploy_lib.cli.nodes import are_named, choose, deployments_on
from deploy_lib.errors import PreflightError
from deploy_lib.output.console import Console

if TYPE_CHECKING:
    from deploy_lib.fleet.findings import NodeSurvey

MARKS = {"ok": "ok", "failed": "FAILED", "warning": "warning", "deferred": "deferred"}


def run(invocation: Invocation) -> None:
    """Checks all that a deployment would check, on all nodes side by side; nothing is changed.

    Raises:
        Exit: with status 3 when a check failed.
    """
    with invocation.begin() as (environment, console, report):
        request = invocation.request()
        chosen = choose(environment, invocation)
        announce(console, environment, chosen)

        from deploy_lib.cli.report import as_dict
        from deploy_lib.fleet.findings import failures
        from deploy_lib.fleet.optional import leave_out
        from deploy_lib.fleet.survey import survey
        from deploy_lib.node.outcome import Outcome

        with deployments_on(chosen, environment, request, console, invocation.connection) as deployments:
            try:
                present = leave_out(deployments, console, named=are_named(invocation))
            finally:
                skipped = [d for d in deployments if d.outcome is Outcome.SKIPPED]
                report.nodes = {d.node.name: as_dict(d) for d in skipped}
            found = survey(environment, present, request)
            if found.left_out:
                console.say(found.left_out)
        report.release = found.version.tag if found.version else None
        report.nodes |= {name: _as_dict(node) for name, node in found.nodes.items()}
        report.more = {"checks": [check.as_dict() for check in found.here]}
        _show(console, found.columns)
        if found.version and not found.failed:
            what = f"a patch of {found.version.tag}" if request.images else found.version.tag
            console.result(f"a deployment would take {what}")
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
    """A line for each place; checks that did not pass follow in full, the others with --debug only."""
    rows = [[where, _summary(checks)] for where, checks in columns.items()]
    console.table("", ["where", "checks"], rows, flexible="checks")
    for where, checks in columns.items():
        for check in checks:
            console.debug(where, f"{MARKS[check.result]}: {check.name}: {check.found or check.proves}")
            if check.result in ("warning", "deferred"):
                console.say(f"{where}: {check.result}: {check.name}: {check.problem}\n    -> {check.hint}")


def _summary(checks: Sequence[Check]) -> str:
    counts = Counter(check.result for check in checks)
    words: dict[Result, str] = {
        "ok": "passed",
        "failed": "FAILED",
        "warning": "warned",
        "deferred": "deferred",
    }
    return ", ".join(f"{counts[result]} {word}" for result, word in words.items() if counts[result])
