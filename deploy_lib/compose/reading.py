"""Compose files as YAML: their own tags, and the line that each text stands in."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import reduce
from typing import Any

import yaml

from deploy_lib.errors import UsageError


class Text(str):
    """A text of a Compose file.

    Attributes:
        line: where it begins, from 1.
    """

    __slots__ = ("line",)
    line: int


@dataclass(frozen=True)
class Replaced:
    """A value with the tag `!override` or `!reset`: it takes the place of what earlier files say; None for `!reset`."""

    value: Any


class _Plain(yaml.SafeLoader):
    """Tags of Compose are accepted: `!override` is its value, `!reset` nothing."""


class _Marked(yaml.SafeLoader):
    """The same, and it is said where they stand, and in which line each text begins."""


def load_yaml(content: bytes | str, path: str) -> Any:
    """The data of a YAML file; several documents are one, as for Compose.

    Raises:
        UsageError: it is not YAML.
    """
    found = [each for each in _load(content, path, _Plain) if each is not None]
    return reduce(_merged, found) if found else None


def _merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        both = {key: _merged(one[key], other[key]) for key in one.keys() & other.keys()}
        return {**one, **other, **both}
    return [*one, *other] if isinstance(one, list) and isinstance(other, list) else other


def load_marked(content: bytes | str, path: str) -> list[Any]:
    """The documents of a Compose file, with `Text` for texts, and `Replaced` for what has one of Compose's tags.

    Raises:
        UsageError: it is not YAML.
    """
    return _load(content, path, _Marked)


def _load(content: bytes | str, path: str, loader: type[yaml.SafeLoader]) -> list[Any]:
    try:
        return list(yaml.load_all(content, Loader=loader))
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # such as a date that no calendar has
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise UsageError(f"{path} is not valid YAML{line}") from None


def _value(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    """What a tagged node would be without its tag."""
    kind = type(node)
    untagged = copy.copy(node)
    untagged.tag = loader.resolve(  # type: ignore[no-untyped-call]
        kind, node.value if kind is yaml.ScalarNode else None, (True, False)
    )
    return loader.construct_object(untagged, deep=True)


def _text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Text:
    text = Text(loader.construct_scalar(node))
    text.line = node.start_mark.line + 1
    return text


def _nothing(loader: yaml.SafeLoader, node: yaml.Node) -> None:
    return None


def _reset(loader: yaml.SafeLoader, node: yaml.Node) -> Replaced:
    return Replaced(None)


def _override(loader: yaml.SafeLoader, node: yaml.Node) -> Replaced:
    return Replaced(_value(loader, node))


_Plain.add_constructor("!reset", _nothing)
_Plain.add_constructor("!override", _value)
_Marked.add_constructor("!reset", _reset)
_Marked.add_constructor("!override", _override)
_Marked.add_constructor("tag:yaml.org,2002:str", _text)
