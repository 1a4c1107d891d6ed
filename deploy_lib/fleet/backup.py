"""Backups on demand: the same that a deployment makes before a switch."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.errors import ExitCode, UsageError
from deploy_lib.fleet.carry_out import conclude
from deploy_lib.fleet.done import Done
from deploy_lib.fleet.each import each, require
from deploy_lib.fleet.locks import locked
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.pruning import require_record
from deploy_lib.output.console import Console
from deploy_lib.request import Request


def with_backups(deployments: Sequence[Deployment]) -> list[Deployment]:
    """The nodes whose stacks have backups.

    Raises:
        UsageError: none has.
    """
    found = [d for d in deployments if d.node.stack.backups]
    if not found:
        stacks = sorted({d.node.stack_name for d in deployments})
        raise UsageError(
            f"deploy.toml has no backups for {', '.join(stacks)}",
            hint=f"add [[stacks.{stacks[0]}.backups]]: docs/backups.md says how",
        )
    return found


def back_up(deployments: Sequence[Deployment], request: Request, console: Console) -> Done:
    """Makes all backups of the nodes' stacks, under their locks; old ones are removed.

    Raises:
        DeployError: none was made anywhere, for a reason that is no single node's.
    """
    wanted = with_backups(deployments)
    each(wanted, lambda d: d.refresh_facts(None))
    require(wanted)
    # A lock would leave a directory where nothing was ever deployed.
    taking_part = [d for d in wanted if d.before or d.facts.containers]
    for deployment in wanted:
        if deployment not in taking_part:
            deployment.skip()
            console.step(deployment.node.name, "backup", "nothing is deployed here")
    each(taking_part, lambda d: require_record(d.node, d.facts, "backup"))
    require(taking_part)
    if not taking_part:
        return Done(ExitCode.DONE, wanted)
    with locked(taking_part, console, "a backup that is under way ends by itself"):
        each(taking_part, lambda d: d.refresh_facts(None))
        each(taking_part, lambda d: d.back_up_now(), request.parallel)
        return Done(conclude(wanted), wanted)
