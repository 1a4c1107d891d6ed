"""Whether a host has recorded what it was told to, asked when whoever told it has not heard the answer."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import PurePosixPath

from deploy_lib import layout
from deploy_lib.errors import CommandError, DeployError
from deploy_lib.host.change.lock import LAPSE
from deploy_lib.release.history import Event
from deploy_lib.shell import ScriptExit, quote, words
from deploy_lib.ssh.session import Session

WAIT = LAPSE + 15
"""Seconds within which a switch has read its verdict, or has noticed that its owner's session is gone."""

_ANSWER = 15.0
"""Seconds more that the host may take to answer."""


def recorded_script(directory: PurePosixPath, events: Sequence[Event], wait: int) -> str:
    """Ends with 0 when the history has these events. Otherwise with ENDED when no switch is left that could write them, and with
    BUSY when one is.

    Args:
        wait: seconds to wait for a switch that may still write them.
    """
    lines = words(*(event.line() for event in events))
    return f"""\
recorded() {{
  printf '%s\\n' {lines} | grep -axF -f - {quote(directory / layout.HISTORY)} 2>/dev/null | sort -u | grep -c . | grep -qx {len(events)}
}}
e=$(($(date +%s) + {wait}))
# While the verdict lies there, its lines may be written and not on the disk: then they are taken away again.
until [ ! -e {quote(directory / layout.VERDICT)} ] && recorded; do
  # Only who holds this lock writes them.
  if flock -n {quote(directory / layout.SWITCH_LOCK)} true; then
    recorded && break
    exit {ScriptExit.ENDED}
  fi
  [ "$(date +%s)" -lt $e ] || exit {ScriptExit.BUSY}
  sleep 0.1 2>/dev/null || sleep 1
done
"""


def is_recorded(
    session: Session, directory: PurePosixPath, events: Sequence[Event], *, answers: bool, wait: int = WAIT
) -> bool | None:
    """Whether a host has recorded these events; None where that stays unknown.

    It is asked over the session where that still answers, and otherwise over one more, which asks the operator nothing.

    Args:
        answers: there is no sign that the session does not.
    """
    script = recorded_script(directory, events, wait)
    if answers:
        with contextlib.suppress(DeployError):
            session.require_alive()
            return _ask(session, script, wait)
    with contextlib.suppress(DeployError), contextlib.closing(session.twin()) as another:
        return _ask(another, script, wait)
    return None


def _ask(session: Session, script: str, wait: int) -> bool | None:
    try:
        session.run(script, timeout=wait + _ANSWER, step="asking what was recorded")
    except CommandError as error:
        return False if error.code == ScriptExit.ENDED else None
    return True
