"""Images of the operator's own: which nodes get them, and what each host lacks of them; a part of the survey."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from deploy_lib.checks.check import Check, judged
from deploy_lib.checks.host import MIB
from deploy_lib.config import Environment
from deploy_lib.errors import UsageError
from deploy_lib.host.change.ship import Delivery
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.layers import ask_packed, ask_stock
from deploy_lib.names import did_you_mean
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.shipping import size, told_of
from deploy_lib.plan import patch
from deploy_lib.plan.patch import Patch
from deploy_lib.release.content import Layer
from deploy_lib.release.release import Version
from deploy_lib.source.archive import BrokenArchiveError
from deploy_lib.source.offer import Offer
from deploy_lib.values import replace

_UNPACKING = 3
"""How many times its size an image takes on the engine's disk while it is loaded: as an archive, and unpacked."""


class Chosen(Struct, frozen=True):
    """Which nodes get something.

    Attributes:
        taking: the nodes that take part.
        left: those on which no service uses any of the images.
        services: by node, what its services get.
    """

    taking: Sequence[Deployment]
    left: Sequence[Deployment]
    services: Mapping[str, Mapping[str, Offer]]

    @property
    def left_out(self) -> str:
        """Which nodes stay as they are, and why; "" when none does."""
        if not self.left:
            return ""
        wanted = " or ".join(dict.fromkeys(offer.name for d in self.left for offer in d.site.offers))
        return (
            f"not taking part: {', '.join(d.node.name for d in self.left)} (no service there uses {wanted})"
        )


def choose(deployments: Sequence[Deployment], found: Mapping[str, Facts]) -> Chosen:
    """Finds the services that get an image.

    Args:
        found: by node; one whose services are not known takes part, since its checks say why.

    Raises:
        UsageError: no service uses one of the images, or one would get two.
    """
    offers, services = deployments[0].site.offers, dict[str, Mapping[str, Offer]]()
    if not offers:
        return Chosen(deployments, (), {})
    for deployment in deployments:
        name, only = deployment.node.name, deployment.request.services
        services[name] = patch.choose(offers, found[name].services, only)
    used = {offer.typed for chosen in services.values() for offer in chosen.values()}
    if all(found[d.node.name].services for d in deployments):
        for offer in offers:
            if offer.typed not in used:
                known = {n for d in deployments for n in patch.names(found[d.node.name].services)}
                raise UsageError(
                    f"{offer.typed}: no service that is deployed is {offer.name}, or has an image of that name",
                    hint=did_you_mean(offer.name, known) or f"there are {', '.join(sorted(known))}",
                )
    left = [d for d in deployments if found[d.node.name].services and not services[d.node.name]]
    return Chosen([d for d in deployments if d not in left], left, services)


def base(
    environment: Environment, chosen: Chosen, found: Mapping[str, Facts], tag: str | None
) -> Version | None:
    """The version that is patched where none is named: the one that runs. None: the environment's default is.

    Raises:
        UsageError: several run.
    """
    if not chosen.services or tag is not None or not environment.image_registry:
        return None
    proven = {d.node.name: event.release for d in chosen.taking if (event := found[d.node.name].proven)}
    running = {release.tag: release for release in proven.values()}
    if len(running) > 1:
        which = ", ".join(f"{release.tag} on {name}" for name, release in sorted(proven.items()))
        raise UsageError(
            f"the nodes run different versions: {which}", hint="say which one is patched: --tag TAG"
        )
    return next((Version(release.tag, release.commit) for release in running.values()), None)


class Packer:
    """Finds out what the hosts lack; each layer that one of them lacks is compared with its SHA-256 once."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._verified: set[str] = set()
        self._verifying = threading.Lock()

    def pack(self, deployment: Deployment, facts: Facts) -> list[Check]:
        """Tells a node what it gets.

        Raises:
            UsageError: a layer in the archive is damaged.
            RemoteError: the host does not answer.
        """
        services = self._chosen.services.get(deployment.node.name, {})
        if not services or not facts.platform:
            return []
        checks, packed = list[Check](), dict[str, Delivery]()
        patches: dict[str, Patch] = {}
        for service, offer in services.items():
            content = offer.archive.content_for(facts.platform)
            if content is None:
                checks.append(_other_platform(offer, facts))
                continue
            if offer.reference not in packed:
                packed[offer.reference] = self._delivery(deployment, facts, offer)
            shipment = packed[offer.reference].shipment
            patches[service] = Patch(shipment.image, patch.shown(offer, content))
        if patches:
            deployment.take_images(patches, tuple(packed.values()))
        for delivery in packed.values():
            proves = "the image is whole, and for this host"
            checks.append(Check(f"image {delivery.shipment.name}", proves, found=told_of(delivery.shipment)))
        return [*checks, *_room(deployment, facts, packed.values())]

    def _delivery(self, deployment: Deployment, facts: Facts, offer: Offer) -> Delivery:
        session, content = deployment.session, offer.archive.content_for(facts.platform)
        if content is None:
            raise RuntimeError("the platform was looked at")
        stock = ask_stock(session)
        release = facts.proven.release if facts.proven else None
        first = [str(image) for image in release.images.values()] if release else []
        nearest = patch.nearest(content, stock, first)
        packed: tuple[Layer, ...] = ()
        if stock.containerd and nearest and stock.images:
            packed = ask_packed(session, nearest, stock.images[nearest], facts.platform)
        shipment = patch.make_shipment(offer, content, stock, packed, deployment.site.stack.keep_key)
        with self._verifying:
            new = [layer for layer in shipment.lacking if layer.digest not in self._verified]
            try:
                offer.archive.verify(new)
            except BrokenArchiveError as problem:
                raise UsageError(f"{offer.typed}: {problem}", hint="write or copy it anew") from None
            self._verified |= {layer.digest for layer in new}
        return Delivery(shipment, offer.archive)


def without_patched(facts: Facts, deployment: Deployment) -> Facts:
    """The facts without the services whose images no registry is asked for."""
    patched = deployment.job.patches
    return replace(facts, services={n: s for n, s in facts.services.items() if n not in patched})


def _other_platform(offer: Offer, facts: Facts) -> Check:
    only = ", ".join(each.platform for each in offer.archive.contents)
    return Check(
        f"image {offer.shown}",
        f"it is for {facts.platform}",
        "failed",
        problem=f"{offer.shown} is for {only}, the host is {facts.platform}",
        hint=f"build it for this platform: docker build --platform {facts.platform}",
    )


def _room(deployment: Deployment, facts: Facts, deliveries: Iterable[Delivery]) -> Iterator[Check]:
    """That there is room for what is sent, beside what the host's other checks want."""
    sent = sum(d.shipment.size for d in deliveries)
    if not sent:
        return
    free, least = facts.machine.free, deployment.node.stack.requires
    for name, key, needed, where in (
        ("images", "docker", _UNPACKING * sent + least.docker_mib * MIB, "Docker's data directory"),
        ("files", "directory", sent, str(deployment.node.directory)),
    ):
        has = free.get(key)
        short = has is not None and has < needed
        yield judged(
            f"space for shipped {name}",
            f"{size(needed)} are free",
            f"{where} has {size(has or 0)} free; {size(needed)} are needed" if short else "",
            f"free some space there: {deployment.node.task('prune')} and `docker image prune` help",
            found="" if has is None else f"{size(has)} free",
        )
