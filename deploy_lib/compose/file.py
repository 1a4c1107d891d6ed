"""What is read of a Compose file before Compose is asked: the name of the project, and names for "did you mean"."""

from __future__ import annotations

import re
from typing import Any

import yaml

from deploy_lib.errors import UsageError


def project_name(content: bytes, path: str) -> str:
    """The fixed `name:` of a Compose file; "" where it has none, or one with a variable in it.

    Raises:
        UsageError: it is not YAML, or no Compose file.
    """
    name = _mapping(content, path).get("name")
    return name if isinstance(name, str) and "$" not in name else ""


def service_names(content: bytes, path: str) -> list[str]:
    """The services that a Compose file itself has; it may include more.

    Raises:
        UsageError: it is not YAML, or no Compose file.
    """
    return sorted(map(str, _mapping(content, path).get("services") or {}))


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


class _Loader(yaml.SafeLoader):
    """Takes Compose's own tags, `!reset` and `!override`, whose meaning only Compose has to know."""


def _tagged(loader: _Loader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_multi_constructor("!", _tagged)


def load_yaml(content: bytes | str, path: str) -> Any:
    """The data of a YAML file.

    Raises:
        UsageError: it is not YAML.
    """
    try:
        return yaml.load(content, _Loader)  # noqa: S506 - a safe loader with two more tags
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # such as a date that no calendar has
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise UsageError(f"{path} is not valid YAML{line}") from None
