"""What can befall a host, or who deploys to it, in the middle of a command. A new one is a function here; see docs/simulation.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .world import World


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        befall: does it, at its moment.
        heals: the host ends on a whole release without anybody's help.
    """

    befall: Callable[[World], object]
    heals: bool = True


def _second(world: World) -> None:
    """Somebody else deploys at the same moment."""
    said = world.said
    told = world.deploy("3.0")
    assert told.exit in (0, 3, 4, 10), told
    world.said = said


FAULTS = {
    "power": Kind(lambda world: world.host.power_off(), heals=False),
    "killed": Kind(lambda world: world.host.kill_caller(all_of_it=False), heals=False),
    "killed with all": Kind(lambda world: world.host.kill_caller(all_of_it=True), heals=False),
    "cut": Kind(lambda world: world.host.cut()),
    "interrupted": Kind(lambda world: world.host.interrupt()),
    "engine": Kind(lambda world: world.host.engine.restart()),
    "second": Kind(_second),
}
"""By name: the power fails; the shell of a script is killed, alone or with what it runs; the session ends; Ctrl-C; the engine restarts; a second command comes."""
