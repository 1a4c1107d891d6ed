"""What becomes of a switch that does not end well: the errors, and the words for each."""

from __future__ import annotations

from deploy_lib.errors import RemoteError
from deploy_lib.shell import ScriptExit

UNTOUCHED: dict[int, str] = {
    ScriptExit.BUSY: "another switch is still running on the host",
    ScriptExit.LAPSED: "the deployment lock lapsed before the switch",
    ScriptExit.NOT_BEGUN: "the host's history cannot be written (is its disk full?)",
    ScriptExit.NO_VALUES: "a secret has no value, neither in a container of the host nor from its source",
    ScriptExit.NO_OLD_VALUES: "the current value of a secret cannot be read on the host, so nothing could go back to it",
    ScriptExit.NO_LOG: "the switch's log cannot be written (is there room in the host's memory?)",
}
"""By exit status, why a switch has changed nothing."""


class SwitchError(RemoteError):
    """The switch failed; it waits for a verdict."""


class NotBegunError(RemoteError):
    """The switch changed nothing."""


class LostError(RemoteError):
    """The session ended during the switch; the host goes back to the release before by itself."""


class UncertainError(LostError):
    """The session ended when the release had been proven; whether the host has recorded that is unknown."""


def because(why: RemoteError | None) -> str:
    """Why that is so, in brackets; "" where it is not known."""
    return f" ({why.what})" if why is not None else ""
