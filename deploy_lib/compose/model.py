"""The model of a stack, as the host's own Compose renders it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy_lib.release.image import Image


@dataclass(frozen=True)
class Service:
    """A service as the host's own Compose renders it.

    Attributes:
        image: the reference, its variables filled in.
        replicas: how many containers it is to have.
        ports: published ports of the host.
    """

    name: str
    image: Image
    replicas: int = 1
    ports: tuple[int, ...] = ()


def read_model(text: str) -> dict[str, Service]:
    """Services by name, from `docker compose config --format json`."""
    services = json.loads(text)["services"]
    return {name: _service(name, spec) for name, spec in sorted(services.items())}


def _service(name: str, spec: Mapping[str, Any]) -> Service:
    replicas = (spec.get("deploy") or {}).get("replicas", spec.get("scale", 1))
    ports = tuple(
        int(p["published"]) for p in spec.get("ports") or [] if str(p.get("published", "")).isdigit()
    )
    return Service(name, Image.parse(spec.get("image", "")), 1 if replicas is None else int(replicas), ports)
