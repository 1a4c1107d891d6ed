"""Compose files as Compose reads them: merged, filled in, rendered, and with a hash for each service."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-?+])([^}]*))?\})")
_RESET = object()


class ComposeError(Exception):
    """What Compose says on standard error when it refuses files."""


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """YAML with Compose's own tag."""


_Loader.add_constructor("!reset", lambda loader, node: _RESET)


@dataclass(frozen=True)
class Call:
    """Where a call of `docker compose` finds its project.

    Attributes:
        files: their paths; "-" for standard input.
        stdin: what that has.
        env: of the call.
    """

    name: str
    directory: str
    files: Sequence[str]
    env_files: Sequence[str]
    env: Mapping[str, str]
    profiles: Sequence[str] = ()
    stdin: str = ""


@dataclass(frozen=True)
class Model:
    """A project as Compose understands it.

    Attributes:
        data: what `config --format json` prints.
        warnings: what it says on standard error.
        env: the variables, of which secrets come.
    """

    call: Call
    data: Mapping[str, Any]
    warnings: str
    env: Mapping[str, str]

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        """Those that are in use, by name."""
        found: dict[str, dict[str, Any]] = self.data["services"]
        return found

    def hashes(self) -> dict[str, str]:
        """Compose's hash of each service's configuration."""
        return {name: hash_of(spec) for name, spec in self.services.items()}


def hash_of(spec: Mapping[str, Any]) -> str:
    """The hash of a service: of all but how it is built, and how many there are."""
    left_out = ("build", "pull_policy", "scale", "profiles")
    kept = {key: value for key, value in spec.items() if key not in left_out}
    if isinstance(kept.get("deploy"), dict):
        kept["deploy"] = {key: value for key, value in kept["deploy"].items() if key != "replicas"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def read(call: Call) -> Model:
    """Reads a call's files.

    Raises:
        ComposeError: one is not there, or cannot be filled in.
    """
    env: dict[str, str] = {}
    for path in call.env_files:
        env |= _env_file(path)
    env |= call.env
    merged: dict[str, Any] = {}
    blank: dict[str, None] = {}
    for path in call.files:
        try:
            text = call.stdin if path == "-" else Path(path).read_text()
        except FileNotFoundError:
            raise ComposeError(f"open {path}: no such file or directory") from None
        content = yaml.load(text, _Loader) or {}  # noqa: S506 - a safe loader, with one more tag
        merged = _merge(merged, _filled(content, env, blank))
    warnings = "".join(
        f'time="2026-01-01T00:00:00Z" level=warning msg="The \\"{name}\\" variable is not set. Defaulting to a blank string."\n'
        for name in blank
    )
    return Model(call, _normal(call, merged), warnings, env)


def _env_file(path: str) -> dict[str, str]:
    try:
        text = Path(path).read_text()
    except FileNotFoundError:
        raise ComposeError(f"couldn't find env file: {path}") from None
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[name.strip()] = value.strip().strip("'\"")
    return found


def _filled(value: Any, env: Mapping[str, str], blank: dict[str, None]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(_filler(env, blank), value)
    if isinstance(value, dict):
        return {key: _filled(each, env, blank) for key, each in value.items()}
    return [_filled(each, env, blank) for each in value] if isinstance(value, list) else value


def _filler(env: Mapping[str, str], blank: dict[str, None]) -> Callable[[re.Match[str]], str]:
    def fill(found: re.Match[str]) -> str:
        if found[1]:
            return "$"
        name, sign, rest = found[2] or found[3], found[4] or "", found[5] or ""
        given = env.get(name)
        lacks = given is None or (sign.startswith(":") and not given)
        if sign.endswith("+"):
            return "" if lacks else rest
        if not lacks:
            return str(given)
        if sign.endswith("?"):
            raise ComposeError(
                f"error while interpolating: required variable {name} is missing a value: {rest}"
            )
        if not sign:
            blank[name] = None
        return rest

    return fill


def _merge(one: Any, other: Any) -> Any:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other
    found = dict(one)
    for key, value in other.items():
        if value is _RESET:
            found.pop(key, None)
        else:
            found[key] = _merge(found[key], value) if key in found else value
    return found


def _normal(call: Call, merged: Mapping[str, Any]) -> dict[str, Any]:
    """The project in the long form of everything, as it is rendered; a dollar sign is two there."""
    name = call.name or merged.get("name", "")
    services = {key: _service(call, spec) for key, spec in sorted((merged.get("services") or {}).items())}
    active = {key: spec for key, spec in services.items() if _active(spec, call.profiles)}
    data: dict[str, Any] = {"name": name, "services": active}
    for kind in ("networks", "volumes", "secrets"):
        listed = dict(merged.get(kind) or {})
        if kind == "networks":
            listed.setdefault("default", {})
        found = {
            key: {"name": (spec or {}).get("name", f"{name}_{key}"), **(spec or {})}
            for key, spec in listed.items()
        }
        if kind == "networks":
            found = {key: {**spec, "ipam": spec.get("ipam") or {}} for key, spec in found.items()}
        if found:
            data[kind] = found
    rendered: dict[str, Any] = _doubled(data)
    return rendered


def _doubled(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _doubled(each) for key, each in value.items()}
    return [_doubled(each) for each in value] if isinstance(value, list) else value


def _active(spec: Mapping[str, Any], profiles: Sequence[str]) -> bool:
    wanted = spec.get("profiles") or []
    return not wanted or "*" in profiles or bool({*wanted} & {*profiles})


def _service(call: Call, spec: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"command": None, "entrypoint": None, "networks": {"default": None}, **spec}
    for key in ("environment", "labels"):
        listed = found.get(key)
        if isinstance(listed, list):
            listed = dict(each.partition("=")[::2] for each in listed)
        if listed:
            found[key] = {k: None if v is None else str(v) for k, v in sorted(listed.items())}
    if isinstance(found.get("command"), str):
        found["command"] = found["command"].split()
    if isinstance(found.get("depends_on"), list):
        found["depends_on"] = {
            each: {"condition": "service_started", "required": True} for each in found["depends_on"]
        }
    if "depends_on" in found:
        found["depends_on"] = {k: {"required": True, **v} for k, v in found["depends_on"].items()}
    if "ports" in found:
        found["ports"] = [_port(each) for each in found["ports"]]
    if "secrets" in found:
        found["secrets"] = [
            {"source": each, "target": f"/run/secrets/{each}"} if isinstance(each, str) else each
            for each in found["secrets"]
        ]
    if "volumes" in found:
        found["volumes"] = [_volume(call, each) for each in found["volumes"]]
    if isinstance(found.get("deploy"), dict) and "replicas" in found["deploy"]:
        deploy = {"resources": {}, "placement": {}, **found["deploy"]}
        found["deploy"] = {**deploy, "replicas": int(deploy["replicas"])}
    return found


def _port(each: Any) -> dict[str, Any]:
    if isinstance(each, dict):
        return each
    before, _, target = str(each).rpartition(":")
    address, _, published = before.rpartition(":")
    found = {"mode": "ingress", "target": int(target), "published": published, "protocol": "tcp"}
    return {**found, "host_ip": address} if address else found


def _volume(call: Call, each: Any) -> dict[str, Any]:
    if isinstance(each, dict):
        return each
    source, target, *mode = each.split(":")
    found: dict[str, Any] = {"type": "volume", "source": source, "target": target, "volume": {}}
    if source.startswith("."):
        place = str(Path(call.directory, source))
        found = {"type": "bind", "source": place, "target": target, "bind": {"create_host_path": True}}
    return {**found, "read_only": True} if mode == ["ro"] else found
