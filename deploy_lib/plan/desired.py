"""Desired: a release as it should be, made from the checkout, from another release, or from what runs unrecorded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from deploy_lib import layout
from deploy_lib.compose.model import secret_files as files_of
from deploy_lib.compose.override import override_file, variables_file
from deploy_lib.config import Probe
from deploy_lib.host.look.facts import Facts
from deploy_lib.release.files import Entry, content_of, digest, entry, marks
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release, Version
from deploy_lib.secrets.fingerprint import as_text, read_marks
from deploy_lib.secrets.places import Place


@dataclass(frozen=True)
class Desired:
    """A release as it should be: its record, and the content of those of its files that the host may lack, by path."""

    release: Release
    files: Mapping[str, bytes]


def whole_release(
    *,
    release_id: str,
    version: Version,
    files: Mapping[str, bytes | Entry],
    images: Mapping[str, Image],
    secrets: Mapping[str, str],
    variables: Mapping[str, str],
    replicas: Mapping[str, int],
    secret_files: Mapping[str, str] | None = None,
    probes: Sequence[Probe] | None = None,
    places: Sequence[Place] | None = None,
    mounted: Mapping[str, str] | None = None,
    ends: Mapping[str, str] | None = None,
    compose_files: Sequence[str] = (),
    env_files: Sequence[str] = (),
    inputs: Sequence[str] = (),
) -> Desired:
    """A whole release: every service from these images, with the checkout's files.

    Args:
        images: by service, pinned.
        secrets: see `secrets.fingerprint.fingerprints`.
        variables: non-secret values for the Compose file.
        secret_files, places, mounted, ends: see `Release`.
        probes: what is to prove it.
        compose_files, env_files, inputs: see `Release`.
    """
    whole = {
        **files,
        layout.OVERRIDE: override_file(images, secrets, secret_files, mounted),
        layout.VARIABLES: variables_file(variables),
    }
    release = Release(
        release_id,
        version.tag,
        version.commit,
        dict(images),
        marks(whole),
        dict(secrets),
        dict(replicas),
        secret_files=dict(secret_files or {}),
        probes=None if probes is None else tuple(probes),
        places=None if places is None else tuple(places),
        mounted=dict(mounted or {}),
        ends=dict(ends or {}),
        compose_files=tuple(compose_files),
        env_files=tuple(env_files),
        inputs=tuple(inputs),
    )
    entries = {path: entry(each) for path, each in whole.items()}
    return Desired(release, {path: e.content for path, e in entries.items() if content_of(e.mark)})


def earlier_release(release_id: str, target: Release, running: Release | None) -> Desired:
    """A release that brings an earlier one back, with the secret values that run now.

    Args:
        running: the release that runs, whose fingerprints the values have.
    """
    known = {} if running is None else running.marks
    return _again(release_id, target, known, restores=target.id)


def rotated_release(release_id: str, running: Release, known: Mapping[str, str]) -> Desired:
    """The release that runs, with other secret values and nothing else changed.

    Args:
        known: by the secret's name, the fingerprint of its new value.
    """
    return _again(release_id, running, known, restores=None)


def _again(release_id: str, target: Release, known: Mapping[str, str], *, restores: str | None) -> Desired:
    secrets = {
        service: as_text({name: known.get(name, mark) for name, mark in read_marks(text).items()})
        for service, text in target.secrets.items()
    }
    generated = {layout.OVERRIDE: override_file(target.images, secrets, target.secret_files, target.mounted)}
    release = replace(
        target,
        id=release_id,
        files={**target.files, **marks(generated)},
        secrets=secrets,
        restores=restores,
    )
    return Desired(release, generated)


def contents_by_digest(contents: Iterable[bytes], wanted: Collection[str]) -> dict[str, bytes]:
    """Those of these contents whose SHA-256 is wanted, by it."""
    found = {digest(content): content for content in contents}
    return {name: content for name, content in found.items() if name in wanted}


def adopted_release(release_id: str, facts: Facts) -> Desired:
    """A project that runs without a record, as a release that can be gone back to."""
    images = {c.service: facts.pinned(c) for c in facts.containers}
    secrets = {c.service: mark for c in facts.containers if (mark := c.secrets)}
    secret_files = _secret_files(facts)
    mounted = {c.service: found for c in facts.containers if (found := c.mounted)}
    generated = {
        layout.OVERRIDE: override_file(images, secrets, secret_files, mounted),
        **({} if layout.VARIABLES in facts.files else {layout.VARIABLES: variables_file({})}),
    }
    if layout.OVERRIDE in facts.files:
        del generated[layout.OVERRIDE]
    release = Release(
        release_id,
        tag=_tag(images),
        commit=None,
        images=images,
        files={**facts.files, **marks(generated)},
        secrets=secrets,
        replicas=dict(Counter(c.service for c in facts.containers)),
        secret_files=secret_files,
        places=_places(facts),
        mounted=mounted,
        ends={name: service.ends for name, service in (facts.deployed or {}).items() if service.ends},
        # Nobody knows which of today's probes it could pass.
        probes=(),
        compose_files=_others(facts.by_hand.files if facts.by_hand else ()),
        env_files=_others(facts.by_hand.env_files if facts.by_hand else ()),
    )
    return Desired(release, generated)


def _others(files: Sequence[str]) -> tuple[str, ...]:
    """Without the generated ones, which every project has in the end."""
    return tuple(name for name in files if name not in (layout.OVERRIDE, layout.VARIABLES))


def _places(facts: Facts) -> tuple[Place, ...] | None:
    """The places for the record of a project that somebody else has started; None where they are not known, or not to be
    recorded: beside a secret may stand what nobody has declared as one, such as a password of an env file on the host.

    Its files are looked at again where that matters.
    """
    if facts.deployed is None or not all(place.whole for place in facts.places):
        return None
    return tuple(facts.places)


def _secret_files(facts: Facts) -> dict[str, str]:
    """The files that the containers of a project without a record have their secrets from."""
    places = {place for c in facts.containers if (place := c.delivery)}
    if len(places) != 1 or not facts.deployed:
        return {}
    return files_of(facts.deployed, PurePosixPath(places.pop()))


_OF_COMMIT = re.compile(r"([A-Za-z][A-Za-z._-]*[._-])?[0-9a-f]{7,40}|latest")
"""Tags that look like those of a project's own images: a commit's digits, with or without words before them."""


def _tag(images: Mapping[str, Image]) -> str:
    """The tag of the project's own images, as far as it can be told."""
    tags = sorted(image.tag for image in images.values() if _OF_COMMIT.fullmatch(image.tag))
    return tags[0] if tags else "unknown"
