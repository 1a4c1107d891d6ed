"""Fingerprints of secrets: they show that a value has changed, and nothing else about it.

As text they are `NAME=fingerprint`, with a blank between two: so they stand in labels of containers and in records.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256

from deploy_lib.secrets.value import Secret

_DIGITS = 20


def fingerprint(name: str, value: Secret, key: str) -> str:
    """A secret's fingerprint; without the key it reveals nothing about the value."""
    return hmac.new(key.encode(), f"{name}\0{value.reveal()}".encode(), sha256).hexdigest()[:_DIGITS]


def fingerprints(used: Mapping[str, Sequence[str]], values: Mapping[str, Secret], key: str) -> dict[str, str]:
    """By service, the fingerprints of the secrets that it gets, as text; a service without any is left out.

    Args:
        used: by service, the names of its secrets.
    """
    keyed = {name: fingerprint(name, values[name], key) for names in used.values() for name in names}
    return {
        service: as_text({name: keyed[name] for name in names}) for service, names in used.items() if names
    }


def as_text(marks: Mapping[str, str]) -> str:
    """Fingerprints by name, as text."""
    return " ".join(f"{name}={mark}" for name, mark in marks.items())


def read_marks(text: str) -> dict[str, str]:
    """Fingerprints by name: the inverse of `as_text`."""
    return dict(mark.split("=", 1) for mark in text.split())
