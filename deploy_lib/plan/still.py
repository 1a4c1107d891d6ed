"""Still: which services stand still during a restore and are started again, and which did not run before it; pure."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from deploy_lib.host.look.facts import Facts
from deploy_lib.release.release import Release


class Still(Struct, frozen=True):
    """What a restore stops.

    Attributes:
        stop: the services that stand still meanwhile, and are started again.
        left: those of them that an earlier restore has left stopped.
        aside: services of the release of which something does not run, and stays so: it has not done its work, but somebody has
            stopped or removed it, or it has failed.
    """

    stop: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()


def still(facts: Facts, release: Release, wanted: Collection[str]) -> Still:
    """Of the services that are to stand still, those that run: what has done its work is not done again, and what somebody has
    stopped stays so.

    Args:
        wanted: those that are to stand still.
    """
    down = [c for c in facts.containers if c.state in ("exited", "created", "dead", "paused")]
    idle = {c.service for c in down}
    running = {c.service for c in facts.containers if c not in down}
    left = _left(facts, release, wanted) & idle
    failed = {c.service for c in down if not (c.done and c.service in release.ends)}
    short = {name for name, count in release.replicas.items() if len(facts.of(name)) < count}
    aside = ((failed | short) & {*release.images}) - left
    stop, *others = (tuple(sorted(each)) for each in ((running & {*wanted}) | left, left, aside))
    return Still(stop, *others)


def _left(facts: Facts, release: Release, wanted: Collection[str]) -> set[str]:
    """What a restore that did not end has stopped."""
    begun = facts.unsettled_restore
    if begun is None:
        return set()
    if begun.stopped is not None:
        return {*begun.stopped}
    # An earlier program did not write it down, and stopped all of them.
    return {name for name in wanted if name in release.replicas and name not in release.ends}
