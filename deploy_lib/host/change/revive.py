"""Containers that Docker does not start, and Compose neither: one that is paused goes on, a dead one makes room for a new one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from deploy_lib.host.change.step import Step
from deploy_lib.shell import words

STATES: Mapping[str, Sequence[str]] = {"paused": ("docker", "unpause"), "dead": ("docker", "rm", "-f")}
"""By state, the call that does that."""


def steps(revived: Mapping[str, str]) -> list[Step]:
    """The steps, before anything is read out of these containers.

    Args:
        revived: containers' states by their names; what is in another state is left to Compose.
    """
    # Where it fails, Compose fails, too, and says why; or the container is no longer so.
    return [Step(f"{call} >/dev/null || true", (call,)) for call in _calls(revived)]


def _calls(revived: Mapping[str, str]) -> Iterator[str]:
    for state, call in STATES.items():
        if names := sorted(name for name, its in revived.items() if its == state):
            yield words(*call, *names)
