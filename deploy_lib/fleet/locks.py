"""The locks of several nodes: all or none."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from deploy_lib.fleet.interruption import handled
from deploy_lib.node.deployment import Deployment
from deploy_lib.output.console import Console


@contextmanager
def locked(
    deployments: Sequence[Deployment],
    console: Console,
    on_stop: str = "hosts that were switched and are not proven yet go back",
) -> Iterator[None]:
    """Holds the locks of all nodes, taken in the order of their names, all or none.

    Meanwhile Ctrl-C stops what waits for a host, and hosts that have been switched go back.

    Args:
        on_stop: what Ctrl-C leads to, for the operator.

    Raises:
        LockedError: somebody else holds one.
    """
    with stoppable(deployments, console, on_stop):
        try:
            for deployment in deployments:
                deployment.lock()
            yield
        finally:
            for deployment in deployments:
                deployment.release_lock()


@contextmanager
def stoppable(deployments: Sequence[Deployment], console: Console, on_stop: str) -> Iterator[None]:
    """Meanwhile Ctrl-C, and what else ends a process, stops what waits for a host, and the command ends with its outcome.

    Args:
        on_stop: see `locked`.
    """
    stop = deployments[0].session.stop or threading.Event()

    def leave_them() -> None:
        console.say("interrupted again: leaving; hosts that were switched go back by themselves")
        for deployment in deployments:
            deployment.session.close()

    with handled(
        stop,
        lambda: console.say(f"interrupted: {on_stop}"),
        leave_them,
    ):
        yield
