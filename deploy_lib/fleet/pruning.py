"""Pruning on demand: the same files and images that every deployment removes after its proof."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.errors import ExitCode
from deploy_lib.fleet.carry_out import conclude
from deploy_lib.fleet.done import Done
from deploy_lib.fleet.each import each, require
from deploy_lib.fleet.locks import locked
from deploy_lib.node.deployment import Deployment
from deploy_lib.output.console import Console
from deploy_lib.request import Request


def prune(deployments: Sequence[Deployment], request: Request, console: Console) -> Done:
    """Removes the files and images that no kept release of the nodes needs, under their locks; a dry run only lists them.

    Raises:
        DeployError: nothing was removed anywhere, for a reason that is no single node's.
    """
    each(deployments, lambda d: d.refresh_facts(None))
    require(deployments)
    # Where nothing was ever staged there is nothing to lock, and a lock would leave a directory there.
    taking_part = [d for d in deployments if d.facts.history or d.facts.objects or d.facts.keep_tags]
    for deployment in deployments:
        if deployment not in taking_part:
            deployment.skip()
            console.step(deployment.node.name, "prune", "nothing was ever deployed here")
    if not taking_part:
        return Done(ExitCode.DONE, deployments)
    removed: dict[str, list[str]] = {d.node.name: [] for d in taking_part}
    if request.dry_run:
        each(taking_part, lambda d: d.check_record())
        require(taking_part)
        each(taking_part, lambda d: d.foresee_pruning(removed[d.node.name].append), request.parallel)
        require(taking_part)
        return Done(ExitCode.DONE, deployments, removed=removed)
    with locked(taking_part, console, "files and images that are not removed yet stay"):
        each(taking_part, lambda d: d.refresh_facts(None))
        require(taking_part)
        each(taking_part, lambda d: d.check_record())
        require(taking_part)
        each(taking_part, lambda d: d.prune(removed[d.node.name].append), request.parallel)
        return Done(conclude(deployments), deployments, removed=removed)
