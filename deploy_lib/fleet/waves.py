"""In which order the nodes of one command are changed."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.node.deployment import Deployment


def waves(deployments: Sequence[Deployment]) -> list[list[Deployment]]:
    """Those whose stacks need no other of these stacks, then the rest."""
    stacks = {d.node.stack_name for d in deployments}
    first = [d for d in deployments if not stacks & set(d.node.stack.needs)]
    rest = [d for d in deployments if d not in first]
    return [wave for wave in (first, rest) if wave]
