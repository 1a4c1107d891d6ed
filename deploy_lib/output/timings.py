"""Where a command's own time went: its phases on each node, and what they waited for."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, ParamSpec, TypeVar

from msgspec import Struct

Kind = Literal["phase", "channel"]


class Span(Struct, frozen=True):
    """Something that took time.

    Attributes:
        node: "" for what is no single node's.
        kind: "phase": a part of the command; "channel": what it waited for on the host.
        began: seconds since the command began.
        seconds: how long it took.
    """

    node: str
    kind: Kind
    what: str
    began: float
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "node": self.node or None,
            "kind": self.kind,
            "what": self.what,
            "began": round(self.began, 3),
            "seconds": round(self.seconds, 3),
        }

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """For people."""
        return f"{self.began:.2f}", f"{self.seconds:.2f}", self.node or "-", self.kind, self.what


class Timings:
    """The spans of one command; several threads may add to them at once."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._spans: list[Span] = []
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Counts from now on; what came before is forgotten."""
        with self._lock:
            self._began = time.monotonic()
            self._spans.clear()

    @contextmanager
    def span(self, node: str, kind: Kind, what: str) -> Iterator[None]:
        """What the block does is one span, however it ends."""
        began = time.monotonic()
        try:
            yield
        finally:
            ended = time.monotonic()
            with self._lock:
                self._spans.append(Span(node, kind, what, began - self._began, ended - began))

    @property
    def spans(self) -> list[Span]:
        """In the order in which they began, an outer one before what it consists of; last the whole command."""
        with self._lock:
            found = sorted(self._spans, key=lambda span: (span.began, -span.seconds))
        return [*found, Span("", "phase", "the whole command", 0.0, time.monotonic() - self._began)]


TIMINGS = Timings()
"""Those of this process: it runs one command."""


P = ParamSpec("P")
T = TypeVar("T")


def phase(what: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A method of something that has a `node`, as a phase of the command there."""

    def wrap(method: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(method)
        def timed(*arguments: P.args, **given: P.kwargs) -> T:
            own: Any = arguments[0]
            with TIMINGS.span(own.node.name, "phase", what):
                return method(*arguments, **given)

        return timed

    return wrap
