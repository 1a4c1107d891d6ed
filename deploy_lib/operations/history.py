"""History: one line of JSON per event on the host, append-only; a torn last line is passed over."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Literal

from deploy_lib.operations import layout
from deploy_lib.operations.shell import quote
from deploy_lib.release import Release

Kind = Literal["started", "proven", "failed", "reverted", "adopted"]


@dataclass(frozen=True)
class Event:
    """Something that happened to a release on this host.

    Attributes:
        kind: "started" (the switch began), "proven", "failed", "reverted" or "adopted".
        at: UTC, RFC 3339, seconds.
        who: user, and `origin`: the machine that the command ran on.
        seconds: how long the command took until then.
        hashes: by service, Compose's hash of the configuration of the containers that were proven.
        before: the id of the release that was proven before this one.
        detail: why, for a failure.
    """

    kind: Kind
    at: str
    who: str
    origin: str
    release: Release
    seconds: float = 0
    hashes: Mapping[str, str] = field(default_factory=dict)
    before: str | None = None
    detail: str = ""

    def line(self) -> str:
        """As one line of JSON, without its line end."""
        data = {**self.__dict__, "release": self.release.as_dict(), "hashes": dict(self.hashes)}
        return json.dumps(data, separators=(",", ":"))


def event(kind: Kind, release: Release, **more: Any) -> Event:
    """An event that happens now, by whoever runs this process."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Event(kind=kind, at=now, who=_user(), origin=socket.gethostname(), release=release, **more)


def parse_events(text: str) -> Iterable[Event]:
    """Events of a history file; what is not a whole line of this program's is passed over."""
    for line in text.splitlines():
        try:
            data = json.loads(line)
            known = {k: data[k] for k in Event.__dataclass_fields__ if k in data}
            yield Event(**{**known, "release": Release.from_dict(data["release"])})
        except (ValueError, KeyError, TypeError):
            continue


def proven(history: Sequence[Event]) -> Event | None:
    """The newest release that was proven here."""
    return next((e for e in reversed(history) if e.kind in ("proven", "adopted")), None)


def interrupted(history: Sequence[Event]) -> Event | None:
    """The newest switch, when it began and nobody knows how it ended."""
    newest = next(iter(reversed(history)), None)
    return newest if newest is not None and newest.kind == "started" else None


def append_command(directory: PurePosixPath, happened: Event) -> str:
    """Shell text that appends the event and waits until it is on the disk.

    A line that was torn by a crash is ended first, so that it cannot spoil this one.
    """
    path = quote(directory / layout.HISTORY)
    return f"""\
if [ -s {path} ] && [ -n "$(tail -c 1 {path})" ]; then echo >> {path}; fi
printf '%s\\n' {quote(happened.line())} >> {path} && sync {path}
"""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
