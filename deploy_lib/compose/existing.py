"""Networks and volumes that are there already: Compose keeps them as they were made, whatever the file says by now.

Newer versions make a network anew; they know it by a label that they have given it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from deploy_lib.compose import labels
from deploy_lib.compose.command import down_command
from deploy_lib.compose.project import Project
from deploy_lib.compose.service import Made
from deploy_lib.shell import words


def differences(made: Made, there: Mapping[str, Any], directory: PurePosixPath) -> list[str]:
    """The keys of the file that mean something else than what is there; what the file does not say counts for volumes only.

    Args:
        there: as `docker inspect` describes it.
        directory: the stack's.
    """
    spec = made.spec
    found = _network(spec, there) if made.kind == "network" else _volume(spec, there, directory)
    return sorted({*found, *_labels(spec, there)})


def remake(made: Made, project: Project) -> str:
    """What an operator does about a difference."""
    down = down_command(project)
    if made.kind == "network":
        return f"take the stack down, which keeps its volumes, and deploy again; on the host: {down}"
    return (
        f"undo that in the file; or name another volume there; or, if what is in {made.name} may be lost: "
        f"on the host: {down} && {words('docker', 'volume', 'rm', made.name)}, and deploy again"
    )


def _network(spec: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[str]:
    if labels.CONFIG_HASH in (there.get("Labels") or {}):
        return
    if spec.get("driver") and spec["driver"] != there.get("Driver"):
        yield "driver"
    for key, field in (("internal", "Internal"), ("attachable", "Attachable")):
        if bool(spec.get(key)) != bool(there.get(field)):
            yield key
    if spec.get("enable_ipv6") is not None and spec["enable_ipv6"] != bool(there.get("EnableIPv6")):
        yield "enable_ipv6"
    options = there.get("Options") or {}
    # The engine adds some of its own.
    if any(options.get(key) != value for key, value in _texts(spec.get("driver_opts")).items()):
        yield "driver_opts"
    said, kept = spec.get("ipam") or {}, there.get("IPAM") or {}
    if said.get("driver") and said["driver"] != kept.get("Driver"):
        yield "ipam"
    ranges = [each for each in said.get("config") or () if each]
    if ranges and not all(any(_within(each, other) for other in kept.get("Config") or ()) for each in ranges):
        yield "ipam"


_IPAM = {"subnet": "Subnet", "ip_range": "IPRange", "gateway": "Gateway"}


def _within(said: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    return all(kept.get(field) == said[key] for key, field in _IPAM.items() if said.get(key))


def _volume(spec: Mapping[str, Any], there: Mapping[str, Any], directory: PurePosixPath) -> Iterator[str]:
    if (spec.get("driver") or "local") != (there.get("Driver") or "local"):
        yield "driver"
    said, kept = _texts(spec.get("driver_opts")), _texts(there.get("Options"))
    if "device" in kept and PurePosixPath(kept["device"]).is_relative_to(directory):
        kept["device"] = str(PurePosixPath(kept["device"]).relative_to(directory))
    if said != kept:
        yield "driver_opts"


def _labels(spec: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[str]:
    kept = there.get("Labels") or {}
    if labels.CONFIG_HASH in kept and "IPAM" in there:
        return
    if any(kept.get(key) != value for key, value in _texts(spec.get("labels")).items()):
        yield "labels"


def _texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    return {key: "" if value is None else str(value) for key, value in (values or {}).items()}
