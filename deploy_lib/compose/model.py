"""The model of a stack, as the host's own Compose renders it: what is decided about its services is decided from this.

It was rendered with a placeholder for each secret (`secrets/placeholders.py`). Where one comes back tells which service gets
which secret, and in which way: however deep it was interpolated, through `extends`, `include`, anchors and several files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from deploy_lib import layout
from deploy_lib.answers import text, understand
from deploy_lib.compose import uses
from deploy_lib.compose.limits import limits
from deploy_lib.compose.port import Port
from deploy_lib.compose.service import Ends, Service
from deploy_lib.release.image import Image
from deploy_lib.secrets.placeholders import shown, take_apart
from deploy_lib.secrets.places import Place
from deploy_lib.values import replace

SECRETS = PurePosixPath("/run/secrets")
"""Where a Compose secret lies in its container, unless its target is an absolute path."""


def read_model(content: str, base: str = "") -> dict[str, Service]:
    """Services by name, from `docker compose config --format json`.

    Args:
        base: the stack's directory; sources of mounts below it become relative.

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
        shared = tuple(_refused("", _beside(data)))
        for name in list(found)[:1] if shared else ():
            found[name] = replace(found[name], refused=(*found[name].refused, *shared))
        return found

    return understand("the Compose file as the host's Compose renders it", read)


def _beside(data: Mapping[str, Any]) -> dict[str, Any]:
    """All that stands beside the services, but for what brings a secret to them."""
    brings = {"configs": "content", "secrets": "environment"}
    found = {key: data.get(key) for key in ("networks", "volumes", "models")}
    for kind, way in brings.items():
        found[kind] = {
            name: {key: value for key, value in (spec or {}).items() if key != way}
            for name, spec in (data.get(kind) or {}).items()
        }
    return found


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
    ends: Ends = "must" if awaited else _ends(spec)
    given = {
        key: each for key in _keys(spec) if (each := _source((data.get("secrets") or {}).get(key) or {}))
    }
    return Service(
        name,
        Image.parse(text(spec, "image") if "image" in spec else ""),
        1 if replicas is None else int(replicas),
        # One that is there twice is one: two of its targets are two.
        tuple(
            {
                (each.get("target"), port): port for each in spec.get("ports") or [] if (port := _port(each))
            }.values()
        ),
        secrets=tuple(_places(name, spec, data, given)),
        # Values of variables have places; their names have none.
        refused=tuple(
            _refused(f"services.{name}", {**spec, "environment": [*(spec.get("environment") or ())]})
        ),
        sources=given,
        foreign=tuple(key for key in _keys(spec) if key not in given),
        mounts=tuple(
            uses.mount(each, base, data)
            for each in (*(spec.get("volumes") or ()), *_config_files(spec, data))
        ),
        reads=tuple(uses.reads(spec, data, base)),
        contents=dict(_contents(spec, data)),
        unseen=dict(_unseen(spec, data)),
        ends=ends,
        builds=bool(spec.get("build")),
        external=tuple(uses.external(spec, data)),
        host_network=spec.get("network_mode") == "host",
        limits=tuple(limits(name, spec, data, ends)),
        made=tuple(uses.made(spec, data, base)),
        spec=spec,
        shared=_shared(spec, data),
        base=base,
    )


def _ends(spec: Mapping[str, Any]) -> Ends:
    """What its restart policy says; Compose looks at `deploy` where there is none."""
    policy = (spec.get("deploy") or {}).get("restart_policy") or {}
    said = str(spec.get("restart") or policy.get("condition") or "")
    return "must" if said in ("no", "none") else "may" if said.startswith("on-failure") else ""


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
            target = SECRETS / (each.get("target") or each["source"])
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
