"""`rollback`."""

from __future__ import annotations

from deploy_lib.cli.change import changing
from deploy_lib.cli.invocation import Invocation
from deploy_lib.cli.nodes import are_named


def run(invocation: Invocation) -> None:
    """Takes nodes back to an earlier release.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with changing(invocation) as change:
        from deploy_lib.fleet import rollback

        # Who names a host has not chosen among its stacks.
        named = are_named(invocation) and (invocation.connection is None or len(change.deployments) == 1)
        change.done = rollback.roll_back(
            change.environment, change.deployments, change.request, change.console, named=named
        )
