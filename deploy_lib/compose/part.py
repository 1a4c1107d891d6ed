"""A service's part of a rendering as a Compose file of its own: it takes the place of what other files say of that service.

So one service can be as the checkout has it while the others stay as they run: Compose reads the files that these were made from,
and after them the parts of those that were deployed by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml
from msgspec import Struct

from deploy_lib.compose.model import read_model
from deploy_lib.compose.service import Service
from deploy_lib.secrets.placeholders import as_variables
from deploy_lib.values import replace

_HEAD = "# Generated when this service was deployed by itself; changes made here are drift.\n"

_SET_ELSEWHERE = ("image", "profiles", "build", "pull_policy", "develop")
"""What is not compared: a release sets it anew, or no container is made from it."""

_RENAMED: Mapping[str, Callable[[str], str]] = {
    "configs": lambda key: f"/{key}",
    "secrets": lambda key: f"/run/secrets/{key}",
}
"""The kinds of definitions of which a service may have its own, and where one lies in the container unless it says so."""


class Part(Struct, frozen=True):
    """A service by itself.

    Attributes:
        service: as it will be.
        content: the file.
        clashes: networks and volumes that it needs otherwise than others have them: kind, as in "networks", and key.
    """

    service: Service
    content: bytes
    clashes: tuple[tuple[str, str], ...] = ()


def make_part(
    service: Service, others: Iterable[Service], directory: str, moved: Mapping[str, str] | None = None
) -> Part:
    """A service's part.

    A config or a secret that others have otherwise gets another key.

    Args:
        service: as it was rendered.
        others: the services that stay, as they are.
        directory: the stack's, on its host.
        moved: by path below it of what the service mounts, where that lies for this service alone.
    """
    spec = {key: value for key, value in service.spec.items() if key not in ("profiles", "build", "develop")}
    shared: Any = {kind: dict(each) for kind, each in service.shared.items()}
    for old, new in (moved or {}).items():
        spec, shared = _moved(spec, shared, f"{directory}/{old}", f"{directory}/{new}")
    known = [other.shared for other in others]
    clashes: list[tuple[str, str]] = []
    for kind, definitions in list(shared.items()):
        for key, definition in list(definitions.items()):
            theirs = [each[kind][key] for each in known if key in each.get(kind, {})]
            if not theirs:
                continue
            if all(each == definition for each in theirs):
                del shared[kind][key]
            elif kind in _RENAMED:
                own = f"{key}.{service.name}"
                spec[kind] = [_with_source(kind, each, key, own) for each in spec[kind]]
                shared[kind][own] = shared[kind].pop(key)
            else:
                clashes.append((kind, key))
    every = {kind: {**_all(known, kind), **shared.get(kind, {})} for kind in service.shared}
    model = json.dumps({"services": {service.name: spec}, **every})
    made = read_model(model, directory)[service.name]
    return Part(
        replace(made, ends=service.ends, refused=service.refused),
        _content(service.name, spec, shared),
        tuple(clashes),
    )


def same_part(one: Service, other: Service) -> bool:
    """Whether the files say the same of both, whatever their images."""

    def compared(service: Service) -> Any:
        return {k: v for k, v in service.spec.items() if k not in _SET_ELSEWHERE}, service.shared

    return bool(compared(one) == compared(other))


def needed_services(service: Service) -> set[str]:
    """The services without which Compose does not read this one."""
    spec = service.spec
    found = {name for name, need in (spec.get("depends_on") or {}).items() if need.get("required", True)}
    for key in ("network_mode", "pid", "ipc", "uts", "cgroup"):
        kind, _, name = str(spec.get(key) or "").partition(":")
        found |= {name} if kind == "service" else set()
    for each in spec.get("volumes_from") or ():
        found |= set() if str(each).startswith("container:") else {str(each).partition(":")[0]}
    found |= {str(each).partition(":")[0] for each in spec.get("links") or ()}
    return found


def read_only(service: Service, path: str) -> bool:
    """Whether a service can only read what it mounts from a path below the stack's directory."""
    binds = [m for m in service.spec.get("volumes") or () if m["type"] == "bind"]
    return all(m.get("read_only") for m in binds if m["source"] == f"{service.base}/{path}")


def _moved(spec: Any, shared: Any, old: str, new: str) -> tuple[Any, Any]:
    def moved(each: Any) -> Any:
        return {**each, "source": new} if each["type"] == "bind" and each.get("source") == old else each

    volumes = {"volumes": [moved(each) for each in spec["volumes"]]} if spec.get("volumes") else {}
    configs = {
        key: {**each, "file": new} if each.get("file") == old else each
        for key, each in shared.get("configs", {}).items()
    }
    return {**spec, **volumes}, {**shared, "configs": configs}


def _with_source(kind: str, each: Mapping[str, Any], key: str, own: str) -> Mapping[str, Any]:
    """A reference under another key, to the same place in the container."""
    if each["source"] != key:
        return each
    return {**each, "source": own, "target": each.get("target") or _RENAMED[kind](key)}


def _all(known: Iterable[Mapping[str, Mapping[str, Any]]], kind: str) -> dict[str, Any]:
    return {key: each for some in known for key, each in some.get(kind, {}).items()}


def _texts(change: Callable[[str], str], data: Any) -> Any:
    """The same data with each of its values that is a text changed."""
    if isinstance(data, str):
        return change(data)
    if isinstance(data, Mapping):
        return {key: _texts(change, value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_texts(change, value) for value in data]
    return data


class _Override(dict[str, Any]):
    """A mapping that takes the place of what earlier files have there."""


class _Dumper(yaml.SafeDumper):
    """All texts in quotes: what is no text to Compose's reader of YAML may be one to this."""


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style='"')


def _override(dumper: yaml.SafeDumper, data: _Override) -> yaml.Node:
    return dumper.represent_mapping("!override", dict(data))


_Dumper.add_representer(str, _text)
_Dumper.add_representer(_Override, _override)


def _content(name: str, spec: Mapping[str, Any], shared: Mapping[str, Mapping[str, Any]]) -> bytes:
    plain = _texts(as_variables, spec)
    definitions = {
        kind: {key: _Override(_texts(as_variables, each)) for key, each in sorted(some.items())}
        for kind, some in sorted(shared.items())
        if some
    }
    data = {"services": {name: _Override(plain)}, **definitions}
    return (_HEAD + yaml.dump(data, Dumper=_Dumper, sort_keys=True, width=float("inf"))).encode()
