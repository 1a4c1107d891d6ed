"""Ctrl-C, SIGTERM and a closed terminal while hosts are being changed: the hosts go back, none is left half way."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from deploy_lib.errors import ExitCode
from deploy_lib.ssh import asking

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

ANSWER_TIMEOUT = 5.0
"""Seconds to wait until the reaction to a signal has been shown."""


@contextmanager
def handled(
    stop: threading.Event, first: Callable[[], object], again: Callable[[], object]
) -> Iterator[None]:
    """While the block runs, a signal sets `stop` instead of ending the process.

    A signal that this process was started to ignore, as by `nohup`, stays ignored.

    Outside of the main thread, where no signals arrive, it does nothing.

    Args:
        first: called at the first signal.
        again: called at every further one, when the operator does not want to wait.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    answers: list[threading.Thread] = []

    def handle(number: int, frame: FrameType | None) -> None:
        # In a thread of its own: the interrupted code may hold the locks that the callback needs.
        answer = threading.Thread(target=again if stop.is_set() else first, daemon=True)
        stop.set()
        asking.interrupt()
        _received.append(number)
        answer.start()
        answers.append(answer)

    # None: a handler that is not Python's, and could not be put back.
    ours = [number for number in SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, handle) for number in ours}
    try:
        yield
    finally:
        for answer in answers:
            answer.join(ANSWER_TIMEOUT)
        for number, handler in before.items():
            signal.signal(number, handler)


_received: list[int] = []


def signals() -> int:
    """The number of signals that this process has received in `handled`."""
    return len(_received)


def catch_interrupts() -> None:
    """Makes Ctrl-C raise KeyboardInterrupt again, after `starting` or after an earlier command of this process; SIGTERM and a
    closed terminal do the same, so that the command ends with its outcome.

    Outside of the main thread it does nothing, see `handled`.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        ending = (_ignored, _leave) if number == signal.SIGINT else (_ignored, signal.SIG_DFL)
        if signal.getsignal(number) in ending:
            signal.signal(number, signal.default_int_handler)


def starting() -> None:
    """Makes Ctrl-C end this process at once, until a command begins: there is nothing to clean up yet."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def ignore_interrupts() -> None:
    """Ignores Ctrl-C and the like from here on: the outcome is decided, and only the report is left.

    A process that Ctrl-C ended now would have the exit status of one that changed nothing. Outside of the main thread it
    does nothing, see `handled`.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        if signal.getsignal(number) is signal.default_int_handler:
            signal.signal(number, _ignored)
            # Python removes its own handlers before the process ends.
            atexit.register(signal.signal, number, signal.SIG_IGN)


def _leave(number: int, frame: FrameType | None) -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"error: interrupted\n")
    os._exit(ExitCode.INTERRUPTED)


def _ignored(number: int, frame: FrameType | None) -> None:
    pass
