"""The owner's side of a switch: start it, follow it, and give it the verdict."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from deploy_lib.compose.container import Container, read_container
from deploy_lib.errors import CommandError, NotRunError, NotUnderstoodError, RemoteError
from deploy_lib.host.change import prune, rolling
from deploy_lib.host.change.beside import ILL, NOTE
from deploy_lib.host.change.launch import ASKED, BEGUN, NEVER, Word, launcher, verdict_script
from deploy_lib.host.change.recorded import is_recorded
from deploy_lib.host.change.switch import ENGINE_TIMEOUT, UNKNOWN, VOLUMES, Switch, switch_script
from deploy_lib.host.stack import HostStack
from deploy_lib.release.history import Event
from deploy_lib.shell import ScriptExit
from deploy_lib.ssh.process import Process
from deploy_lib.ssh.session import Session

SILENCE = 45.0
"""Seconds without a line, while the containers are looked at, after which the session counts as lost."""

ANSWER = 10.0
"""Seconds within which a host says that it was asked for a look."""

_UNTOUCHED: dict[int, str] = {
    ScriptExit.BUSY: "another switch is still running on the host",
    ScriptExit.LAPSED: "the deployment lock lapsed before the switch",
    ScriptExit.NOT_BEGUN: "the host's history cannot be written (is its disk full?)",
    ScriptExit.NO_VALUES: "a secret has no value, neither in a container of the host nor from its source",
    ScriptExit.NO_OLD_VALUES: "the current value of a secret cannot be read on the host, so nothing could go back to it",
    ScriptExit.NO_LOG: "the switch's log cannot be written (is there room in the host's memory?)",
}


_END = "=== end "
_LOOK = "=== containers"

_ODD_STATUS = 255
"""Stands for an exit status that is no number. It is a failure after which something may have changed."""


class SwitchError(RemoteError):
    """The switch failed; it waits for a verdict."""


class NotBegunError(RemoteError):
    """The switch changed nothing."""


class LostError(RemoteError):
    """The session ended during the switch; the host goes back to the release before by itself."""


class UncertainError(LostError):
    """The session ended when the release had been proven; whether the host has recorded that is unknown."""


class Watch:
    """A switch under way.

    Attributes:
        left: the volumes that stay where it has taken a stack down.
        notes: what an operator is to see of it, each once read.
        ill: the service and the id of a container that did not get healthy beside the one whose place it was to take.
    """

    def __init__(
        self,
        session: Session,
        stack: HostStack,
        switch: Switch,
        process: Process,
        on_line: Callable[[str], None],
    ) -> None:
        self._session = session
        self._node = stack.node
        self._token = switch.token
        self._name = switch.work.name if switch.work else "switch"
        self._longest_back = longest_forward(stack, switch) + stack.settings.switch_timeout + 30
        self._process = process
        self._on_line = on_line
        self.left: tuple[str, ...] = ()
        self.notes: list[str] = []
        self.ill: tuple[str, ...] = ()
        self._said: list[str] = []
        self._begun = False
        self._asked = False
        self._fresh = False
        self._at: float | None = None
        self._never = False
        self._ended = False
        self._given: Sequence[Event] = ()
        self._recorded = False
        self._why: RemoteError | None = None

    def finish(self) -> None:
        """Waits until the containers have been replaced, and passes on what Compose prints.

        Raises:
            NotBegunError: nothing was changed.
            SwitchError: Compose, a one-off command or a check failed; the verdict is awaited.
            LostError: the session ended.
        """
        code = self._until("=== switched ")
        if code:
            reason = "it did not end in time" if code in (124, 137) else f"exit status {code}"
            raise SwitchError(
                f"the {self._name} failed: {reason}{self._last_lines()}",
                node=self._node.name,
                step=self._name,
            )

    def look(self) -> list[Container]:
        """The containers as they are now: looks that the switch has printed before this was asked do not count.

        Raises:
            SwitchError, LostError: see `looks`.
        """
        with contextlib.suppress(RemoteError):  # whether the session has ended, its lines say
            self._process.send(b"look\n")
        self._asked = False
        self._fresh = False
        looks = self.looks()
        # Any number of older ones may have been waiting to be read. Should the host not say that it was asked, one counts that
        # comes this much later.
        deadline = time.monotonic() + ANSWER
        while True:
            found = next(looks)
            if self._fresh or time.monotonic() > deadline:
                return found

    def looks(self) -> Iterator[list[Container]]:
        """The containers, at least once a second; a look at which the engine does not list them is left out.

        Raises:
            SwitchError: the engine has not listed them for SILENCE seconds.
            LostError: the session ended.
        """
        look: list[str] | None = None
        began_asked, at = False, None
        told = time.monotonic()
        for line in self._lines():
            self._process.extend(SILENCE)
            if line.startswith(_LOOK):
                look, began_asked = [], self._asked
                at = _seconds(line.removeprefix(_LOOK))
            elif line == "=== ." and look is not None:
                if (found := self._containers(look)) is not None:
                    self._fresh = began_asked
                    self._at = at
                    yield found
                    told = time.monotonic()  # whoever looked may have taken a while
                elif time.monotonic() - told > SILENCE:
                    raise SwitchError(
                        "Docker does not list the containers", node=self._node.name, step="health"
                    )
                look = None
            elif line.startswith(_END):
                # A switch that ended by itself has gone back by itself.
                self._ended = line != "=== end 0"
                break
            elif look is not None:
                look.append(line)
        raise self._lost()

    def clock(self) -> float:
        """When the containers were as the newest look has them: seconds of the host's own clock, or of when it arrived."""
        return time.monotonic() if self._at is None else self._at

    def _containers(self, look: Sequence[str]) -> list[Container] | None:
        """The containers of one look; None where the engine did not list them, or its answer cannot be understood."""
        if UNKNOWN in look:
            return None
        try:
            return [c for line in look if line.startswith("{") and (c := read_container(line))]
        except NotUnderstoodError:
            return None

    def conclude(self, word: Word, events: Sequence[Event]) -> None:
        """Gives the switch its verdict, and the lines for the history.

        Raises:
            NotBegunError: the switch never began; nothing was changed.
            SwitchError: the switch has ended.
            LostError: the verdict came too late, or the session ended: the host has gone back by itself, or is about to.
                An UncertainError where the verdict was "proven" and may have arrived, and the host cannot be asked either.
        """
        self._given = events
        self._process.extend(SILENCE)
        self._await_begin()
        try:
            self._session.run(
                verdict_script(self._node.directory, self._token, word, events),
                step="verdict",
                timeout=SILENCE,
            )
        except CommandError as error:
            if error.code == ScriptExit.ENDED:
                self._ended = True
            if error.code in (ScriptExit.ENDED, ScriptExit.LAPSED):
                raise self._lost() from None
            # The verdict was not written, so the switch waits until its owner's session ends.
            raise LostError(
                f"the verdict could not be written on the host (is its disk full?): {error.what}",
                node=self._node.name,
                step="verdict",
            ) from None
        except RemoteError as error:
            if word != "proven":
                raise self._lost(error) from None
            self._why = error
            self._require_recorded()

    def await_back(self) -> None:
        """Waits until the release before is in its place; what is under way when the verdict comes ends first.

        Raises:
            SwitchError: that failed.
            LostError: the session ended.
        """
        self._process.extend(self._longest_back)
        code = self._until("=== back ")
        if code:
            raise SwitchError(
                f"exit status {code}{self._last_lines()}", node=self._node.name, step="going back"
            )

    def await_end(self, word: Word) -> bool:
        """Waits until the switch has ended; gives whether it did what the verdict says.

        What the host has recorded counts, whether or not it could be heard to say so.

        Raises:
            LostError: the session ended first; an UncertainError where a release was to be recorded, and the host cannot be asked
                whether it was.
            SwitchError: the switch has ended without recording it.
        """
        if self._recorded:
            return True
        self._process.extend(SILENCE)
        done = ended = False
        with contextlib.suppress(LostError):
            for line in self._lines():
                if line == f"=== done {word}":
                    done = True
                    self._process.extend(prune.TIMEOUT)
                elif line == "=== not pruned":
                    self._on_line("some old files or images could not be removed")
                elif line.startswith("=== back "):
                    return done
                elif line.startswith(_END):
                    # One that came to its end by itself has gone back, or cannot say in a full memory what it did.
                    ended, self._ended = True, line != "=== end 0"
                    break
        if done or (ended and word != "proven"):
            return done
        if word != "proven":
            raise self._lost(self._why)
        self._require_recorded()
        return True

    def close(self) -> None:
        """Leaves the switch to itself."""
        self._process.close()

    def _until(self, sign: str) -> int:
        self._said = []
        for line in self._lines():
            if line.startswith(sign):
                return _status(line, sign)
            if line.startswith(_END):
                raise self._end(_status(line, _END))
            if line.strip() and not line.startswith(("===", "{")):
                self._said.append(line)
                self._on_line(line)
        raise self._lost()

    def _await_begin(self) -> None:
        """Waits until the switch reads verdicts: Ctrl-C may come before it has taken its own lock."""
        lines = self._lines()
        while not self._begun:
            line = next(lines, None)
            if line is None:
                raise self._lost()
            if line.startswith(_END):
                raise self._end(_status(line, _END))

    def _end(self, code: int) -> RemoteError:
        self._ended = code != 0
        if code in (ScriptExit.NO_PLACE, ScriptExit.NO_MEMORY, ScriptExit.CHANGED):
            said = self._said[-1:] if code == ScriptExit.CHANGED else self._said[-2:]
            what, _, hint = ": ".join(reversed(said)).partition("\t")
            what = what or "the host's memory has no place for the switch"
            return NotBegunError(what, node=self._node.name, step="switch", hint=hint or None)
        if code in _UNTOUCHED:
            # Of a value that cannot be read, the script says which, and where.
            why = self._last_lines() if code == ScriptExit.NO_OLD_VALUES else ""
            return NotBegunError(f"{_UNTOUCHED[code]}{why}", node=self._node.name, step="switch")
        if self._never:
            return self._not_started(code)
        return SwitchError(f"it ended with exit status {code}{self._last_lines()}", node=self._node.name)

    def _lines(self) -> Iterator[str]:
        """The lines of the switch; silence beyond the deadline counts as the end of the session.

        Raises:
            NotBegunError: the host's end of the session says that no switch was started.
        """
        try:
            for line in self._process:
                self._begun = self._begun or line == BEGUN
                self._never = self._never or line == NEVER
                self._asked = self._asked or line == ASKED
                if line.startswith(NOTE):
                    self.notes.append(line.removeprefix(NOTE))
                if line.startswith(ILL):
                    self.ill = tuple(line.removeprefix(ILL).split()[:2])
                if line.startswith(VOLUMES):
                    self.left = tuple(line.removeprefix(VOLUMES).split())
                yield line
            if self._begun or self._ended:
                self._session.require_alive()
                return
            code = self._process.wait()
        except NotRunError as error:
            raise NotBegunError(error.what, node=self._node.name, step="switch", hint=error.hint) from None
        except RemoteError as error:
            self._why = error
            raise self._lost(error) from None
        # The launcher has ended, which it does only when there is no switch to follow.
        raise self._not_started(code)

    def _not_started(self, code: int) -> NotBegunError:
        complaints = self._process.stderr.strip().splitlines()[-8:]
        said = "".join(f"\n    {line}" for line in complaints) or self._last_lines()
        return NotBegunError(
            f"the switch could not be started: exit status {code}{said}", node=self._node.name, step="switch"
        )

    def _last_lines(self) -> str:
        return "".join(f"\n    {line}" for line in self._said[-8:])

    def _lost(self, why: RemoteError | None = None) -> RemoteError:
        if self._ended:
            # No process is left on the host that could go back.
            return SwitchError(
                "the switch's own process on the host has ended", node=self._node.name, step="switch"
            )
        what = f"the session ended during the {self._name}{_because(why)}"
        return LostError(what, node=self._node.name, step=self._name)

    def _require_recorded(self) -> None:
        """Asks the host whether it has recorded the release, after the end of what was to tell.

        Raises:
            LostError: it has not; an UncertainError where it cannot be asked.
            SwitchError: it has not, and nothing is left on it that could go back.
        """
        events, directory = self._given, self._node.directory
        # What was cut off in the middle may only be the one channel.
        found = is_recorded(self._session, directory, events, answers=self._why is None)
        self._recorded = bool(found)
        if found:
            self._on_line(
                f"what was to tell has ended{_because(self._why)}; asked again, the host has recorded it"
            )
            return
        if self._ended and found is False:
            raise self._lost(self._why)
        what = f"the session ended while the release was being recorded{_because(self._why)}"
        if found is None:
            raise UncertainError(what, node=self._node.name)
        raise LostError(f"{what}, and the host has not recorded it", node=self._node.name)


def _because(why: RemoteError | None) -> str:
    return f" ({why.what})" if why is not None else ""


def _seconds(word: str) -> float | None:
    """Seconds since the host was started, with which a look begins; None where the host does not tell them."""
    return float(word) if re.fullmatch(r" \d+(\.\d+)?", word, re.ASCII) else None


def _status(line: str, sign: str) -> int:
    word = line.removeprefix(sign)
    return int(word) if word.isascii() and word.isdecimal() and len(word) <= 3 else _ODD_STATUS


def longest_forward(stack: HostStack, switch: Switch) -> float:
    """Seconds until the containers must have been replaced, or that must have failed."""
    if switch.work is not None:
        return switch.work.seconds + ENGINE_TIMEOUT
    # A program that is given another value may be waited for before that and after it.
    extra = sum(step.timeout for step in switch.one_offs) + 2 * sum(step.timeout for step in switch.applies)
    extra += max(rolling.longest(stack, rolls) for rolls in (switch.rolls, switch.back_rolls))
    return stack.settings.switch_timeout + extra + ENGINE_TIMEOUT


def start(
    session: Session,
    stack: HostStack,
    switch: Switch,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
) -> Watch:
    """Begins the switch.

    Args:
        env: the variables that Compose fills in, and the secrets, unless the host's own are kept.
        on_line: gets each line that Compose prints.
    """
    process = session.start(
        launcher(stack.project_name, switch_script(stack, switch)),
        env=env,
        timeout=longest_forward(stack, switch) + SILENCE,
        keep_stdin=True,
    )
    return Watch(session, stack, switch, process, on_line)
