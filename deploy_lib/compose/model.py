"""The model of a stack, as the host's own Compose renders it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy_lib.answers import text, understand
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


def read_model(content: str) -> dict[str, Service]:
    """Services by name, from `docker compose config --format json`.

    Raises:
        NotUnderstoodError: it is something else.
    """

    def read() -> dict[str, Service]:
        services = json.loads(content)["services"]
        return {name: _service(name, spec) for name, spec in sorted(services.items())}

    return understand("the Compose file as the host's Compose renders it", read)


def _service(name: str, spec: Mapping[str, Any]) -> Service:
    replicas = (spec.get("deploy") or {}).get("replicas", spec.get("scale", 1))
    ports = tuple(
        int(p["published"]) for p in spec.get("ports") or [] if str(p.get("published", "")).isdecimal()
    )
    image = Image.parse(text(spec, "image") if "image" in spec else "")
    return Service(name, image, 1 if replicas is None else int(replicas), ports)
