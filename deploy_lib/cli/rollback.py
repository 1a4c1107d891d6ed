"""`rollback`."""

from __future__ import annotations

from deploy_lib.cli.change import changing
from deploy_lib.cli.flags import NODE
from deploy_lib.cli.invocation import Invocation


def run(invocation: Invocation) -> None:
    """Takes nodes back to an earlier release.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    named = bool(invocation.given[NODE]) or invocation.connection is not None
    with changing(invocation) as change:
        from deploy_lib.fleet import rollback

        change.done = rollback.roll_back(
            change.environment, change.deployments, change.request, change.console, named=named
        )
