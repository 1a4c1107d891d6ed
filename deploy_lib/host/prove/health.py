"""When containers count as healthy: state, health check and restart count, looked at again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence

from msgspec import Struct

from deploy_lib.compose.container import Container
from deploy_lib.release.image import Image
from deploy_lib.values import replace

STEADY = 3.0
"""Seconds that a container without a health check must be seen running, with no restart between."""

PATIENCE = 4.0
"""Seconds that an unhealthy or ended container gets to recover; its restart policy may bring it back."""

CRASH_LOOP = 2
"""Restarts after which waiting ends."""


class HealthProblem(Struct, frozen=True):
    """A service that is not healthy.

    Attributes:
        container: its id, where there is one, for its log.
        final: waiting longer will not help.
    """

    service: str
    problem: str
    container: str = ""
    final: bool = False


class Gate:
    """Judges one look after the other.

    Args:
        replicas: by service, how many containers there are to be.
        images: by service, what they are to be created from.
        ends: the services that end when they have done their work; see `compose.model.Service`.
        unproven: services whose health check says nothing; they must run.
        tolerated: services whose containers may be as they are, as long as they are the right ones.
        clock: seconds of the time that a look shows. They count, and not the looks, which come when something happens.
    """

    def __init__(
        self,
        replicas: Mapping[str, int],
        images: Mapping[str, Image],
        ends: Mapping[str, str] | None = None,
        unproven: Collection[str] = (),
        tolerated: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._replicas = replicas
        self._images = images
        self._ends = ends or {}
        self._unproven = unproven
        self._tolerated = tolerated
        self._restarts: dict[str, int] = {}
        self._well: dict[tuple[str, int], float] = {}
        self._ill: dict[str, float] = {}

    def look(self, containers: Sequence[Container]) -> list[HealthProblem]:
        """The services that are not healthy yet; empty when all are."""
        found: list[HealthProblem] = []
        for service, replicas in self._replicas.items():
            own = [c for c in containers if c.service == service]
            if len(own) != replicas:
                found.append(HealthProblem(service, f"{len(own)} of {replicas} containers are there"))
            found += [problem for c in own if (problem := self._judge(c))]
        return found

    def _judge(self, c: Container) -> HealthProblem | None:
        restarts = c.restarts - self._restarts.setdefault(c.id, c.restarts if c.healthy else 0)
        expected = self._images.get(c.service, c.image)
        if c.image != expected:
            return HealthProblem(
                c.service, f"its container is from {c.image}, not {expected}", c.id, final=True
            )
        ends = self._ends.get(c.service, "")
        if c.service in self._tolerated or (ends and c.done):
            return None
        if c.service in self._unproven and c.health is not None:
            c = replace(c, health=None)
        if restarts >= CRASH_LOOP:
            problem = f"it keeps crashing: {restarts} restarts, last exit status {c.exit_code}"
            return HealthProblem(c.service, problem, c.id, final=True)
        ill = c.health == "unhealthy" or c.state in ("exited", "dead", "created", "paused")
        now = self._clock()
        if ill:
            problem = "its health check fails" if c.state == "running" else _ended(c)
            final = now - self._ill.setdefault(c.id, now) >= PATIENCE
            return HealthProblem(c.service, problem, c.id, final=final)
        self._ill.pop(c.id, None)
        if ends == "must" and c.state == "running":
            return HealthProblem(c.service, "it has not ended yet", c.id)
        if not c.healthy:
            return HealthProblem(c.service, f"it is {c.health or c.state}", c.id)
        if c.health is None and now - self._well.setdefault((c.id, c.restarts), now) < STEADY:
            return HealthProblem(c.service, "it has no health check, and has not run long enough", c.id)
        return None


def _ended(c: Container) -> str:
    return f"it is {c.state}, exit status {c.exit_code}"
