"""What an engine has: images and containers; and what their programs do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
ONE_OFF, HASH = "com.docker.compose.oneoff", "com.docker.compose.config-hash"
NUMBER, DEPENDS = "com.docker.compose.container-number", "com.docker.compose.depends_on"

LOOKS = 2
"""Looks at a container until its health check has an answer."""


class EngineError(Exception):
    """What the engine refuses, in its own words."""


class DownError(EngineError):
    """The engine does not answer."""


def sha(text: str) -> str:
    """A digest or an id."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Image:
    """An image that the engine has.

    Attributes:
        tags: `repository:tag`.
        digests: `repository@digest`.
        says: what its programs do: its tag where it was pulled from; see `Behaviour`.
    """

    id: str
    says: str
    tags: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)


@dataclass
class Container:
    """A container.

    Attributes:
        files: those in its own layer, by path.
        looks: how often it was looked at since it was started.
        wanted: it runs, or ran until its engine went down.
        address: while it runs.
        told: of a gateway: address and state of each server that it was told, by number, since it was started.
    """

    id: str
    name: str
    image: str
    image_id: str
    labels: dict[str, str]
    spec: dict[str, Any]
    env: dict[str, str]
    says: str
    files: dict[str, str] = field(default_factory=dict)
    state: str = "created"
    code: int = 0
    restarts: int = 0
    started: str = "0001-01-01T00:00:00Z"
    looks: int = 0
    wanted: bool = False
    address: str = ""
    told: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def service(self) -> str:
        """Its service in Compose."""
        return self.labels.get(SERVICE, "")

    @property
    def project(self) -> str:
        """Its project."""
        return self.labels.get(PROJECT, "")

    @property
    def one_off(self) -> bool:
        """It is one of `docker compose run`."""
        return self.labels.get(ONE_OFF) == "True"

    @property
    def restarting(self) -> bool:
        """The engine starts it again by itself."""
        return self.spec.get("restart") in ("always", "unless-stopped")

    @property
    def health(self) -> str | None:
        """What its check says; None without one."""
        if not self.spec.get("healthcheck"):
            return None
        if self.looks <= LOOKS or self.state != "running":
            return "starting"
        return "unhealthy" if Behaviour(self.says).ill else "healthy"


@dataclass(frozen=True)
class Behaviour:
    """What the programs of an image do, which the end of its tag says."""

    tag: str

    @property
    def ill(self) -> bool:
        """They never get healthy."""
        return self.tag.endswith("ill")

    @property
    def lame(self) -> bool:
        """They are healthy, and do not answer as they should."""
        return self.tag.endswith("lame")

    @property
    def unable(self) -> bool:
        """Commands that are run once fail."""
        return self.tag.endswith("unable")
