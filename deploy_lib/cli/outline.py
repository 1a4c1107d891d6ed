"""What tasks are called and offer, from deploy.toml: read before Invoke knows which task is meant, so quickly, and without
checking the rest; a task that runs reads all of it, and refuses what is wrong."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

FILE = "deploy.toml"

_STACK = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_KIND = re.compile(r"[a-z][a-z0-9]*")
_LARGEST = 1024 * 1024
"""Bytes of deploy.toml, as `config.reading` has it."""

DEPLOYING = re.compile(r"(?:[^=]+\.)?deploy-(.*)")
"""A stack's task as it is typed, maybe in a namespace of the project's."""

REPLICAS = "--replicas-"


class Outline(Struct, frozen=True):
    """The names in deploy.toml.

    Attributes:
        stacks: by stack, its kinds of replicas.
        nodes: by node of the environment that is picked, its stack.
        problem: why the names are unknown; "" when they are known.
    """

    stacks: Mapping[str, tuple[str, ...]]
    nodes: Mapping[str, str]
    problem: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every stack's kinds of replicas."""
        return tuple(dict.fromkeys(kind for kinds in self.stacks.values() for kind in kinds))

    def nodes_of(self, stack: str) -> list[str]:
        """The nodes that run a stack."""
        return [node for node, its in self.nodes.items() if its == stack]


def outline(root: Path, typed: Sequence[str]) -> Outline:
    """The names in the deploy.toml of a folder.

    Args:
        typed: the command line. Where the file does not tell its names, what is typed as a stack's or a kind's is taken for
            one: then the task itself says what is wrong, with its own exit status.
    """
    try:
        data = tomllib.loads(_text(root / FILE))
    except (OSError, ValueError, RecursionError) as error:
        why = f"there is no {FILE} in {root}" if isinstance(error, FileNotFoundError) else f"{FILE}: {error}"
        return _guess(why, typed)
    stacks = {
        name: tuple(kind for kind in _table(stack, "replicas") if _KIND.fullmatch(kind))
        for name, stack in _table(data, "stacks").items()
        if _STACK.fullmatch(name)
    }
    if not stacks:
        return _guess(f"{FILE} names no stack", typed)
    nodes = _table(_table(_table(data, "environments"), _environment(data)), "nodes")
    return Outline(stacks, {name: str(_table(nodes, name).get("stack")) for name in nodes})


def _text(path: Path) -> str:
    # No regular file, or a huge one, could take for ever to read; the task itself refuses it.
    if path.exists() and not (path.is_file() and path.stat().st_size <= _LARGEST):
        raise ValueError("it is not a regular file, or too large")
    return path.read_text(encoding="utf-8-sig")


def _guess(problem: str, typed: Iterable[str]) -> Outline:
    words = list(typed)
    names = [found[1] for word in words if (found := DEPLOYING.fullmatch(word))]
    flags = [word.removeprefix(REPLICAS).partition("=")[0] for word in words if word.startswith(REPLICAS)]
    kinds = tuple(kind for kind in flags if _KIND.fullmatch(kind))
    return Outline({name: kinds for name in names if _STACK.fullmatch(name)}, {}, problem)


def _environment(data: Mapping[str, Any]) -> str:
    names = list(_table(data, "environments"))
    only = names[0] if len(names) == 1 else ""
    return os.environ.get("DEPLOY_ENV") or str(data.get("default_environment", only))


def _table(data: Mapping[str, Any] | Any, key: str) -> Mapping[str, Any]:
    found = data.get(key) if isinstance(data, Mapping) else None
    return found if isinstance(found, Mapping) else {}
