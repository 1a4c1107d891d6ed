"""What a service asks of its host and of its image, beyond what a container usually has; from its part of the rendering."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from deploy_lib.compose.service import Service

_NEWEST = ("always", "daily", "weekly", "every_", "refresh")
"""How the values of `pull_policy` begin that want the newest image of a tag."""


class Gpu(Struct, frozen=True):
    """A device that Docker hands over by way of a driver.

    Attributes:
        driver: such as "nvidia"; "" for whichever has the capabilities.
    """

    driver: str
    capabilities: tuple[str, ...] = ()


class Asks(Struct, frozen=True):
    """What a service asks for.

    Attributes:
        platform: such as "linux/arm64"; "" for the host's own.
        newest: each deployment is to take the newest image of the tag.
        local: the image is on the host, whoever put it there, and in no registry.
        builds: the image is to be built, whether there is one or not.
        cpus: that its containers may use, 0 without a limit.
        cpuset: the numbers of the CPUs that they may use.
        memory: bytes that they may use, or that are kept for them; 0 without either.
        runtime: "" for the engine's default.
        devices: paths of the host.
        gpus: devices that come by way of a driver.
    """

    platform: str = ""
    newest: bool = False
    local: bool = False
    builds: bool = False
    cpus: float = 0
    cpuset: str = ""
    memory: int = 0
    runtime: str = ""
    devices: tuple[str, ...] = ()
    gpus: tuple[Gpu, ...] = ()


def asks_of(service: Service) -> Asks:
    """What a service asks for."""
    spec = service.spec
    policy = str(spec.get("pull_policy") or "")
    resources = (spec.get("deploy") or {}).get("resources") or {}
    limits, reserved = resources.get("limits") or {}, resources.get("reservations") or {}
    return Asks(
        platform=str(spec.get("platform") or ""),
        newest=policy.startswith(_NEWEST),
        local=policy == "never",
        builds=policy == "build",
        cpus=max(_number(spec.get("cpus")), _number(limits.get("cpus")), _number(reserved.get("cpus"))),
        cpuset=str(spec.get("cpuset") or ""),
        memory=int(
            max(
                *(_number(spec.get(key)) for key in ("mem_limit", "mem_reservation")),
                *(_number(each.get("memory")) for each in (limits, reserved)),
            )
        ),
        runtime=str(spec.get("runtime") or ""),
        devices=tuple(_devices(spec)),
        gpus=tuple(_gpus(spec, reserved)),
    )


def _devices(spec: Mapping[str, Any]) -> Iterator[str]:
    for each in spec.get("devices") or ():
        # Older versions of Compose render them as they were written: PATH:PATH:PERMISSIONS.
        source = str(each.get("source") or "") if isinstance(each, dict) else str(each).partition(":")[0]
        if source.startswith("/"):
            yield source
    for limited in (spec.get("blkio_config") or {}).values():
        for each in limited if isinstance(limited, list) else ():
            yield str(each.get("path") or "")


def _gpus(spec: Mapping[str, Any], reserved: Mapping[str, Any]) -> Iterator[Gpu]:
    for each in reserved.get("devices") or ():
        yield Gpu(str(each.get("driver") or ""), tuple(str(name) for name in each.get("capabilities") or ()))
    for each in spec.get("gpus") or ():
        # Compose adds this one when it makes the container.
        yield Gpu(
            str(each.get("driver") or ""), ("gpu", *(str(name) for name in each.get("capabilities") or ()))
        )


def _number(value: Any) -> float:
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return 0
