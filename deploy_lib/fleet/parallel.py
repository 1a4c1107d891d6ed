"""Several nodes at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
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


def beside(work: Callable[[], R]) -> Callable[[], R]:
    """Begins work that goes on beside the caller's, and gives what waits for its result, or raises its error.

    It must change nothing: where the command ends earlier, nobody waits for it.
    """
    found: Future[R] = Future()

    def run() -> None:
        try:
            found.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            found.set_exception(error)

    threading.Thread(target=run, name="beside", daemon=True).start()
    return found.result
