"""Stand-ins for the variables of Compose files that only a shell had, so that a rendering tells where each comes to; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from deploy_lib.secrets.placeholders import placeholder, take_apart

Kind = Literal["text", "number", "path", "address"]
"""What Compose takes in a variable's place: a port must be a number, what is to be a path and no volume begins with a slash, and
what a port is bound to is an IP address."""

_NEXT: Mapping[Kind, Kind] = {"text": "number", "number": "path", "path": "address"}

_FIRST = 47101
"""Stands for the first variable that must be a number: a port that nobody chooses."""

_SHELLS = re.compile(
    r"(PATH|HOME|PWD|OLDPWD|USER|LOGNAME|SHELL|LANG|TERM|TMPDIR|HOSTNAME|IFS|MAIL|UID|EUID|PPID|_)\Z"
    r"|(LC_|DOCKER_|COMPOSE_|BUILDKIT_|SSH_|XDG_|LD_)"
)


def recoverable(names: Iterable[str]) -> list[str]:
    """Those of these variables that an operator sets; the others are every shell's own, or those of Docker's programs."""
    return sorted({name for name in names if not _SHELLS.match(name)})


def stand_ins(kinds: Mapping[str, Kind]) -> dict[str, str]:
    """An environment in which each variable has its stand-in."""
    found = {}
    for number, (name, kind) in enumerate(sorted(kinds.items())):
        text = placeholder(name)
        # Of a network that only benchmarks have.
        address = f"198.18.{number // 250}.{number % 250 + 1}"
        found[name] = {
            "text": text,
            "path": f"/{text}",
            "number": str(_FIRST + number),
            "address": address,
        }[kind]
    return found


def without_letters(kinds: Mapping[str, Kind]) -> dict[str, str]:
    """By stand-in, the variables whose stand-ins are no placeholders."""
    return {text: name for name, text in stand_ins(kinds).items() if kinds[name] in ("number", "address")}


def others(kinds: Mapping[str, Kind], complaint: str) -> dict[str, Kind] | None:
    """The kinds to try next, after what Compose has complained of; None where it names no stand-in.

    A variable that fits as no kind keeps the value that it has without a shell.
    """
    numbers = without_letters(kinds)
    named = {
        *take_apart(complaint)[1::2],
        *(numbers[n] for n in numbers if re.search(rf"\b{re.escape(n)}\b", complaint)),
    }
    if not named & {*kinds}:
        return None
    return {
        name: _NEXT[kind] if name in named else kind
        for name, kind in kinds.items()
        if name not in named or kind in _NEXT
    }


def passed_on(rendered: str) -> list[str]:
    """The variables that containers have under their own names, where a shell has them; without a value so far."""
    services = json.loads(rendered).get("services") or {}
    return [
        name
        for spec in services.values()
        for name, value in (spec.get("environment") or {}).items()
        if value is None
    ]
