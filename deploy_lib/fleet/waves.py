"""Waves: the order in which a fleet's stacks are switched; those that others need come first."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.node.deployment import Deployment


def waves(deployments: Sequence[Deployment]) -> list[list[Deployment]]:
    """The deployments in groups, each of which needs none but those before it; deploy.toml has no circle."""
    left, found = list(deployments), list[list[Deployment]]()
    while left:
        stacks = {d.node.stack_name for d in left}
        ready = [d for d in left if not stacks & d.node.needs]
        found.append(ready)
        left = [d for d in left if d not in ready]
    return found
