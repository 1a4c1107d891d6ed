"""Whether a secret was changed that needs `rotate-secrets`, and not only new containers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from deploy_lib.checks.check import Check, judged
from deploy_lib.config import Apply, Node
from deploy_lib.host.programs import Program


def check_once_read(
    node: Node, steps: Mapping[str, Apply], changed: Collection[str], *, recorded: bool
) -> Check:
    """That no secret was changed which a program keeps in its data, too: new containers could not log in to it.

    Args:
        changed: the secrets that run with other values than those of the source.
        recorded: there is a proven release; without one, rotate-secrets refuses.
    """
    found = [steps[name] for name in changed if name in steps]
    rotate = node.task("rotate-secrets")
    fixed = immutable(steps, changed)
    problem = "; ".join(
        f"{step.secret} was changed at its source, and {step.service} reads it only once" for step in found
    )
    return judged(
        "secrets that are read once",
        "none was changed since they were last deployed or rotated",
        fixed or problem,
        "set it back at its source"
        if fixed
        else f"change them where they are kept, too: {rotate}"
        if recorded
        else f"set them back at their source, deploy, then change them there: {rotate} does the rest",
    )


def immutable(steps: Mapping[str, Apply], changed: Collection[str]) -> str:
    """Which of the changed secrets cannot be changed at all; "" when there is none."""
    found = [steps[name] for name in changed if name in steps and not isinstance(steps[name], Program)]
    return "; ".join(
        f"{step.secret} was changed at its source, and {step.service} initialised its data with the old value, which cannot be changed afterwards"
        for step in found
    )
