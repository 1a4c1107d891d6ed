"""Several nodes, one release: the same checks for all before the first is changed, and all back if one fails."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.config import Environment
from deploy_lib.errors import ExitCode
from deploy_lib.fleet.carry_out import carry_out
from deploy_lib.fleet.done import Done
from deploy_lib.fleet.each import each, require
from deploy_lib.fleet.findings import Survey, require_checks
from deploy_lib.fleet.locks import locked, stoppable
from deploy_lib.fleet.survey import survey
from deploy_lib.host.look.registry import Login
from deploy_lib.node.deployment import Deployment
from deploy_lib.output.console import Console
from deploy_lib.plan.preview import Preview
from deploy_lib.request import Request


def deploy(
    environment: Environment, deployments: Sequence[Deployment], request: Request, console: Console
) -> Done:
    """Takes the nodes to the release that was asked for, or says why not; each deployment holds its own outcome.

    Raises:
        DeployError: nothing was changed anywhere, for a reason that is no single node's.
    """
    found = survey(environment, deployments, request)
    deployments = found.taking
    if found.left_out:
        console.say(found.left_out)
    for deployment in deployments:
        node = found.nodes[deployment.node.name]
        deployment.begin(node.facts, deferred=node.deferred)
    version = require_checks(found, console, lenient=request.skip_validation)
    each(deployments, lambda d: d.check_secrets(found.values))
    require(deployments)

    if _settled(found, deployments, request):
        with stoppable(deployments, console, "nothing was changed"):
            return Done(carry_out(deployments, request, found.values, found.logins), deployments)

    def decide(deployment: Deployment) -> None:
        deployment.refresh_facts(version)
        deployment.decide(version, found.manifests.get(deployment.node.name, {}), found.values)

    if request.dry_run:
        each(deployments, decide)
        return rehearse(deployments, found.logins)
    with locked(deployments, console):
        each(deployments, decide)
        require(deployments)
        return Done(carry_out(deployments, request, found.values, found.logins), deployments)


def _settled(found: Survey, deployments: Sequence[Deployment], request: Request) -> bool:
    """Whether one look has shown that all hosts are what was asked for, so that only the probes are left.

    A dry run tells what a deployment would do in detail; and where failed checks are only warned of, it is looked at again.
    """
    version = found.version
    if version is None or version != found.rendered or request.dry_run or request.skip_validation:
        return False
    return all(d.settle(version, found.manifests.get(d.node.name, {}), found.values) for d in deployments)


def rehearse(deployments: Sequence[Deployment], logins: Sequence[Login]) -> Done:
    """What the decisions would do to their hosts, in detail.

    Args:
        logins: what images would be pulled with.

    Raises:
        DeployError: a node's decision failed, or its host does not answer.
    """
    previews: dict[str, Preview] = {}

    def look_closer(deployment: Deployment) -> None:
        previews[deployment.node.name] = deployment.rehearse(logins)

    each(deployments, look_closer)
    require(deployments)
    return Done(ExitCode.DONE, deployments, previews)
