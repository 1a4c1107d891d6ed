"""Desired: a release as it should be, made from the checkout, from another release, or from what runs unrecorded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from deploy_lib import layout
from deploy_lib.compose.override import override_file, variables_file
from deploy_lib.config import Probe
from deploy_lib.host.look.facts import Facts
from deploy_lib.release.files import Entry, content_of, digest, entry, marks
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release, Version
from deploy_lib.secrets.fingerprint import as_text, read_marks
from deploy_lib.secrets.places import Place
from deploy_lib.values import replace


class Desired(Struct, frozen=True):
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
    as_started: Mapping[str, Image] | None = None,
    idle: Sequence[str] = (),
    patches: Mapping[str, str] | None = None,
) -> Desired:
    """A whole release: every service from these images, with the checkout's files.

    Args:
        images: by service, pinned.
        secrets: see `secrets.fingerprint.fingerprints`.
        variables: non-secret values for the Compose file.
        secret_files, places, mounted, ends: see `Release`.
        probes: what is to prove it.
        compose_files, env_files, inputs, as_started, idle, patches: see `Release`.
    """
    as_started = as_started or {}
    whole = {
        **files,
        layout.OVERRIDE: override_file(told_of(images, as_started), secrets, secret_files, mounted),
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
        as_started=dict(as_started),
        idle=tuple(idle),
        patches=dict(patches or {}),
    )
    entries = {path: entry(each) for path, each in whole.items()}
    return Desired(release, {path: e.content for path, e in entries.items() if content_of(e.mark)})


def earlier_release(release_id: str, target: Release, facts: Facts) -> Desired:
    """A release that brings an earlier one back, with the secret values that run now.

    Args:
        facts: they have the release that runs, whose fingerprints the values have, and what names of images mean by now.
    """
    known = facts.proven.release.marks if facts.proven else {}
    as_started = {
        name: each for name, each in target.as_started.items() if facts.still_leads(each, target.images[name])
    }
    return _again(release_id, replace(target, as_started=as_started), known, restores=target.id)


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
    # What gets another value is made anew, and told of by its label.
    as_started = {
        name: each
        for name, each in target.as_started.items()
        if restores or secrets.get(name) == target.secrets.get(name)
    }
    told = told_of(target.images, as_started)
    generated = {layout.OVERRIDE: override_file(told, secrets, target.secret_files, target.mounted)}
    release = replace(
        target,
        id=release_id,
        as_started=as_started,
        files={**target.files, **marks(generated)},
        secrets=secrets,
        restores=restores,
    )
    return Desired(release, generated)


def contents_by_digest(contents: Iterable[bytes], wanted: Collection[str]) -> dict[str, bytes]:
    """Those of these contents whose SHA-256 is wanted, by it."""
    found = {digest(content): content for content in contents}
    return {name: content for name, content in found.items() if name in wanted}


def told_of(images: Mapping[str, Image], as_started: Mapping[str, Image]) -> dict[str, Image]:
    """The images that Compose is told of: not those of containers that are to stay as somebody else has started them."""
    return {name: image for name, image in images.items() if name not in as_started}
