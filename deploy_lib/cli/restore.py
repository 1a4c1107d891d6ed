"""`restore`."""

from __future__ import annotations

from deploy_lib.cli.change import changing
from deploy_lib.cli.flags import BACKUP
from deploy_lib.cli.invocation import Invocation
from deploy_lib.errors import UsageError


def run(invocation: Invocation) -> None:
    """Puts a backup back.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with changing(invocation) as change:
        from deploy_lib.fleet import restore

        wanted = invocation.given[BACKUP]
        if wanted is None:
            see = change.deployments[0].node.task("backups")
            raise UsageError("which backup? --backup names one by its id", hint=f"see: {see}")
        change.done = restore.restore(change.deployments, change.request, change.console, wanted)
