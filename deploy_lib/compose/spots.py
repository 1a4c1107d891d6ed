"""What a project was started with, from what its containers are: where variables have come to, and what they were; pure.

The files were rendered with a stand-in for each variable (`recovery.py`). Where one comes back, the container has what it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from deploy_lib.compose.recovery import Kind, without_letters
from deploy_lib.secrets.placeholders import placeholder, shown, take_apart
from deploy_lib.secrets.places import Place
from deploy_lib.values import replace

_SECRETIVE = re.compile(
    r"PASS|PW|PSWD?|PSK|PHRASE|SEED|MNEMONIC|(?<![A-Z])PAT(?![A-Z])|SECRET|TOKEN|KEY|CRED|AUTH|PRIVATE|SALT|DSN|CERT|SIGN|HASH|LICEN|HOOK|COOKIE|SESSION|JWT|URL|URI|CONN|PIN\b|OTP|BEARER",
    re.IGNORECASE,
)
"""Names whose values may be secrets, or have one within. Such a value never leaves its host."""

_SHOWN = ("image", "port", "address", "container_name", "mount")
_PUBLIC = frozenset((*_SHOWN, "replicas", "memory", "cpus", "restart", "network_mode"))
"""Kinds of spots that `docker ps` shows to everybody who sees the engine: a variable there is no secret, whatever its name."""

_PLAIN = re.compile(r"[^'\n\r\0]*\Z")


def secretive(name: str) -> bool:
    """Whether what has this name may be a secret."""
    return bool(_SECRETIVE.search(name))


class Spot(Struct, frozen=True):
    """A text of a service's containers that is made of variables.

    Attributes:
        kind: what of a container it is; see `_spots`.
        where: which of several; variables in it have placeholders.
        parts: see `Place.parts`.
    """

    service: str
    kind: str
    where: str
    parts: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """The variables in it."""
        return frozenset(self.parts[1::2])

    @property
    def place(self) -> Place | None:
        """The same as a place from which a value can be read back on its host; None where there is no such."""
        if self.kind not in ("environment", "argument"):
            return None
        kind: Literal["environment", "argument"] = "environment" if self.kind == "environment" else "argument"
        return Place(self.service, kind, self.where, self.parts)

    @property
    def separate(self) -> bool:
        """Whether some text stands between each two variables, so that they can be told apart."""
        return all(self.parts[2:-1:2])

    def values(self, text: str, known: Mapping[str, str]) -> dict[str, str]:
        """What the other variables were, from what the containers have; empty where the text does not fit."""
        pattern, seen = "", set[str]()
        for number, part in enumerate(self.parts):
            if number % 2 == 0:
                pattern += re.escape(part)
            elif part in known:
                pattern += re.escape(known[part])
            elif part in seen:
                pattern += f"(?P={part})"
            else:
                pattern += f"(?P<{part}>.*)"
                seen.add(part)
        found = re.fullmatch(pattern, text, re.DOTALL)
        return found.groupdict() if found else {}


def find_spots(rendered: str, kinds: Mapping[str, Kind]) -> list[Spot]:
    """Where the stand-ins have come to, in a rendering as JSON."""
    data = _texts(json.loads(rendered), without_letters(kinds))
    return [
        Spot(service, kind, where, parts)
        for service, spec in (data.get("services") or {}).items()
        for kind, where, text in _spots(spec, data)
        if len(parts := take_apart(text)) > 1
    ]


def _texts(data: Any, numbers: Mapping[str, str]) -> Any:
    """The same with a placeholder for each number or address that stands for a variable, and each dollar sign once."""
    if isinstance(data, dict):
        return {key: _texts(value, numbers) for key, value in data.items()}
    if isinstance(data, list):
        return [_texts(value, numbers) for value in data]
    if isinstance(data, bool) or not isinstance(data, str | int | float):
        return data
    text = f"{data:.10g}" if isinstance(data, float) else str(data).replace("$$", "$")
    if not numbers:
        return text
    return re.sub(
        r"\b(?:" + "|".join(map(re.escape, numbers)) + r")\b", lambda m: placeholder(numbers[m[0]]), text
    )


def _spots(spec: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Kind, where, and text of all that a container shows of its service."""
    limits = ((spec.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    yield "memory", "", str(spec.get("mem_limit") or limits.get("memory") or "")
    yield "cpus", "", str(spec.get("cpus") or limits.get("cpus") or "")
    for kind in ("image", "hostname", "user", "working_dir", "container_name", "restart", "network_mode"):
        yield kind, "", str(spec.get(kind) or "")
    for variable, value in sorted((spec.get("environment") or {}).items()):
        yield "environment", variable, "" if value is None else str(value)
    for number, word in enumerate(spec.get("command") or ()):
        yield "argument", str(number), str(word)
    for label, value in sorted((spec.get("labels") or {}).items()):
        yield "label", label, str(value)
    for port in spec.get("ports") or ():
        where = f"{port.get('target')}/{port.get('protocol') or 'tcp'}"
        yield "port", where, str(port.get("published") or "")
        yield "address", where, str(port.get("host_ip") or "")
    for mount in spec.get("volumes") or ():
        source = str(mount.get("source") or "")
        if mount.get("type") == "volume":
            source = str(((data.get("volumes") or {}).get(source) or {}).get("name") or "")
        yield "mount", str(mount.get("target")), source
    yield "replicas", "", str((spec.get("deploy") or {}).get("replicas") or spec.get("scale") or "")


class Sorted(Struct, frozen=True):
    """Which variables may be known here, and which only on their host.

    Attributes:
        open: spots that may be looked at from here.
        hidden: where the host can read the others.
    """

    open: tuple[Spot, ...]
    hidden: tuple[Place, ...]


def sort_out(spots: Iterable[Spot], secrets: Collection[str]) -> Sorted:
    """What may leave the host: a variable that is no declared secret, has no name like one, and stands beside none; and what
    everybody sees anyway.

    Args:
        secrets: the names of the declared ones, which are read elsewhere.
    """
    spots = list(spots)
    own = {name for spot in spots for name in spot.names if name not in secrets}
    public = [s for s in spots if s.kind in _PUBLIC and s.separate and not s.names & {*secrets}]
    open_ = {name for spot in public for name in spot.names} | {
        name
        for name in own
        if not secretive(name)
        and any(name in s.names and s.separate and _harmless(s) and not s.names & {*secrets} for s in spots)
        # What stands beside a secret, or in what is called like one, is left where it is.
        and not any(
            name in spot.names and secretive(shown(spot.where)) and spot.names == {name} for spot in spots
        )
    }
    visible = tuple(s for s in spots if s in public or (s.names <= open_ and s.separate and _harmless(s)))
    closed = own - open_
    hidden = tuple(p for s in spots if s.names & closed and (p := s.place) is not None)
    return Sorted(visible, hidden)


def _harmless(spot: Spot) -> bool:
    called = {shown(spot.where), *spot.names}
    return not any(map(secretive, called)) and not any("://" in part for part in spot.parts[0::2])


def solve(
    spots: Iterable[Spot], texts: Mapping[tuple[str, str, str], str], kinds: Mapping[str, Kind]
) -> dict[str, str]:
    """The values of open variables, as far as the containers have them and an env file can hold them.

    Args:
        texts: by service, kind and where, what a container has.
    """
    found: dict[str, str] = {}
    # What stands by itself is certain, and helps with the others.
    left = sorted(spots, key=lambda spot: len(spot.names))
    # Where something is may hang on another variable: a port is found by the port of the container.
    while ready := [spot for spot in left if {*take_apart(spot.where)[1::2]} <= {*found}]:
        left = [spot for spot in left if spot not in ready]
        for spot in ready:
            parts = take_apart(spot.where)
            where = "".join(part if i % 2 == 0 else found[part] for i, part in enumerate(parts))
            text = texts.get((spot.service, spot.kind, where))
            _keep(found, spot.values(text, _written(found, kinds)) if text is not None else {}, kinds)
    # Or on itself, as in `${PORT}:${PORT}`: then it is what fits in both places, where only one does.
    for spot in left:
        there = replace(spot, parts=tuple(take_apart(spot.where)))
        fits = [
            {**inner, **outer}
            for (service, kind, where), text in texts.items()
            if (service, kind) == (spot.service, spot.kind)
            and (inner := there.values(where, found))
            and (outer := spot.values(text, found))
            and all(inner[name] == outer[name] for name in {*inner} & {*outer})
        ]
        _keep(found, fits[0] if len(fits) == 1 else {}, kinds)
    return found


def _keep(found: dict[str, str], values: Mapping[str, str], kinds: Mapping[str, Kind]) -> None:
    for name, value in values.items():
        whole = f"/{value}" if kinds.get(name) == "path" else value
        if _PLAIN.match(whole):
            found.setdefault(name, whole)


def _written(values: Mapping[str, str], kinds: Mapping[str, Kind]) -> dict[str, str]:
    """Values as they stand in the place of their stand-ins: a path's slash is there already."""
    return {n: v.removeprefix("/") if kinds.get(n) == "path" else v for n, v in values.items()}


def filled_in(place: Place, known: Mapping[str, str]) -> Place:
    """The same place, with known values as fixed texts: so only the others are to be read back."""
    parts = [""]
    for number, part in enumerate(place.parts):
        if number % 2 == 0:
            parts[-1] += part
        elif part in known:
            parts[-1] += known[part]
        else:
            parts += [part, ""]
    return replace(place, parts=tuple(parts))
