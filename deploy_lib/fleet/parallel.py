"""Several nodes at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from deploy_lib.ssh import asking

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(items: Iterable[T], work: Callable[[T], R], limit: int | None = None) -> list[R]:
    """Does the same for all items, at most `limit` at once, and gives their results in the same order.

    Raises:
        Exception: the first item's that failed, when all have ended.
    """
    todo = list(items)
    if len(todo) == 1:
        return [work(todo[0])]
    most = max(1, min(limit or len(todo), len(todo)))
    with ThreadPoolExecutor(most, thread_name_prefix="node") as pool:
        try:
            return [future.result() for future in [pool.submit(work, item) for item in todo]]
        except KeyboardInterrupt:
            with asking.interrupted():  # each thread is waited for, and one may wait for an answer
                pool.shutdown(cancel_futures=True)
            raise
