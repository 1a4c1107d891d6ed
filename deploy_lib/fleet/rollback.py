"""Rolling back: an earlier release again, from what the hosts have kept; no registry, no vault, no login."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.config import Environment
from deploy_lib.errors import PreflightError, UsageError
from deploy_lib.fleet.carry_out import carry_out
from deploy_lib.fleet.deploy import deploy, rehearse
from deploy_lib.fleet.done import Done
from deploy_lib.fleet.each import each, require
from deploy_lib.fleet.locks import locked
from deploy_lib.node.backup import restore_command
from deploy_lib.node.deployment import Deployment
from deploy_lib.output.console import Console
from deploy_lib.release.history import Event
from deploy_lib.release.release import Version
from deploy_lib.request import Request
from deploy_lib.source.versions import ambiguous, versions


def roll_back(
    environment: Environment,
    deployments: Sequence[Deployment],
    request: Request,
    console: Console,
    *,
    named: bool,
) -> Done:
    """Takes the nodes back to the release before, or to the one with the tag that was asked for.

    Args:
        named: the operator chose these nodes; otherwise those are meant that the newest release touched, or, with a tag,
            all on which anything was ever deployed.

    Raises:
        DeployError: nothing was changed anywhere, for a reason that is no single node's.
    """
    each(deployments, lambda d: d.refresh_facts(None))
    require(deployments)
    tag = _meant(environment, deployments, request, console)
    taking_part = list(deployments) if named else _taking_part(deployments, tag)
    if said := _left_out(deployments, taking_part, tag):
        console.say(said)
    if tag is not None and any(_target(d, tag) is None for d in taking_part):
        console.say(f"{tag} was never proven on every node: it is deployed like any other")
        return deploy(environment, taking_part, request, console)
    if request.skip_validation:
        each(taking_part, lambda d: d.check_sessions())
    else:
        stacks = {d.node.stack_name for d in taking_part}
        each(taking_part, lambda d: d.check_back(stacks))

    def decide(deployment: Deployment) -> None:
        deployment.decide_back(_required(deployment, tag))

    each(taking_part, decide)
    require(taking_part)
    for deployment in taking_part:
        if said := _data(deployment):
            console.say(said)
    if request.dry_run:
        return rehearse(taking_part, ())
    with locked(taking_part, console):
        each(taking_part, lambda d: d.refresh_facts(None))
        each(taking_part, decide)
        require(taking_part)
        return Done(carry_out(taking_part, request, {}, ()), taking_part)


def _meant(
    environment: Environment, deployments: Sequence[Deployment], request: Request, console: Console
) -> str | None:
    """The tag to go back to: of what `--tag` may mean, what was proven on a node; None without one.

    What a node has recorded under this very name comes first, whether or not this checkout knows such a version.
    """
    if request.tag is None:
        return None
    recorded = [Version(request.tag)] if any(_target(d, request.tag) for d in deployments) else []
    try:
        known = versions(environment, request.tag)
    except UsageError:
        if not recorded:
            raise
        known = []
    found = [*recorded, *(v for v in known if v.tag != request.tag or not recorded)]
    taken = next((v for v in found if any(_target(d, v.tag) for d in deployments)), found[0])
    if said := ambiguous(request.tag, found, taken):
        console.say(said)
    return taken.tag


def _taking_part(deployments: Sequence[Deployment], tag: str | None) -> list[Deployment]:
    newest = max((_newest(d) for d in deployments), default="")
    found = [d for d in deployments if _newest(d) and (tag is not None or _newest(d) == newest)]
    if not found:
        raise PreflightError("nothing is deployed that could be rolled back", step="rollback")
    return found


def _left_out(deployments: Sequence[Deployment], taking_part: Sequence[Deployment], tag: str | None) -> str:
    """Which nodes stay as they are, and why; "" when none does."""
    names = ", ".join(d.node.name for d in deployments if d not in taking_part)
    why = "nothing was ever deployed there" if tag else "not touched by the newest release"
    return f"not taking part: {names} ({why})" if names else ""


def _data(deployment: Deployment) -> str:
    """That the data stay as they are, where they were backed up before the release that is gone back from; "" otherwise."""
    leaving = deployment.facts.unsettled or deployment.facts.proven
    if leaving is None or not leaving.backups:
        return ""
    typed = " and ".join(restore_command(deployment.node, file) for file in leaving.backups)
    return f"{deployment.node.name}: a rollback changes no data; what puts them back as they were before {leaving.release.title}: {typed}"


def _newest(deployment: Deployment) -> str:
    """Id of the release that was last begun or proven on a node; "" when there is none."""
    found = deployment.facts.unsettled or deployment.before
    return found.release.id if found else ""


def _target(deployment: Deployment, tag: str | None) -> Event | None:
    facts = deployment.facts
    if tag is not None:
        proven = [event for event in facts.history if event.counts and event.release.title == tag]
        return proven[-1] if proven else None
    # What failed or was interrupted never counted: the release before it is the one that was proven last.
    if facts.unsettled is not None or facts.proven is None:
        return facts.proven
    return facts.find(facts.proven.before)


def _required(deployment: Deployment, tag: str | None) -> Event:
    target = _target(deployment, tag)
    if target is None:
        raise PreflightError(
            "there is no release before this one"
            if deployment.before
            else "nothing is deployed that could be rolled back",
            node=deployment.node.name,
            step="rollback",
            hint=f"see: {deployment.node.task('history')}",
        )
    return target
