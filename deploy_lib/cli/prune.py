"""`prune`."""

from __future__ import annotations

from deploy_lib.cli.change import changing
from deploy_lib.cli.invocation import Invocation


def run(invocation: Invocation) -> None:
    """Removes the files and images on nodes that no rollback could need.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with changing(invocation) as change:
        from deploy_lib.fleet import pruning

        change.done = pruning.prune(change.deployments, change.request, change.console)
