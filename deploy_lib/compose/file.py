"""A Compose file as this checkout, or a host, has it: what is read of it before Compose is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from deploy_lib.compose.reading import load_yaml
from deploy_lib.errors import UsageError

SECRETS_DIRECTORY = PurePosixPath("/run/secrets")
"""Where a Compose secret lies in its container, unless its target is an absolute path."""


@dataclass(frozen=True)
class StackFile:
    """What is read from a Compose file before any host is asked.

    Attributes:
        project: its fixed `name:`.
        secrets: by service, the environment names of the Compose secrets that it gets.
        places: by environment name, the services that get it and where it lies in their containers.
        sources: by the secret's key in the file, its environment name.
    """

    project: str
    secrets: Mapping[str, tuple[str, ...]]
    places: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def secret_names(self) -> list[str]:
        """Every secret that the stack needs."""
        return sorted({name for names in self.secrets.values() for name in names})

    def files_in(self, directory: PurePosixPath) -> dict[str, str]:
        """By a secret's key, the file below `directory` that has its value."""
        return {key: str(directory / name) for key, name in sorted(self.sources.items())}


def read_stack_file(content: bytes, path: str) -> StackFile:
    """Reads a Compose file for what has to be known before a host is asked.

    Raises:
        UsageError: it is not YAML, or lacks what this program relies on.
    """
    data = load_yaml(content, path)
    try:
        return _stack_file(data, path)
    except (AttributeError, LookupError, TypeError, ValueError):
        hint = f"see what Compose says of it: docker compose -f {path} config"
        raise UsageError(
            f"{path} is YAML, but no Compose file: it has a list or a text where a mapping is expected",
            hint=hint,
        ) from None


def _stack_file(data: Any, path: str) -> StackFile:
    if not isinstance(data, dict) or not isinstance(data.get("services"), dict):
        raise UsageError(f"{path} has no services")
    if not isinstance(data.get("name"), str):
        raise UsageError(
            f"{path} has no fixed name:",
            hint="set one; with another name Compose would give the stack new and empty volumes",
        )
    sources = data.get("secrets") or {}
    used: dict[str, tuple[str, ...]] = {}
    places: dict[str, tuple[tuple[str, str], ...]] = {}
    keys: dict[str, str] = {}
    for service, spec in data["services"].items():
        names = []
        for entry in (spec or {}).get("secrets") or []:
            key, target = (
                (entry["source"], entry.get("target") or entry["source"])
                if isinstance(entry, dict)
                else (entry, entry)
            )
            variable = (sources.get(key) or {}).get("environment")
            if variable is None:
                raise UsageError(
                    f"{path}: the secret {key!r} of {service} has no `environment:` as its source",
                    hint="this program hands secrets to Compose as environment, never as files",
                )
            names.append(variable)
            keys[key] = variable
            places[variable] = (*places.get(variable, ()), (service, str(SECRETS_DIRECTORY / target)))
        used[service] = tuple(sorted(names))
    return StackFile(data["name"], used, places, keys)
