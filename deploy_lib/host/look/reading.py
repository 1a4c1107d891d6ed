"""What the answer of the facts script means."""

from __future__ import annotations

import re
from collections.abc import Collection

from deploy_lib import layout
from deploy_lib.answers import Parts
from deploy_lib.compose.container import Container, read_container
from deploy_lib.compose.model import read_model
from deploy_lib.compose.service import Service
from deploy_lib.errors import NotUnderstoodError
from deploy_lib.host.look import machine
from deploy_lib.host.look.blank import read_blank
from deploy_lib.host.look.directory import read_marks
from deploy_lib.host.look.facts import Facts
from deploy_lib.layout import KEEP
from deploy_lib.release.history import parse_events
from deploy_lib.values import replace

PARTS = (
    *(
        "memory",
        "user",
        "tools",
        "engine",
        "compose",
        "directory",
        "strangers",
        "files",
        "key",
        "history",
        "objects",
    ),
    *("delivered", "present", "images", "containers", "config", "blank", "layers", *machine.PARTS),
)
"""The script's parts, in their order."""

_BEGIN = re.compile(r"=== (\w+)\Z")
_END = re.compile(r"=== (\w+) exit (\d{1,3})\Z")


def _strangers(said: str) -> tuple[tuple[str, str], ...]:
    lines = [line.partition("\t") for line in said.splitlines() if line.strip()]
    return tuple((what, hint) for what, _, hint in lines)


CHANGING = (
    *("strangers", "files", "key", "history", "objects"),
    *("delivered", "images", "containers", "layers"),
)
"""Those of them that are asked again under the lock, since another command may have changed what they say meanwhile."""


def read_facts(text: str, node: str) -> Facts:
    """The facts in the script's output. A part that failed, or that cannot be understood, is among the `problems`.

    Raises:
        RemoteError: it was cut short, or a part is missing or there twice.
    """
    parts = _split(text, node, PARTS)
    engine, platform = parts.read("engine", _engine, ("", ""))
    directory = parts.read("directory", _words, frozenset[str]())
    found = Facts(
        engine=engine,
        platform=platform,
        compose=parts.read("compose", _compose, ""),
        user=parts.read("user", str.strip, ""),
        memory=parts.read("memory", _memory, ""),
        tools=parts.read("tools", _words, frozenset()),
        writable="writable" in directory,
        missing="missing" in directory,
        services=parts.read("config", _services, {}),
        blank=parts.read("blank", read_blank, frozenset()),
        present=parts.read("present", lambda said: frozenset(filter(None, said.splitlines())), frozenset()),
        machine=machine.read_machine(parts),
    )
    return replace(_changing(parts, found), problems=parts.problems)


def read_again(text: str, node: str, known: Facts) -> Facts:
    """The same for the CHANGING parts alone; all that the script says is taken from there, all else from what is known.

    Raises:
        RemoteError: see `read_facts`.
    """
    parts = _split(text, node, CHANGING)
    found = _changing(parts, known)
    lasting = {part: why for part, why in known.problems.items() if part not in CHANGING}
    # What was found out by further questions belongs to the containers and files of then.
    return replace(
        found,
        deployed=None,
        by_hand=None,
        alike=frozenset(),
        inactive=frozenset(),
        problems={**lasting, **parts.problems},
    )


def _changing(parts: Parts, facts: Facts) -> Facts:
    """The facts with what the CHANGING parts say in place of what they have of it."""
    images = parts.read("images", _images, list[tuple[str, str, str, str]]())
    files, occupied = parts.read("files", read_marks, (dict[str, str](), frozenset[str]()))
    return replace(
        facts,
        key=parts.read("key", _key, ""),
        files=files,
        occupied=occupied,
        images={f"{repository}@{digest}": i for repository, _, digest, i in images if digest != "<none>"},
        image_ids=frozenset(i for *_, i in images),
        tags={f"{repository}:{tag}": i for repository, tag, _, i in images if tag != "<none>"},
        keep_tags=frozenset(f"{repository}:{tag}" for repository, tag, *_ in images if repository == KEEP),
        containers=parts.read("containers", _containers, ()),
        layers=parts.read("layers", _layers, {}),
        history=parts.read("history", lambda said: tuple(parse_events(said)), ()),
        objects=parts.read("objects", _objects, frozenset()),
        delivered=parts.read("delivered", _words, frozenset()),
        strangers=parts.read("strangers", _strangers, ()),
    )


def _fits(pattern: str, said: str) -> str:
    """What a part said, where it is as it should be.

    Raises:
        ValueError: it is not.
    """
    if not re.fullmatch(pattern, said.strip()):
        raise ValueError
    return said.strip()


def _services(said: str) -> dict[str, Service]:
    """The model, after the stack's directory."""
    base, _, model = said.strip().partition("\n")
    return read_model(model, base) if base else {}


def _engine(said: str) -> tuple[str, str]:
    engine, _, platform = _fits(r"\S+ \w+/\w+", said).partition(" ")
    return engine, platform


def _compose(said: str) -> str:
    return _fits(r"v?\d+\.\S+", said).removeprefix("v")


def _memory(said: str) -> str:
    return _fits("|".join(("", *layout.MEMORY)), said)


def _key(said: str) -> str:
    return _fits(r"\S*", said)


def _words(said: str) -> frozenset[str]:
    return frozenset(said.split())


def _objects(said: str) -> frozenset[str]:
    return frozenset(_fits(r"\S+", line) for line in said.splitlines() if line.strip())


def _images(said: str) -> list[tuple[str, str, str, str]]:
    found = []
    for line in said.splitlines():
        if line.strip():
            repository, tag, digest, image_id = line.split()
            found.append((repository, tag, digest, image_id))
    return found


def _containers(said: str) -> tuple[Container, ...]:
    return tuple(c for line in said.splitlines() if line.strip() and (c := read_container(line)))


def _layers(said: str) -> dict[str, int | None]:
    rows = [line.split() for line in said.splitlines() if line.strip()]
    return {container: None if size == "?" else int(size) for container, size in rows}


def _split(text: str, node: str, wanted: Collection[str]) -> Parts:
    """What each of the wanted parts printed, and why it failed; lines outside any part are ignored."""
    parts: dict[str, list[str]] = {}
    problems: dict[str, list[str]] = {}
    current, ended, whole = "", "", False
    for line in text.split("\n"):
        marked = line.startswith("=== ")
        begin, end = (_BEGIN.match(line), _END.match(line)) if marked else (None, None)
        if end and end[1] == current:
            current, ended = "", end[1]
            if end[2] != "0":
                problems[ended] = []
        elif current and not begin:
            parts[current].append(line)
        elif current:
            raise _odd(f"the host's answer to {current!r} was cut short", node)
        elif begin and begin[1] == "end":
            whole = True
            break
        elif begin and begin[1] in wanted:
            if begin[1] in parts:
                raise _odd(f"the host has answered twice to {begin[1]!r}", node)
            current = begin[1]
            parts[current] = []
        elif ended in problems and line.startswith("! "):
            problems[ended].append(line.removeprefix("! "))
    lacking = [part for part in wanted if part not in parts]
    if not whole:
        raise _odd("the host's answer was cut short", node)
    if lacking:
        raise _odd(f"the host's answer lacks {', '.join(lacking)}", node)
    return Parts(
        {name: "\n".join(lines) for name, lines in parts.items()},
        {name: "\n".join(lines) or "no reason given" for name, lines in problems.items()},
    )


def _odd(what: str, node: str) -> NotUnderstoodError:
    return NotUnderstoodError(what, node=node, step="gathering facts", hint="run the same command again")
