"""How a host's answer is waited for: in short steps, so that Ctrl-C and deadlines count while nothing comes."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 0.25
"""Seconds between two looks at whether the operator has pressed Ctrl-C."""

Look = Callable[[], None]
"""Called while a host is waited for; what it raises ends the wait."""


def nowhere() -> None:
    """A look at nothing."""


def wait(come: Callable[[float], bool], limit: float, look: Look = nowhere) -> None:
    """Waits until an answer has come.

    Args:
        come: waits for as many seconds, and says whether it has.
        limit: seconds until it must have.

    Raises:
        TimeoutError: it has not.
    """
    until = time.monotonic() + limit
    while not come(max(0.0, min(PATIENCE, until - time.monotonic()))):
        look()
        if time.monotonic() >= until:
            raise TimeoutError(f"the host did not answer within {limit:g} s")
