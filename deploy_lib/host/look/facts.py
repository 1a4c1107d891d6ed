"""Facts: what a deployment must know about a host before it decides, and what follows from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from msgspec import Struct, field

from deploy_lib.compose.container import Container
from deploy_lib.compose.service import Service
from deploy_lib.host.look.by_hand import ByHand
from deploy_lib.host.look.machine import Machine
from deploy_lib.release import history
from deploy_lib.release.history import Event
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.secrets.fingerprint import fingerprint, read_marks
from deploy_lib.secrets.places import Place
from deploy_lib.secrets.value import Secret
from deploy_lib.values import Selective, replace


class CutOff(Struct, frozen=True):
    """A container that has lost what it had of another one.

    Attributes:
        gone: the other one is not there any more: it has to be made anew. Otherwise it has to be started again.
    """

    why: str
    gone: bool = False


class Facts(Selective, frozen=True):
    """A host, as one node's deployment sees it.

    Attributes:
        engine: Docker Engine's version, "" when none answered.
        platform: such as "linux/amd64".
        user: who deploys there.
        compose: the Compose plugin's version, "" without one.
        memory: a directory in memory, "" without one.
        tools: the programs of scripts that it has, and a `KIND:NAME` for each that is another one by that name; see `shape.py`.
        writable: the stack's directory can be written, or made where it is `missing`.
        key: the random key of the secrets' fingerprints, "" before the first deployment.
        files: the mark of what lies at this program's paths, by path below the stack's directory; see `release/files.py`.
        occupied: those of them that are directories with something in them.
        present: which of the paths are there that the stack expects and the checkout does not ship.
        images: id by `repository@sha256:...`, of every image on the host that has a digest.
        image_ids: of every image on the host.
        tags: image id by `repository:tag`, of every tag on the host.
        keep_tags: the local tags that protect images from being pruned.
        containers: the project's containers.
        layers: by container, the bytes in its own layer, None where that took too long to find out; empty where nobody asked.
        services: the desired stack as the host's Compose renders it.
        rendered: the variables that it was rendered with; None where it was not.
        blank: the variables of its services that have no value from any place.
        history: the newest events, oldest first.
        objects: SHA-256 of the files of kept releases that the host has.
        deployed: the stack that lies in its directory, as the host's Compose renders it; None where `knows_places` needs none.
        by_hand: what it was started from, where that was not this program; in words, why that cannot be read.
        alike: the services whose containers, as somebody else has started them, are as the desired stack has them.
        inactive: the services of the desired stack that belong to a profile which is not active, as far as that was asked.
        delivered: the secret files in its memory.
        strangers: why others than this user and root could change what is deployed, and what fixes it.
        machine: its clock, space, memory, ports and mounts.
        asked: when the question was asked and answered, by this machine's clock: seconds since 1970.
        problems: by section, why it is unknown, in that part's own words. The fact itself is then empty, and must not be
            taken for absent.
    """

    HIDDEN: ClassVar[tuple[str, ...]] = ("key", "rendered")

    engine: str = ""
    platform: str = ""
    compose: str = ""
    user: str = ""
    memory: str = ""
    tools: frozenset[str] = frozenset()
    writable: bool = False
    missing: bool = False
    key: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    occupied: frozenset[str] = frozenset()
    present: frozenset[str] = frozenset()
    images: Mapping[str, str] = field(default_factory=dict)
    image_ids: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    keep_tags: frozenset[str] = frozenset()
    containers: tuple[Container, ...] = ()
    layers: Mapping[str, int | None] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    rendered: Mapping[str, str] | None = None
    blank: frozenset[str] = frozenset()
    history: tuple[Event, ...] = ()
    objects: frozenset[str] = frozenset()
    deployed: Mapping[str, Service] | None = None
    by_hand: ByHand | str | None = None
    alike: frozenset[str] = frozenset()
    inactive: frozenset[str] = frozenset()
    delivered: frozenset[str] = frozenset()
    strangers: tuple[tuple[str, str], ...] = ()
    machine: Machine = field(default_factory=Machine)
    asked: tuple[float, float] = (0, 0)
    problems: Mapping[str, str] = field(default_factory=dict)

    @property
    def proven(self) -> Event | None:
        """The release that was proven last: the one that runs, unless a later one failed or was interrupted."""
        return history.proven(self.history)

    @property
    def newest_switch(self) -> Event | None:
        """The last event of the newest switch."""
        return history.newest_switch(self.history)

    @property
    def interrupted(self) -> Event | None:
        """The newest switch, when it began and it is unknown how it ended."""
        return history.interrupted(self.history)

    @property
    def unsettled(self) -> Event | None:
        """The newest switch, when it did not end on a whole release: it was interrupted, or failed and was left."""
        return history.unsettled(self.history)

    @property
    def unsettled_restore(self) -> Event | None:
        """The newest restore, when it is unknown what it has left of the data."""
        return history.unsettled_restore(self.history)

    @property
    def unrecorded(self) -> bool:
        """Whether the project runs here without a record; a first deployment that was interrupted does not count as such."""
        return bool(self.containers) and self.proven is None and self.unsettled is None

    @property
    def adopted(self) -> bool:
        """Whether what runs was started by somebody else: it has no record, or is recorded as that."""
        if self.unrecorded:
            return True
        return self.unsettled is None and self.proven is not None and self.proven.kind == "adopted"

    @property
    def started_from(self) -> ByHand | None:
        """What it was started from, where that was not this program and is known."""
        return self.by_hand if isinstance(self.by_hand, ByHand) else None

    def still_leads(self, reference: Image, image: Image) -> bool:
        """Whether a reference, as it was written, means this very image on this host."""
        return bool(reference.listed_tag) and self.tags.get(reference.listed_tag) == self.id_of(image)

    @property
    def replicas(self) -> Mapping[str, int]:
        """By service, how many containers the proven release has; without one, the services that run."""
        return self.proven.release.replicas if self.proven else {c.service: 1 for c in self.containers}

    @property
    def secret_names(self) -> list[str]:
        """The secrets that the desired stack needs."""
        return sorted({name for service in self.services.values() for name in service.secret_names})

    @property
    def knows_places(self) -> bool:
        """Whether it is known where the containers have their secrets: the record says so, or the files were looked at."""
        if self.deployed is not None or not self.containers:
            return True
        return bool(self._recorded) and all(release.places is not None for release in self._recorded)

    @property
    def places(self) -> list[Place]:
        """Where the containers have their secrets: those of the proven release, and those of one that was interrupted."""
        recorded = [place for release in self._recorded for place in release.places or ()]
        read = [place for service in (self.deployed or {}).values() for place in service.secrets]
        return list(dict.fromkeys([*recorded, *read]))

    @property
    def _recorded(self) -> list[Release]:
        return [event.release for event in (self.proven, self.unsettled) if event is not None]

    def find(self, release_id: str | None) -> Event | None:
        """The release of this id, as it was proven here."""
        return history.find(self.history, release_id)

    def kept(self, count: int) -> list[Event]:
        """The releases that a rollback could need: the last `count` that were proven, and as many by lineage."""
        return history.kept(self.history, count)

    def changed(self, secrets: Mapping[str, Secret]) -> list[str]:
        """Those of the stack's secrets that run here, or are recorded, with other values than these."""
        if not self.key:
            return []
        running = self._fingerprints
        known = {name: fingerprint(name, value, self.key) for name, value in secrets.items()}
        return [
            name for name, mark in known.items() if any(found.get(name, mark) != mark for found in running)
        ]

    @property
    def incomparable(self) -> bool:
        """Whether values have fingerprints here, and the key is gone that would tell which of them were changed."""
        return not self.key and any(self._fingerprints)

    @property
    def _fingerprints(self) -> list[dict[str, str]]:
        recorded = self.proven.release.secrets.values() if self.proven else ()
        return [read_marks(marks) for marks in (*(c.secrets for c in self.containers), *recorded)]

    def without_health_of(self, unproven: Collection[str]) -> Facts:
        """These, where the health checks of some services say nothing."""
        found = [replace(c, health=None) if c.service in unproven else c for c in self.containers]
        return replace(self, containers=tuple(found))

    def of(self, service: str) -> list[Container]:
        """The containers of one service."""
        return [c for c in self.containers if c.service == service]

    @property
    def joins(self) -> dict[str, tuple[str, ...]]:
        """By service whose containers are part of another one's, those services: for a plan that no file is rendered for."""
        services = {c.id: c.service for c in self.containers}
        found = {
            c.service: tuple(dict.fromkeys(services[each] for each in c.joined if each in services))
            for c in self.containers
        }
        return {service: others for service, others in found.items() if others}

    def cut_off(self, container: Container) -> CutOff | None:
        """Why a container has no longer what it had of another one, its network above all; None where it has that still.

        Docker leaves it running, and Compose calls it healthy.
        """
        known = {each.id: (each.name, each.started) for each in self.machine.publishers}
        # Where it is unknown which containers there are, none counts as gone.
        all_known = bool(known)
        known |= {c.id: (c.name, c.started_at) for c in self.containers}
        for each in container.lives_in:
            name, started = known.get(each, ("", 0.0))
            if all_known and not name:
                return CutOff("it is part of a container that is gone", gone=True)
            if started > container.started_at > 0:
                return CutOff(f"it is part of {name}, which was started after it")
        return None

    def remade(self, container: Container, before: Event) -> bool:
        """Whether a container was made from another configuration than the release's."""
        # Compose's hash of one that is part of another's container has the id of that one in it: a host that went back has made
        # both anew, and nobody has recorded that.
        went_back = self.newest_switch is not None and self.newest_switch.kind == "reverted"
        return container.config_hash != before.hashes.get(container.service) and not (
            container.joined and went_back
        )

    def has(self, image: Image) -> bool:
        """Whether the host has this very image."""
        return self.id_of(image) is not None

    def names(self, image: Image) -> bool:
        """Whether the engine surely knows an image by this name."""
        return not image.repository or image.listed in self.images

    def id_of(self, image: Image) -> str | None:
        """The id of a pinned image, as containers name it; None where the host does not have it."""
        if known := self.images.get(image.listed):
            return known
        # In containerd's store an image's id is its digest; and there Docker lists it under one of its names only.
        return next((each for each in (image.listed, image.digest) if each in self.image_ids), None)

    def recorded_digest(self, service: str, reference: Image) -> str:
        """The digest that the proven release has for a service's reference, "" for none; a pinned reference has its own.

        A service that the release does not have with that reference gets what another one has with it.
        """
        images = self.proven.release.images if self.proven else {}
        ordered = (*(images[name] for name in (service,) if name in images), *images.values())
        return reference.digest or next((i.digest for i in ordered if i.unpinned == reference), "")

    def on_host(self, reference: Image) -> Image | None:
        """What a reference means on this host, by digest or, where no registry has it, by id; None where it has no such image."""
        if reference.digest:
            return reference if self.has(reference) else None
        image_id = self.tags.get(reference.listed_tag)
        return None if image_id is None else self._pinned(reference, image_id)

    def pinned(self, container: Container) -> Image:
        """The image of a container that somebody else started: by its digest, or by its id when no registry knows it."""
        image = container.image
        return image if image.digest else self._pinned(image, container.image_id)

    def _pinned(self, reference: Image, image_id: str) -> Image:
        """The image of an id: the reference with its digest, or the id alone where no registry knows it."""
        digests = (Image.parse(name).digest for name, known in self.images.items() if known == image_id)
        found = (reference.with_digest(digest) for digest in digests)
        return next((image for image in found if self.has(image)), Image.parse(image_id))

    def lost(self, release: Release) -> list[str]:
        """The secret files of a release that are no longer in the host's memory."""
        return sorted(set(release.secret_files.values()) - self.delivered)
