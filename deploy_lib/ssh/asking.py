"""What only a person can answer: passphrases, passwords, one-time codes. Asked on a terminal, and one at a time."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from deploy_lib.errors import StoppedError

_turn = threading.RLock()
"""Nodes connect side by side, and there is one terminal."""

_PATIENCE = 100
"""Milliseconds between two looks at whether the operator has pressed Ctrl-C."""

_LONGEST = 4096
"""Bytes of an answer: a terminal gives no longer line."""

_interruptions = 0
_leaving = 0


def interrupt() -> None:
    """Ends the question that is being asked, and all that wait for their turn: the operator has pressed Ctrl-C.

    Python tells the main thread alone of a signal, and nodes ask in threads of their own.
    """
    global _interruptions
    _interruptions += 1


@contextmanager
def interrupted() -> Iterator[None]:
    """While the block runs, which waits for threads to end, nothing at all is asked: some may only be about to."""
    global _leaving
    _leaving += 1
    interrupt()
    try:
        yield
    finally:
        _leaving -= 1


class Asker:
    """The operator's terminal, for one login.

    Args:
        batch: nothing may be asked, whether there is a terminal or not.
    """

    def __init__(self, *, batch: bool = False) -> None:
        self._batch = batch
        self._since = _interruptions

    @property
    def there(self) -> bool:
        """Whether anything can be asked."""
        return not self._batch and sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()

    @property
    def turn(self) -> threading.RLock:
        """Held by whoever asks: what one has been told, the next need not ask."""
        return _turn

    def look(self) -> None:
        """Looks whether the operator has pressed Ctrl-C.

        Raises:
            StoppedError: that is so.
        """
        if _leaving or self._since != _interruptions:
            raise StoppedError("interrupted")

    def secret(self, question: str) -> str:
        """An answer that is not shown while it is typed; "" when the terminal's input is at its end (Ctrl-D).

        Raises:
            StoppedError: Ctrl-C was pressed, here or while another question was asked.
        """
        return self._answer(question, shown=False)

    def answers(self, title: str, prompts: Sequence[tuple[str, bool]]) -> list[str]:
        """The answers to what a server asks; raises as `secret` does.

        Args:
            prompts: each with whether its answer may be shown while it is typed.
        """
        with _turn:
            if title.strip():
                self.tell(title.strip())
            return [self._answer(text, shown=True) if shown else self.secret(text) for text, shown in prompts]

    def tell(self, line: str) -> None:
        """A word to the operator, apart from what the command prints."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def _answer(self, question: str, *, shown: bool) -> str:
        with _turn:
            self.look()
            with _terminal() as terminal, _echo(terminal, shown=shown):
                os.write(terminal, question.encode(errors="replace"))
                return self._line(terminal)

    def _line(self, terminal: int) -> str:
        poll = select.poll()
        poll.register(terminal, select.POLLIN)
        while not poll.poll(_PATIENCE):
            self.look()
        return os.read(terminal, _LONGEST).decode(errors="replace").rstrip("\r\n")


@contextmanager
def _terminal() -> Iterator[int]:
    """The terminal that the operator sits at, wherever standard output goes."""
    try:
        opened = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        yield sys.stdin.fileno()
        return
    try:
        yield opened
    finally:
        os.close(opened)


@contextmanager
def _echo(terminal: int, *, shown: bool) -> Iterator[None]:
    """While the block runs, what is typed is shown or not; afterwards the terminal is as it was, whatever has happened."""
    before = termios.tcgetattr(terminal)
    quiet = [*before]
    if not shown:
        quiet[3] &= ~termios.ECHO
    try:
        # What was typed ahead was no answer to this.
        termios.tcsetattr(terminal, termios.TCSAFLUSH, quiet)
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        if not shown:
            with contextlib.suppress(OSError):
                os.write(terminal, b"\n")
