"""Moments of a command, at which something befalls its host."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable

CHANGING = (
    *(
        "cat",
        "chmod",
        "cp",
        "flock",
        "ln",
        "mkdir",
        "mktemp",
        "mv",
        "rm",
        "rmdir",
        "sed",
        "setsid",
        "sync",
        "tail",
        "tar",
    ),
    "truncate",
)
"""Programs that change something, or stand where something changes: a fault can come before each call of one."""


class Fault:
    """Something that befalls a host at one moment of a command.

    Moments are the changes that its engine makes, and the calls of programs that change something; of those with the same words the
    first two count, for the way to a release and the way back, so that a loop takes no time. So the same number means the same
    moment each time.

    Args:
        moment: which one, from 1 on.
        befall: what happens then.
    """

    def __init__(self, moment: int, befall: Callable[[], object]) -> None:
        self._left = moment
        self._befall = befall
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.where = ""
        self.over = threading.Event()

    def at(self, what: str, *, loops: bool = False) -> None:
        """A moment has come.

        Args:
            loops: it may come again and again.
        """
        plain = re.sub(r"[0-9A-Za-z]{10,}|\d+", "#", what)
        with self._lock:
            self._seen[plain] += 1
            if (loops and self._seen[plain] > 2) or self._left <= 0:
                return
            self._left -= 1
            if self._left:
                return
            self.where = what
        try:
            self._befall()
        finally:
            self.over.set()

    @property
    def came(self) -> bool:
        """Whether the moment has come."""
        return bool(self.where)
