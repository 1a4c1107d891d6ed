"""A switch as its owner hears it: what it tells until its channel ends, and what its end means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from deploy_lib.errors import NotRunError, RemoteError
from deploy_lib.host.change.printed import Look, Printed, Sign
from deploy_lib.shell import ScriptExit
from deploy_lib.ssh.process import Process
from deploy_lib.ssh.session import Session

_UNTOUCHED: dict[int, str] = {
    ScriptExit.BUSY: "another switch is still running on the host",
    ScriptExit.LAPSED: "the deployment lock lapsed before the switch",
    ScriptExit.NOT_BEGUN: "the host's history cannot be written (is its disk full?)",
    ScriptExit.NO_VALUES: "a secret has no value, neither in a container of the host nor from its source",
    ScriptExit.NO_OLD_VALUES: "the current value of a secret cannot be read on the host, so nothing could go back to it",
    ScriptExit.NO_LOG: "the switch's log cannot be written (is there room in the host's memory?)",
}


class SwitchError(RemoteError):
    """The switch failed; it waits for a verdict."""


class NotBegunError(RemoteError):
    """The switch changed nothing."""


class LostError(RemoteError):
    """The session ended during the switch; the host goes back to the release before by itself."""


class UncertainError(LostError):
    """The session ended when the release had been proven; whether the host has recorded that is unknown."""


class Following:
    """What a switch tells, to its end.

    Args:
        node: the node's name.
        name: of what the switch does, in the operator's words.
        on_line: gets each line that Compose prints.

    Attributes:
        printed: what it has printed so far.
        why: why the channel has ended before the switch; None while that is not so.
    """

    def __init__(
        self, session: Session, node: str, name: str, process: Process, on_line: Callable[[str], None]
    ) -> None:
        self._session = session
        self._node = node
        self._name = name
        self._process = process
        self._on_line = on_line
        self._said: list[str] = []
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
            self.why = error
            raise self.lost(error) from None
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
                self._on_line(told)
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

    def lost(self, why: RemoteError | None = None) -> RemoteError:
        """The error for a session that has ended, or for a switch that has."""
        if self.printed.ended:
            # No process is left on the host that could go back.
            return SwitchError(
                "the switch's own process on the host has ended", node=self._node, step="switch"
            )
        what = f"the session ended during the {self._name}{because(why)}"
        return LostError(what, node=self._node, step=self._name)

    def _require_going_on(self, sign: Sign) -> None:
        if sign.word == "end":
            raise self._ended(sign.status)

    def _ended(self, code: int) -> RemoteError:
        if code in (ScriptExit.NO_PLACE, ScriptExit.NO_MEMORY, ScriptExit.CHANGED):
            said = self._said[-1:] if code == ScriptExit.CHANGED else self._said[-2:]
            what, _, hint = ": ".join(reversed(said)).partition("\t")
            what = what or "the host's memory has no place for the switch"
            return NotBegunError(what, node=self._node, step="switch", hint=hint or None)
        if code in _UNTOUCHED:
            # Of a value that cannot be read, the script says which, and where.
            why = self._last_lines() if code == ScriptExit.NO_OLD_VALUES else ""
            return NotBegunError(f"{_UNTOUCHED[code]}{why}", node=self._node, step="switch")
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


def because(why: RemoteError | None) -> str:
    """Why that is so, in brackets; "" where it is not known."""
    return f" ({why.what})" if why is not None else ""


def _lines(said: Sequence[str]) -> str:
    return "".join(f"\n    {line}" for line in said[-8:])
