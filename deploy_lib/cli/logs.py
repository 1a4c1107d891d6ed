"""`logs`: the containers' output; no secret is needed for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from deploy_lib.cli.flags import FOLLOW, LOG_LINES, SERVICE
from deploy_lib.cli.invocation import Invocation, Report, announce
from deploy_lib.cli.nodes import are_named, choose, missing_any, outcome_of, sessions_with
from deploy_lib.errors import DeployError, ExitCode, UsageError
from deploy_lib.host.look import logs
from deploy_lib.host.stack import HostStack
from deploy_lib.names import did_you_mean
from deploy_lib.output.console import Console
from deploy_lib.secrets.sources import source_of
from deploy_lib.source.checkout import read_stack


def run(invocation: Invocation) -> None:
    """Shows the containers' last lines, oldest first, or follows them until Ctrl-C.

    No secret is fetched for it: values that this machine has anyway are masked, and those that only a vault has are not.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    follow = invocation.given[FOLLOW]
    with invocation.begin() as (environment, console, report):
        if follow and console.as_json:
            raise UsageError(
                "--follow never ends, so --json cannot make one document of it", hint="leave one of them out"
            )
        lines = invocation.given[LOG_LINES]
        chosen = choose(environment, invocation)
        wanted = invocation.given[SERVICE]
        local = {node.name: read_stack(environment, node) for node in chosen}
        if wanted is not None and not any(each.mentions(wanted) for each in local.values()):
            known = sorted({service for each in local.values() for service in each.services})
            raise _unknown(wanted, known)
        stacks = {node.name: HostStack(node, local[node.name].project) for node in chosen}
        announce(console, environment, chosen)
        if environment.secret_source is not None and not source_of(environment).at_hand:
            console.say("logs need no vault, so values that only the vault knows are not masked in them")
        sessions = sessions_with(environment, chosen, invocation.connection)
        services = [wanted] if wanted else []
        scripts = {
            n: logs.logs_script(stack.project, services, lines, follow=follow) for n, stack in stacks.items()
        }
        found: dict[str, set[str]] = {n: set() for n in sessions}
        nodes, failed = {node.name: node for node in chosen}, dict[str, DeployError]()
        said: dict[str, list[logs.Line]] = {n: [] for n in sessions}
        complete = False
        try:
            for node, item in logs.stream(sessions, scripts, follow=follow):
                if isinstance(item, DeployError):
                    failed[node] = item
                    outcome = outcome_of(nodes[node], item)
                    report.nodes[node] = {"outcome": outcome, "error": str(item)}
                    console.error(item)
                elif isinstance(item, logs.Known):
                    found[node].add(item.service)
                elif follow:
                    _show(console, node, item, found)
                else:
                    said[node].append(item)
                if console.reader_gone:
                    break  # the reader has gone, as in `... | head`
            else:
                complete = not failed
            for at_node, line in sorted(((n, x) for n in said for x in said[n]), key=lambda pair: pair[1].at):
                _show(console, at_node, line, found)
        except KeyboardInterrupt:
            # Ctrl-C is the way to end --follow, and no error.
            report.exit = ExitCode.INTERRUPTED
        finally:
            for session in sessions.values():
                session.close()
        if not report.exit and missing_any(chosen, failed, named=are_named(invocation)):
            report.exit = ExitCode.NOT_STARTED
        require_service(wanted, found, complete=complete)
        for node in [n for n in sessions if wanted is None or wanted in found[n]]:
            if not follow and not said[node] and node not in report.nodes:
                console.say(f"{node}: no log lines")
        _report(report, said)


def require_service(wanted: str | None, known: Mapping[str, Collection[str]], *, complete: bool) -> None:
    """Refuses a service that no host has a container of.

    Args:
        known: by node, the services that have one.
        complete: every host has answered to its end.

    Raises:
        UsageError: that is so.
    """
    names = sorted({name for found in known.values() for name in found})
    if wanted is not None and wanted not in names and names and complete:
        raise _unknown(wanted, names)


def _unknown(wanted: str, known: Sequence[str]) -> UsageError:
    return UsageError(
        f"there is no service {wanted!r}; there are {', '.join(known)}", hint=did_you_mean(wanted, known)
    )


def _show(console: Console, node: str, line: logs.Line, known: Mapping[str, Collection[str]]) -> None:
    width = max((len(f"{n}/{s}") for n, found in known.items() for s in found), default=0)
    console.result(f"{f'{node}/{line.service}':<{width}} | {line.text}")


def _report(report: Report, said: Mapping[str, Sequence[logs.Line]]) -> None:
    for node, lines in said.items():
        entry: dict[str, Any] = report.nodes.setdefault(node, {"outcome": "done", "error": None})
        entry["lines"] = [{"service": line.service, "at": line.at, "text": line.text} for line in lines]
