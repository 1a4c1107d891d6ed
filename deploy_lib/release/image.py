"""References to images: `repository:tag@sha256:...`, and the names under which a host lists and keeps them."""

from __future__ import annotations

import hashlib

from deploy_lib.layout import KEEP

_DIGITS = 16


def keep_tag(stack: str, pinned: str) -> str:
    """The local tag that protects an image for a stack: the same image always has the same one.

    Stacks that share a host, and maybe an image, each have their own, and each prunes its own.
    """
    return f"{keep_tags(pinned)}{stack}"


def keep_tags(pinned: str) -> str:
    """How the tags begin that protect this image, whichever stack it is for."""
    return f"{KEEP}:{hashlib.sha256(without_tag(pinned).encode()).hexdigest()[:_DIGITS]}-"


def any_keep_tag(stack: str) -> str:
    """A shell pattern for the tags that protect a stack's images."""
    return f"{KEEP}:{'?' * _DIGITS}-{stack}"


def without_tag(pinned: str) -> str:
    """`repository@sha256:...` of `repository:tag@sha256:...`, as `docker images` lists it.

    Docker Hub's short names are listed as they were pulled, so they are left short; a bare image id stays as it is.
    """
    if "@" not in pinned:
        return pinned
    name, _, digest = pinned.partition("@")
    repository, colon, tag = name.rpartition(":")
    return f"{repository if colon and '/' not in tag else name}@{digest}"
