"""What runs without a record, as a release that can be gone back to; pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from deploy_lib import layout
from deploy_lib.compose.container import Container
from deploy_lib.compose.model import secret_files as files_of
from deploy_lib.compose.override import override_file, variables_file
from deploy_lib.host.look.facts import Facts
from deploy_lib.plan.desired import Desired, told_of
from deploy_lib.release.files import marks
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.secrets.places import Place
from deploy_lib.source.versions import UNKNOWN


def adopted_release(release_id: str, facts: Facts) -> Desired:
    """A project that runs without a record, as a release that can be gone back to."""
    images = {c.service: facts.pinned(c) for c in facts.containers}
    secrets = {c.service: mark for c in facts.containers if (mark := c.secrets)}
    secret_files = _secret_files(facts)
    mounted = {c.service: found for c in facts.containers if (found := c.mounted)}
    made = facts.started_from
    # Where the files would make something else of it, at least its image is the right one.
    exact = {*made.services} - {*made.unlike} if made else set()
    as_started = {
        c.service: c.image
        for c in facts.containers
        if c.service in exact and as_others_start(c) and facts.still_leads(c.image, images[c.service])
    }
    generated = {
        layout.OVERRIDE: override_file(told_of(images, as_started), secrets, secret_files, mounted),
        layout.VARIABLES: variables_file(made.variables if made else {}),
    }
    # Files of an earlier program of this kind, whose record is gone.
    for name in {layout.OVERRIDE, layout.VARIABLES} & {*facts.files}:
        del generated[name]
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
        compose_files=_others(made.project.files if made else ()),
        env_files=_others(made.project.env_files if made else ()),
        as_started={} if layout.OVERRIDE in facts.files else as_started,
        profiles=made.project.profiles if made else (),
        scale=dict(made.project.scale) if made else {},
        carried=made.hidden_names if made else (),
        given=made.given_names if made else (),
        carried_from=release_id if made and (made.hidden_names or made.given_names) else "",
    )
    return Desired(release, generated)


def as_others_start(container: Container) -> bool:
    """Whether a container has none of the labels that a release of this program gives it."""
    return not (container.secrets or container.mounted or container.delivery)


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
    return tags[0] if tags else UNKNOWN
