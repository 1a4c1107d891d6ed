"""Steps: a script and what a dry run shows of it are made from one list."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct


class Step(Struct, frozen=True):
    """One step of a script.

    Attributes:
        text: of the script.
        shown: the commands that a dry run shows for it, with masked values; none for a step that an operator need not see.
    """

    text: str
    shown: tuple[str, ...] = ()


def script_of(steps: Iterable[Step]) -> str:
    """The steps as text of a script, one after the other."""
    return "\n".join(step.text for step in steps)


def shown_of(steps: Iterable[Step]) -> list[str]:
    """The commands of the steps, for a dry run."""
    return [command for step in steps for command in step.shown]
