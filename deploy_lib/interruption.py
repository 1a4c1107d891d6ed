"""Ctrl-C, SIGTERM and a closed terminal while hosts are being changed: they are taken back, not left half way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

ANSWER_TIMEOUT = 5.0
"""Seconds that an answer to a signal gets to be said."""


@contextmanager
def handled(
    stop: threading.Event, first: Callable[[], object], again: Callable[[], object]
) -> Iterator[None]:
    """While the block runs, a signal sets `stop` instead of ending the process.

    Outside of the main thread, where no signals arrive, it does nothing.

    Args:
        first: called at the first signal.
        again: called at every further one: who asks twice does not want to wait.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    answers: list[threading.Thread] = []

    def handle(number: int, frame: FrameType | None) -> None:
        # In a thread of its own: what the signal has interrupted may hold the very locks that the answer needs.
        answer = threading.Thread(target=again if stop.is_set() else first, daemon=True)
        stop.set()
        answer.start()
        answers.append(answer)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for answer in answers:
            answer.join(ANSWER_TIMEOUT)
