"""Plan: what a deployment would change on one node, as data. A dry run prints it, a deployment carries it out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from msgspec import Struct, field

from deploy_lib import layout
from deploy_lib.compose.container import Container
from deploy_lib.config import Node, Reload
from deploy_lib.host.change.history import event
from deploy_lib.host.change.place import Placement
from deploy_lib.host.look.facts import Facts
from deploy_lib.plan.adopted import adopted_release
from deploy_lib.plan.changes import Change, along, change_of, left_alone, left_over
from deploy_lib.plan.desired import Desired
from deploy_lib.plan.runs import made_along
from deploy_lib.release.history import Event
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release


class Plan(Struct, frozen=True):
    """All that one node's deployment will do.

    Attributes:
        before: the last proven release of this node; of an adopted project, as it is about to be recorded.
        back: what the host goes back to when the new release fails; None: nothing ran, and the stack is taken down.
        changed: paths whose content differs from the host's.
        dropped: paths that the release before had and this one lacks, or that a release which was never proven has left.
        undo: the files that going back puts into their places, whatever lies there when it does; None: there is no `back`.
        pulls: images that the host lacks.
        ships: those of them that reach it through the session.
        nothing: the host is exactly as it should be, and has all images of the release.
        next_before: id of the release that a rollback will go to, once this one is proven.
        applies: names of the secrets that a program gets into its own data, too.
        ill: services whose containers of the release before were not healthy, or were cut off, which is no failure of going back.
        down: services that go down while they are replaced, and keep data in a volume.
        joins: by service, those whose containers it is part of.
        needs: by service, those that it depends on and is made anew with.
        aside: services that stay as they are, which is not as recorded: others were asked for.
        other_probes: the probes changed. That alone creates a release (no container changes), because a rollback re-runs
            the probes stored with its release.
    """

    desired: Desired
    before: Event | None
    back: Desired | None
    changes: tuple[Change, ...]
    changed: tuple[str, ...]
    dropped: tuple[str, ...]
    pulls: tuple[Image, ...]
    reloads: tuple[Reload, ...]
    nothing: bool
    undo: Placement | None = None
    next_before: str | None = None
    applies: tuple[str, ...] = ()
    other_probes: bool = False
    ill: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    ships: tuple[Image, ...] = ()
    joins: Mapping[str, Sequence[str]] = field(default_factory=dict)
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    aside: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The services whose containers are part of others, but for those that stay as they are."""
        images = self.desired.release.images
        return tuple(
            sorted(s for s, others in self.joins.items() if others and s in images and s not in self.aside)
        )

    @property
    def subject(self) -> str:
        """What changes, in a few words."""
        changing = [change.service for change in self.changes if change.action != "keep"]
        alone = "configuration only" if self.changed or self.dropped else "nothing that runs"
        return ", ".join(changing) or alone


def make_plan(
    node: Node,
    facts: Facts,
    desired: Desired,
    chosen: Collection[str] = (),
    *,
    shipped: Collection[Image] = frozenset(),
) -> Plan:
    """Compares a host with what it should be.

    Args:
        chosen: the only services that are touched, with those that are made anew along with them; none: all.
        shipped: images that no registry is asked for: they reach the host in another way.
    """
    release = desired.release
    before, back, half = facts.proven, None, facts.unsettled
    if before is not None:
        back = Desired(before.release, {})
    elif facts.unrecorded:
        back = adopted_release(f"{release.id}-adopted", facts)
        before = event("adopted", back.release)
    changed = tuple(sorted(p for p, digest in release.files.items() if facts.files.get(p) != digest))
    recorded = before.release.files if before else {}
    left = {path for path in half.release.files if path in facts.files} if half else set()
    gone = (path for path in {*recorded, *left} if path not in release.files)
    dropped = tuple(sorted(path for path in gone if not _at_home(node, path)))
    # Services that were not asked for are part of what they are part of now, whatever the checkout says.
    asked = {n: s.joins for n, s in facts.services.items() if not chosen or n in chosen}
    joins = {**facts.joins, **asked}
    changes = tuple(change_of(facts, before, name, release) for name in sorted(release.images))
    over = tuple(left_over(facts, release))
    aside = {
        c.service for c in (*changes, *over) if chosen and c.service not in chosen and c.action != "keep"
    }
    keep = [c.service for c in changes if c.action == "keep"]
    needs = made_along(facts, release, node.stack, keep, chosen)
    changes, over = (
        tuple(left_alone(c) if c.service in aside else c for c in each) for each in (changes, over)
    )
    changes = along(changes, joins, needs)
    aside -= {c.service for c in changes if c.action != "keep"}
    changes += over
    # What is left as it is must be in the record, or it would count as drift.
    beside = {*release.idle, *facts.inactive} & {*(before.release.idle if before else ())}
    orphans = not chosen and any(c.service not in {*release.images, *beside} for c in facts.containers)
    lacking = sorted({image for image in release.images.values() if not facts.has(image)})
    other_probes = before is not None and before.release.probes not in (None, release.probes)
    nothing = (
        before is not None
        and not (changed or dropped or orphans)
        and before.release.files == release.files
        and before.release.same_order(release)
        and not other_probes
        and half is None
        and all(change.action == "keep" for change in changes)
        and not facts.lost(release)
        and not lacking
    )
    undo = _undo(facts, back.release, release, dropped) if back else None
    touched = (*changed, *dropped, *(undo.files if undo else ()))
    return Plan(
        desired=desired,
        before=before,
        back=back,
        changes=changes,
        changed=changed,
        dropped=dropped,
        pulls=tuple(image for image in lacking if image not in shipped),
        ships=tuple(image for image in lacking if image in shipped),
        reloads=tuple(
            r for r in node.stack.reloads if not r.watched and any(_touches(r, path) for path in touched)
        ),
        nothing=nothing,
        undo=undo,
        next_before=_next_before(before, release),
        other_probes=other_probes,
        joins=joins,
        needs=needs,
        aside=tuple(sorted(aside)),
        ill=ill(facts, _own(facts, before)),
        down=tuple(_down(facts, changes)),
    )


def ill(facts: Facts, own: Iterable[Container]) -> tuple[str, ...]:
    """The services that are not healthy, or are cut off, before anything is changed: that they still are is no failure of going back.

    Args:
        own: the containers that count.
    """
    return tuple(sorted({c.service for c in own if not c.healthy or facts.cut_off(c)}))


def _own(facts: Facts, before: Event | None) -> list[Container]:
    """The containers that are the release's own: what another one has left says nothing of how this one was."""
    if before is None:
        return []
    # Of an adopted project nobody has recorded a hash.
    as_found = before.kind == "adopted" and facts.unsettled is None
    return [c for c in facts.containers if as_found or not facts.remade(c, before)]


def _at_home(node: Node, path: str) -> bool:
    """Whether a container may be at home there: what an earlier release has shipped is left."""
    found = PurePosixPath(path)
    return found.name in layout.PLACEHOLDERS or any(map(found.is_relative_to, node.stack.data))


def _undo(facts: Facts, back: Release, release: Release, dropped: Sequence[str]) -> Placement:
    """Compares with the host's files as they are: a release that was interrupted, or that failed and was left, may lie there."""
    files = {
        path: digest
        for path, digest in back.files.items()
        if release.files.get(path) != digest or facts.files.get(path) != digest
    }
    return Placement(files, sorted({*release.files, *dropped} - {*back.files}))


def _next_before(before: Event | None, release: Release) -> str | None:
    if before is None:
        return None
    return before.before if before.release.same_content(release) else before.release.id


def _touches(reload: Reload, path: str) -> bool:
    return PurePosixPath(path).is_relative_to(reload.path)


def _down(facts: Facts, changes: Sequence[Change]) -> Iterator[str]:
    services = {**(facts.deployed or {}), **facts.services}
    for change in changes:
        mounts = services[change.service].mounts if change.service in services else ()
        if (
            change.before
            and change.action in ("recreate", "remove")
            and any(m.kind == "volume" for m in mounts)
        ):
            yield change.service
