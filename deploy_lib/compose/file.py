"""What is read of a Compose file before Compose is asked: the name of the project."""

from __future__ import annotations

import re
from typing import Any

from deploy_lib.compose.reading import load_yaml
from deploy_lib.errors import UsageError


def project_name(content: bytes, path: str) -> str:
    """The `name:` of a Compose file as it stands there, with its variables; "" where it has none.

    Raises:
        UsageError: it is not YAML, or no Compose file.
    """
    name = _mapping(content, path).get("name")
    return name if isinstance(name, str) else ""


def _mapping(content: bytes, path: str) -> dict[Any, Any]:
    data = load_yaml(content, path)
    if not isinstance(data, dict) or not isinstance(data.get("services") or {}, dict):
        raise UsageError(
            f"{path} is YAML, but no Compose file: it has a list or a text where a mapping is expected",
            hint=f"see what Compose says of it: docker compose -f {path} config",
        )
    return data


def default_name(directory: str) -> str:
    """The name that Compose gives a project without one, after the last part of its directory."""
    return re.sub(r"[^a-z0-9_-]", "", directory.lower()).lstrip("_-")
