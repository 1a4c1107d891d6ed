"""What a service uses beside its image: networks, volumes, and files; from its part of the rendering."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from deploy_lib.answers import text
from deploy_lib.compose.limits import is_bind
from deploy_lib.compose.service import Made, Mount


def external(spec: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The networks and volumes that somebody else makes: what each is, and its name on the host."""
    for kind, key, said in _used(spec, data):
        if said.get("external"):
            yield kind, str(said.get("name") or key)


def made(spec: Mapping[str, Any], data: Mapping[str, Any], base: str) -> Iterator[Made]:
    """Those that Compose makes."""
    for kind, key, said in _used(spec, data):
        options = said.get("driver_opts") or {}
        known = dict(said)
        if "device" in options:
            known["driver_opts"] = {**options, "device": _below(str(options["device"]), base)}
        if not said.get("external") and said.get("name"):
            yield Made(kind, str(said["name"]), key, known)


def _used(spec: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The networks and volumes of a service: what it is, its key, and what the file says of it."""
    volumes = [each.get("source") for each in spec.get("volumes") or () if each["type"] == "volume"]
    for kind, keys in (("network", [*(spec.get("networks") or ())]), ("volume", volumes)):
        for key in keys:
            yield kind, str(key), (data.get(f"{kind}s") or {}).get(key) or {}


def mount(given: Mapping[str, Any], base: str, data: Mapping[str, Any]) -> Mount:
    """A mount; its source is relative where it lies below `base`."""
    source, volume = str(given.get("source") or ""), ""
    if given["type"] == "bind":
        source = _below(source, base)
    elif given["type"] == "volume" and source:
        volume = str(((data.get("volumes") or {}).get(source) or {}).get("name") or source)
    inner = str((given.get("volume") or {}).get("subpath") or "")
    return Mount(
        text(given, "type"), source, text(given, "target"), volume, not given.get("read_only"), inner
    )


def reads(spec: Mapping[str, Any], data: Mapping[str, Any], base: str) -> Iterator[str]:
    """What it gets in other ways of what lies below `base`."""
    found = []
    for each in spec.get("volumes") or ():
        volume = (data.get("volumes") or {}).get(each.get("source")) if each["type"] == "volume" else None
        options = (volume or {}).get("driver_opts") or {}
        if is_bind(options):
            found.append(str(options.get("device") or ""))
    for each in spec.get("security_opt") or ():
        kind, _, path = str(each).replace("=", ":", 1).partition(":")
        if kind == "seccomp" and path not in ("unconfined", "builtin"):
            found.append(path)
    for path in found:
        place = posixpath.normpath(_below(path, base)) if path else "/"
        # A profile written out as JSON is no path.
        if not place.startswith(("/", "../", "{")):
            yield place


def _below(path: str, base: str) -> str:
    """A path of the host, relative where it is below `base`."""
    if base and PurePosixPath(path).is_relative_to(base):
        return str(PurePosixPath(path).relative_to(base))
    return path
