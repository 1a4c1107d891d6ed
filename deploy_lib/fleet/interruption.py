"""Ctrl-C, SIGTERM and a closed terminal while hosts are being changed: they are taken back, not left half way."""

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

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

ANSWER_TIMEOUT = 5.0
"""Seconds that an answer to a signal gets to be said."""


@contextmanager
def handled(
    stop: threading.Event, first: Callable[[], object], again: Callable[[], object]
) -> Iterator[None]:
    """While the block runs, a signal sets `stop` instead of ending the process.

    A signal that this process was started to ignore, as by `nohup`, stays ignored.

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
        _heard.append(number)
        answer.start()
        answers.append(answer)

    # None: a handler that is not Python's, and could not be put back.
    heard = [number for number in SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield
    finally:
        for answer in answers:
            answer.join(ANSWER_TIMEOUT)
        for number, handler in before.items():
            signal.signal(number, handler)


_heard: list[int] = []


def signals() -> int:
    """How often the operator has asked commands of this process to stop, whatever came of that."""
    return len(_heard)


def listen() -> None:
    """Ctrl-C is heard as usual: after `starting`, or after a command of this process that came to its end."""
    if signal.getsignal(signal.SIGINT) in (_unheard, _leave):
        signal.signal(signal.SIGINT, signal.default_int_handler)


def starting() -> None:
    """Until a command begins, Ctrl-C ends this process at once: nothing was done that is to be tidied up."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def deafen() -> None:
    """From here on Ctrl-C is not heard: what was asked for is decided, and only telling it is left.

    A process that Ctrl-C ends now would have the exit status of one that had changed nothing. Outside of the main thread it
    does nothing, see `handled`.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _unheard)
        # Python gives up its own handlers before it is gone.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _leave(number: int, frame: FrameType | None) -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"error: interrupted\n")
    os._exit(ExitCode.INTERRUPTED)


def _unheard(number: int, frame: FrameType | None) -> None:
    pass
