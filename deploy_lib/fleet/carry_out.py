"""Carrying plans out on several nodes: none is recorded before all are proven, and all go back if one fails."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.errors import ExitCode, StoppedError
from deploy_lib.fleet.each import each
from deploy_lib.fleet.waves import waves
from deploy_lib.host.look.registry import Login
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.outcome import Outcome
from deploy_lib.node.preflight import Values
from deploy_lib.request import Request


def carry_out(
    deployments: Sequence[Deployment],
    request: Request,
    values: Values,
    logins: Sequence[Login],
    *,
    needed_first: bool = False,
) -> ExitCode:
    """Carries out all nodes' plans, from the first file to the record; if one fails, all nodes go back.

    Files and images go everywhere, and backups are made, before the first host is switched. Stacks that others need are proven
    before those others begin. No node's release is recorded before every node's is proven.

    Args:
        needed_first: stacks that others need also go back first. Otherwise they go back last.
    """

    def switch(deployment: Deployment) -> None:
        deployment.check_deferred()
        deployment.switch(values)

    each(deployments, lambda d: d.stage(logins), request.parallel)
    if not failed(deployments):
        each(deployments, lambda d: d.back_up(), request.parallel)
    for wave in waves(deployments):
        if not failed(deployments):
            each(wave, switch, request.parallel)
    if all_proven(deployments):
        # From here on there is no way back: Ctrl-C must not leave some recorded and others not.
        each(deployments, lambda d: d.record(), again=True)
    else:
        why = reason(deployments)  # before going back, which may fail for another one
        order = waves(deployments) if needed_first else [*reversed(waves(deployments))]
        for wave in [list(deployments)] if request.no_rollback else order:
            switched = [d for d in wave if d.switched]
            each(switched, lambda d: d.leave(why) if request.no_rollback else d.go_back(why), again=True)
    if failed(deployments):
        untouched = [d for d in deployments if d.outcome is Outcome.UNTOUCHED]
        why = reason(deployments)
        each(untouched, lambda d: d.abort(why), again=True)
    return conclude(deployments)


def conclude(deployments: Sequence[Deployment]) -> ExitCode:
    """Gives each node its final outcome, and the command its exit status."""
    # Neither the release before nor the new one: only the host knows.
    each([d for d in deployments if d.outcome is Outcome.FAILED], lambda d: d.look_again(), again=True)
    recorded = [d.node.name for d in deployments if d.outcome is Outcome.DEPLOYED]
    return ExitCode.worst([d.conclude(recorded) for d in deployments])


def all_proven(deployments: Sequence[Deployment]) -> bool:
    """Whether no node has failed, so that all may be recorded; Ctrl-C is the error of each node that has no other.

    It is that of a node which was done when the key was pressed, too: its status is not that of somebody else's failure.
    """
    stop = deployments[0].session.stop
    for deployment in deployments if stop is not None and stop.is_set() else ():
        if deployment.error is None:
            deployment.fail(StoppedError("interrupted"))
    return not failed(deployments)


def failed(deployments: Sequence[Deployment]) -> bool:
    """Whether any node has failed."""
    return any(d.error is not None for d in deployments)


def reason(deployments: Sequence[Deployment]) -> str:
    """Why nodes go back, for their history: the first line of the first node's error."""
    first = next(d for d in deployments if d.error is not None)
    return first.console.redactor.clean(str(first.error)).splitlines()[0]
