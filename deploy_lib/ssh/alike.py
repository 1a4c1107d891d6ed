"""Which destinations an ssh_config treats alike, so that `ssh` is asked once for all of them.

`ssh -G` is a process, and takes as long as a whole login. Two hosts get the same answer when the same settings are about both, apart
from their name, address, port and alias, which that answer only repeats. Whatever is not plainly so is asked for each host.
"""

from __future__ import annotations

import functools
import re
from typing import ClassVar

from msgspec import Struct

from deploy_lib.ssh.hostkeys import matches
from deploy_lib.values import Selective

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_OWN = {
    "hostname": _NAME,
    "hostkeyalias": _NAME,
    "port": re.compile(r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}"),
}
"""What each host may have for itself, and the values that `ssh -G` repeats as they are."""

_LINE = re.compile(r"([A-Za-z]+)(?:[ \t]*=[ \t]*|[ \t]+)(\S.*)")
_PATTERN = re.compile(r"!?[a-z0-9.*?_:/-]+")

_ELSEWHERE = re.compile("match|include|canonical.*|ignoreunknown|tag")
"""What makes more than the lines below a `Host` count."""


class Alike(Selective, frozen=True):
    """What an ssh_config has for a host.

    Attributes:
        settings: in their order, without the values that are the host's own.
        own: these, by keyword.
    """

    IGNORED: ClassVar[tuple[str, ...]] = ("own",)

    settings: tuple[tuple[str, str], ...]
    own: dict[str, str]


class _Block(Struct, frozen=True):
    patterns: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]

    def is_about(self, host: str) -> bool:
        found = False
        for pattern in self.patterns:
            if matches(pattern.removeprefix("!"), host):
                if pattern.startswith("!"):
                    return False
                found = True
        return found


def alike(text: str, host: str) -> Alike | None:
    """What an ssh_config has for a host; None where that cannot be said for certain.

    Args:
        text: the only file that `ssh` reads (`-F`).
    """
    blocks = _blocks(text)
    if blocks is None or not _NAME.fullmatch(host):
        return None
    settings, own = list[tuple[str, str]](), {"hostname": host}
    for block in blocks:
        for keyword, value in block.settings if block.is_about(host) else ():
            if "%" in value or "$" in value:
                return None
            if keyword not in _OWN:
                settings.append((keyword, value))
            elif _OWN[keyword].fullmatch(value):
                if (keyword, "") not in settings:  # the first one counts
                    own[keyword] = value
                settings.append((keyword, ""))
            else:
                return None
    # A host that is its own jump host is a loop, and another's is none.
    hops = {
        word for keyword, value in settings if keyword == "proxyjump" for word in re.split("[,@:/]", value)
    }
    return None if hops & {host, own["hostname"]} else Alike(tuple(settings), own)


@functools.lru_cache(maxsize=8)
def _blocks(text: str) -> tuple[_Block, ...] | None:
    found, patterns, settings = list[_Block](), ("*",), list[tuple[str, str]]()
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        parts = _LINE.fullmatch(line)
        if parts is None or _ELSEWHERE.fullmatch(keyword := parts[1].lower()):
            return None
        if keyword != "host":
            settings.append((keyword, parts[2]))
            continue
        found.append(_Block(patterns, tuple(settings)))
        patterns, settings = tuple(parts[2].split()), []
        if not all(map(_PATTERN.fullmatch, patterns)):
            return None
    return (*found, _Block(patterns, tuple(settings)))
