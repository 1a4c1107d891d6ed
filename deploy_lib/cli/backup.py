"""`backup`."""

from __future__ import annotations

from deploy_lib.cli.change import changing
from deploy_lib.cli.invocation import Invocation


def run(invocation: Invocation) -> None:
    """Makes the backups of the nodes' stacks now.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with changing(invocation) as change:
        from deploy_lib.fleet import backup

        change.done = backup.back_up(change.deployments, change.request, change.console)
