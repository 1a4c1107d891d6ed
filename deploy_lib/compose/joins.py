"""Whose container a service's own becomes part of: another service's, or one that is none of the project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_MODES = ("network_mode", "ipc", "pid")


def joined(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The services whose containers it uses the network, the processes, the memory or the volumes of: Compose makes its containers
    anew whenever it makes theirs anew."""
    return tuple(dict.fromkeys(name for kind, name in _named(spec) if kind == "service"))


def foreign(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The same for containers that the file names by their own names."""
    return tuple(dict.fromkeys(name for kind, name in _named(spec) if kind == "container"))


def held_by(shown: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of the containers that a container is part of, from what `docker inspect` shows of it under the same keys."""
    # Docker writes no kind before these.
    others = [f"container:{each}" for each in shown.get("volumes_from") or ()]
    return tuple(dict.fromkeys((*lives_in(shown), *foreign({"volumes_from": others}))))


def lives_in(shown: Mapping[str, Any]) -> tuple[str, ...]:
    """Those of `held_by` whose network, processes or memory it has: it loses them when such a container is started again."""
    return foreign({mode: shown.get(mode) for mode in _MODES})


def linked(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Containers of others that it calls by a name of its own (`external_links`)."""
    return tuple(str(each).partition(":")[0] for each in spec.get("external_links") or ())


def _named(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for mode in _MODES:
        kind, _, name = str(spec.get(mode) or "").partition(":")
        if name:
            yield kind, name
    for each in spec.get("volumes_from") or ():
        kind, _, rest = str(each).partition(":")
        yield ("container", rest.partition(":")[0]) if kind == "container" else ("service", kind)
