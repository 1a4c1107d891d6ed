"""The owner's side of a switch: start it, follow it, and give it the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from deploy_lib.compose.container import Container
from deploy_lib.errors import CommandError, RemoteError
from deploy_lib.host.change.detached import longest, longest_forward, switch_script
from deploy_lib.host.change.following import Following
from deploy_lib.host.change.launch import Word, launcher, verdict_script
from deploy_lib.host.change.printed import Look, Sign
from deploy_lib.host.change.recorded import is_recorded
from deploy_lib.host.change.signs import BACK, END, SWITCHED
from deploy_lib.host.change.switch import Switch
from deploy_lib.host.change.switch_faults import LostError, SwitchError, UncertainError, because
from deploy_lib.host.stack import HostStack
from deploy_lib.release.history import Event
from deploy_lib.shell import ScriptExit
from deploy_lib.ssh.session import Session

SILENCE = 45.0
"""Seconds without a line, while the containers are looked at, after which the session counts as lost."""

ANSWER = 10.0
"""Seconds within which a host says that it was asked for a look."""


class Watch:
    """A switch under way.

    Args:
        session: for what the host is told and asked beside the switch's own channel.
        following: that channel.
    """

    def __init__(self, session: Session, stack: HostStack, switch: Switch, following: Following) -> None:
        self._session = session
        self._node = stack.node
        self._token = switch.token
        self._longest = longest(stack, switch)
        self._following = following
        self._newest: Look | None = None
        self._given: Sequence[Event] = ()
        self._recorded = False

    @property
    def left(self) -> tuple[str, ...]:
        """The volumes that stay where it has taken a stack down."""
        return self._following.printed.left

    @property
    def notes(self) -> list[str]:
        """What an operator is to see of it, each once read."""
        return self._following.printed.notes

    @property
    def ill(self) -> tuple[str, ...]:
        """The service and the id of a container that did not get healthy beside the one whose place it was to take."""
        return self._following.printed.ill

    def finish(self) -> None:
        """Waits until the containers have been replaced, and passes on what Compose prints.

        Raises:
            NotBegunError: nothing was changed.
            SwitchError: Compose, a one-off command or a check failed; the verdict is awaited.
            LostError: the session ended.
        """
        code, said = self._following.until(SWITCHED)
        if code:
            reason = "it did not end in time" if code in (124, 137) else f"exit status {code}"
            name = self._following.name
            raise SwitchError(f"the {name} failed: {reason}{said}", node=self._node.name, step=name)

    def look(self) -> list[Container]:
        """The containers as they are now: looks that the switch has printed before this was asked do not count.

        Raises:
            SwitchError, LostError: see `looks`.
        """
        self._following.ask()
        asked = self._following.printed.asked
        looks = self.looks()
        # Any number of older ones may have been waiting to be read. Should the host not say that it was asked, one counts that
        # comes this much later.
        deadline = time.monotonic() + ANSWER
        while True:
            found = next(looks)
            fresh = self._newest is not None and self._newest.asked > asked
            if fresh or time.monotonic() > deadline:
                return found

    def looks(self) -> Iterator[list[Container]]:
        """The containers, at least once a second; a look at which the engine does not list them is left out.

        Raises:
            SwitchError: the engine has not listed them for SILENCE seconds.
            LostError: the session ended.
        """
        listed = time.monotonic()
        for told in self._following.told():
            self._following.extend(SILENCE)
            if isinstance(told, Look):
                if told.containers is not None:
                    self._newest = told
                    yield told.containers
                    listed = time.monotonic()  # whoever looked may have taken a while
                elif time.monotonic() - listed > SILENCE:
                    raise SwitchError(
                        "Docker does not list the containers", node=self._node.name, step="health"
                    )
            elif isinstance(told, Sign) and told.word == END:
                break
        raise self._following.lost()

    def clock(self) -> float:
        """When the containers were as the newest look has them: seconds of the host's own clock, or of when it arrived."""
        at = self._newest.at if self._newest is not None else None
        return time.monotonic() if at is None else at

    def conclude(self, word: Word, events: Sequence[Event]) -> None:
        """Gives the switch its verdict, and the lines for the history.

        Raises:
            NotBegunError: the switch never began; nothing was changed.
            SwitchError: the switch has ended.
            LostError: the verdict came too late, or the session ended: the host has gone back by itself, or is about to.
                An UncertainError where the verdict was "proven" and may have arrived, and the host cannot be asked either.
        """
        self._given = events
        self._following.extend(SILENCE)
        self._following.await_begin()
        try:
            self._session.run(
                verdict_script(self._node.directory, self._token, word, events),
                step="verdict",
                timeout=SILENCE,
            )
        except CommandError as error:
            if error.code == ScriptExit.ENDED:
                self._following.has_ended()
            if error.code in (ScriptExit.ENDED, ScriptExit.LAPSED):
                raise self._following.lost() from None
            # The verdict was not written, so the switch waits until its owner's session ends.
            raise LostError(
                f"the verdict could not be written on the host (is its disk full?): {error.what}",
                node=self._node.name,
                step="verdict",
            ) from None
        except RemoteError as error:
            self._following.cut(error)
            if word != "proven":
                raise self._following.lost() from None
            self._require_recorded()

    def await_back(self) -> None:
        """Waits until the release before is in its place; what is under way when the verdict comes ends first.

        Raises:
            SwitchError: that failed.
            LostError: the session ended.
        """
        self._following.extend(self._longest)
        code, said = self._following.until(BACK)
        if code:
            raise SwitchError(f"exit status {code}{said}", node=self._node.name, step="going back")

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
        self._following.extend(SILENCE)
        end = self._following.ends(word)
        if end == "unheard" and word != "proven":
            raise self._following.lost()
        if word == "proven" and end in ("ended", "unheard"):
            self._require_recorded()
            return True
        return end == "done"

    def _require_recorded(self) -> None:
        """Asks the host whether it has recorded the release, after the end of what was to tell.

        Raises:
            LostError: it has not; an UncertainError where it cannot be asked.
            SwitchError: it has not, and nothing is left on it that could go back.
        """
        events, directory = self._given, self._node.directory
        # What was cut off in the middle may only be the one channel.
        found = is_recorded(self._session, directory, events, answers=self._following.why is None)
        self._recorded = bool(found)
        if found:
            self._following.on_line(
                f"what was to tell has ended{because(self._following.why)}; asked again, the host has recorded it"
            )
            return
        if self._following.printed.ended and found is False:
            raise self._following.lost()
        what = f"the session ended while the release was being recorded{because(self._following.why)}"
        if found is None:
            raise UncertainError(what, node=self._node.name)
        raise LostError(f"{what}, and the host has not recorded it", node=self._node.name)


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
    name = switch.work.name if switch.work else "switch"
    return Watch(session, stack, switch, Following(session, stack.node.name, name, process, on_line))
