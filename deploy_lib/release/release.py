"""Release: what a node runs, or is to run, exactly enough to bring it back."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict
from pydantic import ValidationError

from deploy_lib import layout
from deploy_lib.config import Probe
from deploy_lib.release.image import Image
from deploy_lib.secrets.fingerprint import read_marks
from deploy_lib.secrets.places import Place


class Version(Struct, frozen=True):
    """Which version of the project's own images is meant.

    Attributes:
        tag: the image tag.
        commit: the full SHA of the commit, where it is known.
    """

    tag: str
    commit: str | None = None


class Release(Struct, frozen=True):
    """One deployed state of a stack on a node.

    Attributes:
        id: unique, and sorts by time.
        images: by service, pinned; of an adopted project, what it was started from.
        files: by path below the stack's directory, the mark of what lies there: see `files.py`.
        secrets: by service, the keyed fingerprints of the secret values that it got.
        replicas: by service, how many containers it has.
        restores: id of the release that this one brings back, for a rollback.
        secret_files: by a secret's key in the Compose file, the file in the host's memory that has its value; empty where
            Compose puts the values into the containers.
        probes: those that proved it, and that a rollback to it re-runs; newer probes may ask what it cannot answer. None where
            they are not known.
        places: where its containers have their secrets, so that the values can be read back; None in records of earlier
            programs.
        mounted: by service, the fingerprint of the files and configs that it mounts.
        ends: the services that end when they have done their work; see `compose.model.Service`.
        compose_files: those of the files that Compose is given, in their order; empty where that is not recorded, as by earlier
            versions: then `deploy.toml` says it.
        env_files: likewise, those with its variables.
        inputs: likewise, all files that Compose reads itself.
        as_started: by service, the reference that its containers were started from by somebody else, where that still leads to
            its image: Compose is told of no other, so that it leaves them as they are.
        profiles, scale: of a project that somebody else has started; see `Project`.
        carried: likewise, the names of variables that only a shell had, whose values may be secret and never leave the host.
        given: likewise, the names of declared secrets that its containers have.
        carried_from: the id of the release for which the host keeps these values; see `host/change/keeper.py`.
        idle: the services of its files whose profile is not active: containers that somebody has started of them are left.
        patches: by service, the image of an operator's own that it has instead of the version's: what it was called there, and
            its content's SHA-256.
    """

    id: str
    tag: str
    commit: str | None
    images: Mapping[str, Image]
    files: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)
    replicas: Mapping[str, int] = field(default_factory=dict)
    restores: str | None = None
    secret_files: Mapping[str, str] = field(default_factory=dict)
    probes: tuple[Probe, ...] | None = None
    places: tuple[Place, ...] | None = None
    mounted: Mapping[str, str] = field(default_factory=dict)
    ends: Mapping[str, str] = field(default_factory=dict)
    compose_files: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    as_started: Mapping[str, Image] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    scale: Mapping[str, int] = field(default_factory=dict)
    carried: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    carried_from: str = ""
    idle: tuple[str, ...] = ()
    patches: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What it is, for people: its tag, or what it is a patch of."""
        return f"a patch of {self.tag}" if self.patches else self.tag

    @property
    def references(self) -> dict[str, Image]:
        """By service, the image as Compose is told of it."""
        return {**self.images, **self.as_started}

    @property
    def configuration(self) -> str:
        """A fingerprint of the configuration: of every file but the one that follows from the rest and from secret values."""
        files = {path: mark for path, mark in self.files.items() if path != layout.OVERRIDE}
        return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def marks(self) -> dict[str, str]:
        """By the secret's name, the fingerprint of the value that it ran with."""
        return {name: mark for marks in self.secrets.values() for name, mark in read_marks(marks).items()}

    def same_content(self, other: Release) -> bool:
        """Whether going from one to the other would change anything but secret values."""

        def content(release: Release) -> tuple[object, ...]:
            parts = release.images, release.replicas, release.secret_files
            return release.configuration, *map(dict, parts)

        return content(self) == content(other) and self.same_order(other)

    def same_order(self, other: Release) -> bool:
        """Whether Compose is given the same files; also where one record does not say."""
        unknown = not self.compose_files or not other.compose_files
        return unknown or (self.compose_files, self.env_files) == (other.compose_files, other.env_files)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        probes = None if self.probes is None else [_plain(probe) for probe in self.probes]
        images = {service: str(image) for service, image in self.images.items()}
        started = {service: str(image) for service, image in self.as_started.items()}
        places = None if self.places is None else [place.as_dict() for place in self.places]
        data = {**asdict(self), "images": images, "probes": probes, "places": places, "as_started": started}
        # The record of an earlier version stays as it is.
        return {key: value for key, value in data.items() if key not in _NEWER or value != _NEWER[key]}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Release:
        """The inverse of `as_dict`; unknown keys are passed over, so that an older program reads a newer record.

        Raises:
            TypeError, KeyError, ValueError: it is no release.
        """
        return Release(
            id=_text(data["id"]),
            tag=_text(data["tag"]),
            commit=_text_or_none(data.get("commit")),
            images={service: Image.parse(each) for service, each in _texts(data["images"]).items()},
            files=_texts(data["files"]),
            secrets=_texts(data.get("secrets", {})),
            replicas={_text(name): _whole(count) for name, count in dict(data.get("replicas", {})).items()},
            restores=_text_or_none(data.get("restores")),
            secret_files=_texts(data.get("secret_files", {})),
            probes=_probes(data.get("probes")),
            places=_places(data.get("places")),
            mounted=_texts(data.get("mounted", {})),
            ends=_texts(data.get("ends", {})),
            compose_files=_several(data.get("compose_files")),
            env_files=_several(data.get("env_files")),
            inputs=_several(data.get("inputs")),
            as_started={s: Image.parse(each) for s, each in _texts(data.get("as_started", {})).items()},
            profiles=_several(data.get("profiles")),
            scale={_text(name): _whole(count) for name, count in dict(data.get("scale", {})).items()},
            carried=_several(data.get("carried")),
            given=_several(data.get("given")),
            carried_from=_text(data.get("carried_from", "")),
            idle=_several(data.get("idle")),
            patches=_texts(data.get("patches", {})),
        )


_NEWER: Mapping[str, object] = {
    **dict.fromkeys(("compose_files", "env_files", "inputs", "profiles", "carried", "given", "idle"), ()),
    **{key: {} for key in ("as_started", "scale", "mounted", "ends", "patches")},
    "places": None,
    "carried_from": "",
}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _texts(value: Any) -> dict[str, str]:
    return {_text(name): _text(each) for name, each in dict(value).items()}


def _several(value: Any) -> tuple[str, ...]:
    return tuple(_text(each) for each in value or ())


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(value)
    return value


def _plain(probe: Probe) -> dict[str, Any]:
    return probe.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _probes(data: Any) -> tuple[Probe, ...] | None:
    if not isinstance(data, list):
        return None
    try:
        return tuple(Probe.model_validate(each) for each in data)
    except ValidationError:
        return None  # a newer program's


def _places(data: Any) -> tuple[Place, ...] | None:
    return tuple(Place.from_dict(each) for each in data) if isinstance(data, list) else None


def new_id(now: datetime | None = None) -> str:
    """A release id: UTC time to the second, and four digits that keep two of one second apart."""
    return f"{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
