"""A switch as its owner hears it: what it tells until its channel ends, and what its end means."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from deploy_lib.errors import NotRunError, RemoteError
from deploy_lib.host.change import prune
from deploy_lib.host.change.launch import Word
from deploy_lib.host.change.printed import Look, Printed, Sign
from deploy_lib.host.change.signs import BACK, DONE, END, NOT_PRUNED
from deploy_lib.host.change.switch_faults import UNTOUCHED, LostError, NotBegunError, SwitchError, because
from deploy_lib.shell import ScriptExit
from deploy_lib.ssh.process import Process
from deploy_lib.ssh.session import Session

Ending = Literal["done", "back", "ended", "unheard"]
"""How a switch comes to its end: it does what its verdict says; it goes back instead; its process ends without a word of either;
or its channel ends first."""


class Following:
    """What a switch tells, to its end.

    Args:
        node: the node's name.

    Attributes:
        name: of what the switch does, in the operator's words.
        on_line: gets each line that Compose prints.
        printed: what it has printed so far.
        why: why the channel has ended before the switch; None while that is not so.
    """

    def __init__(
        self, session: Session, node: str, name: str, process: Process, on_line: Callable[[str], None]
    ) -> None:
        self._session = session
        self._node = node
        self._process = process
        self._said: list[str] = []
        self.name = name
        self.on_line = on_line
        self.printed = Printed()
        self.why: RemoteError | None = None

    def told(self) -> Iterator[Look | Sign | str]:
        """What each line says; silence beyond the deadline counts as the end of the session.

        Raises:
            NotBegunError: the host's end of the session says that no switch was started.
            LostError: the session ended.
        """
        try:
            for line in self._process:
                yield self.printed.read(line)
            if self.printed.begun or self.printed.ended:
                self._session.require_alive()
                return
            code = self._process.wait()
        except NotRunError as error:
            raise NotBegunError(error.what, node=self._node, step="switch", hint=error.hint) from None
        except RemoteError as error:
            self.cut(error)
            raise self.lost() from None
        # The launcher has ended, which it does only when there is no switch to follow.
        raise self._not_started(code)

    def until(self, word: str) -> tuple[int, str]:
        """Waits for a sign, and passes on what Compose prints meanwhile.

        Returns:
            the sign's exit status, and the last lines of Compose, for an error.

        Raises:
            NotBegunError, SwitchError: the switch has ended before it.
            LostError: the session ended.
        """
        self._said = []
        for told in self.told():
            if isinstance(told, Sign):
                if told.word == word:
                    return told.status, self._last_lines()
                self._require_going_on(told)
            elif isinstance(told, str) and told:
                self._said.append(told)
                self.on_line(told)
        raise self.lost()

    def await_begin(self) -> None:
        """Waits until the switch reads verdicts: Ctrl-C may come before it has taken its own lock.

        Raises:
            NotBegunError, SwitchError, LostError: see `until`.
        """
        lines = self.told()
        while not self.printed.begun:
            told = next(lines, None)
            if told is None:
                raise self.lost()
            if isinstance(told, Sign):
                self._require_going_on(told)

    def ends(self, word: Word) -> Ending:
        """Waits until the switch has ended, or its channel.

        Args:
            word: the verdict that it was given.

        Raises:
            NotBegunError, SwitchError: there is no switch, or its process has failed.
        """
        end: Ending = "unheard"
        with contextlib.suppress(LostError):
            for told in self.told():
                if told == Sign(DONE, word):
                    end = "done"
                    self.extend(prune.TIMEOUT)
                elif told == Sign(NOT_PRUNED, ""):
                    self.on_line("some old files or images could not be removed")
                elif isinstance(told, Sign) and told.word in (BACK, END):
                    if end == "unheard":
                        end = "back" if told.word == BACK else "ended"
                    break
        return end

    def extend(self, seconds: float) -> None:
        """From now on, so long a silence counts as the end of the session."""
        self._process.extend(seconds)

    def ask(self) -> None:
        """Asks for a look; whether the session has ended, the lines say."""
        with contextlib.suppress(RemoteError):
            self._process.send(b"look\n")

    def has_ended(self) -> None:
        """The host has said so by another way: the switch's process is not there any more."""
        self.printed.ended = True

    def cut(self, why: RemoteError) -> None:
        """The session has ended, or nothing comes through it any more."""
        self.why = why

    def lost(self) -> RemoteError:
        """The error for a session that has ended, or for a switch that has."""
        if self.printed.ended:
            # No process is left on the host that could go back.
            return SwitchError(
                "the switch's own process on the host has ended", node=self._node, step="switch"
            )
        what = f"the session ended during the {self.name}{because(self.why)}"
        return LostError(what, node=self._node, step=self.name)

    def _require_going_on(self, sign: Sign) -> None:
        if sign.word == END:
            raise self._ended(sign.status)

    def _ended(self, code: int) -> RemoteError:
        if code in (ScriptExit.NO_PLACE, ScriptExit.NO_MEMORY, ScriptExit.CHANGED):
            said = self._said[-1:] if code == ScriptExit.CHANGED else self._said[-2:]
            what, _, hint = ": ".join(reversed(said)).partition("\t")
            what = what or "the host's memory has no place for the switch"
            return NotBegunError(what, node=self._node, step="switch", hint=hint or None)
        if code in UNTOUCHED:
            # Of a value that cannot be read, the script says which, and where.
            why = self._last_lines() if code == ScriptExit.NO_OLD_VALUES else ""
            return NotBegunError(f"{UNTOUCHED[code]}{why}", node=self._node, step="switch")
        if self.printed.begun is False:
            return self._not_started(code)
        return SwitchError(f"it ended with exit status {code}{self._last_lines()}", node=self._node)

    def _not_started(self, code: int) -> NotBegunError:
        said = _lines(self._process.stderr.strip().splitlines()) or self._last_lines()
        return NotBegunError(
            f"the switch could not be started: exit status {code}{said}", node=self._node, step="switch"
        )

    def _last_lines(self) -> str:
        return _lines(self._said)


def _lines(said: Sequence[str]) -> str:
    return "".join(f"\n    {line}" for line in said[-8:])
