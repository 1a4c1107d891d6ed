"""Changes: what happens to each service of a stack, and why; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from deploy_lib.compose.override import delivered_in
from deploy_lib.host.look.facts import Facts
from deploy_lib.release.history import Event
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.values import replace

Action = Literal["create", "recreate", "start", "remove", "keep"]


class Change(Struct, frozen=True):
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


def left_alone(change: Change) -> Change:
    """The same service where it stays as it is."""
    return replace(change, action="keep", why=f"{change.why}, and stays so: others were asked for")


def along(
    changes: Sequence[Change],
    joins: Mapping[str, Sequence[str]],
    needs: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Change, ...]:
    """With the services that Compose makes anew along with another one.

    Args:
        joins: by service, those whose containers it is part of.
        needs: by service, those that it depends on, as far as that is enough for this Compose.
    """
    anew = {change.service for change in changes if change.action in ("create", "recreate")}
    found = {change.service: change for change in changes}
    ways = [
        (joins, "it is part of {}"),
        (needs or {}, "it depends on {}, and this version of Compose makes it anew, too"),
    ]
    for _ in changes:
        for name, change in found.items():
            why = next(
                (said.format(each) for to, said in ways for each in to.get(name, ()) if each in anew), ""
            )
            if why and change.action in ("keep", "start"):
                found[name] = replace(change, action="recreate", why=why)
                anew.add(name)
    return tuple(found.values())


def change_of(facts: Facts, before: Event | None, name: str, release: Release) -> Change:
    """What happens to a service of a release."""
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
    if before is None or any(facts.remade(c, before) for c in running):
        return change("recreate", "it is not as recorded")
    if len(running) > replicas:
        return change("remove", "fewer replicas")
    return _standing(facts, release, change("keep"))


def _as_started(facts: Facts, before: Event | None, release: Release, kept: Change) -> Change:
    """What happens to a service whose containers are still those that somebody else has started."""
    running, name = facts.of(kept.service), kept.service
    if len(running) > release.replicas.get(name, 1):
        return replace(kept, action="remove", why="fewer replicas")
    # Of an adopted project nobody has recorded a hash; that it is the right one was asked.
    known = before is None or before.kind == "adopted"
    if before is not None and not known and any(facts.remade(c, before) for c in running):
        return replace(kept, action="recreate", why="it is not as recorded")
    return _standing(facts, release, kept if known else replace(kept, why=""))


def _standing(facts: Facts, release: Release, kept: Change) -> Change:
    """What happens to a service whose containers are the right ones: they are started where they do not do their work."""
    for container in facts.of(kept.service):
        if container.done and kept.service in release.ends:
            continue
        if not container.healthy:
            # Docker keeps a stopped container's last health.
            how = container.state if container.state != "running" else container.health
            return replace(kept, action="start", why=f"it is {how}")
        if lost := facts.cut_off(container):
            return replace(kept, action="recreate" if lost.gone else "start", why=lost.why)
    return kept


def left_over(facts: Facts, release: Release) -> Iterator[Change]:
    """What happens to services that the new release does not have."""
    for name in sorted({c.service for c in facts.containers} - {*release.images}):
        image = facts.of(name)[0].image
        if name in {*release.idle, *facts.inactive}:
            yield Change(name, "keep", image, image, "its profile is not active: it is left as it is")
        else:
            yield Change(name, "remove", image, image, "the new files do not have it")
