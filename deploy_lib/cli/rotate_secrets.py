"""`rotate-secrets`."""

from __future__ import annotations

from deploy_lib.cli.change import changing
from deploy_lib.cli.invocation import Invocation


def run(invocation: Invocation) -> None:
    """Gives nodes the secret values that were changed at their source.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with changing(invocation) as change:
        from deploy_lib.fleet import rotation

        off = [d.node.name for d in change.skipped]
        change.done = rotation.rotate(
            change.environment, change.deployments, change.request, change.console, off=off
        )
