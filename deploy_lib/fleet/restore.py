"""Restoring: a backup's data in the place of those that are there, proven with the release that runs."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.errors import ExitCode, PreflightError
from deploy_lib.fleet.backup import with_backups
from deploy_lib.fleet.carry_out import all_proven, conclude, reason
from deploy_lib.fleet.done import Done
from deploy_lib.fleet.each import each, require
from deploy_lib.fleet.locks import locked
from deploy_lib.host.look.backups import list_backups
from deploy_lib.names import did_you_mean
from deploy_lib.node.deployment import Deployment
from deploy_lib.output.console import Console
from deploy_lib.release.backup import BackupFile
from deploy_lib.request import Request


def restore(deployments: Sequence[Deployment], request: Request, console: Console, wanted: str) -> Done:
    """Puts a backup back on the one node that has it, or says why not; the data of before are put back where it fails.

    Args:
        wanted: the backup's id.

    Raises:
        DeployError: nothing was changed anywhere.
    """
    listed = _listed(with_backups(deployments))
    deployment, file = _find(listed, wanted)
    one = [deployment]

    def choose(deployment: Deployment) -> None:
        deployment.refresh_facts(None)
        if request.skip_validation:
            deployment.check_sessions()
        else:
            deployment.check_back([])
        deployment.choose_backup(file)

    if request.dry_run:
        each(one, choose)
        require(one)
        return Done(ExitCode.DONE, one)
    with locked(one, console, "where data were put back that are not proven yet, those of before come back"):
        each(one, choose)
        require(one)
        each(one, lambda d: d.restore())
        if all_proven(one):
            each(one, lambda d: d.record(), again=True)
        else:
            why = reason(one)
            each([d for d in one if d.switched], lambda d: d.go_back(why), again=True)
        return Done(conclude(one), one)


def _listed(deployments: Sequence[Deployment]) -> list[tuple[Deployment, Sequence[BackupFile]]]:
    listed: dict[str, Sequence[BackupFile]] = {}

    def look(deployment: Deployment) -> None:
        listed[deployment.node.name] = list_backups(deployment.session, deployment.site.stack)

    each(deployments, look)
    require(deployments)
    return [(d, listed[d.node.name]) for d in deployments]


def _find(
    listed: Sequence[tuple[Deployment, Sequence[BackupFile]]], wanted: str
) -> tuple[Deployment, BackupFile]:
    found = [(d, file) for d, files in listed for file in files if file.id == wanted]
    if len(found) == 1:
        return found[0]
    nodes = [d for d, _ in listed]
    if found:
        where = ", ".join(d.node.name for d, _ in found)
        raise PreflightError(
            f"{where} all have a backup {wanted}", step="restore", hint="name one with --node"
        )
    raise PreflightError(
        f"there is no backup {wanted} on {', '.join(d.node.name for d in nodes)}",
        step="restore",
        hint=did_you_mean(wanted, [file.id for _, files in listed for file in files])
        or f"see: {nodes[0].node.task('backups')}",
    )
