"""The history on a host: one line of JSON per event, append-only; how it is read and written."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from deploy_lib import layout
from deploy_lib.errors import CommandError, NotUnderstoodError
from deploy_lib.host.change import metrics
from deploy_lib.host.change.lock import owned
from deploy_lib.host.stack import HostStack
from deploy_lib.release.history import Event, Kind, parse_events
from deploy_lib.release.release import Release
from deploy_lib.shell import THERE, ours, quote, words
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace

COUNTING = """-e '^{"kind":"proven"' -e '^{"kind":"adopted"'"""
"""Patterns for `grep`, quoted: the releases that a rollback could go to."""

RESTORE = """-e '^{"kind":"restor'"""
"""The same: the events of restores."""

ASIDE = """-e '^{"kind":"aborted"' -e '^{"kind":"backup"'"""
"""The same: the events that say nothing about what runs."""

_BEFORE = quote(r's/.*},"before":"\([^"]*\)".*/\1/p')
"""For `sed -n`: the id of the release before, in an event's line. Quotes within its texts are escaped, and only its hashes end so."""

_NOW = "@now@"


def event(kind: Kind, release: Release, **more: Any) -> Event:
    """An event that happens now, by whoever runs this process."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Event(kind=kind, at=now, who=user(), origin=socket.gethostname(), release=release, **more)


def read_history(session: Session, directory: PurePosixPath, lines: int) -> list[Event]:
    """The newest events of a host, oldest first, and before them that of the newest switch where they lack it.

    So `interrupted` can be asked of them, however many deployments have been aborted since.

    Raises:
        DeployError: it cannot be reached or asked.
    """
    path = quote(directory / layout.HISTORY)
    script = f"""\
{THERE}
{ours(directory)}
history() {{
  ours || return
  {_readable(path)}
  grep -a '}}$' {path} | grep -av {ASIDE} {RESTORE} | tail -n 1
  grep -a '}}$' {path} | tail -n {lines}
}}
history
"""
    try:
        return parse_events(session.run(script, step="reading the history").stdout)
    except CommandError as error:
        error.hint = _hint(error.what, directory)
        raise
    except NotUnderstoodError as error:
        error.node, error.step = session.node, "reading the history"
        raise


def _hint(what: str, directory: PurePosixPath) -> str:
    """What to do about a history that cannot be read: an owner can be changed, anything else only its cause fixes."""
    state = directory / layout.STATE
    if not re.search(r"permission denied|belongs to another user", what, re.IGNORECASE):
        return "fix what the host reports, then run the same command again"
    path = next((path for path in (state, directory) if str(path) in what), None)
    if path is None:
        return "as root on the host: let the user who deploys read what is refused"
    return f"let the user who deploys read it, as root on the host: chown -R USER {quote(path)}"


def write_event(session: Session, stack: HostStack, token: str, happened: Event) -> None:
    """Adds an event to a host's history.

    Args:
        token: the lock owner's; one whose lock has lapsed writes nothing.

    Raises:
        DeployError: the host does not answer, or cannot write it.
    """
    line = quote(happened.line())
    session.run(
        f"{owned(stack.directory, token)} || {{ echo 'the lock has lapsed' >&2; exit 1; }}\n"
        f"{append_function(stack)}printf '%s\\n' {line} | append",
        timeout=10,
        step="writing the history",
    )


def read_command(directory: PurePosixPath, proven_lines: int, newest_lines: int, rollbacks: int) -> str:
    """Body of a shell function that prints what decisions need of a history, in its order: the newest releases, those that
    rollbacks one after the other would go to, the newest events of switches, and the newest of a restore. What a power cut leaves
    in a file may be no text (`-a`). It calls `there` of `shell`.

    Args:
        rollbacks: how many of those are needed, however old they are.
    """
    path = quote(directory / layout.HISTORY)
    return f"""\
{_readable(path)}
  {{
    grep -an {COUNTING} {path} | tail -n {proven_lines}
    # Many releases of the same content have one and the same release before them.
    if [ "$(grep -ac {COUNTING} {path})" -gt {proven_lines} ]; then
      x=$(grep -a {COUNTING} {path} | grep -a '}}$' | tail -n 1)
      for y in {words(*range(rollbacks))}; do
        x=$(printf '%s\n' "$x" | sed -n {_BEFORE})
        [ -n "$x" ] || break
        x=$(grep -an {COUNTING} {path} | grep -aF '"release":{{"id":"'"$x"'"' | tail -n 1)
        printf '%s\n' "$x"
      done
    fi
    grep -an {RESTORE} {path} | tail -n 1
    grep -avn {ASIDE} {RESTORE} {path} | tail -n {newest_lines}
  }} | LC_ALL=C sort -t : -k 1,1n -u | cut -d : -f 2-
"""


def _readable(path: str) -> str:
    """Shell text for a function: it ends where there is no history, and fails where there is one that cannot be read."""
    return f"there {path} || {{ [ $? = 1 ]; return; }}; head -c 1 {path} >/dev/null || return"


def append_function(stack: HostStack) -> str:
    """Shell function `append`: adds the lines on its standard input, waits until they are on the disk, and measures them.

    Lines that cannot be written whole are removed again. A line that a crash has cut short is ended first, so that it cannot
    spoil these; a crash may leave zeros, too. Metrics that cannot be written are said, and undo nothing.
    """
    path = quote(stack.directory / layout.HISTORY)
    return f"""\
{metrics.function(stack)}
append() {{
  if [ -s {path} ] && [ -n "$(tail -c 1 {path} | tr '\\000' 0)" ]; then echo >> {path}; fi
  z=$(stat -c %s {path} 2>/dev/null) || z=0
  cat >> {path} && sync {path} || {{ truncate -s "$z" {path}; return 1; }}
  metrics </dev/null || echo '{layout.METRICS} could not be written: it does not tell of this'
}}
"""


def append_text(events: Sequence[Event], otherwise: str = "") -> str:
    """Shell text that calls `append` with these events.

    Args:
        otherwise: follows the call: what is done where they cannot be written.
    """
    lines = "".join(f"{event.line()}\n" for event in events)
    return f"append <<'=EVENTS='{otherwise}\n{lines}=EVENTS="


def append_now(happening: Event) -> str:
    """The same for an event that was made beforehand: it happens when it is written, and its command has taken until then.

    The script has in `$began` when it began, in seconds since 1970.
    """
    line = replace(happening, at=_NOW, seconds=0).line()
    spent = f"$(($(date +%s) - began + {int(happening.seconds)}))"
    now = f'"s/{_NOW}/$(date -u +%FT%TZ)/"\';s/","seconds":0,/","seconds":\'"{spent}"\',/\''
    return f"sed {now} <<'=EVENTS=' | append\n{line}\n=EVENTS="


def user() -> str:
    """The name of whoever runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
