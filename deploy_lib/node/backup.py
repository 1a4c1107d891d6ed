"""Backups of one node's data: made, and kept apart from what it deploys."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.config import Backup, Node
from deploy_lib.errors import DeployError
from deploy_lib.host.change import backup as backups
from deploy_lib.host.look.facts import Facts
from deploy_lib.node.site import Site
from deploy_lib.plan.steps import new_order
from deploy_lib.release.backup import BackupFile
from deploy_lib.release.release import Release


def make(
    site: Site,
    facts: Facts,
    wanted: Sequence[Backup],
    release: Release,
    token: str,
    *,
    why: str,
    prune: str = ":",
) -> list[BackupFile]:
    """Makes backups, each checked before it counts.

    Args:
        release: that runs.
        token: the lock owner's.
        why: what they are made for.
        prune: shell text that is run when all are made.

    Raises:
        DeployError: one could not be made; what runs was not touched.
    """
    orders = [
        new_order(
            site.stack,
            backup,
            release,
            why=why,
            image=next((str(facts.pinned(c)) for c in facts.of(backup.service)), ""),
            command=site.job.request.command,
        )
        for backup in wanted
    ]
    # It may take minutes.
    site.say("backup", f"{', '.join(f'{each.name} of {each.service}' for each in wanted)}, {why}")
    made = backups.make(site.session, site.stack, orders, token, prune)
    for file in made:
        site.say("backup", f"{file.shown} is whole")
    return made


def restore_command(node: Node, file: str) -> str:
    """What puts a backup back, as it is typed.

    Args:
        file: the backup's id.
    """
    return node.task(f"restore --node {node.name} --backup {file}")


def mention(error: DeployError, node: Node, made: Sequence[BackupFile]) -> None:
    """Adds to the error of a deployment which backups precede it."""
    for file in made:
        error.what += (
            f"\n  the data of {file.service} as they were before: {file.shown}; what puts them back: "
            f"{restore_command(node, file.id)}"
        )
