"""What containers are called, for people and in JSON: Compose's own number is another one after each rolling switch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deploy_lib.compose.container import Container


def by_number(containers: Iterable[Container]) -> list[Container]:
    """Those of one service, in Compose's order."""
    return sorted(containers, key=lambda c: (len(c.number), c.number))


def by_name(containers: Iterable[Container]) -> Iterator[tuple[str, Container]]:
    """Containers by what they are called: their service, and "web-2" for the second one of it that is there."""
    found = [*containers]
    for service in sorted({c.service for c in found}):
        several = by_number(c for c in found if c.service == service)
        for place, container in enumerate(several, 1):
            yield service if place == 1 else f"{service}-{place}", container
