"""Compose files as YAML: their own tags, and the line that each text stands in."""

from __future__ import annotations

import contextlib
import copy
from functools import reduce
from typing import Any

import yaml
from msgspec import Struct

from deploy_lib.errors import UsageError


class Text(str):
    """A text of a Compose file.

    Attributes:
        line: where it begins, from 1.
    """

    __slots__ = ("line",)
    line: int


class Replaced(Struct, frozen=True):
    """A value with the tag `!override` or `!reset`: it takes the place of what earlier files say; None for `!reset`."""

    value: Any


class _Loader(yaml.SafeLoader):
    """As for Compose, an anchor may be there twice: the later one counts from there on."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(event.anchor, None)
        return super().compose_node(parent, index)


class _Plain(_Loader):
    """Tags of Compose are accepted: `!override` is its value, `!reset` nothing; any other says nothing."""


class _Marked(_Loader):
    """The same, and it is said where they stand, and in which line each text begins."""


Loader = type[yaml.SafeLoader] | type[yaml.CSafeLoader]

_QUICK: dict[Loader, Loader] = {}
"""By loader, the same in C, ten times as quick, where PyYAML was built with it."""

_SHALLOW = 1000
"""Levels up to which the loader in C is taken: it recurses without a limit, and ends the process when the stack is full."""


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


def _load(content: bytes | str, path: str, loader: Loader) -> list[Any]:
    quick = _QUICK.get(loader)
    if quick is not None:
        # What it does not take, the other one takes, or refuses in its own words.
        with contextlib.suppress(yaml.YAMLError, ValueError, RecursionError):
            if _is_shallow(content, quick):
                return list(yaml.load_all(content, Loader=quick))
    try:
        return list(yaml.load_all(content, Loader=loader))
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # such as a number with too many digits
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise UsageError(f"{path} is not valid YAML{line}") from None


def _is_shallow(content: bytes | str, loader: Loader) -> bool:
    """Whether the data are nested less deep than `_SHALLOW`."""
    text = content if isinstance(content, str) else content.decode("latin-1")
    # Each level takes a bracket, or a column. Only where that leaves a doubt each one is counted.
    columns = max(map(len, text.splitlines()), default=0)
    if columns + text.count("[") + text.count("{") < _SHALLOW:
        return True
    depth = 0
    for event in yaml.parse(content, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth >= _SHALLOW:
            return False
    return True


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


def _teach(plain: Loader, marked: Loader) -> None:
    for each in (plain, marked):
        for kind in ("value", "timestamp"):
            # To Compose, a plain `=` and a date are texts, whatever other readers make of them.
            each.add_constructor(f"tag:yaml.org,2002:{kind}", _text)
        each.add_constructor(None, _value)
    plain.add_constructor("!reset", _nothing)
    plain.add_constructor("!override", _value)
    marked.add_constructor("!reset", _reset)
    marked.add_constructor("!override", _override)
    marked.add_constructor("tag:yaml.org,2002:str", _text)


_teach(_Plain, _Marked)
if yaml.__with_libyaml__:

    class _QuickPlain(yaml.CSafeLoader):
        """`_Plain` in C."""

    class _QuickMarked(yaml.CSafeLoader):
        """`_Marked` in C."""

    _teach(_QuickPlain, _QuickMarked)
    _QUICK |= {_Plain: _QuickPlain, _Marked: _QuickMarked}
