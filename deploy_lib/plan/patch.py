"""Patches: which services get an image of the operator's own, and what their host lacks of it; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from deploy_lib.compose.service import Service
from deploy_lib.errors import UsageError
from deploy_lib.host.change.ship import Shipment
from deploy_lib.host.look.layers import Stock
from deploy_lib.release.content import Content, Layer, sha256
from deploy_lib.release.image import Image
from deploy_lib.source.offer import Offer


class Patch(Struct, frozen=True):
    """An image that a service gets instead of its own.

    Attributes:
        image: by its id on this host.
        shown: what the operator called it, and the SHA-256 of its configuration, which is the same on every host.
    """

    image: Image
    shown: str


def users(offer: Offer, services: Mapping[str, Service]) -> list[str]:
    """The services that an offer is for: the one of its name, and those whose image has it."""
    return sorted(
        name for name, each in services.items() if offer.name == name or _called(offer.name, each.image)
    )


def _called(name: str, image: Image) -> bool:
    if not image.repository:
        return False
    return name in (image.repository, image.repository.rpartition("/")[2])


def choose(
    offers: Sequence[Offer], services: Mapping[str, Service], only: Sequence[str] = ()
) -> dict[str, Offer]:
    """By service, what it gets.

    Args:
        only: the only services that are touched; none: all.

    Raises:
        UsageError: a service would get two images.
    """
    chosen: dict[str, Offer] = {}
    for offer in offers:
        for name in users(offer, services):
            if only and name not in only:
                continue
            other = chosen.get(name)
            if other is not None and other.reference != offer.reference:
                raise UsageError(f"{name} would get two images: {other.typed} and {offer.typed}")
            chosen[name] = offer
    return chosen


def names(services: Mapping[str, Service]) -> set[str]:
    """What an offer may be called after, for an answer to a name that is misspelt."""
    images = {each.image.repository.rpartition("/")[2] for each in services.values() if each.image.repository}
    return {*services, *images}


def nearest(content: Content, stock: Stock, first: Sequence[str] = ()) -> str | None:
    """The id of the image that has most of these layers, from the lowest on; None where none has one.

    Args:
        first: of several that have as many, these ids count more.
    """
    images = stock.images or {}
    best = max(
        images,
        key=lambda each: (content.shared(images[each]), each in first, len(images[each]) * -1, each),
        default=None,
    )
    return best if best is not None and content.shared(images[best]) else None


def make_shipment(
    offer: Offer, content: Content, stock: Stock, packed: Sequence[Layer], key: str
) -> Shipment:
    """What a host lacks of an image, and what it is called there.

    Args:
        packed: the layers of `nearest` as containerd's store has them; none where that is not known.
        key: of the tag that protects the image: `keep_key` of `HostStack`.
    """
    images = stock.images or {}
    if stock.containerd:
        content = content.beginning_with(packed[: content.shared([each.diff for each in packed])])
        image = Image.parse(sha256(content.manifest))
        known = {each.digest for each in packed}
        lacking = [each for each in content.layers if each.digest not in known]
        files = content.for_containerd(image.keep_tag(key))
    else:
        image = Image.parse(content.digest)
        count = max((content.shared(diffs) for diffs in images.values()), default=0)
        lacking = list(content.layers[count:])
        files = content.for_classic(image.keep_tag(key))
    there = str(image) in images
    return Shipment(
        name=offer.shown,
        image=image,
        diffs=tuple(each.diff for each in content.layers),
        # A layer may be there twice.
        lacking=() if there else tuple({each.digest: each for each in lacking}.values()),
        files=files,
        whole=content.size,
        there=there,
    )


def shown(offer: Offer, content: Content) -> str:
    """For records: see `Patch`."""
    return f"{offer.shown} {content.digest}"
