"""Several nodes at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def side_by_side(items: Iterable[T], work: Callable[[T], object], limit: int | None = None) -> None:
    """Does the same for all items, at most `limit` at once, and waits for all of them.

    Raises:
        Exception: the first item's that failed, when all have ended.
    """
    todo = list(items)
    if len(todo) == 1:
        work(todo[0])
        return
    with ThreadPoolExecutor(
        max_workers=max(1, min(limit or len(todo), len(todo))), thread_name_prefix="node"
    ) as pool:
        for future in [pool.submit(work, item) for item in todo]:
            future.result()
