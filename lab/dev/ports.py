"""Loopback ports of the development environment: each can be had, or its holder is named."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from deploy_lib.errors import PreflightError

from .. import docker as build
from ..layout import is_free
from .variables import FILE

_PORT = re.compile(r"\$\{(DEV_\w+_PORT):-\d+\}:(\d+)")
_WORKING_DIR = "com.docker.compose.project.working_dir"
_PROJECT = "com.docker.compose.project"


def published(model: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """Service, port on this machine, and port in the container."""
    for service, spec in model["services"].items():
        for entry in spec.get("ports", []):
            yield service, int(entry["published"]), int(entry["target"])


def require(model: Mapping[str, Any], text: str, project: str) -> None:
    """Checks that every port is free, or this project's already.

    Args:
        model: as Compose reads the file.
        text: the file, which names a variable for each port.

    Raises:
        PreflightError: naming every port that is not, who has it, and the variable to change.
    """
    variable = {int(target): name for name, target in _PORT.findall(text)}
    ours = set(_ours(project))
    seen: dict[int, str] = {}
    taken: dict[str, list[str]] = {}
    for service, port, target in published(model):
        name = variable.get(target, service)
        holder = seen.get(port) or (None if port in ours or _can_be_had(port) else _holder(port))
        if holder:
            taken.setdefault(holder, []).append(f"{port} ({name})")
        seen.setdefault(port, name)
    if taken:
        raise PreflightError(
            "; ".join(
                f"on 127.0.0.1 {holder} has port {', '.join(found)}" for holder, found in taken.items()
            ),
            hint=f"stop that, or choose other ports in {FILE}; another checkout's environment: invoke dev.down there",
        )


def _can_be_had(port: int) -> bool:
    # Binding alone is not enough: some systems let it succeed beside a listener on all addresses.
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return False
    return is_free(port)


def _ours(project: str) -> Iterator[int]:
    listed = build.run("ps", "--filter", f"label={_PROJECT}={project}", "--format", "{{.Ports}}")
    yield from map(int, re.findall(r":(\d+)->", listed))


def _holder(port: int) -> str:
    template = f'{{{{.Names}}}}\t{{{{.Label "{_WORKING_DIR}"}}}}'
    lines = build.run("ps", "--filter", f"publish={port}", "--format", template).splitlines()
    if not lines:
        return "another program"
    name, _, folder = lines[0].partition("\t")
    return f"the Compose project of {folder}" if folder else f"the container {name}"
