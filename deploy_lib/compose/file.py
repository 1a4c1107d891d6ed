"""What is read of a Compose file before Compose is asked: the name of the project."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from deploy_lib.compose.reading import load_yaml
from deploy_lib.errors import UsageError


def project_name(files: Sequence[tuple[bytes, str]]) -> str:
    """The `name:` of a stack's Compose files as it stands there, with its variables; "" where they have none.

    As with Compose, the last one that has a name counts, whatever that is; and one that is empty says nothing.

    Args:
        files: content and path, in their order.

    Raises:
        UsageError: one is not YAML, or no Compose file, or all are empty.
    """
    found = [data for content, path in files if (data := _mapping(content, path)) is not None]
    if not found:
        raise UsageError(
            f"{' and '.join(path for _, path in files)}: nothing but comments, and no Compose file"
        )
    names = [name for data in found if isinstance(name := data.get("name"), str) and name]
    return names[-1] if names else ""


def _mapping(content: bytes, path: str) -> dict[Any, Any] | None:
    data = load_yaml(content, path)
    if data is None:
        return None
    if not isinstance(data, dict) or not isinstance(data.get("services") or {}, dict):
        raise UsageError(
            f"{path} is YAML, but no Compose file: it has a list or a text where a mapping is expected",
            hint=f"see what Compose says of it: docker compose -f {path} config",
        )
    return data


def default_name(directory: str) -> str:
    """The name that Compose gives a project without one, after the last part of its directory."""
    return re.sub(r"[^a-z0-9_-]", "", directory.lower()).lstrip("_-")
