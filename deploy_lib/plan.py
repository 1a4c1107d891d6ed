"""Plan: what a deployment would change on one node, as data. A dry run prints it, a deployment carries it out."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Literal

from deploy_lib.errors import PreflightError
from deploy_lib.operations import compose, layout
from deploy_lib.operations.facts import Facts
from deploy_lib.operations.files import digests
from deploy_lib.operations.history import Event, proven
from deploy_lib.operations.registry import without_tag
from deploy_lib.release import Release, Version
from deploy_lib.secrets.value import Secret
from deploy_lib.topology import Node, Reload

Action = Literal["create", "recreate", "start", "keep"]


@dataclass(frozen=True)
class Change:
    """What happens to one service, and why.

    Attributes:
        image: what it will run, `repository:tag@sha256:...`.
        before: what it runs now, "" when nothing.
    """

    service: str
    action: Action
    image: str
    before: str = ""
    why: str = ""


@dataclass(frozen=True)
class Desired:
    """A release as it should be: its record, and the content of all its files."""

    release: Release
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Plan:
    """All that one node's deployment will do.

    Attributes:
        before: the last proven release of this node.
        changed: paths whose content differs from the host's.
        dropped: paths that the release before had and this one has not.
        pulls: images that the host lacks.
        nothing: the host is exactly as it should be.
    """

    desired: Desired
    before: Event | None
    changes: tuple[Change, ...]
    changed: tuple[str, ...]
    dropped: tuple[str, ...]
    pulls: tuple[str, ...]
    reloads: tuple[Reload, ...]
    nothing: bool


def fingerprints(file: compose.StackFile, values: Mapping[str, Secret], key: str) -> dict[str, str]:
    """By service, `NAME=fingerprint` of each secret that it gets; without the key it tells nothing of the value."""
    keyed = {
        name: hmac.new(key.encode(), f"{name}\0{values[name].reveal()}".encode(), sha256).hexdigest()[:20]
        for name in file.secret_names
    }
    return {
        service: " ".join(f"{name}={keyed[name]}" for name in names)
        for service, names in file.secrets.items()
        if names
    }


def desire(
    *,
    release_id: str,
    version: Version,
    files: Mapping[str, bytes],
    images: Mapping[str, str],
    secrets: Mapping[str, str],
    variables: Mapping[str, str],
) -> Desired:
    """A whole release: every service from these images, with the checkout's files.

    Args:
        images: by service, `repository:tag@sha256:...`.
        secrets: see `fingerprints`.
        variables: non-secret values for the Compose file.
    """
    whole = {
        **files,
        layout.OVERRIDE: compose.override(images, secrets),
        layout.VARIABLES: compose.variables_file(variables),
    }
    release = Release(release_id, version.tag, version.commit, dict(images), digests(whole), dict(secrets))
    return Desired(release, whole)


def replace_one(
    *,
    release_id: str,
    version: Version,
    before: Event | None,
    facts: Facts,
    service: str,
    image: str,
    secret: str,
    node: str,
) -> Desired:
    """A release that differs from the proven one in the image of one service, and in nothing else.

    Raises:
        PreflightError: there is nothing to differ from, or the host's files are no longer those of its record.
    """
    if before is None:
        raise PreflightError(
            f"nothing is deployed yet, so {service} cannot be deployed by itself",
            node=node,
            mend="deploy the whole stack first, without --service",
        )
    edited = sorted(path for path, digest in before.release.files.items() if facts.files.get(path) != digest)
    if edited:
        raise PreflightError(
            f"files on the host are not those of its release: {', '.join(edited)}",
            node=node,
            mend="deploy the whole stack, without --service, to put them right",
        )
    images = {**before.release.images, service: image}
    secrets = {**before.release.secrets, **({service: secret} if secret else {})}
    generated = {layout.OVERRIDE: compose.override(images, secrets)}
    files = {**before.release.files, **digests(generated)}
    return Desired(Release(release_id, version.tag, version.commit, images, files, secrets), generated)


def make(node: Node, facts: Facts, desired: Desired) -> Plan:
    """Compares a host with what it should be."""
    release = desired.release
    before = proven(facts.history)
    changed = tuple(sorted(p for p, digest in release.files.items() if facts.files.get(p) != digest))
    recorded = before.release.files if before else {}
    dropped = tuple(sorted(path for path in recorded if path not in release.files))
    changes = tuple(_change(facts, before, name, release) for name in sorted(facts.services))
    orphans = any(c.service not in facts.services for c in facts.containers)
    nothing = (
        before is not None
        and not (changed or dropped or orphans)
        and before.release.files == release.files
        and all(change.action == "keep" for change in changes)
    )
    return Plan(
        desired=desired,
        before=before,
        changes=changes,
        changed=changed,
        dropped=dropped,
        pulls=tuple(sorted({image for image in release.images.values() if not present(facts, image)})),
        reloads=tuple(
            r for r in node.stack.reloads if any(_touches(r, path) for path in (*changed, *dropped))
        ),
        nothing=nothing,
    )


def present(facts: Facts, pinned: str) -> bool:
    """Whether the host has this very image."""
    return without_tag(pinned) in facts.digests


def _touches(reload: Reload, path: str) -> bool:
    return PurePosixPath(path).is_relative_to(reload.path)


def _change(facts: Facts, before: Event | None, name: str, release: Release) -> Change:
    service = facts.services[name]
    image = release.images[name]
    running = facts.of(name)
    now = running[0].image if running else ""

    def change(action: Action, why: str = "") -> Change:
        return Change(name, action, image, now, why)

    if len(running) < service.replicas:
        return change("create", "it is not there" if service.replicas == 1 else "more replicas")
    if any(c.image != image for c in running):
        return change("recreate", "image")
    if any(c.labels.get(compose.SECRETS_LABEL, "") != release.secrets.get(name, "") for c in running):
        return change("recreate", "secret")
    if before is None or any(c.config_hash != before.hashes.get(name) for c in running):
        return change("recreate", "it is not as recorded")
    if len(running) > service.replicas:
        return change("start", "fewer replicas")
    if not all(c.well for c in running):
        return change("start", f"it is {running[0].health or running[0].state}")
    return change("keep")
