"""Shipping images to one node's host, with progress for people."""

from __future__ import annotations

import time
from collections.abc import Collection

from deploy_lib.errors import PreflightError
from deploy_lib.host.change.ship import STEP, Delivery, Shipment, ship, tidy
from deploy_lib.node.site import Site
from deploy_lib.output.timings import TIMINGS
from deploy_lib.release.image import Image

_PAUSE = 2.0
"""Seconds between two lines about how far it has come."""

_UNITS = ("B", "KiB", "MiB", "GiB")


def deliver(site: Site, deliveries: Collection[Delivery], wanted: Collection[Image]) -> None:
    """Ships what a plan wants, and has it loaded.

    Args:
        wanted: the images that the host does not have now.

    Raises:
        RemoteError: see `ship`.
        PreflightError: an image that the host had a moment ago is gone.
    """
    due = {d.shipment.image: d for d in deliveries if d.shipment.image in wanted}
    for delivery in due.values():
        shipment = delivery.shipment
        if shipment.there:
            raise PreflightError(
                f"the host had {shipment.name} a moment ago, and has it no more",
                node=site.node.name,
                step=STEP,
                hint="run the command again",
            )
        site.say("ship", told_of(shipment))
        progress = _Progress(site, shipment)
        with TIMINGS.span(site.node.name, "channel", f"shipping {shipment.name}"):
            ship(site.session, site.stack, shipment, delivery.read, progress.sent)
    if due:
        tidy(site.session, site.stack)


def told_of(shipment: Shipment) -> str:
    """What is sent of an image, in words."""
    if shipment.there:
        return f"{shipment.name}: the host has it"
    count, every = len(shipment.lacking), len(shipment.diffs)
    sent = f"{count} of {every} layers, {size(shipment.size)} of {size(shipment.whole)}"
    return f"{shipment.name}: {sent if count else 'the host has all of its layers'}"


def size(count: int) -> str:
    """A number of bytes, for people."""
    value, unit = float(count), _UNITS[0]
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == _UNITS[0] else f"{value:.1f} {unit}"


class _Progress:
    """Says now and then how far a shipment has come."""

    def __init__(self, site: Site, shipment: Shipment) -> None:
        self._site, self._shipment = site, shipment
        self._sent, self._told = 0, time.monotonic()

    def sent(self, count: int) -> None:
        self._sent += count
        if time.monotonic() - self._told >= _PAUSE:
            self._told = time.monotonic()
            whole = self._shipment.size
            # What arrived damaged is sent twice.
            share = min(100, 100 * self._sent // whole) if whole else 100
            self._site.say("ship", f"{self._shipment.name}: {share} % of {size(whole)}")
