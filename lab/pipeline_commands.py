"""How `invoke publish-image` and `invoke move-latest` are carried out."""

from __future__ import annotations

import re
from pathlib import Path

from deploy_lib.cli.invocation import command
from deploy_lib.errors import UsageError
from deploy_lib.request import word
from deploy_lib.source import git, versions

from . import pipeline

_PLATFORMS = re.compile(r"[a-z0-9]+(/[a-z0-9]+)+(,[a-z0-9]+(/[a-z0-9]+)+)*")
_SOURCE = re.compile(r"https://[A-Za-z0-9._/-]+")
"""Without a user in it: it becomes a label that everybody reads."""


def publish(
    root: Path,
    name: str,
    tag: str | None,
    *,
    platforms: str | None,
    source: str | None,
    cache: bool,
    attest: bool,
) -> None:
    """Builds and pushes one image.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with command("publish-image", root, as_json=False, debug=False) as (environment, console, _):
        image = pipeline.own_image(root, name)
        asked = word("--tag", tag)
        # Of two meanings the commit: an image tag alone says nothing of what is to be built.
        version = versions.meant(environment, asked)[-1] if asked else versions.head(environment)
        if git.is_dirty(root) and not environment.allow_dirty:
            raise UsageError("the checkout has uncommitted changes", hint="commit them")
        pipeline.publish(
            *(environment, image, version, console),
            platforms=_shaped("--platforms", platforms, _PLATFORMS, "linux/amd64,linux/arm64"),
            source=_shaped("--source", source, _SOURCE, "https://github.com/OWNER/REPOSITORY"),
            cache=cache,
            attest=attest,
        )


def latest(root: Path) -> None:
    """Moves the tag `latest`.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with command("move-latest", root, as_json=False, debug=False) as (environment, console, _):
        pipeline.move_latest(environment, console)


def _shaped(flag: str, text: str | None, pattern: re.Pattern[str], example: str) -> str:
    if text is None:
        return ""
    if not pattern.fullmatch(text):
        raise UsageError(f"{flag}: {text!r} is none", hint=f"it looks like {example}")
    return text
