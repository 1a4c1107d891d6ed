"""Runs: which services Compose starts in a switch, and when; pure."""

from __future__ import annotations

from collections.abc import Collection

from deploy_lib.checks.check import numbers
from deploy_lib.config import Stack
from deploy_lib.host.change.start import Runs
from deploy_lib.host.look.facts import Facts
from deploy_lib.release.release import Release


def runs(
    services: Collection[str],
    settled: Collection[str],
    ending: Collection[str],
    facts: Facts,
    *,
    late: bool,
    only: Collection[str] = (),
    stopped: Collection[str] = (),
    known: Collection[str] = (),
) -> Runs:
    """Which services Compose starts, and when.

    Args:
        settled: those that have done their work, and have not changed as far as is known here.
        ending: those that end when they have done their work.
        late: the release is an earlier one. A newer one may have done their work on the data since, so they come last.
        only: the services that may be touched; empty for all. Compose 2.26, asked for all, recreates a service together with
            one that it depends on.
        stopped: those that somebody had stopped.
        known: those that change, as far as is known here.
    """
    some = [name for name in services if name in only] if only else [*services]
    later = [name for name in some if late and name in ending and name not in settled]
    done = [name for name in some if name in settled]
    idle = [name for name in some if name in stopped and name not in {*later, *done}]
    if not (later or done or only or idle):
        return Runs()
    rest = [name for name in some if name not in {*later, *done, *idle}]
    first, once, last, never = (tuple(sorted(each)) for each in (rest, done, later, idle))
    early = tuple(name for name in in_order(once, facts) if name in some)
    sure = tuple(name for name in early if name in known)
    return Runs(first, once, last, late, never, early=early, known=sure)


def in_order(services: Collection[str], facts: Facts) -> list[str]:
    """These and what they depend on, directly and through others, as their containers say: each after what it depends on."""
    needs = {c.service: c.needs for c in facts.containers}
    found: list[str] = []
    begun: set[str] = set()

    def add(name: str) -> None:
        if name not in begun:
            begun.add(name)
            for each in needs.get(name, ()):
                add(each)
            found.append(name)

    for name in services:
        add(name)
    return found


ALONE = (2, 40)
"""The version of Compose that was tried and makes no service anew because of one that it depends on; 2.26 does."""


def made_along(
    facts: Facts, release: Release, stack: Stack, keep: Collection[str], chosen: Collection[str] = ()
) -> dict[str, tuple[str, ...]]:
    """By service, those that it depends on and is made anew with, although nothing of it has changed.

    Args:
        keep: the services that have not changed as far as is known here.
        chosen: the only services that are touched; none: all.
    """
    if numbers(facts.compose) >= ALONE:
        return {}
    alone = {*in_order(that_end(release, facts) & {*keep}, facts), *(table.service for table in stack.rolled)}
    alone |= {name for table in stack.in_turn for name in stack.replicas[table.kind]}
    found = {
        c.service: tuple(n for n in c.needs if n not in alone and (not chosen or {n, c.service} <= {*chosen}))
        for c in facts.containers
    }
    return {service: needs for service, needs in found.items() if needs}


def that_end(release: Release, facts: Facts) -> set[str]:
    """The services of a release that end when they have done their work: those that must, and those that may and have done so.

    One that may and runs is started as any other: others may be part of its container, or wait until it is healthy.
    """
    ended = {c.service for c in facts.containers if c.done} - {
        c.service for c in facts.containers if not c.done
    }
    return {n for n, how in release.ends.items() if n in release.images and (how == "must" or n in ended)}


def stopped(facts: Facts) -> set[str]:
    """The services of which no container runs."""
    still = {c.service for c in facts.containers if c.state not in ("exited", "created", "dead")}
    return {c.service for c in facts.containers} - still
