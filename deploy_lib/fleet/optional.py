"""Optional nodes: a host that is off does not stop what the others are to do."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence
from typing import TypeVar

from deploy_lib.errors import DeployError, PreflightError, UnreachableError
from deploy_lib.fleet.parallel import side_by_side
from deploy_lib.node.deployment import Deployment
from deploy_lib.output.console import Console


def leave_out(deployments: Sequence[Deployment], console: Console, *, named: bool) -> list[Deployment]:
    """The nodes that take part: all but the optional ones that are off, which are told of in a warning.

    Only what is off is left out: a host that answers, and is not accepted or lets nobody in, stops the command as any other.

    Args:
        named: the operator chose these nodes, so each of them is wanted.

    Raises:
        PreflightError: all of them are off.
    """
    found = [] if named else _off([d for d in deployments if d.node.optional])
    present = [d for d in deployments if d not in found]
    _say_how_to_leave_out(present)
    if found and not present:
        raise PreflightError(
            f"every node is optional and off: {', '.join(d.node.name for d in found)}\n"
            + "\n".join(f"  {d.error}" for d in found),
        )
    for deployment in found:
        console.say(f"{deployment.node.name}: warning: skipped, being optional and off: {_why(deployment)}")
    if found:
        names = " and ".join(d.node.name for d in found)
        console.say(f"  -> the next command after {names} is back takes it to the release of the others")
    for deployment in present:
        deployment.leave_unscraped([d.node.name for d in found])
    return present


E = TypeVar("E", bound=DeployError)


def advised(error: E, deployment: Deployment) -> E:
    """The error, whose advice says how to leave its node out where it is off."""
    if isinstance(error, UnreachableError) and error.off and deployment.without:
        error.hint = "; ".join(filter(None, (error.hint, deployment.without)))
    return error


def _off(deployments: Sequence[Deployment]) -> list[Deployment]:
    def connect(deployment: Deployment) -> None:
        # Whatever else keeps it from being used is told by the check that finds it again.
        with contextlib.suppress(DeployError):
            try:
                deployment.session.open()
            except UnreachableError as error:
                if not error.off:
                    raise
                deployment.leave_out(error)

    side_by_side(deployments, connect)
    return [d for d in deployments if d.error is not None]


def _why(deployment: Deployment) -> str:
    return deployment.error.what if deployment.error else ""


def _say_how_to_leave_out(deployments: Sequence[Deployment]) -> None:
    for deployment in deployments:
        others = [d.node.name for d in deployments if d is not deployment]
        if others:
            words = " ".join(f"--node {shlex.quote(name)}" for name in others)
            typed = deployment.node.task(f"{deployment.request.command} {words}")
            name = deployment.node.name
            always = f"; or whenever it is off: optional = true for the node {name} in deploy.toml"
            deployment.tell_how_to_leave_out(
                f"without {name}: {typed}{'' if deployment.node.optional else always}"
            )
