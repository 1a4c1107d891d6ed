"""Which host keys OpenSSH's known_hosts files accept for a host.

Paramiko's own reader stops at lines such as `@revoked`, knows no wildcards, and looks a host on another port up only
as `[host]:port`; this one gives the same verdicts as the `ssh` program (see tests/ssh/test_hostkeys.py).
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Sequence

from msgspec import Struct


class KnownHost(Struct, frozen=True):
    """One line of a known_hosts file.

    Attributes:
        marker: "", "@revoked" or "@cert-authority".
        patterns: the host patterns, hashed names included.
        key_type: such as "ssh-ed25519".
        key: the public key's binary form.
    """

    marker: str
    patterns: tuple[str, ...]
    key_type: str
    key: bytes

    def matches(self, name: str) -> bool:
        """Whether this line is about the host called `name` (`host` or `[host]:port`)."""
        matched = False
        for pattern in self.patterns:
            negated = pattern.startswith("!")
            if _pattern_matches(pattern.removeprefix("!"), name.lower()):
                if negated:
                    return False
                matched = True
        return matched


class Verdict(Struct, frozen=True):
    """The keys that known_hosts accepts and refuses for one host.

    Attributes:
        name: the one that the accepted keys were found under; "" without any.
        authorities: those whose certificates are accepted for the host.
    """

    accepted: tuple[KnownHost, ...]
    revoked: frozenset[bytes]
    name: str = ""
    authorities: tuple[KnownHost, ...] = ()


def parse_known_hosts(text: str) -> list[KnownHost]:
    """The lines of a known_hosts file; lines that cannot be read are skipped, as `ssh` does."""
    return list(_parsed(text))


@functools.lru_cache(maxsize=16)  # many hosts, the same few files
def _parsed(text: str) -> tuple[KnownHost, ...]:
    entries = []
    for line in text.splitlines():
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if len(fields) < 3:
            continue
        try:
            key = base64.b64decode(fields[2], validate=True)
        except (binascii.Error, ValueError):
            continue
        entries.append(KnownHost(marker, tuple(fields[0].split(",")), fields[1], key))
    return tuple(entries)


def judge(entries: Sequence[KnownHost], names: Sequence[str]) -> Verdict:
    """What known_hosts says of a host.

    Args:
        entries: the lines of all known_hosts files, in order.
        names: what it is looked up as; the first name that has keys counts.
    """
    about = _about(entries, names)
    revoked = frozenset(e.key for e in about if e.marker == "@revoked")
    authorities = tuple(e for e in about if e.marker == "@cert-authority" and e.key not in revoked)
    for name in names:
        plain = [e for e in _about(about, [name]) if not e.marker]
        if plain:
            return Verdict(tuple(e for e in plain if e.key not in revoked), revoked, name, authorities)
    return Verdict((), revoked, authorities=authorities)


def fingerprint(key: bytes) -> str:
    """A key's fingerprint as `ssh-keygen -l` prints it."""
    digest = hashlib.sha256(key).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _about(entries: Iterable[KnownHost], names: Sequence[str]) -> list[KnownHost]:
    return [e for e in entries if any(e.matches(name) for name in names)]


def _pattern_matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        try:
            salt, digest = (base64.b64decode(part) for part in pattern[3:].split("|"))
        except (binascii.Error, ValueError):
            return False
        # SHA-1 is the file format's choice, made by OpenSSH to hide names, not to prove them.
        return hmac.compare_digest(hmac.new(salt, os.fsencode(name), hashlib.sha1).digest(), digest)
    return matches(pattern, name)


def matches(pattern: str, name: str) -> bool:
    """Whether a name in lower case is like a pattern with `*` and `?`."""
    if "*" not in pattern and "?" not in pattern:
        return pattern.lower() == name
    return _regex(pattern).fullmatch(name) is not None


@functools.lru_cache(maxsize=1024)
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(
        "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern.lower())
    )
