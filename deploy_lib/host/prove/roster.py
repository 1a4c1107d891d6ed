"""Roster: a probe that wants an entry for every container of the node in the list that some service answers; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from deploy_lib.compose.container import Container
from deploy_lib.config import Node, Probe

SHORT_ID = 12
"""Digits of a container's id that Docker makes its host name."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Member(Struct, frozen=True):
    """A container that has to be in the list.

    Attributes:
        container: its id.
        values: what the placeholders of a probe's values stand for.
    """

    service: str
    container: str
    values: Mapping[str, str]


def members(node: Node, containers: Sequence[Container]) -> tuple[Member, ...]:
    """The node's containers that publish a port, but for those that are there only to be scraped."""
    beside = node.stack.scrape.services if node.stack.scrape else ()
    return tuple(m for m in published(node, containers) if m.service not in beside)


def published(node: Node, containers: Sequence[Container]) -> tuple[Member, ...]:
    """The node's containers that publish a port, as the rest of the world knows them."""
    return tuple(
        Member(c.service, c.id, {**node.variables, "container": c.id[:SHORT_ID], "port": str(port)})
        for c in sorted(containers, key=lambda c: c.name)
        for port in c.ports[:1]
    )


def judge(probe: Probe, data: Any, wanted: Sequence[Member]) -> tuple[str, str]:
    """Why the list in an answer is not what the probe expects, and the first container that it lacks; "" twice when it is.

    Args:
        data: the JSON answer.
    """
    rows = dig(data, probe.entries) if probe.entries else data
    if not isinstance(rows, list):
        return f"{probe.url} answered no list{f' at {probe.entries}' if probe.entries else ''}", ""
    problems = [(problem, m.container) for m in wanted if (problem := _missing(probe, rows, m))]
    if not problems:
        return "", ""
    return "; ".join(problem for problem, _ in problems), problems[0][1]


def _missing(probe: Probe, rows: Sequence[Any], member: Member) -> str:
    # The first field says whose entry it is, so the error describes the entry that matches furthest.
    furthest, nearest = 0, None
    for row in rows:
        fitting = 0
        for path, texts in probe.entry.items():
            if not _fits(dig(row, path), texts, member.values):
                break
            fitting += 1
        if fitting == len(probe.entry):
            return ""
        if fitting > furthest:
            furthest, nearest = fitting, row
    if nearest is None:
        return f"{member.service} is not in it"
    path, texts = list(probe.entry.items())[furthest]
    expected = " or ".join(fill(text, member.values) for text in texts)
    return f"{member.service}: {path} is {json.dumps(dig(nearest, path))}, expected {expected}"


def _fits(value: Any, texts: Sequence[str], values: Mapping[str, str]) -> bool:
    return isinstance(value, str) and any(_pattern(text, values).fullmatch(value) for text in texts)


def _pattern(text: str, values: Mapping[str, str]) -> re.Pattern[str]:
    # The stars of the probe's text are wild, those of a filled-in value are not.
    return re.compile(".*".join(re.escape(fill(part, values)) for part in text.split("*")))


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with each `{NAME}` that is known replaced by its value."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def dig(data: Any, path: str) -> Any:
    """The value at a dotted path of keys and list indexes; None where there is none."""
    for part in path.split("."):
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data
