"""Backups as values: what is known of a copy of a service's data that lies on a host."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from deploy_lib.answers import number, text, understand
from deploy_lib.values import replace

_UNITS = ((1e3, "kB"), (1e6, "MB"), (1e9, "GB"))

_ID = r"\d{8}T\d{6}Z-[a-z][a-z0-9-]*-[0-9a-f]{4}"


class BackupFile(Struct, frozen=True):
    """A backup on a host.

    Attributes:
        id: unique; backups sort by it as they were made.
        name: of its entry in deploy.toml.
        image: that its service ran, with its digest.
        release: id of the release that ran when it was made, and `tag`: that release's tag.
        at: when it was begun; UTC, RFC 3339, seconds.
        by: user and machine that asked for it.
        why: what it was made for, in words.
        compressed: the host has compressed it.
        size: bytes of its file.
        sha256: of its file.
        whole: its file is there, and as large as it was.
    """

    id: str
    name: str
    stack: str
    service: str
    image: str
    release: str
    tag: str
    at: str
    by: str
    why: str
    compressed: bool
    size: int = 0
    sha256: str = ""
    whole: bool = True

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def head(self) -> str:
        """JSON of what is known before it is made, cut off where `size` and `sha256` follow."""
        known = {key: value for key, value in asdict(self).items() if key not in ("size", "sha256", "whole")}
        return json.dumps(known, separators=(",", ":")).removesuffix("}")

    @property
    def shown(self) -> str:
        """Its id and size, for people."""
        return f"{self.id} ({shown_size(self.size)})"


def new_id(name: str) -> str:
    """An id: UTC time to the second, the entry's name, and four digits that keep two of one second apart."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}-{secrets.token_hex(2)}"


def read_backup(line: str) -> BackupFile:
    """What a host keeps beside a backup's file.

    Raises:
        NotUnderstoodError: it is something else.
    """
    return understand("what is recorded of a backup", lambda: _backup(json.loads(line)))


def read_listed(said: str) -> list[BackupFile]:
    """The backups of a host, each a line: the size of its file, "-" where there is none, and what is recorded of it.

    Raises:
        NotUnderstoodError: a line is something else.
    """
    found = []
    for line in said.splitlines():
        if line.strip():
            there, _, record = line.partition(" ")
            backup = read_backup(record)
            found.append(replace(backup, whole=there == str(backup.size)))
    return sorted(found, key=lambda backup: backup.id)


def _backup(data: Mapping[str, Any]) -> BackupFile:
    names = ("id", "name", "stack", "service", "image", "release", "tag", "at", "by", "why", "sha256")
    compressed = data["compressed"]
    if not isinstance(compressed, bool):
        raise TypeError(compressed)
    if not re.fullmatch(_ID, text(data, "id"), re.ASCII):
        raise ValueError(data["id"])
    known: dict[str, Any] = {name: text(data, name) for name in names}
    return BackupFile(**known, compressed=compressed, size=number(data, "size"))


def shown_size(size: int) -> str:
    """Bytes for people."""
    if size < 1000:
        return f"{size} B"
    value, unit = next(
        ((size / factor, unit) for factor, unit in _UNITS if size < 1000 * factor), (size / 1e9, "GB")
    )
    return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
