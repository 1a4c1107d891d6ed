"""One step on all nodes; a node that fails keeps its error, and later steps leave it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deploy_lib.errors import DeployError, SeveralErrors, StoppedError, told
from deploy_lib.fleet.optional import advised
from deploy_lib.fleet.parallel import side_by_side
from deploy_lib.node.deployment import Deployment


def each(
    deployments: Sequence[Deployment],
    work: Callable[[Deployment], object],
    parallel: int | None = None,
    *,
    again: bool = False,
) -> None:
    """Does the same on all nodes side by side; a node that fails keeps its error, and later steps leave it out.

    Args:
        parallel: how many at once; None for all.
        again: nodes with an error take part, and Ctrl-C is ignored: used to record, and to go back.
    """

    def attempt(deployment: Deployment) -> None:
        if again:
            deployment.session.stop = None
        elif deployment.session.stop is not None and deployment.session.stop.is_set():
            deployment.fail(StoppedError("interrupted"))
            return
        try:
            # Unforeseen errors, too, must not keep hosts from being taken back.
            with told(deployment.node.name):
                work(deployment)
        except DeployError as error:
            deployment.fail(advised(error, deployment))

    ready = [d for d in deployments if d.error is None or again]
    if not ready:
        return
    try:
        side_by_side(ready, attempt, parallel)
    except KeyboardInterrupt:
        if ready[0].session.stop is not None:
            ready[0].session.stop.set()
        raise


def require(deployments: Sequence[Deployment]) -> None:
    """Stops here when any node has failed.

    Raises:
        DeployError: that of the one node, or one that names them all.
    """
    errors = [d.error for d in deployments if d.error is not None]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise SeveralErrors(errors)
