"""The stacks that are deployed, as somebody knows them who does it by hand."""

from __future__ import annotations

from dataclasses import dataclass

OWN_DOCKER = "/run/bench-docker"
"""The folder of Docker's configuration on a host, in memory, for those who log in there by hand."""


@dataclass(frozen=True)
class Stack:
    """A node's stack, as somebody who deploys it by hand knows it; what is asked at the end, as PORT/PATH."""

    project: str
    compose: str
    env_file: str
    asked: tuple[str, ...]
    more: tuple[str, ...] = ()


STACKS = {
    "core": Stack(
        "ktrdr-core",
        "docker-compose.core.yml",
        ".env.core",
        ("8000/api/v1/health",),
        ("monitoring",),
    ),
    "workers": Stack(
        "ktrdr-workers",
        "docker-compose.workers.yml",
        ".env.workers",
        ("5003/health", "5005/health"),
    ),
}
