"""Which tags of somebody else's images have moved since they were deployed, for `status`.

Registries count what they are asked, and `status` may be asked every minute: so the answers are kept on the host for a day, and
nobody waits long for them. No login is used, and what is not answered says nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping

from deploy_lib import layout
from deploy_lib.errors import DeployError
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import resolve
from deploy_lib.host.stack import HostStack
from deploy_lib.release.image import Image
from deploy_lib.shell import ours, quote
from deploy_lib.ssh.session import Session

PATIENCE = 3.0
"""Seconds that an answer may take."""

FRESH, AGAIN = 24 * 3600, 3600
"""Seconds for which answers count, and for which nothing is asked again that was not answered."""

_NONE = "-"


def ask_newer(session: Session, stack: HostStack, facts: Facts, images: Iterable[Image]) -> dict[Image, str]:
    """By image of the release whose tag has moved, the digest that the tag has now; nothing where that is not known.

    Args:
        images: pinned, with the tags that are looked up.
    """
    wanted = {image: image.unpinned for image in images}
    known: Mapping[Image, str] = {}
    with contextlib.suppress(DeployError):
        known = _known(session, stack, facts, {*wanted.values()})
    return {
        image: digest
        for image, reference in wanted.items()
        if (digest := known.get(reference, "")) and digest != image.digest
    }


def _known(
    session: Session, stack: HostStack, facts: Facts, wanted: Collection[Image]
) -> Mapping[Image, str]:
    if not wanted:
        return {}
    kept = quote(stack.directory / layout.NEWER)
    mine = ours(stack.directory)
    said = session.run(f"{mine}\nours && cat {kept} 2>/dev/null; true", timeout=PATIENCE).stdout
    known = read_kept(said, facts.machine.now)
    if set(wanted) <= set(known):
        return known
    found = dict.fromkeys(wanted, "")
    try:
        answers = resolve(session, sorted(wanted), (), timeout=PATIENCE)
        found |= {image: manifest.digest for image, manifest in answers.items()}
    finally:
        text = quote(kept_text(found, facts.machine.now))
        script = f"{mine}\numask 077\nours && printf %s {text} >{kept}.new && mv -f {kept}.new {kept}; true"
        session.run(script, timeout=PATIENCE)
    return found


def kept_text(found: Mapping[Image, str], now: float) -> str:
    """What a host keeps: when it was asked, by its own clock, and a line for each reference."""
    lines = [f"{image} {digest or _NONE}\n" for image, digest in sorted(found.items())]
    return "".join([f"{now:.0f}\n", *lines])


def read_kept(said: str, now: float) -> dict[Image, str]:
    """What a host keeps and still counts; "" for what was not answered."""
    first, *lines = said.splitlines() or [""]
    age = now - float(first) if first.isdecimal() else FRESH
    rows = [row for line in lines if len(row := line.split()) == 2]
    found = {Image.parse(name): "" if digest == _NONE else digest for name, digest in rows}
    return {image: digest for image, digest in found.items() if 0 <= age < (FRESH if digest else AGAIN)}
