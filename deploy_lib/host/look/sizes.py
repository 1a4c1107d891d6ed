"""How much a pull would transfer, as the registries tell the host's own Docker; read-only, for a dry run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from deploy_lib.answers import understand
from deploy_lib.errors import NotUnderstoodError
from deploy_lib.host.change.stage import log_in, logins_for, passwords, with_login
from deploy_lib.host.look.registry import Login
from deploy_lib.release.image import Image
from deploy_lib.release.platform import taken
from deploy_lib.shell import IN_MEMORY, quote
from deploy_lib.ssh.session import Session

TIMEOUT = 60
"""Seconds for all images together."""


def ask_sizes(
    session: Session, images: Sequence[Image], platform: str, logins: Sequence[Login]
) -> dict[Image, int]:
    """Bytes to be transferred, by image; one whose registry does not say is left out.

    Args:
        platform: the host's, such as "linux/amd64".
        logins: those are used in whose registry one of the images is; nothing of them is left on the host.

    Raises:
        RemoteError: the host did not answer, or the login was refused.
    """
    if not images:
        return {}
    needed = logins_for(images, logins)
    answer = session.run(
        sizes_script(images, needed),
        env=passwords(needed),
        timeout=TIMEOUT + 15,
        step="looking closer",
    )
    found = read_sizes(answer.stdout, platform)
    return {image: found[str(image)] for image in images if str(image) in found}


def sizes_script(images: Sequence[Image], logins: Sequence[Login]) -> str:
    """One JSON document for each image, after a line that names it."""
    asked = "\n".join(
        f"echo {quote(f'=== {image}')}; {with_login(image, logins)}timeout {TIMEOUT // len(images) + 1} "
        f"docker manifest inspect -v {quote(image)} 2>/dev/null"
        for image in images
    )
    return f"{IN_MEMORY}\n{log_in(logins)}\n{asked}\ntrue"


def read_sizes(text: str, platform: str) -> dict[str, int]:
    """What `sizes_script` printed, by the image's text; what cannot be understood is left out."""
    found: dict[str, int] = {}
    for part in f"\n{text}".split("\n=== ")[1:]:
        image, _, document = part.partition("\n")
        with contextlib.suppress(NotUnderstoodError):
            size = understand(image, partial(_fitting, document, platform))
            if size is not None:
                found[image] = size
    return found


def _fitting(document: str, platform: str) -> int | None:
    data = json.loads(document)
    variants = data if isinstance(data, list) else [data]
    fitting = variants[0] if len(variants) == 1 else taken(platform, variants, _platform)
    return _size(fitting) if fitting else None


def _platform(variant: dict[str, Any]) -> str:
    described = variant["Descriptor"].get("platform") or {}
    return f"{described.get('os')}/{described.get('architecture')}"


def _size(variant: dict[str, Any]) -> int:
    manifest = variant.get("SchemaV2Manifest") or variant.get("OCIManifest") or {}
    parts = [manifest.get("config") or {}, *(manifest.get("layers") or [])]
    return sum(int(part.get("size", 0)) for part in parts)


def shown(size: int | None) -> str:
    """A size for people."""
    return "size unknown" if size is None else f"{size / 1_000_000:.1f} MB"
