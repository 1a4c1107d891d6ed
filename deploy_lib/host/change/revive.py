"""Paused containers go on before a switch: Docker does not start one that is paused, so Compose would fail."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.host.change.step import Step
from deploy_lib.shell import words


def steps(paused: Sequence[str]) -> list[Step]:
    """The steps, before anything is read out of these containers.

    Args:
        paused: their names.
    """
    call = words("docker", "unpause", *sorted(paused))
    # One that is not paused any more is no failure. Of one that still is, Compose fails, and says so.
    return [Step(f"{call} >/dev/null || true", (call,))] if paused else []
