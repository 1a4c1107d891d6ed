"""A node's last word: its exit status, and what state its host is in; one place for all of them."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.config import Node
from deploy_lib.errors import DeployError, ExitCode, StoppedError
from deploy_lib.host.change import watch
from deploy_lib.host.change.lock import LAPSE
from deploy_lib.node.deployment import Deployment


def settle(deployment: Deployment, recorded: Sequence[str] = ()) -> tuple[ExitCode, DeployError | None]:
    """A node's exit status, and what is to be said of it: its error, with the state that its host is in.

    Args:
        recorded: names of the nodes of the same command on which its release counts.
    """
    error, node = deployment.error, deployment.node
    # An adopted project is no record yet, and is gone back to all the same.
    before = deployment.plan.before if deployment.plan else deployment.before
    running = f"{before.release.tag} (release {before.release.id})" if before else "nothing"
    match deployment.outcome:
        case "deployed" | "unchanged" | "pruned" | "planned":
            return ExitCode.DONE, None
        case "not started" if error is not None:
            return error.exit_code, error
        case "untouched" | "reverted":
            if isinstance(error, StoppedError) and deployment.outcome == "untouched":
                return ExitCode.INTERRUPTED, error
            if deployment.outcome == "untouched":
                state = "what ran before still runs" if before else "nothing was begun"
            else:
                state = f"the host is back on {running}" if before else "the host is empty again"
            stopped = isinstance(error, StoppedError)
            mend = (
                "to go on, run the command again" if stopped else "mend the cause, then run the command again"
            )
            return ExitCode.FAILED_REVERTED, _stated(error, node, state, mend)
        case _:
            if isinstance(error, watch.LostError):
                uncertain = isinstance(error, watch.UncertainError)
                state = f"the host goes back to {running} by itself, within {LAPSE} s of the session's end"
                state += ", unless it has recorded the new release" if uncertain else ""
                mend = "when it can be reached again, see: invoke status"
                if recorded:
                    state += f"; the new release counts on {', '.join(recorded)}"
                    mend += "; then run the same command again, so that all nodes agree"
            elif deployment.request.no_rollback:
                state = f"the failed release is left in place; before it ran {running}"
                going_back = f"invoke rollback --node {node.name} goes back, or " if before else ""
                mend = f"{going_back}deploy another tag"
            else:
                state = f"going back to {running} failed too: the host is in neither state"
                mend = f"look at it (invoke status, invoke logs), then: invoke rollback --node {node.name}"
            return ExitCode.FAILED_INCONSISTENT, _stated(error, node, state, mend)


def _stated(error: DeployError | None, node: Node, state: str, mend: str) -> DeployError:
    what = error.what if error is not None else "nothing failed here, but on another node"
    stated = DeployError(
        f"{what}\n  {state}",
        node=node.name,
        step=error.step if error is not None else None,
        mend=(error.mend if error is not None else None) or mend,
    )
    stated.__cause__ = error.__cause__ if error is not None else None
    return stated
