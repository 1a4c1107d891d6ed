"""What a lab needs to know of a project's Compose files: images and published ports, as far as they are written out there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy_lib.compose.reading import load_yaml
from deploy_lib.errors import UsageError


def project_name(path: Path) -> str:
    """The fixed `name:` of a Compose file.

    Raises:
        UsageError: it has none.
    """
    name = _read(path).get("name")
    if not isinstance(name, str):
        raise UsageError(f"{path} has no name")
    return name


def images(path: Path) -> list[str]:
    """Each service's `image:` as it stands there, variables included.

    Raises:
        UsageError: it is no Compose file.
    """
    return [spec["image"] for spec in _services(path).values() if "image" in spec]


def published(path: Path) -> tuple[int, ...]:
    """The TCP ports that a Compose file publishes, as far as they stand there as numbers.

    Raises:
        UsageError: it is no Compose file.
    """
    return tuple(
        dict.fromkeys(
            port
            for spec in _services(path).values()
            for entry in spec.get("ports") or []
            for port in _published(entry)
        )
    )


def _published(entry: Any) -> Iterator[int]:
    if isinstance(entry, dict):
        text, protocol = str(entry.get("published", "")), entry.get("protocol", "tcp")
    else:
        mapping, _, protocol = str(entry).partition("/")
        text = mapping.split(":")[-2] if ":" in mapping else ""
    if text.isdigit() and protocol in ("", "tcp"):
        yield int(text)


def _services(path: Path) -> dict[str, Any]:
    services = _read(path).get("services")
    if not isinstance(services, dict):
        raise UsageError(f"{path} has no services")
    return {name: spec or {} for name, spec in services.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        data = load_yaml(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    return data if isinstance(data, dict) else {}
