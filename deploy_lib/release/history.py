"""A host's history as values: what happened there, which releases count, and what a rollback would go to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, cast

from msgspec import Struct, field
from msgspec.structs import asdict

from deploy_lib.answers import text, texts, understand
from deploy_lib.release.release import Release

Kind = Literal[
    "started",
    "proven",
    "failed",
    "reverted",
    "adopted",
    "aborted",
    "backup",
    "restoring",
    "restored",
    "restore-failed",
    "restore-reverted",
]

ASIDE = ("aborted", "backup")
"""Kinds of events that change nothing that runs."""

RESTORES = ("restoring", "restored", "restore-failed", "restore-reverted")
"""Kinds of events of a restore; all begin alike, by which hosts choose them."""


class Event(Struct, frozen=True):
    """Something that happened to a release on this host.

    Attributes:
        kind: "started" (the switch began), "proven", "failed", "reverted" (the host is back on `replaced`), "adopted" (it
            ran without a record) or "aborted" (it ended before the switch, and changed nothing that runs). Of the data that a
            release works on: "backup" (one was made), "restoring" (putting one back began), "restored" (it is in place, and
            the release is proven with it), "restore-failed" (it is not; what the data are is unknown until the next event)
            and "restore-reverted" (the data are those of before the restore).
        at: UTC, RFC 3339, seconds.
        who: user, and `origin`: the machine that the command ran on.
        command: such as "deploy-web".
        seconds: how long the command took until then.
        hashes: by service, Compose's hash of the configuration of the containers that were proven.
        before: the id of the last proven release with other content, which a rollback goes to.
        replaced: the id of the release that ran until then.
        detail: why, for a failure.
        backups: ids of the backups that were made before the switch, or that the event is about.
        stopped: the services that stand still during a restore; None where that is not recorded, as by earlier programs.
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
    backups: tuple[str, ...] = ()
    stopped: tuple[str, ...] | None = None

    @property
    def counts(self) -> bool:
        """Whether its release is one that a rollback can go to."""
        return self.kind in ("proven", "adopted")

    @property
    def of_switch(self) -> bool:
        """Whether it says how a switch to a release began or ended."""
        return self.kind not in (*ASIDE, *RESTORES)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        data = {**asdict(self), "release": self.release.as_dict(), "hashes": dict(self.hashes)}
        # As earlier programs have written it.
        if not self.backups:
            del data["backups"]
        if self.stopped is None:
            del data["stopped"]
        return data

    def line(self) -> str:
        """As one line of JSON, without its line end; its kind comes first, by which hosts choose lines (`grep`)."""
        return json.dumps(self.as_dict(), separators=(",", ":"))


def parse_events(said: str) -> list[Event]:
    """Events of a history file; lines that are no whole JSON object, as a power cut leaves them, are skipped.

    A line that comes twice counts at its last place: a host prints the newest releases, and then the newest events.

    Raises:
        NotUnderstoodError: a whole object is no event, so the history is unknown.
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
        backups=tuple(text({"id": each}, "id") for each in data.get("backups") or ()),
        stopped=None
        if data.get("stopped") is None
        else tuple(text({"name": each}, "name") for each in data["stopped"]),
        **optional,
    )


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return value


def proven(history: Sequence[Event]) -> Event | None:
    """The newest release that was proven here: the one that runs, unless a later one failed or was interrupted."""
    return next((e for e in reversed(history) if e.counts), None)


def find(history: Sequence[Event], release_id: str | None) -> Event | None:
    """The release of this id, as it was proven here."""
    return next((e for e in reversed(history) if e.counts and e.release.id == release_id), None)


def newest_switch(history: Sequence[Event]) -> Event | None:
    """The last event of the newest switch; those that changed nothing that runs do not count, nor do restores."""
    return next((e for e in reversed(history) if e.of_switch), None)


def interrupted(history: Sequence[Event]) -> Event | None:
    """The newest switch, when it began and it is unknown how it ended."""
    newest = newest_switch(history)
    return newest if newest is not None and newest.kind == "started" else None


def unsettled(history: Sequence[Event]) -> Event | None:
    """The newest switch, when it did not end on a whole release: it was interrupted, or it failed and was not taken back.

    A restore that proved the release of before has ended that.
    """
    newest = next((e for e in reversed(history) if e.kind == "restored" or e.of_switch), None)
    return newest if newest is not None and newest.kind in ("started", "failed") else None


def unsettled_restore(history: Sequence[Event]) -> Event | None:
    """The newest restore, when it is unknown what it has left of the data, and no release was proven with them since."""
    newest = next((e for e in reversed(history) if e.counts or e.kind in RESTORES), None)
    return newest if newest is not None and newest.kind in ("restoring", "restore-failed") else None


def lineage(history: Sequence[Event], count: int) -> list[Event]:
    """The releases that rollbacks one after the other would go to, the newest first; `count` at most."""
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
        if happened.counts and len(newest) < count:
            newest.append(happened)
    return newest + [e for e in lineage(history, count) if e not in newest]
