"""History: one line of JSON per event on the host, append-only; a torn last line is passed over."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Literal, cast

from deploy_lib import layout
from deploy_lib.errors import CommandError, NotUnderstoodError
from deploy_lib.host.answers import text, texts, understand
from deploy_lib.host.change.lock import owned
from deploy_lib.release.release import Release
from deploy_lib.shell import THERE, ours, quote
from deploy_lib.ssh.session import Session

Kind = Literal["started", "proven", "failed", "reverted", "adopted", "aborted"]

ABORTED = """'^{"kind":"aborted"'"""
"""A pattern for `grep`, quoted: the events that say nothing about what runs."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a release on this host.

    Attributes:
        kind: "started" (the switch began), "proven", "failed", "reverted" (the host is back on `replaced`), "adopted" (it
            ran without a record) or "aborted" (it ended before the switch, and changed nothing that runs).
        at: UTC, RFC 3339, seconds.
        who: user, and `origin`: the machine that the command ran on.
        command: such as "deploy-web".
        seconds: how long the command took until then.
        hashes: by service, Compose's hash of the configuration of the containers that were proven.
        before: the id of the last proven release with other content, which a rollback goes to.
        replaced: the id of the release that ran until then.
        detail: why, for a failure.
    """

    kind: Kind
    at: str
    who: str
    origin: str
    release: Release
    command: str = ""
    seconds: float = 0
    hashes: Mapping[str, str] = field(default_factory=dict)
    before: str | None = None
    replaced: str | None = None
    detail: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.__dict__, "release": self.release.as_dict(), "hashes": dict(self.hashes)}

    def line(self) -> str:
        """As one line of JSON, without its line end."""
        return json.dumps(self.as_dict(), separators=(",", ":"))


def event(kind: Kind, release: Release, **more: Any) -> Event:
    """An event that happens now, by whoever runs this process."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Event(kind=kind, at=now, who=user(), origin=socket.gethostname(), release=release, **more)


def parse_events(said: str) -> list[Event]:
    """Events of a history file; what is no whole JSON object, as a power cut leaves it, is passed over.

    A line that comes twice counts where it stands last: see `read_command`.

    Raises:
        NotUnderstoodError: a whole object is no event. What it would have told is not known.
    """
    found: list[Event] = []
    for line in said.splitlines():
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(data, dict):
            continue
        happened = understand("an event of the history", partial(_event, data))
        if happened in found:
            found.remove(happened)
        found.append(happened)
    return found


def _event(data: Mapping[str, Any]) -> Event:
    optional = {name: None if data.get(name) is None else text(data, name) for name in ("before", "replaced")}
    return Event(
        kind=cast(Kind, text(data, "kind")),
        at=text(data, "at"),
        who=text(data, "who"),
        origin=text(data, "origin"),
        release=Release.from_dict(data["release"]),
        command=text({"command": "", **data}, "command"),
        seconds=_seconds(data.get("seconds", 0)),
        hashes=texts(data.get("hashes", {})),
        detail=text({"detail": "", **data}, "detail"),
        **optional,
    )


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return value


def proven(history: Sequence[Event]) -> Event | None:
    """The newest release that was proven here: the one that runs, unless a later one failed or was interrupted."""
    return next((e for e in reversed(history) if e.kind in ("proven", "adopted")), None)


def find(history: Sequence[Event], release_id: str | None) -> Event | None:
    """The release of this id, as it was proven here."""
    chosen = (e for e in reversed(history) if e.kind in ("proven", "adopted"))
    return next((e for e in chosen if e.release.id == release_id), None)


def newest_switch(history: Sequence[Event]) -> Event | None:
    """The last that is known of the newest switch; what was aborted before one says nothing about what runs."""
    return next((e for e in reversed(history) if e.kind != "aborted"), None)


def interrupted(history: Sequence[Event]) -> Event | None:
    """The newest switch, when it began and nobody knows how it ended."""
    newest = newest_switch(history)
    return newest if newest is not None and newest.kind == "started" else None


def unsettled(history: Sequence[Event]) -> Event | None:
    """The newest switch, when it did not end on a whole release: it was interrupted, or it failed and was not taken back."""
    newest = newest_switch(history)
    return newest if newest is not None and newest.kind in ("started", "failed") else None


def lineage(history: Sequence[Event], count: int) -> list[Event]:
    """What rollbacks would go to one after the other, the newest release first; `count` at most."""
    found: list[Event] = []
    current = proven(history)
    while current is not None and len(found) < count:
        found.append(current)
        current = find(history, current.before)
    return found


def kept(history: Sequence[Event], count: int) -> list[Event]:
    """The releases that a rollback could need: the last `count` that were proven, and as many by lineage."""
    newest: list[Event] = []
    for happened in reversed(history):
        if happened.kind in ("proven", "adopted") and len(newest) < count:
            newest.append(happened)
    return newest + [e for e in lineage(history, count) if e not in newest]


def read(session: Session, directory: PurePosixPath, lines: int) -> list[Event]:
    """The newest events of a host, oldest first, and before them that of the newest switch where it is none of these.

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
  grep -a '}}$' {path} | grep -av {ABORTED} | tail -n 1
  grep -a '}}$' {path} | tail -n {lines}
}}
history
"""
    try:
        return parse_events(session.run(script, step="reading the history").stdout)
    except CommandError as error:
        error.mend = f"let the user who deploys read it, as root on the host: chown -R USER {quote(directory / layout.STATE)}"
        raise
    except NotUnderstoodError as error:
        error.node, error.step = session.node, "reading the history"
        raise


def write(session: Session, directory: PurePosixPath, token: str, happened: Event) -> None:
    """Adds an event to a host's history.

    Args:
        token: the lock owner's; one whose lock has lapsed writes nothing.

    Raises:
        DeployError: the host could not be told.
    """
    line = quote(happened.line())
    session.run(
        f"{owned(directory, token)} || {{ echo 'the lock has lapsed' >&2; exit 1; }}\n"
        f"{append_function(directory)}printf '%s\\n' {line} | append",
        timeout=10,
        step="writing the history",
    )


def read_command(directory: PurePosixPath, proven_lines: int, newest_lines: int) -> str:
    """Body of a shell function that prints what decisions need of a history: the newest releases, and the newest events of
    switches. What a power cut leaves in a file may be no text (`-a`). It calls `there` of `shell`.
    """
    path = quote(directory / layout.HISTORY)
    return f"""\
{_readable(path)}
  grep -a -e '^{{"kind":"proven"' -e '^{{"kind":"adopted"' {path} | tail -n {proven_lines}
  grep -av {ABORTED} {path} | tail -n {newest_lines}
"""


def _readable(path: str) -> str:
    """Shell text for a function: it ends where there is no history, and fails where there is one that cannot be read."""
    return f"there {path} || {{ [ $? = 1 ]; return; }}; head -c 1 {path} >/dev/null || return"


def append_function(directory: PurePosixPath) -> str:
    """Shell function `append`: adds the lines on its standard input, and waits until they are on the disk.

    What cannot be brought there is taken back, so that it does not count. A line that was torn by a crash is ended first, so
    that it cannot spoil these; a crash may leave zeros, too.
    """
    path = quote(directory / layout.HISTORY)
    return f"""\
append() {{
  if [ -s {path} ] && [ -n "$(tail -c 1 {path} | tr '\\000' 0)" ]; then echo >> {path}; fi
  z=$(stat -c %s {path} 2>/dev/null) || z=0
  cat >> {path} && sync {path} || {{ truncate -s "$z" {path}; return 1; }}
}}
"""


def user() -> str:
    """The name of whoever runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
