"""`deploy-STACK` and `deploy-all`."""

from __future__ import annotations

from deploy_lib.cli.change import changing
from deploy_lib.cli.invocation import Invocation


def run(invocation: Invocation) -> None:
    """Deploys a stack to its nodes, or every node's.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with changing(invocation) as change:
        from deploy_lib.fleet.deploy import deploy

        change.done = deploy(change.environment, change.deployments, change.request, change.console)
