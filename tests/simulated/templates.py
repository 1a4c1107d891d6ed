"""Docker's output templates: as much of Go's text/template as the scripts use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

_PART = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_WORD = re.compile(r"""\s*("(?:\\.|[^"\\])*"|`[^`]*`|\(|\)|[^\s()"`]+)""")

Node = tuple[Any, ...]


class TemplateError(Exception):
    """A template asks for what its object does not have, or is more than this reads."""


def render(template: str, data: Any) -> str:
    """The text that a template makes of an object: of dictionaries, lists and plain values.

    Raises:
        TemplateError: it cannot.
    """
    return _run(_parse(template), data, {"$": data})


@cache
def _parse(template: str) -> tuple[Node, ...]:
    parts = _PART.split(template)
    nodes, rest = _block([("text" if i % 2 == 0 else "do", part) for i, part in enumerate(parts)])
    if rest:
        raise TemplateError(f"unexpected {rest[0]}")
    return nodes


def _block(parts: list[tuple[str, str]]) -> tuple[tuple[Node, ...], list[tuple[str, str]]]:
    """The nodes up to an `else` or an `end`, and what follows from there."""
    nodes: list[Node] = []
    while parts:
        kind, text = parts.pop(0)
        word, _, rest = text.partition(" ")
        if kind == "text":
            nodes.append(("text", text))
        elif word in ("else", "end"):
            return tuple(nodes), [(kind, text), *parts]
        elif word in ("if", "range"):
            inner, parts = _block(parts)
            other: tuple[Node, ...] = ()
            if parts.pop(0)[1] == "else":
                other, parts = _block(parts)
                parts.pop(0)
            nodes.append((word, rest, inner, other))
        else:
            nodes.append(("do", text))
    return tuple(nodes), []


def _run(nodes: Sequence[Node], dot: Any, known: Mapping[str, Any]) -> str:
    out = []
    for kind, text, *blocks in nodes:
        if kind == "text":
            out.append(text)
        elif kind == "do":
            value = _value(text, dot, known)
            out.append(_shown(value))
        elif kind == "if":
            out.append(_run(blocks[0] if _value(text, dot, known) else blocks[1], dot, known))
        else:
            names, _, expression = text.rpartition(":=")
            given = [name.strip() for name in names.split(",")] if names else []
            found = _value(expression.strip(), dot, known)
            pairs = sorted(found.items()) if isinstance(found, Mapping) else [*enumerate(found or ())]
            for key, each in pairs:
                own = dict(zip(given, (key, each) if len(given) == 2 else (each,), strict=False))
                out.append(_run(blocks[0], each, {**known, **own}))
            if not pairs:
                out.append(_run(blocks[1], dot, known))
    return "".join(out)


def _shown(value: Any) -> str:
    if value is None:
        return "<no value>"
    if isinstance(value, list):
        return f"[{' '.join(map(_shown, value))}]"
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _value(expression: str, dot: Any, known: Mapping[str, Any]) -> Any:
    words = _WORD.findall(expression)
    return _call(words, dot, known)


def _call(words: list[str], dot: Any, known: Mapping[str, Any]) -> Any:
    """The value of words up to a closing parenthesis; they are taken away."""
    first = words.pop(0)
    if first == ".Label":
        return (dot.get("Labels") or {}).get(_operand(words, dot, known), "")
    if first in _FUNCTIONS:
        arguments = []
        while words and words[0] != ")":
            arguments.append(_operand(words, dot, known))
        return _FUNCTIONS[first](*arguments)
    words.insert(0, first)
    return _operand(words, dot, known)


def _operand(words: list[str], dot: Any, known: Mapping[str, Any]) -> Any:
    word = words.pop(0)
    if word == "(":
        value = _call(words, dot, known)
        words.pop(0)
        return value
    if word[0] == '"':
        return json.loads(word)
    if re.fullmatch(r"-?\d+", word):
        return int(word)
    if word[0] == "$":
        name, _, path = word.partition(".")
        return _dig(known[name], path)
    if word[0] == ".":
        return _dig(dot, word[1:])
    raise TemplateError(f"unknown: {word}")


def _dig(value: Any, path: str) -> Any:
    for name in filter(None, path.split(".")):
        if not isinstance(value, Mapping) or name not in value:
            raise TemplateError(f"no field {name}")
        value = value[name]
    return value


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = (value or {}).get(key) if isinstance(value, Mapping) or value is None else value[key]
    return value


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
    "println": lambda *values: " ".join(map(_shown, values)) + "\n",
    "printf": lambda form, *values: form.replace("%v", "%s") % tuple(map(_shown, values)),
    "index": _index,
    "len": lambda value: len(value or ()),
    "split": lambda text, by: text.split(by),
    "join": lambda values, by: by.join(values or ()),
    "eq": lambda a, *others: a in others,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "not": lambda value: not value,
    "and": lambda *values: next((v for v in values if not v), values[-1]),
    "or": lambda *values: next((v for v in values if v), values[-1]),
}
