"""Plan: what a deployment would change on one node, as data. A dry run prints it, a deployment carries it out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Literal

from deploy_lib.compose.joins import joined
from deploy_lib.compose.override import delivered_in
from deploy_lib.config import Node, Reload
from deploy_lib.host.change.history import event
from deploy_lib.host.change.place import Placement
from deploy_lib.host.look.facts import Facts
from deploy_lib.plan.adopted import adopted_release
from deploy_lib.plan.desired import Desired
from deploy_lib.release.history import Event
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release

Action = Literal["create", "recreate", "start", "remove", "keep"]


@dataclass(frozen=True)
class Change:
    """What happens to one service, and why.

    Attributes:
        image: what it will run.
        before: what it runs now, None when nothing.
    """

    service: str
    action: Action
    image: Image
    before: Image | None = None
    why: str = ""


@dataclass(frozen=True)
class Plan:
    """All that one node's deployment will do.

    Attributes:
        before: the last proven release of this node; of an adopted project, as it is about to be recorded.
        back: what the host goes back to when the new release fails; None: nothing ran, and the stack is taken down.
        changed: paths whose content differs from the host's.
        dropped: paths that the release before had and this one lacks, or that a release which was never proven has left.
        undo: the files that going back puts into their places, whatever lies there when it does; None: there is no `back`.
        pulls: images that the host lacks.
        ships: those of them that reach it through the session.
        nothing: the host is exactly as it should be.
        next_before: id of the release that a rollback will go to, once this one is proven.
        applies: names of the secrets that a program gets into its own data, too.
        ill: services that were not healthy before, which is no failure of going back.
        down: services that go down while they are replaced, and keep data in a volume.
        joins: by service, those whose containers it is part of.
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

    @property
    def subject(self) -> str:
        """What changes, in a few words."""
        changing = [change.service for change in self.changes if change.action != "keep"]
        alone = "configuration only" if self.changed or self.dropped else "nothing that runs"
        return ", ".join(changing) or alone


def make_plan(node: Node, facts: Facts, desired: Desired, shipped: Collection[Image] = frozenset()) -> Plan:
    """Compares a host with what it should be.

    Args:
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
    dropped = tuple(sorted(path for path in {*recorded, *left} if path not in release.files))
    joins = {name: joined(service.spec) for name, service in facts.services.items()}
    changes = along([_change(facts, before, name, release) for name in sorted(release.images)], joins)
    changes += tuple(_left(facts, release)) if facts.adopted else ()
    orphans = any(c.service not in release.images for c in facts.containers)
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
        pulls=tuple(sorted({i for i in release.images.values() if not facts.has(i) and i not in shipped})),
        ships=tuple(sorted({i for i in release.images.values() if not facts.has(i) and i in shipped})),
        reloads=tuple(
            r for r in node.stack.reloads if not r.watched and any(_touches(r, path) for path in touched)
        ),
        nothing=nothing,
        undo=undo,
        next_before=_next_before(before, release),
        other_probes=other_probes,
        joins=joins,
        ill=tuple(sorted({c.service for c in facts.containers if not c.healthy})),
        down=tuple(_down(facts, changes)),
    )


def along(changes: Sequence[Change], joins: Mapping[str, Sequence[str]]) -> tuple[Change, ...]:
    """With the services that Compose makes anew along with one whose container they are part of.

    Args:
        joins: by service, those whose containers it is part of.
    """
    anew = {change.service for change in changes if change.action in ("create", "recreate")}
    found = {change.service: change for change in changes}
    for _ in changes:
        for name, change in found.items():
            along_with = [each for each in joins.get(name, ()) if each in anew]
            if along_with and change.action in ("keep", "start"):
                found[name] = replace(change, action="recreate", why=f"it is part of {along_with[0]}")
                anew.add(name)
    return tuple(found.values())


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


def _change(facts: Facts, before: Event | None, name: str, release: Release) -> Change:
    replicas = release.replicas.get(name, 1)
    image = release.images[name]
    running = facts.of(name)
    now = running[0].image if running else None

    def change(action: Action, why: str = "") -> Change:
        return Change(name, action, image, now, why)

    if len(running) < replicas:
        return change("create", "it is not there" if not running else "more replicas")
    if not replicas:
        return change("remove", "fewer replicas") if running else change("keep")
    if any(c.image != release.references[name] for c in running):
        return change("recreate", "image")
    if name in release.as_started:
        return _as_started(facts, before, release, change("keep", "it runs as it is to be"))
    if any(c.secrets != release.secrets.get(name, "") for c in running):
        return change("recreate", "secret")
    delivery = delivered_in(release.secret_files)
    if name in release.secrets and any(c.delivery != delivery for c in running):
        return change("recreate", "delivery of its secrets")
    if any(c.mounted != release.mounted.get(name, "") for c in running):
        return change("recreate", "files that it mounts")
    if before is not None and before.kind == "adopted":
        return change("recreate", "its configuration, or how it was started")
    if before is None or any(c.config_hash != before.hashes.get(name) for c in running):
        return change("recreate", "it is not as recorded")
    if len(running) > replicas:
        return change("remove", "fewer replicas")
    ill = next((c for c in running if not (c.healthy or (c.done and name in release.ends))), None)
    if ill is not None:
        # Docker keeps a stopped container's last health.
        return change("start", f"it is {ill.state if ill.state != 'running' else ill.health}")
    return change("keep")


def _as_started(facts: Facts, before: Event | None, release: Release, kept: Change) -> Change:
    """What happens to a service whose containers are still those that somebody else has started."""
    running, name = facts.of(kept.service), kept.service
    if len(running) > release.replicas.get(name, 1):
        return replace(kept, action="remove", why="fewer replicas")
    # Of an adopted project nobody has recorded a hash; that it is the right one was asked.
    known = before is None or before.kind == "adopted"
    if before is not None and not known and any(c.config_hash != before.hashes.get(name) for c in running):
        return replace(kept, action="recreate", why="it is not as recorded")
    ill = next((c for c in running if not (c.healthy or (c.done and name in release.ends))), None)
    if ill is not None:
        return replace(
            kept, action="start", why=f"it is {ill.state if ill.state != 'running' else ill.health}"
        )
    return kept if known else replace(kept, why="")


def _left(facts: Facts, release: Release) -> Iterator[Change]:
    """What happens to services that the new release does not have."""
    for name in sorted({c.service for c in facts.containers} - {*release.images}):
        image = facts.of(name)[0].image
        if name in facts.inactive:
            yield Change(name, "keep", image, image, "its profile is not active: it is left as it is")
        else:
            yield Change(name, "remove", image, image, "the new files do not have it")


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
