"""What only a person can answer: passphrases, passwords, one-time codes. Asked on a terminal, and one at a time."""

from __future__ import annotations

import getpass
import sys
import threading
from collections.abc import Sequence

_turn = threading.RLock()
"""Nodes connect side by side, and there is one terminal."""


class Asker:
    """The operator's terminal.

    Args:
        batch: nothing may be asked, whether there is a terminal or not.
    """

    def __init__(self, *, batch: bool = False) -> None:
        self._batch = batch

    @property
    def there(self) -> bool:
        """Whether anything can be asked."""
        return not self._batch and sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()

    @property
    def turn(self) -> threading.RLock:
        """Held by whoever asks: what one has been told, the next need not ask."""
        return _turn

    def secret(self, question: str) -> str:
        """An answer that is not shown while it is typed; "" when the terminal's input is at its end (Ctrl-D)."""
        with _turn:
            try:
                return getpass.getpass(question)
            except EOFError:
                return ""

    def answers(self, title: str, prompts: Sequence[tuple[str, bool]]) -> list[str]:
        """The answers to what a server asks.

        Args:
            prompts: each with whether its answer may be shown while it is typed.
        """
        with _turn:
            if title.strip():
                self.tell(title.strip())
            return [self._shown(text) if shown else self.secret(text) for text, shown in prompts]

    def tell(self, line: str) -> None:
        """A word to the operator, apart from what the command prints."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def _shown(self, question: str) -> str:
        sys.stderr.write(question)
        sys.stderr.flush()
        return sys.stdin.readline().rstrip("\n")
