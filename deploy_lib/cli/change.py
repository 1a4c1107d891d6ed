"""A command that changes hosts, from its flags to its report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from deploy_lib.cli.invocation import Invocation, announce
from deploy_lib.cli.nodes import are_named, choose, deployments_on
from deploy_lib.config import Environment
from deploy_lib.errors import ExitCode
from deploy_lib.fleet.interruption import ignore_interrupts
from deploy_lib.output import streams as stdio
from deploy_lib.output.console import Console
from deploy_lib.request import Request

if TYPE_CHECKING:
    from deploy_lib.fleet.done import Done
    from deploy_lib.node.deployment import Deployment


class Change(Struct):
    """What a changing command works with, and its result; no result when it breaks off.

    Attributes:
        deployments: the nodes that take part.
        skipped: those that are optional and off.
    """

    environment: Environment
    console: Console
    request: Request
    deployments: Sequence[Deployment]
    done: Done | None = None
    skipped: Sequence[Deployment] = ()

    @property
    def nodes(self) -> Sequence[Deployment]:
        """The nodes that took part, for the report."""
        return self.done.nodes if self.done else self.deployments

    @property
    def reported(self) -> Sequence[Deployment]:
        """Those, and the ones that are off."""
        return [*self.nodes, *self.skipped]


@contextmanager
def changing(invocation: Invocation) -> Iterator[Change]:
    """The deployments that the block works on; their outcome is reported after it.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with invocation.begin() as (environment, console, report):
        request = invocation.request()
        stdio.wait_for_readers(request.dry_run)
        chosen = choose(environment, invocation)
        announce(console, environment, chosen)

        from deploy_lib.cli import report as reporting
        from deploy_lib.fleet.optional import leave_out

        with deployments_on(chosen, environment, request, console, invocation.connection) as deployments:
            change = Change(environment, console, request, deployments)
            try:
                change.deployments = leave_out(deployments, console, named=are_named(invocation))
                change.skipped = [d for d in deployments if d not in change.deployments]
                yield change
                if not request.dry_run:
                    ignore_interrupts()
                report.exit = change.done.exit if change.done else ExitCode.DONE
                for deployment in change.nodes:
                    if deployment.error is not None:
                        console.error(deployment.error)
            finally:
                report.nodes = {d.node.name: reporting.as_dict(d, change.done) for d in change.reported}
                report.release = next((found for d in change.nodes if (found := d.release_name)), None)
        if request.dry_run and change.done:
            for deployment in change.nodes:
                name = deployment.node.name
                reporting.show_plan(console, deployment, change.done.previews.get(name))
                reporting.show_restoration(console, deployment)
                if name in change.done.removed:
                    reporting.show_removals(console, name, change.done.removed[name])
        else:
            reporting.show_services(console, change.nodes)
