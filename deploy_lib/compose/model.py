"""The model of a stack, as the host's own Compose renders it: what is decided about its services is decided from this.

It was rendered with a placeholder for each secret (`secrets/placeholders.py`). Where one comes back tells which service gets
which secret, and in which way: however deep it was interpolated, through `extends`, `include`, anchors and several files.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from deploy_lib import layout
from deploy_lib.answers import text, understand
from deploy_lib.compose.service import Mount, Port, Service
from deploy_lib.release.image import Image
from deploy_lib.secrets.placeholders import shown, take_apart
from deploy_lib.secrets.places import Place

_SECRETS = PurePosixPath("/run/secrets")
"""Where a Compose secret lies in its container, unless its target is an absolute path."""


def read_model(content: str, base: str = "") -> dict[str, Service]:
    """Services by name, from `docker compose config --format json`.

    Args:
        base: the directory that the files were rendered in; sources of mounts below it become relative.

    Raises:
        NotUnderstoodError: it is something else.
    """

    def read() -> dict[str, Service]:
        data = json.loads(content)
        services = data["services"]
        awaited = {name for spec in services.values() for name in _completed(spec)}
        found = {
            name: _service(name, spec, data, base, awaited=name in awaited)
            for name, spec in sorted(services.items())
        }
        # What belongs to no service is listed with the first one.
        shared = tuple(_refused("", {key: data.get(key) for key in ("networks", "volumes")}))
        for name in list(found)[:1] if shared else ():
            found[name] = replace(found[name], refused=(*found[name].refused, *shared))
        return found

    return understand("the Compose file as the host's Compose renders it", read)


def secret_sources(services: Mapping[str, Service]) -> dict[str, str]:
    """By the key of a Compose secret, the name of the secret, over all services."""
    return {key: name for service in services.values() for key, name in sorted(service.sources.items())}


def secret_files(services: Mapping[str, Service], directory: PurePosixPath) -> dict[str, str]:
    """By a Compose secret's key, the file below `directory` that has its value."""
    return {key: str(directory / name) for key, name in sorted(secret_sources(services).items())}


def _completed(spec: Mapping[str, Any]) -> Iterator[str]:
    """The services that must have ended before this one starts."""
    for name, needed in (spec.get("depends_on") or {}).items():
        if needed.get("condition") == "service_completed_successfully":
            yield name


def _service(
    name: str, spec: Mapping[str, Any], data: Mapping[str, Any], base: str, *, awaited: bool
) -> Service:
    replicas = (spec.get("deploy") or {}).get("replicas", spec.get("scale", 1))
    restart = str(spec.get("restart") or "")
    given = {
        key: each for key in _keys(spec) if (each := _source((data.get("secrets") or {}).get(key) or {}))
    }
    return Service(
        name,
        Image.parse(text(spec, "image") if "image" in spec else ""),
        1 if replicas is None else int(replicas),
        tuple(port for each in spec.get("ports") or [] if (port := _port(each))),
        secrets=tuple(_places(name, spec, data, given)),
        # Values of variables have places; their names have none.
        refused=tuple(
            _refused(f"services.{name}", {**spec, "environment": [*(spec.get("environment") or ())]})
        ),
        sources=given,
        foreign=tuple(key for key in _keys(spec) if key not in given),
        mounts=tuple(
            _mount(each, base, data) for each in (*(spec.get("volumes") or ()), *_config_files(spec, data))
        ),
        reads=tuple(_reads(spec, data, base)),
        contents=dict(_contents(spec, data)),
        unseen=dict(_unseen(spec, data)),
        ends="must" if awaited or restart == "no" else "may" if restart.startswith("on-failure") else "",
        builds=bool(spec.get("build")),
        external=tuple(_external(spec, data)),
        host_network=spec.get("network_mode") == "host",
        spec=spec,
        shared=_shared(spec, data),
        base=base,
    )


def _shared(spec: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The definitions that a service refers to, as far as there are any."""
    found: dict[str, dict[str, Any]] = {}
    for kind in ("networks", "volumes", "configs", "secrets", "models"):
        keys = [str(each.get("source") if isinstance(each, dict) else each) for each in spec.get(kind) or ()]
        found[kind] = {k: each for k in keys if (each := (data.get(kind) or {}).get(k)) is not None}
    return found


def _keys(spec: Mapping[str, Any]) -> list[str]:
    return [text(each, "source") for each in spec.get("secrets") or []]


def _source(secret: Mapping[str, Any]) -> str:
    """The name of a Compose secret's value; "" for one that this program does not deliver."""
    if "environment" in secret:
        return text(secret, "environment")
    # A release whose secrets are files in memory names them after the secrets.
    file = PurePosixPath(secret.get("file") or "")
    return file.name if file.parent.parent.name == layout.SECRETS else ""


def _places(
    name: str, spec: Mapping[str, Any], data: Mapping[str, Any], given: Mapping[str, str]
) -> Iterator[Place]:
    for each in spec.get("secrets") or []:
        if each["source"] in given:
            target = _SECRETS / (each.get("target") or each["source"])
            yield Place(name, "file", str(target), ("", given[each["source"]], ""))
    for target, content in _configs(spec, data):
        parts = take_apart(_plain(content))
        if len(parts) > 1:
            yield Place(name, "file", target, parts)
    for variable, value in sorted((spec.get("environment") or {}).items()):
        parts = take_apart(_plain("" if value is None else str(value)))
        if len(parts) > 1:
            yield Place(name, "environment", variable, parts)


def _configs(spec: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The configs of a service whose content stands in the file: path in the container, and content."""
    for each in spec.get("configs") or []:
        content = (data["configs"][each["source"]] or {}).get("content")
        if content is not None:
            yield each.get("target") or f"/{each['source']}", str(content)


def _unseen(spec: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each in spec.get("configs") or []:
        config = data["configs"][each["source"]] or {}
        if config.get("environment") and config.get("content") is None:
            yield each["source"], text(config, "environment")


def _config_files(spec: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The configs of a service that are files, as the mounts that Compose makes of them."""
    for each in spec.get("configs") or []:
        file = (data["configs"][each["source"]] or {}).get("file")
        if file is not None:
            target = each.get("target") or f"/{each['source']}"
            yield {"type": "bind", "source": file, "target": target, "read_only": True}


def _contents(spec: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for target, content in _configs(spec, data):
        yield target, hashlib.sha256(content.encode()).hexdigest()


def _refused(key: str, data: Any) -> Iterator[tuple[str, str]]:
    """Where placeholders are, in keys and values alike."""
    for path, value in _texts(key, data):
        if len(take_apart(value)) > 1:
            yield shown(path), shown(_plain(value))


def _texts(key: str, data: Any) -> Iterator[tuple[str, str]]:
    if isinstance(data, str):
        yield key, data
    elif isinstance(data, dict):
        for name, value in data.items():
            if len(take_apart(name)) > 1:
                yield key, name
            yield from _texts(f"{key}.{name}".lstrip("."), value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(key, value)


def _plain(value: str) -> str:
    """A text as a container gets it: Compose renders a dollar sign as two."""
    return value.replace("$$", "$")


def _port(data: Mapping[str, Any]) -> Port | None:
    published = str(data.get("published", ""))
    if not published.isdecimal() or not int(published):
        return None
    return Port(int(published), str(data.get("protocol") or "tcp"), str(data.get("host_ip") or ""))


def _external(spec: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    volumes = [each.get("source") for each in spec.get("volumes") or () if each["type"] == "volume"]
    for kind, keys in (("network", [*(spec.get("networks") or ())]), ("volume", volumes)):
        for key in keys:
            made = (data.get(f"{kind}s") or {}).get(key) or {}
            if made.get("external"):
                yield kind, str(made.get("name") or key)


def _mount(mount: Mapping[str, Any], base: str, data: Mapping[str, Any]) -> Mount:
    source, volume = str(mount.get("source") or ""), ""
    if mount["type"] == "bind":
        source = _below(source, base)
    elif mount["type"] == "volume" and source:
        volume = str(((data.get("volumes") or {}).get(source) or {}).get("name") or source)
    return Mount(text(mount, "type"), source, text(mount, "target"), volume, not mount.get("read_only"))


def _reads(spec: Mapping[str, Any], data: Mapping[str, Any], base: str) -> Iterator[str]:
    found = []
    for each in spec.get("volumes") or ():
        volume = (data.get("volumes") or {}).get(each.get("source")) if each["type"] == "volume" else None
        options = (volume or {}).get("driver_opts") or {}
        if "bind" in str(options.get("o") or "").split(","):
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
