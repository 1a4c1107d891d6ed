"""The commands that look and change nothing: status and logs. Neither needs a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy_lib.checks import host, require
from deploy_lib.checks.local import age
from deploy_lib.cli.command import Report, announce, command
from deploy_lib.cli.deploy import HELP
from deploy_lib.cli.nodes import choose, session_to
from deploy_lib.compose.compose import StackFile, read_stack_file
from deploy_lib.config import Environment, Node, OnePasswordSource
from deploy_lib.errors import DeployError, ExitCode, UnreachableError, UsageError, told
from deploy_lib.fleet.parallel import side_by_side
from deploy_lib.host.change.history import proven
from deploy_lib.host.look import logs
from deploy_lib.host.look.facts import Facts, gather
from deploy_lib.output.console import Console
from deploy_lib.plan.status import Row, Status, status
from deploy_lib.request import whole_number, word
from deploy_lib.secrets.sources import mask_what_is_at_hand
from deploy_lib.ssh.connection import StrictConnection

TAIL = 100
"""Lines of each container that `logs` shows, unless told."""

STATUS_NEEDS = ("tools", "permission", "Docker Engine", "facts")
"""The checks without which a host's state cannot be told."""

STATUS_HELP = {"json": HELP["json"], "debug": "show details"}
LOGS_HELP = {
    **STATUS_HELP,
    "service": "this service only",
    "follow": "go on with what comes, until Ctrl-C",
    "tail": f"how many lines of each container; otherwise {TAIL}",
}


def show_logs(
    root: Path,
    *,
    nodes: list[str] | None = None,
    connection: StrictConnection | None = None,
    service: str = "",
    follow: bool = False,
    tail: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Shows what the containers have said, oldest line first, or goes on with what they say until Ctrl-C.

    No secret is fetched for it: values that this machine has anyway are masked, and those that only a vault has are not.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with command("logs", root, as_json=json, debug=debug) as (environment, console, report):
        if follow and json:
            raise UsageError("--follow has no end, and --json is one document", mend="leave one of them out")
        lines = whole_number("--tail", tail, TAIL, range(0, 1_000_001))
        chosen = choose(environment, None, nodes, connection)
        files = {node.name: stack_file(environment, node) for node in chosen}
        wanted = word("--service", service)
        chosen = having(chosen, files, wanted)
        announce(console, environment, chosen)
        mask_what_is_at_hand(environment)
        if isinstance(environment.secret_source, OnePasswordSource):
            console.say("logs need no vault, so values that only the vault knows are not masked in them")
        sessions = {node.name: session_to(environment, node, connection) for node in chosen}
        services = [wanted] if wanted else []
        scripts = {n: logs.script(files[n].project, services, lines, follow=follow) for n in sessions}
        width = max(len(f"{n}/{s}") for n in sessions for s in files[n].secrets)
        said: dict[str, list[logs.Line]] = {n: [] for n in sessions}
        try:
            for node, item in logs.stream(sessions, scripts, follow=follow):
                if isinstance(item, DeployError):
                    report.exit = ExitCode.NOT_STARTED
                    report.nodes[node] = {"outcome": "failed", "error": str(item)}
                    console.error(item)
                elif follow:
                    _show(console, node, item, width)
                else:
                    said[node].append(item)
                if console.unheard:
                    break  # whoever read has seen enough, as in `... | head`
            for at_node, line in sorted(((n, x) for n in said for x in said[n]), key=lambda pair: pair[1].at):
                _show(console, at_node, line, width)
        except KeyboardInterrupt:
            # That is how one stops following: nothing went wrong.
            report.exit = ExitCode.INTERRUPTED
        finally:
            for session in sessions.values():
                session.close()
        for node in sessions:
            if not follow and not said[node] and node not in report.nodes:
                console.say(f"{node}: nothing was said")
        _report(report, said)


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
                    facts = gather(session, node, projects[node.name], {}, {})
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
    require(node, [check for check in host(node, facts, rendered=False) if check.name in STATUS_NEEDS])


def _behind(root: Path, facts: Facts) -> int | None:
    from deploy_lib.source import git

    release = proven(facts.history)
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


def stack_file(environment: Environment, node: Node) -> StackFile:
    """What a node's Compose file says before any host is asked.

    Raises:
        UsageError: it is missing or broken.
    """
    path = node.stack.compose
    try:
        return read_stack_file((environment.root / path).read_bytes(), path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def having(nodes: Sequence[Node], files: Mapping[str, StackFile], service: str | None) -> list[Node]:
    """The nodes whose stack has the service; all when none is meant.

    Raises:
        UsageError: none has it.
    """
    found = [node for node in nodes if service is None or service in files[node.name].secrets]
    if not found:
        known = sorted({name for file in files.values() for name in file.secrets})
        raise UsageError(f"there is no service {service!r}; there are {', '.join(known)}")
    return found


def _show(console: Console, node: str, line: logs.Line, width: int) -> None:
    console.result(f"{f'{node}/{line.service}':<{width}} | {line.text}")


def _report(report: Report, said: Mapping[str, Sequence[logs.Line]]) -> None:
    for node, lines in said.items():
        entry: dict[str, Any] = report.nodes.setdefault(node, {"outcome": "done", "error": None})
        entry["lines"] = [{"service": line.service, "at": line.at, "text": line.text} for line in lines]
