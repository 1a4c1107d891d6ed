"""Rolls: which services of a release are not replaced all at once; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from deploy_lib.config import InTurn, Stack
from deploy_lib.host.change.in_turn import Turn
from deploy_lib.host.change.rolling import Roll
from deploy_lib.host.gateways import Gateway
from deploy_lib.release.release import Release


def rolls(stack: Stack, release: Release, only: Collection[str] = ()) -> tuple[Roll | Turn, ...]:
    """They come in the order of deploy.toml.

    Args:
        only: no others are touched; none: all.
    """
    return tuple(_rolls(stack, release, only))


def _rolls(stack: Stack, release: Release, only: Collection[str]) -> Iterator[Roll | Turn]:
    def is_touched(service: str) -> bool:
        return service in release.images and (not only or service in only)

    for table in stack.rolling:
        if isinstance(table, InTurn):
            services = [name for name in stack.replicas.get(table.kind, ()) if is_touched(name)]
            if services:
                yield Turn(table.kind, services, table.log, {*services} & {*stack.unproven})
        elif isinstance(table, Gateway) and is_touched(table.service):
            yield Roll(table, release.replicas.get(table.service, 1), table.service in stack.unproven)
