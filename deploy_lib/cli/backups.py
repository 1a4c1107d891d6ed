"""`backups`: which backups the hosts have."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.cli.flags import PARALLEL
from deploy_lib.cli.invocation import Invocation, announce
from deploy_lib.cli.nodes import are_named, ask_each, choose, missing_any, outcome_of, sessions_with
from deploy_lib.config import Node
from deploy_lib.errors import DeployError, ExitCode
from deploy_lib.host.look.backups import list_backups
from deploy_lib.host.stack import HostStack
from deploy_lib.output.console import Console
from deploy_lib.release.backup import BackupFile, shown_size
from deploy_lib.source.checkout import project_of
from deploy_lib.ssh.session import Session


def run(invocation: Invocation) -> None:
    """Lists each node's backups, oldest first; it needs no secret. A node that cannot be reached does not hide the others.

    Raises:
        Exit: with status 3 when one could not be asked.
    """
    with invocation.begin() as (environment, console, report):
        chosen = choose(environment, invocation)
        projects = {node.name: project_of(environment, node) for node in chosen}
        announce(console, environment, chosen)
        sessions = sessions_with(environment, chosen, invocation.connection)

        def ask(node: Node, session: Session) -> list[BackupFile]:
            return list_backups(session, HostStack(node, projects[node.name]))

        found = ask_each(chosen, sessions, ask, invocation.given[PARALLEL])
        for node in chosen:
            one = found[node.name]
            if isinstance(one, DeployError):
                console.error(one)
                report.nodes[node.name] = {"outcome": outcome_of(node, one), "error": str(one)}
                continue
            backups = [backup.as_dict() for backup in one]
            report.nodes[node.name] = {"outcome": "done", "backups": backups, "error": None}
            _show(console, node, one)
        if missing_any(chosen, found, named=are_named(invocation)):
            report.exit = ExitCode.NOT_STARTED


def _show(console: Console, node: Node, backups: Sequence[BackupFile]) -> None:
    if not backups:
        none = "no backups yet" if node.stack.backups else f"deploy.toml has no backups for {node.stack_name}"
        console.result(f"{node.name}: {none}")
    rows = [
        [backup.id, backup.service, backup.tag, shown_size(backup.size) if backup.whole else "DAMAGED"]
        for backup in backups
    ]
    notes = [f"{backup.why}, by {backup.by}" for backup in backups]
    console.table(node.name, ["backup", "service", "of", "size"], rows, flexible="of", notes=notes)
    for backup in backups:
        console.debug(
            node.name,
            f"{backup.id}: {backup.service} ran {backup.image}, release {backup.release}; by {backup.by}; "
            f"SHA-256 {backup.sha256}",
        )
