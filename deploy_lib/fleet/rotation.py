"""Rotating: the release that runs, with the secret values that its source has now; no registry, no login.

What a program keeps of a secret in its own data is changed there as well. Nothing else changes: the same images, files and
replicas, and only those containers are replaced that get one of the changed secrets.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from deploy_lib.checks.secrets import immutable
from deploy_lib.config import Environment
from deploy_lib.errors import ExitCode, PreflightError
from deploy_lib.fleet.carry_out import carry_out
from deploy_lib.fleet.deploy import rehearse
from deploy_lib.fleet.done import Done
from deploy_lib.fleet.each import each, require
from deploy_lib.fleet.locks import locked
from deploy_lib.host.change import apply
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.preflight import Values
from deploy_lib.output.console import Console
from deploy_lib.request import Request
from deploy_lib.secrets.sources import fetch
from deploy_lib.source.checkout import read_stack
from deploy_lib.values import replace


def rotate(
    environment: Environment,
    deployments: Sequence[Deployment],
    request: Request,
    console: Console,
    *,
    off: Collection[str] = (),
) -> Done:
    """Gives every node the secret values that were changed at their source.

    Args:
        off: the names of optional nodes that are off; they get the values from the next rotation.

    Raises:
        DeployError: nothing was changed anywhere, for a reason that is no single node's.
    """
    _look(deployments)
    if not any(d.before for d in deployments):
        raise PreflightError("nothing is deployed whose secrets could be changed", step="rotation")
    recorded = {name for d in deployments for name in d.running_secrets}
    names = sorted(recorded & set(environment.secrets))
    if gone := sorted(recorded - set(names)):
        console.say(f"{', '.join(gone)}: kept as it runs; deploy.toml does not declare it any more")
    values = fetch(environment, names)
    for deployment in deployments:
        deployment.check_room(values, deployment.running_secrets)
    changed = _changed(deployments, values)
    _check(environment, deployments, {**changed, **dict.fromkeys(off, ())}, values)
    taking_part = [d for d in deployments if changed[d.node.name]]
    for deployment in deployments:
        if deployment not in taking_part:
            deployment.skip()
    if not taking_part:
        console.say(
            f"nothing to rotate: {', '.join(names) or 'no secrets'} run with the values that their source has"
        )
        return Done(ExitCode.DONE, deployments)
    each(taking_part, lambda d: d.decide_rotation(values, changed[d.node.name]))
    require(taking_part)
    if request.dry_run:
        return replace(rehearse(taking_part, ()), nodes=deployments)
    with locked(taking_part, console):
        _look(taking_part)
        changed = _changed(taking_part, values)
        each(taking_part, lambda d: d.decide_rotation(values, changed[d.node.name]))
        require(taking_part)
        # The program goes back first: its users, which go back to the old values next, must find these accepted.
        return Done(carry_out(taking_part, request, values, (), needed_first=True), deployments)


def _look(deployments: Sequence[Deployment]) -> None:
    """Gathers the facts, and makes the checks of a host that is not to get a new version."""
    stacks = {d.node.stack_name for d in deployments}
    each(deployments, lambda d: d.refresh_facts(None))
    require(deployments)
    each(deployments, lambda d: d.check_back(stacks))
    require(deployments)


def _changed(deployments: Sequence[Deployment], values: Values) -> dict[str, list[str]]:
    """By node, the secrets that run there with other values."""
    return {d.node.name: d.changed_secrets(values) for d in deployments}


def _check(
    environment: Environment,
    deployments: Sequence[Deployment],
    changed: Mapping[str, Sequence[str]],
    values: Values,
) -> None:
    """Checks that the changed secrets can be changed, on every node that uses them.

    Raises:
        PreflightError: one cannot be, or a node that uses it was left out.
    """
    names = sorted({name for found in changed.values() for name in found})
    steps = environment.apply
    if problem := immutable(steps, names):
        raise PreflightError(problem, step="rotation", hint="set it back at its source")
    for step in apply.changeable(list(steps.values()), names):
        if problem := step.unfit(values[step.secret]):
            raise PreflightError(problem, step="rotation", hint="choose another value")
        left_out = [
            node.name
            for node in environment.nodes.values()
            if node.name not in changed
            and any(map(read_stack(environment, node).mentions, environment.names_of(step.secret)))
        ]
        if left_out:
            raise PreflightError(
                f"{step.secret} is also used on {', '.join(left_out)}, whose containers could no longer log in",
                step="rotation",
                hint=f"rotate it everywhere at once: {deployments[0].node.task('rotate-secrets')}, without --node",
            )
