"""Rolls: which services of a release are replaced without losing a request; pure."""

from __future__ import annotations

from collections.abc import Collection

from deploy_lib.config import Stack
from deploy_lib.host.change.rolling import Roll
from deploy_lib.host.gateways import Gateway
from deploy_lib.release.release import Release


def rolls(stack: Stack, release: Release, only: Collection[str] = ()) -> tuple[Roll, ...]:
    """They come in the order of deploy.toml.

    Args:
        only: no others are touched; none: all.
    """
    return tuple(
        Roll(table, release.replicas.get(table.service, 1), table.service in stack.unproven)
        for table in stack.rolling
        if isinstance(table, Gateway)
        and table.service in release.images
        and (not only or table.service in only)
    )
