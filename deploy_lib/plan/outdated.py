"""Outdated: secrets that programs keep in their data, of which a backup may bring an earlier value back; pure."""

from __future__ import annotations

from deploy_lib.config import Node
from deploy_lib.host.change import apply
from deploy_lib.host.look.facts import Facts
from deploy_lib.release.backup import BackupFile
from deploy_lib.release.release import Release


def outdated(node: Node, facts: Facts, release: Release, file: BackupFile) -> str:
    """Which of them have changed since a backup was made, and what to do, in words; "" for none.

    No record shows it afterwards: the fingerprints are those of the values that the containers have.

    Args:
        release: the one that runs.
    """
    made = facts.find(file.release)
    then = made.release.marks if made is not None else {}
    # Of a release that is not known any more, any may have been another one.
    changed = [name for name, mark in release.marks.items() if then.get(name) != mark]
    names = sorted({step.secret for step in apply.changeable(node.stack.apply, changed)})
    if not names:
        return ""
    return (
        f"{', '.join(names)}: changed since the backup was made, or that is unknown; where it holds accounts, their programs have "
        f"the old value again: set another one at its source afterwards, and run {node.task('rotate-secrets')} (docs/backups.md)"
    )
