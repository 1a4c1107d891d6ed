"""A node's outcome: how far its deployment came, what that means as an exit status, and what state its host is in."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from deploy_lib.config import Node
from deploy_lib.errors import DeployError, ExitCode, StoppedError
from deploy_lib.host.change.lock import LAPSE
from deploy_lib.host.change.switch_faults import LostError, UncertainError
from deploy_lib.release.history import Event


class Outcome(StrEnum):
    """How far a node's deployment came; the values are those of the JSON document."""

    NOT_STARTED = "not started"
    SKIPPED = "skipped"
    """It is optional and off, and takes no part."""
    PLANNED = "planned"
    UNTOUCHED = "untouched"
    """It ended before the switch."""
    SWITCHED = "switched"
    """Switched, and not yet proven."""
    DEPLOYED = "deployed"
    UNCHANGED = "unchanged"
    PRUNED = "pruned"
    BACKED_UP = "backed up"
    RESTORED = "restored"
    REVERTED = "reverted"
    """Back on the release before, which is proven again."""
    FAILED = "failed"
    """Neither on the new release nor on the one before."""


def final_outcome(
    outcome: Outcome,
    error: DeployError | None,
    *,
    node: Node,
    before: Event | None,
    no_rollback: bool,
    rotated: bool = False,
    recorded: Sequence[str] = (),
    silent: bool = False,
    left: Sequence[str] = (),
) -> tuple[ExitCode, DeployError | None]:
    """A node's exit status, and its error with the state that its host is in.

    Args:
        before: the release that ran before, recorded or adopted.
        no_rollback: a release that failed was to be left in place.
        rotated: programs were given other secret values: a rollback keeps the values, so it is no way back from that.
        recorded: names of the nodes of the same command on which its release counts.
        silent: the host did not say afterwards what runs there.
        left: the volumes that a first deployment has left behind when it was taken down.
    """
    back = node.task(f"rollback --node {node.name}")
    first = (
        f"make Docker answer on {node.host} first (docker version says whether it does), then"
        if silent
        else f"look at it ({node.task('status')}, {node.task('logs')}), then"
    )
    running = f"{before.release.title} (release {before.release.id})" if before else "nothing"
    match outcome:
        case Outcome.DEPLOYED | Outcome.UNCHANGED | Outcome.PRUNED | Outcome.PLANNED | Outcome.BACKED_UP:
            return ExitCode.DONE, None
        case Outcome.NOT_STARTED if error is not None:
            return error.exit_code, error
        case Outcome.UNTOUCHED if isinstance(error, StoppedError):
            return ExitCode.INTERRUPTED, error
        case Outcome.UNTOUCHED | Outcome.REVERTED:
            if outcome is Outcome.UNTOUCHED:
                state = "what ran before still runs" if before else "nothing was started"
            else:
                stay = f", but for volumes, which stay: {', '.join(left)}" if left else ""
                state = f"the host is back on {running}" if before else f"the host is empty again{stay}"
            stopped = isinstance(error, StoppedError)
            hint = "run the command again" if stopped else "fix the cause, then run the command again"
            return ExitCode.FAILED_REVERTED, _stated(error, node, state, hint)
        case _:
            if isinstance(error, LostError):
                uncertain = isinstance(error, UncertainError)
                state = f"the host goes back to {running} by itself, within {LAPSE} s of the session's end"
                state += ", unless it has recorded the new release" if uncertain else ""
                hint = f"when it can be reached again, see: {node.task('status')}"
                if recorded:
                    state += f"; the new release counts on {', '.join(recorded)}"
                    hint += "; then run the same command again, so that all nodes agree"
            elif no_rollback:
                state = f"the failed release is left in place; before it ran {running}"
                going_back = f"{back} goes back, or " if before else ""
                hint = f"{going_back}deploy another tag"
            else:
                state = f"going back to {running} failed too: the host is in neither state"
                # Where nothing ran, a rollback has nothing to go to.
                anew = f"{first} mend the cause, and deploy again: {node.deploy_task} --node {node.name}"
                again = f"{first} run it again: {node.task('rotate-secrets')}"
                hint = again if rotated else f"{first}: {back}" if before else anew
            return ExitCode.FAILED_INCONSISTENT, _stated(error, node, state, hint)


def _stated(error: DeployError | None, node: Node, state: str, hint: str) -> DeployError:
    what = error.what if error is not None else "another node failed"
    stated = DeployError(
        f"{what}\n  {state}",
        node=node.name,
        step=error.step if error is not None else None,
        hint=(error.hint if error is not None else None) or hint,
    )
    stated.__cause__ = error.__cause__ if error is not None else None
    return stated
