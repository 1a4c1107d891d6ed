"""What a switch prints, read line by line: how far it is, what its containers are, and how it ended."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from deploy_lib.compose.container import Container, read_container
from deploy_lib.errors import NotUnderstoodError
from deploy_lib.host.change.signs import (
    ASKED,
    BEGUN,
    END,
    ILL,
    LOOK,
    LOOK_END,
    MARK,
    NEVER,
    NOT_PRUNED,
    NOTE,
    SAME,
    UNKNOWN,
    VOLUMES,
)

_SIGN = re.compile(rf"{MARK}(\S+) (.*)")

_ODD_STATUS = 255
"""Stands for an exit status that is no number. It is a failure after which something may have changed."""


class Look(Struct, frozen=True):
    """The containers at one moment.

    Attributes:
        containers: None where the engine did not list them, or its answer cannot be understood.
        asked: how many times the switch had been asked for a look when this one began.
        at: when it began, in seconds since the host was started; None where the host does not tell them.
    """

    containers: list[Container] | None
    asked: int
    at: float | None


class Sign(Struct, frozen=True):
    """How far the switch is.

    Attributes:
        word: SWITCHED, BACK or END, each with an exit status, DONE with the verdict that was carried out, or NOT_PRUNED; see `signs.py`.
        rest: the rest of the line.
    """

    word: str
    rest: str

    @property
    def status(self) -> int:
        """The exit status."""
        word = self.rest
        return int(word) if word.isascii() and word.isdecimal() and len(word) <= 3 else _ODD_STATUS


class Printed:
    """What a switch has printed so far.

    Attributes:
        begun: whether it reads verdicts; None as long as that is unknown, False where it never began.
        ended: its process has failed, and will not go back by itself.
        asked: how many times it has said that it was asked for a look.
        left: the volumes that stay where it has taken a stack down.
        notes: what an operator is to see of it, each once read.
        ill: the service and the id of a container that did not get healthy beside the one whose place it was to take.
    """

    def __init__(self) -> None:
        self.begun: bool | None = None
        self.ended = False
        self.asked = 0
        self.left: tuple[str, ...] = ()
        self.notes: list[str] = []
        self.ill: tuple[str, ...] = ()
        self._began: tuple[int, float | None] | None = None
        self._listed: list[str] = []
        self._before: list[str] = []

    def read(self, line: str) -> Look | Sign | str:
        """What the next line says: a look that it ends, a sign, or what another program has printed; "" for anything else."""
        if line.startswith(LOOK):
            self._began, self._listed = (self.asked, _seconds(line.removeprefix(LOOK))), []
        elif line == LOOK_END and self._began is not None:
            (asked, at), self._began = self._began, None
            self._before = self._listed
            return Look(_containers(self._listed), asked, at)
        elif line == SAME:
            self._listed = self._before
        elif line == UNKNOWN or line.startswith("{"):
            self._listed.append(line)
        elif line in (BEGUN, NEVER):
            self.begun = self.begun or line == BEGUN
        elif line == ASKED:
            self.asked += 1
        elif line.startswith(NOTE):
            self.notes.append(line.removeprefix(NOTE))
        elif line.startswith(ILL):
            self.ill = tuple(line.removeprefix(ILL).split()[:2])
        elif line.startswith(VOLUMES):
            self.left = tuple(line.removeprefix(VOLUMES).split())
        elif line == MARK + NOT_PRUNED:
            return Sign(NOT_PRUNED, "")
        elif found := _SIGN.fullmatch(line):
            sign = Sign(*found.groups())
            if sign.word == END:
                # One that came to its end by itself has gone back, or cannot say in a full memory what it did.
                self.ended = sign.status != 0
            return sign
        elif line.strip() and not line.startswith(MARK.rstrip()):
            return line
        return ""


def _containers(lines: Sequence[str]) -> list[Container] | None:
    if UNKNOWN in lines:
        return None
    try:
        return [found for line in lines if (found := read_container(line))]
    except NotUnderstoodError:
        return None


def _seconds(word: str) -> float | None:
    return float(word) if re.fullmatch(r" \d+(\.\d+)?", word, re.ASCII) else None
