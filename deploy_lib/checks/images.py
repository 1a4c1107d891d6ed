"""Whether the registry has what is to be deployed, for this host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deploy_lib.checks.check import Check, Result
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Login, Manifest


def check_images(facts: Facts, manifests: Iterable[Manifest]) -> Iterator[Check]:
    """That each image exists, for this host's platform."""
    for manifest in manifests:
        name = f"image {manifest.reference.short}"
        proves = f"the registry has it, for {facts.platform}"
        fits = not manifest.platforms or facts.platform in manifest.platforms
        if manifest.digest and fits:
            yield Check(name, proves, found=manifest.digest[:19])
        elif manifest.digest:
            only = (
                f"{manifest.reference} is for {', '.join(manifest.platforms)}, the host is {facts.platform}"
            )
            yield Check(name, proves, "failed", problem=only, hint="build it for this platform")
        else:
            digest = facts.recorded_digest(manifest.reference)
            there = bool(digest) and facts.has(manifest.reference.with_digest(digest))
            # An image that was removed from the registry on purpose must not be replaced by the recorded one.
            result: Result = "warning" if there and not is_missing(manifest) else "failed"
            problem = f"{manifest.reference}: {manifest.problem}" + (
                "; the recorded one is on the host, and is used" if result == "warning" else ""
            )
            yield Check(name, proves, result, problem=problem, hint=_hint(manifest))


def check_login(credentials: Login | None, manifests: Iterable[Manifest]) -> Check:
    """That the registry takes the credentials.

    Args:
        credentials: None when there are none to try.
    """
    name, proves = "registry login", "the private registry accepts this user and password"
    if credentials is None:
        return Check(
            name, proves, "failed", problem="there is no password to try", hint="see the check 'secrets'"
        )
    where = f"{credentials.username} at {credentials.host}"
    own = [m for m in manifests if credentials.covers(m.reference)]
    refused = next((m for m in own if _refused(m)), None)
    if refused is not None:
        return Check(name, proves, "failed", where, f"{where} is refused: {refused.problem}", _hint(refused))
    unclear = next((m for m in own if not m.digest and not is_missing(m)), None)
    if unclear is not None:
        return Check(name, proves, "warning", where, f"{credentials.host}: {unclear.problem}", _hint(unclear))
    return Check(name, proves, found=where)


def _refused(manifest: Manifest) -> bool:
    said = manifest.problem.lower()
    return manifest.status in (401, 403) or any(words in said for words in _REFUSED)


def is_missing(manifest: Manifest) -> bool:
    """Whether a registry says that it does not have this image; a fault on the way there is no such answer."""
    said = manifest.problem.lower()
    known = manifest.status == 404 or any(words in said for words in _MISSING)
    return not manifest.digest and known and not _refused(manifest)


_REFUSED = (
    "unauthorized",
    "access denied",
    "requested access to the resource is denied",
    "no basic auth credentials",
)
_MISSING = (
    "manifest unknown",
    "name unknown",
    "repository name not known",
    "not found: manifest",
    "manifest not found",
)
"""What registries and the Engine say, where the HTTP status does not tell."""


def _hint(manifest: Manifest) -> str:
    if _refused(manifest):
        return "does the registry's token have read:packages, and has it expired?"
    if is_missing(manifest):
        return "has CI built and pushed this tag? Name another version with --tag"
    return "can the host reach the registry?"
