"""Preflight: what must be true before a host is changed, as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from deploy_lib.errors import PreflightError
from deploy_lib.operations.facts import TOOLS, Facts
from deploy_lib.operations.registry import Manifest
from deploy_lib.plan import present
from deploy_lib.topology import Node


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: short, in the field's words.
        problem: "" when all is well.
        mend: what to do about the problem.
    """

    name: str
    problem: str = ""
    mend: str = ""


def host(node: Node, facts: Facts, *, rendered: bool) -> Iterator[Check]:
    """What the host itself must offer.

    Args:
        rendered: the facts were asked for with the stack's files.
    """
    missing = [tool for tool in TOOLS if tool not in facts.tools]
    yield Check(
        "tools",
        f"the host lacks {', '.join(missing)}" if missing else "",
        "install Docker Engine"
        if missing == ["docker"]
        else "apt-get install docker.io util-linux coreutils tar",
    )
    yield Check(
        "Docker Engine",
        facts.problems.get("engine", "") or ("" if facts.engine else "no answer"),
        "is dockerd running, and may this user use it (group docker)?",
    )
    yield Check(
        "Compose plugin",
        facts.problems.get("compose", ""),
        "install the docker-compose plugin, version 2.20 or later",
    )
    yield Check(
        "memory-backed space",
        "" if facts.memory else "neither /run nor /dev/shm is a writable tmpfs",
        "registry credentials never rest on a disk: mount a tmpfs there",
    )
    yield Check(
        "directory",
        "" if facts.writable else f"{node.directory} is not writable",
        f"create {node.directory}, owned by the user who deploys",
    )
    if rendered:
        yield Check(
            "Compose file",
            facts.problems.get("config", "")
            or ("" if facts.services or not facts.memory else "it has no services"),
            f"mend {node.stack.compose}",
        )


def images(facts: Facts, manifests: Iterable[Manifest], known: Mapping[str, str]) -> Iterator[Check]:
    """That each image exists, for this host's platform.

    Args:
        known: by reference, the digest that the host's record has for it.
    """
    for manifest in manifests:
        name = f"image {manifest.reference}"
        if manifest.digest:
            fits = not manifest.platforms or facts.platform in manifest.platforms
            yield Check(
                name,
                "" if fits else f"it is for {', '.join(manifest.platforms)}, the host is {facts.platform}",
                "build it for this platform",
            )
        elif not (
            manifest.reference in known
            and present(facts, f"{manifest.reference}@{known[manifest.reference]}")
        ):
            yield Check(name, manifest.problem, _mend(manifest))


def _mend(manifest: Manifest) -> str:
    if manifest.status in (401, 403) or "unauthorized" in manifest.problem or "denied" in manifest.problem:
        return "does the registry's token have read:packages, and has it expired?"
    if manifest.status == 404 or "not found" in manifest.problem or "unknown" in manifest.problem:
        return "has CI built and pushed this tag? `invoke build-backend --push` does it by hand"
    return "can the host reach the registry?"


def require(node: Node, checks: Iterable[Check]) -> None:
    """Raises one error that names every failed check.

    Raises:
        PreflightError: with all of them, and how to mend each.
    """
    failed = [check for check in checks if check.problem]
    if not failed:
        return
    lines = "".join(f"\n  {check.name}: {check.problem}\n    -> {check.mend}" for check in failed)
    count = "1 check" if len(failed) == 1 else f"{len(failed)} checks"
    raise PreflightError(f"{count} failed, nothing was changed{lines}", node=node.name, step="preflight")
