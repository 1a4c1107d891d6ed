"""Pruning on demand: what every deployment removes after its proof, also where none has come to that for a while."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.errors import ExitCode
from deploy_lib.fleet.deploy import conclude, each, locked, require
from deploy_lib.node.deployment import Deployment
from deploy_lib.output.console import Console
from deploy_lib.request import Request


def prune(deployments: Sequence[Deployment], request: Request, console: Console) -> ExitCode:
    """Removes the files and images that no kept release of the nodes needs, under their locks.

    Raises:
        DeployError: nothing was removed anywhere, for a reason that is no single node's.
    """
    each(deployments, lambda d: d.look_again(None))
    require(deployments)
    # Where nothing was ever staged there is nothing to lock, and a lock would leave a directory there.
    taking_part = [d for d in deployments if d.facts.history or d.facts.objects or d.facts.keep_tags]
    for deployment in deployments:
        if deployment not in taking_part:
            deployment.outcome = "unchanged"
            console.step(deployment.node.name, "prune", "nothing was ever deployed here")
    if not taking_part:
        return ExitCode.DONE
    with locked(taking_part, console, "what has not been removed yet stays"):
        each(taking_part, lambda d: d.look_again(None))
        require(taking_part)
        each(taking_part, lambda d: d.check_record())
        require(taking_part)
        each(taking_part, lambda d: d.prune(), request.parallel)
        return conclude(deployments)
