"""Pruning one node: the files and images that no rollback could need."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deploy_lib.config import Node
from deploy_lib.errors import PreflightError
from deploy_lib.host.change.prune import foresee_removal, remove_old
from deploy_lib.host.look.facts import Facts
from deploy_lib.node.site import Site
from deploy_lib.release.history import Event
from deploy_lib.release.release import Release


def check_record(node: Node, facts: Facts) -> None:
    """Refuses to prune where a stack runs without a record.

    Raises:
        PreflightError: it does here.
    """
    if facts.unrecorded:
        raise PreflightError(
            "the stack runs here without a record, so it is unknown which files and images it needs",
            node=node.name,
            step="prune",
            hint=f"deploy it first: {node.deploy_task}",
        )


def require_record(node: Node, facts: Facts, step: str) -> Event:
    """The release that is recorded here.

    Raises:
        PreflightError: there is none.
    """
    if facts.proven is None:
        raise PreflightError(
            "no release is recorded here",
            node=node.name,
            step=step,
            hint=f"deploy one first: {node.deploy_task}",
        )
    return facts.proven


def kept(node: Node, facts: Facts) -> Sequence[Event]:
    """The releases that a rollback could need, and one that was interrupted or failed."""
    half = facts.unsettled
    return [*facts.kept(node.stack.keep_releases), *([half] if half else [])]


def needed(facts: Facts) -> Sequence[str]:
    """Ids of the releases that a rollback would go to; the newest backup of the data that each worked on stays."""
    return [facts.proven.before] if facts.proven and facts.proven.before else []


def past(facts: Facts) -> Sequence[Release]:
    """All releases that are recorded."""
    return [event.release for event in facts.history]


def prune(site: Site, facts: Facts, token: str, on_removed: Callable[[str], object]) -> int:
    """Removes what neither the kept releases nor an unsettled one need; what runs is not touched.

    Args:
        token: the lock owner's.
        on_removed: gets each file and image as soon as it is removed, even when this fails afterwards.

    Returns:
        How many were removed.

    Raises:
        PruneError: not everything could be removed.
    """
    releases, removed = kept(site.node, facts), list[str]()

    def gone(what: str) -> None:
        removed.append(what)
        on_removed(what)

    try:
        remove_old(
            site.session,
            site.stack,
            [event.release for event in releases],
            token,
            gone,
            needed=needed(facts),
            past=past(facts),
        )
    finally:
        site.say("prune", f"{len(removed)} removed, {len(releases)} releases are kept")
        for what in removed:
            site.detail(what)
    return len(removed)


def foresee(site: Site, facts: Facts, on_found: Callable[[str], object]) -> None:
    """Lists what `prune` would remove.

    Raises:
        PruneError: the list is not complete.
    """
    releases = [event.release for event in kept(site.node, facts)]
    foresee_removal(site.session, site.stack, releases, on_found, needed=needed(facts), past=past(facts))
