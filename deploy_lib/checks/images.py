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
            # It may have been taken out of the registry on purpose: then the recorded one is not what was asked for.
            result: Result = "warning" if there and not _missing(manifest) else "failed"
            problem = f"{manifest.reference}: {manifest.problem}" + (
                "; the recorded one is on the host, and is used" if result == "warning" else ""
            )
            yield Check(name, proves, result, problem=problem, hint=_mend(manifest))


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
        return Check(name, proves, "failed", where, f"{where} is refused: {refused.problem}", _mend(refused))
    unclear = next((m for m in own if not m.digest and not _missing(m)), None)
    if unclear is not None:
        return Check(name, proves, "warning", where, f"{credentials.host}: {unclear.problem}", _mend(unclear))
    return Check(name, proves, found=where)


def _refused(manifest: Manifest) -> bool:
    return manifest.status in (401, 403) or "unauthorized" in manifest.problem or "denied" in manifest.problem


def _missing(manifest: Manifest) -> bool:
    return not _refused(manifest) and (
        manifest.status == 404 or "not found" in manifest.problem or "unknown" in manifest.problem
    )


def _mend(manifest: Manifest) -> str:
    if _refused(manifest):
        return "does the registry's token have read:packages, and has it expired?"
    if _missing(manifest):
        return "has CI built and pushed this tag? Name another version with --tag"
    return "can the host reach the registry?"
